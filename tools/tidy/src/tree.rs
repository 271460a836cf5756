//! The checkout as the rules see it: crates with their manifests and parsed sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders whose children are crates.
const HOMES: [&str; 2] = ["codex-rs", "tools"];
/// Folders within a crate that hold sources.
const SOURCES: [&str; 3] = ["src", "tests", "examples"];

/// Why the checkout can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A file or folder can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A manifest is not TOML.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// Why.
        source: toml::de::Error,
    },
    /// A source file is not Rust.
    #[error("{}:{}: {source}", path.display(), source.span().start().line)]
    Source {
        /// Which.
        path: PathBuf,
        /// Why.
        source: syn::Error,
    },
    /// There is nothing to check, which can only be a mistake in what was asked.
    #[error("{}: no crate below codex-rs/ or tools/; give the checkout with --root", .0.display())]
    Empty(PathBuf),
}

/// One crate.
pub(crate) struct Package {
    /// Its folder from the root of the checkout, such as `codex-rs/exec-server-core`.
    pub(crate) folder: PathBuf,
    pub(crate) manifest: toml::Table,
    pub(crate) sources: Vec<Source>,
}

/// One source file.
pub(crate) struct Source {
    /// From the root of the checkout.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) file: syn::File,
    /// Whether it is part of what is shipped, not of tests or examples.
    pub(crate) shipped: bool,
}

/// Reads every crate of the checkout, in the order of their names.
pub(crate) fn read(root: &Path) -> Result<Vec<Package>, TreeError> {
    let mut packages = Vec::new();
    for home in HOMES {
        for folder in children(&root.join(home))? {
            // A link, such as the one from the workspace to the tools, would show the same crates twice.
            if !folder.is_symlink() && folder.join("Cargo.toml").is_file() {
                packages.push(package(root, &folder)?);
            }
        }
    }
    if packages.is_empty() { Err(TreeError::Empty(root.to_owned())) } else { Ok(packages) }
}

fn package(root: &Path, folder: &Path) -> Result<Package, TreeError> {
    let path = folder.join("Cargo.toml");
    let manifest = read_text(&path)?
        .parse()
        .map_err(|source| TreeError::Manifest { path: relative(root, &path), source })?;
    let mut sources = Vec::new();
    for part in SOURCES {
        collect(root, &folder.join(part), part == "src", &mut sources)?;
    }
    Ok(Package { folder: relative(root, folder), manifest, sources })
}

fn collect(root: &Path, folder: &Path, shipped: bool, into: &mut Vec<Source>) -> Result<(), TreeError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for path in children(folder)? {
        if path.is_dir() {
            collect(root, &path, shipped, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read_text(&path)?;
            let path = relative(root, &path);
            let file =
                syn::parse_file(&text).map_err(|source| TreeError::Source { path: path.clone(), source })?;
            // `foo_tests.rs` stands beside `foo.rs` and belongs to the tests.
            let shipped = shipped && !path.to_string_lossy().ends_with("_tests.rs");
            into.push(Source { path, text, file, shipped });
        }
    }
    Ok(())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, TreeError> {
    let failed = |source| TreeError::Io { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn read_text(path: &Path) -> Result<String, TreeError> {
    fs::read_to_string(path).map_err(|source| TreeError::Io { path: path.to_owned(), source })
}

fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}
