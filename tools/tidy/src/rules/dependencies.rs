//! Crates depend downwards only, as the table of the architecture says.

use crate::finding::Finding;
use crate::policy::{POLICIES, policy_of};
use crate::tree::Package;

/// What our packages' names begin with; those that belong to the server alone have the longer one.
const PREFIXES: [&str; 2] = ["codex-exec-server", "codex"];

pub(super) fn check(package: &Package) -> Vec<Finding> {
    let folder = package.folder.to_string_lossy();
    let finding = |text| Finding { path: package.folder.join("Cargo.toml"), line: 1, text };
    let Some(policy) = policy_of(&folder) else {
        let listed = !folder.starts_with("codex-rs/");
        let text = || {
            let known: Vec<_> = POLICIES.iter().map(|policy| policy.folder).collect();
            format!(
                "decide who may use this crate: add it to tools/tidy/src/policy.rs, beside {}",
                known.join(", ")
            )
        };
        return if listed { Vec::new() } else { vec![finding(text())] };
    };
    let dependencies = package.manifest.get("dependencies").and_then(toml::Value::as_table);
    let names = dependencies.into_iter().flat_map(|table| table.keys());
    names
        .filter_map(|name| {
            let own = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
            let own = own.trim_start_matches('-');
            let own = if own.is_empty() { "server" } else { own };
            (!policy.may_use.contains(&own)).then(|| {
                finding(format!(
                    "{folder} must not depend on {name}; it may use [{}] of our own crates",
                    policy.may_use.join(", ")
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::package;
    use super::*;

    #[test]
    fn a_dependency_that_points_the_wrong_way_is_found() {
        let wrong = package(
            "codex-rs/exec-server-core",
            "[dependencies]\ncodex-exec-server-client = {}\nbytes = {}\n",
        );
        let found = check(&wrong);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("must not depend on codex-exec-server-client"), "{}", found[0]);
        let wrong = package("codex-rs/exec-server-core", "[dependencies]\ncodex-linux-sandbox = {}\n");
        assert_eq!(check(&wrong).len(), 1);
        let right = package("codex-rs/exec-server-core", "[dependencies]\ncodex-exec-server-protocol = {}\n");
        assert_eq!(check(&right), []);
    }

    #[test]
    fn tests_may_use_what_they_like_and_a_new_crate_needs_a_place() {
        let tests =
            package("codex-rs/exec-server-core", "[dev-dependencies]\ncodex-exec-server-testkit = {}\n");
        assert_eq!(check(&tests), []);
        assert_eq!(check(&package("codex-rs/new", "")).len(), 1);
        assert_eq!(check(&package("tools/new", "")), []);
    }
}
