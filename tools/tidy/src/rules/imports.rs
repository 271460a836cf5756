//! What a crate must not name: `protocol` and `core` know neither IO nor clocks nor tasks.

use syn::visit::{Visit, visit_path};

use crate::finding::Finding;
use crate::policy::policy_of;
use crate::tree::{Package, Source};

pub(super) fn check(package: &Package, source: &Source) -> Vec<Finding> {
    let forbidden =
        policy_of(&package.folder.to_string_lossy()).map_or(&[][..], |policy| policy.must_not_name);
    if forbidden.is_empty() || !source.shipped {
        return Vec::new();
    }
    let mut visitor = Visitor { source, forbidden, prefix: Vec::new(), findings: Vec::new() };
    visitor.visit_file(&source.file);
    visitor.findings
}

struct Visitor<'a> {
    source: &'a Source,
    forbidden: &'a [&'static str],
    /// The part of a use tree above the present one.
    prefix: Vec<String>,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    /// Looks at a whole path.
    fn name(&mut self, path: &[String], line: usize) {
        let path = path.join("::");
        let names = |forbidden: &str| {
            // `Instant::now` is the same whether it is named through its module or after an import of the type.
            let tail = forbidden.rsplitn(3, "::").collect::<Vec<_>>();
            let method = matches!(tail[..], [_, owner, _] if owner.starts_with(char::is_uppercase))
                .then(|| format!("{}::{}", tail[1], tail[0]));
            let within = |part: &str| path == part || path.starts_with(&format!("{part}::"));
            within(forbidden)
                || method.is_some_and(|method| path == method || path.ends_with(&format!("::{method}")))
        };
        if let Some(forbidden) = self.forbidden.iter().find(|forbidden| names(forbidden)) {
            self.findings.push(Finding {
                path: self.source.path.clone(),
                line,
                text: format!(
                    "`{path}`: this crate must not use {forbidden}; take what is needed as an argument"
                ),
            });
        }
    }

    fn use_end(&mut self, ident: &syn::Ident) {
        let mut path = self.prefix.clone();
        if ident != "self" {
            path.push(ident.to_string());
        }
        self.name(&path, ident.span().start().line);
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = module.attrs.iter().any(|attribute| {
            matches!(&attribute.meta, syn::Meta::List(list) if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
        });
        if !is_test {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        self.prefix.push(path.ident.to_string());
        self.visit_use_tree(&path.tree);
        self.prefix.pop();
    }

    fn visit_use_name(&mut self, name: &'ast syn::UseName) {
        self.use_end(&name.ident);
    }

    fn visit_use_rename(&mut self, rename: &'ast syn::UseRename) {
        self.use_end(&rename.ident);
    }

    fn visit_use_glob(&mut self, glob: &'ast syn::UseGlob) {
        let path = self.prefix.clone();
        self.name(&path, glob.star_token.spans[0].start().line);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.name(&names, first.ident.span().start().line);
        }
        visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{package, source};
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let core = package("codex-rs/exec-server-core", "");
        check(&core, &source(text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn imports_are_found_however_they_are_written() {
        for text in [
            "//! x\nuse tokio::sync::Mutex;\n",
            "//! x\nuse std::{collections::HashMap, fs};\n",
            "//! x\nuse std::{fs::{self, File}};\n",
            "//! x\nfn f() { std::env::var(\"X\").ok(); }\n",
            "//! x\nuse std::net as wire;\n",
            "//! x\nfn f() { let now = Instant::now(); }\n",
        ] {
            assert!(lines(text).contains(&2), "{text}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_fine_and_tests_are_free() {
        for text in [
            "//! x\nuse std::time::{Duration, Instant};\nfn f(now: Instant) {}\n",
            "//! x\nuse crate::fs::FileMode;\n",
            "//! x\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
        ] {
            assert_eq!(lines(text), [0_usize; 0], "{text}");
        }
        let local = package("codex-rs/exec-server-local", "");
        assert_eq!(check(&local, &source("//! x\nuse tokio::sync::Mutex;\n")), []);
    }
}
