//! What a plugin's manifest says of the files beside it. Pure.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

/// Where a manifest stands, in order of preference.
pub(super) const MANIFESTS: [&str; 3] =
    [".codex-plugin/plugin.json", ".claude-plugin/plugin.json", ".cursor-plugin/plugin.json"];

/// A list that a manifest may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    McpServers,
    Apps,
}

impl List {
    /// The member of the manifest.
    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::McpServers => "mcpServers",
            Self::Apps => "apps",
        }
    }

    /// Where it stands when the manifest names no place.
    const fn usual(self) -> &'static str {
        match self {
            Self::McpServers => ".mcp.json",
            Self::Apps => ".app.json",
        }
    }
}

/// Where a list stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listed {
    /// In this file, below the root.
    In(PathBuf),
    /// In the manifest itself.
    Inline,
    /// The manifest names a place that won't do, says why, and the usual one counts.
    Instead { path: PathBuf, why: &'static str },
}

/// Where `manifest` has `list`. One that can't be read leaves everything in its usual place.
pub(super) fn listed(manifest: &str, list: List) -> Listed {
    let usual = || PathBuf::from(list.usual());
    let manifest: Value = serde_json::from_str(manifest).unwrap_or_default();
    match (manifest.get(list.member()), list) {
        (Some(Value::String(path)), _) => match below(path) {
            Ok(path) => Listed::In(path),
            Err(why) => Listed::Instead { path: usual(), why },
        },
        (Some(Value::Object(_)), List::McpServers) => Listed::Inline,
        _ => Listed::In(usual()),
    }
}

/// What a manifest calls its plugin; empty names are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// The namespace of its skills.
    pub(super) name: Option<String>,
    /// For people.
    pub(super) display_name: Option<String>,
}

/// `None` if the manifest is no JSON object.
pub(super) fn names(manifest: &str) -> Option<Names> {
    let manifest: Value = serde_json::from_str(manifest).ok()?;
    manifest.is_object().then(|| {
        let text = |value: Option<&Value>| {
            value.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let display_name = manifest.get("interface").and_then(|interface| interface.get("displayName"));
        Names { name: text(manifest.get("name")), display_name: text(display_name) }
    })
}

/// The path as one below the root.
fn below(path: &str) -> Result<PathBuf, &'static str> {
    let rest = path.strip_prefix("./").ok_or("path must start with `./`")?;
    let mut clean = PathBuf::new();
    for component in Path::new(rest.trim_start_matches('/')).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err("path must remain below the capability root");
            }
        }
    }
    if clean.as_os_str().is_empty() { Err("path must remain below the capability root") } else { Ok(clean) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_its_plugin() {
        let names_of = |manifest| names(manifest).map(|names| (names.name, names.display_name));
        let some = |text: &str| Some(text.to_owned());
        for (manifest, expected) in [
            (r#"{"name":" a ","interface":{"displayName":"A"}}"#, Some((some("a"), some("A")))),
            (r#"{"name":"","interface":{"displayName":3}}"#, Some((None, None))),
            (r#"{"name":3,"interface":3}"#, Some((None, None))),
            ("[]", None),
            ("no JSON", None),
        ] {
            assert_eq!(names_of(manifest), expected, "{manifest}");
        }
    }

    #[test]
    fn a_manifest_says_where_its_lists_are() {
        let at = |path: &str| Listed::In(path.into());
        let instead = |path: &str, why| Listed::Instead { path: path.into(), why };
        let (start, remain) = ("path must start with `./`", "path must remain below the capability root");
        for (manifest, mcp, apps) in [
            ("{}", at(".mcp.json"), at(".app.json")),
            ("no JSON", at(".mcp.json"), at(".app.json")),
            ("[]", at(".mcp.json"), at(".app.json")),
            (r#"{"mcpServers":"./a//b/./m.json","apps":"./x"}"#, at("a/b/m.json"), at("x")),
            (r#"{"mcpServers":{"s":{}},"apps":{"s":{}}}"#, Listed::Inline, at(".app.json")),
            (r#"{"mcpServers":null,"apps":[1]}"#, at(".mcp.json"), at(".app.json")),
            (
                r#"{"mcpServers":"m.json","apps":""}"#,
                instead(".mcp.json", start),
                instead(".app.json", start),
            ),
            (
                r#"{"mcpServers":"./../m","apps":"./"}"#,
                instead(".mcp.json", remain),
                instead(".app.json", remain),
            ),
            (
                r#"{"mcpServers":"./a/../m","apps":"/m"}"#,
                instead(".mcp.json", remain),
                instead(".app.json", start),
            ),
        ] {
            assert_eq!(listed(manifest, List::McpServers), mcp, "{manifest}");
            assert_eq!(listed(manifest, List::Apps), apps, "{manifest}");
        }
    }
}
