//! Small crates and files for the rules' own tests.

use std::path::PathBuf;

use crate::tree::{Package, Source};

/// A shipped source file.
pub(super) fn source(text: &str) -> Source {
    let file = syn::parse_file(text).expect("it is Rust");
    Source { path: PathBuf::from("src/x.rs"), text: text.into(), file, shipped: true }
}

/// A crate without sources.
pub(super) fn package(folder: &str, manifest: &str) -> Package {
    let manifest = manifest.parse().expect("it is TOML");
    Package { folder: PathBuf::from(folder), manifest, sources: Vec::new() }
}
