//! The workspace on disk: its packages, and their parsed sources with the target that each belongs to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::selection::Target;

/// Why the workspace can't be read.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// A file or folder can't be read or written.
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
    /// The folder's manifest lists no members.
    #[error("{}: no [workspace] with members; give the workspace's folder with --workspace", .0.display())]
    NoMembers(PathBuf),
    /// A path that was asked for holds no source of the workspace.
    #[error("{}: no Rust source of the workspace is there", .0.display())]
    NoSource(PathBuf),
    /// A package that was asked for is not a member.
    #[error("the workspace has no package `{0}`")]
    NoPackage(String),
    /// A mended file would not be the same program.
    #[error("{}: mending would change more than comments; please report this", .0.display())]
    Changed(PathBuf),
}

/// A crate of the workspace with its tests and examples.
#[derive(Debug)]
pub(crate) struct Package {
    /// As Cargo knows it.
    pub(crate) name: String,
    /// As `use` spells its library.
    pub(crate) library: String,
}

/// One source file.
pub(crate) struct Source {
    /// Below the workspace's folder as that was given.
    pub(crate) path: PathBuf,
    /// Its package's place in [`Workspace::packages`].
    pub(crate) package: usize,
    pub(crate) target: Target,
    /// The last part of its module path: `pipes` for `os/pipes.rs`, `os` for `os/mod.rs`.
    pub(crate) module: String,
    pub(crate) text: String,
    pub(crate) file: syn::File,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    pub(crate) sources: Vec<Source>,
}

impl Workspace {
    /// Reads every package of the workspace in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, WorkspaceError> {
        let manifest = folder.join("Cargo.toml");
        let table = read_manifest(&manifest)?;
        let members = table
            .get("workspace")
            .and_then(|workspace| workspace.get("members"))
            .and_then(toml::Value::as_array)
            .ok_or_else(|| WorkspaceError::NoMembers(manifest.clone()))?;
        let mut workspace = Self::default();
        for member in members.iter().filter_map(toml::Value::as_str) {
            // As Cargo has it, in the one shape that is in use: every folder below another.
            if let Some(parent) = member.strip_suffix("/*") {
                for child in children(&folder.join(parent))? {
                    if child.join("Cargo.toml").is_file() {
                        workspace.add(&child)?;
                    }
                }
            } else {
                workspace.add(&if folder == Path::new(".") { member.into() } else { folder.join(member) })?;
            }
        }
        Ok(workspace)
    }

    /// For each source whether it lies at or below one of `paths`; all do when there are none.
    pub(crate) fn places(&self, paths: &[PathBuf]) -> Result<Vec<bool>, WorkspaceError> {
        if paths.is_empty() {
            return Ok(vec![true; self.sources.len()]);
        }
        // A package may be reached through a link.
        let real = |path: &Path| {
            path.canonicalize().map_err(|source| WorkspaceError::Io { path: path.to_owned(), source })
        };
        let sources = self.sources.iter().map(|source| real(&source.path)).collect::<Result<Vec<_>, _>>()?;
        let mut places = vec![false; sources.len()];
        for path in paths {
            let wanted = real(path)?;
            let mut any = false;
            for (place, source) in places.iter_mut().zip(&sources) {
                let inside = source.starts_with(&wanted);
                *place |= inside;
                any |= inside;
            }
            if !any {
                return Err(WorkspaceError::NoSource(path.clone()));
            }
        }
        Ok(places)
    }

    fn add(&mut self, folder: &Path) -> Result<(), WorkspaceError> {
        let manifest = read_manifest(&folder.join("Cargo.toml"))?;
        let text = |section: &str| {
            manifest.get(section).and_then(|section| section.get("name")).and_then(toml::Value::as_str)
        };
        let name = text("package").unwrap_or_default().to_owned();
        let library = text("lib").unwrap_or(&name).replace('-', "_");
        self.packages.push(Package { name, library });
        for part in ["src", "tests", "examples", "benches", "build.rs"] {
            let path = folder.join(part);
            if path.exists() {
                self.collect(folder, &path)?;
            }
        }
        Ok(())
    }

    fn collect(&mut self, package: &Path, path: &Path) -> Result<(), WorkspaceError> {
        if path.is_dir() {
            return children(path)?.iter().try_for_each(|child| self.collect(package, child));
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            return Ok(());
        }
        let text = fs::read_to_string(path)
            .map_err(|source| WorkspaceError::Io { path: path.to_owned(), source })?;
        let file = parse(&text).map_err(|source| WorkspaceError::Source { path: path.to_owned(), source })?;
        self.sources.push(Source {
            path: path.to_owned(),
            package: self.packages.len() - 1,
            target: Target::of(path.strip_prefix(package).unwrap_or(path)),
            module: module(path),
            text,
            file,
        });
        Ok(())
    }
}

/// Parses a file such that positions are those of `text`: what the parser would cut off in front is blanked instead.
pub(crate) fn parse(text: &str) -> Result<syn::File, syn::Error> {
    syn::parse_str(&blanked(text))
}

/// The tokens of a file, as text: the same for two files that differ in comments and blanks alone.
pub(crate) fn tokens(text: &str) -> Result<String, syn::Error> {
    Ok(blanked(text).parse::<proc_macro2::TokenStream>()?.to_string())
}

fn blanked(text: &str) -> String {
    let mut blanked = text.replacen('\u{feff}', "   ", usize::from(text.starts_with('\u{feff}')));
    if blanked.trim_start().starts_with("#!/") {
        let line = blanked.find('\n').unwrap_or(blanked.len());
        blanked.replace_range(..line, &" ".repeat(line));
    }
    blanked
}

fn module(path: &Path) -> String {
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match stem(path).as_str() {
        "mod" | "lib" | "main" => path.parent().map(stem).unwrap_or_default(),
        other => other.to_owned(),
    }
}

fn read_manifest(path: &Path) -> Result<toml::Table, WorkspaceError> {
    let text =
        fs::read_to_string(path).map_err(|source| WorkspaceError::Io { path: path.to_owned(), source })?;
    text.parse().map_err(|source| WorkspaceError::Manifest { path: path.to_owned(), source })
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, WorkspaceError> {
    let failed = |source| WorkspaceError::Io { path: folder.to_owned(), source };
    let mut paths = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    paths.sort();
    Ok(paths)
}
