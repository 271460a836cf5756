//! Generated files in memory, and how they differ from those on disk.
//!
//! A tree owns its directories whole: a file in one of them that nothing generates any more is stale too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// Files by their path below the checkout, `/` between components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    directories: Vec<&'static str>,
    files: BTreeMap<String, String>,
}

/// A file that is not as it should be. Holds its path below the checkout.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// Generated, but not there.
    Missing(String),
    /// There, with other content.
    Differs(String),
    /// There, but not generated.
    LeftOver(String),
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "missing: {path}"),
            Self::Differs(path) => write!(f, "differs: {path}"),
            Self::LeftOver(path) => write!(f, "left over: {path}"),
        }
    }
}

/// A file or directory that can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct TreeError {
    path: PathBuf,
    source: io::Error,
}

impl TreeError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_owned(), source }
    }
}

impl Tree {
    /// Nothing yet, in directories that hold nothing else.
    pub(crate) fn new(directories: &[&'static str]) -> Self {
        Self { directories: directories.to_vec(), files: BTreeMap::new() }
    }

    /// Adds a file below one of the directories.
    pub(crate) fn add(&mut self, path: String, text: String) {
        debug_assert!(self.directories.iter().any(|directory| path.starts_with(directory)), "{path}");
        assert!(text.ends_with('\n'), "{path} does not end in a newline");
        let twin = self.files.insert(path.clone(), text);
        assert!(twin.is_none(), "{path} is generated twice");
    }

    /// What in the checkout at `root` is not as generated, in the order of paths.
    ///
    /// # Errors
    /// If a directory or a file can't be read. A missing one is no error.
    pub fn stale(&self, root: &Path) -> Result<Vec<Stale>, TreeError> {
        let mut present = BTreeSet::new();
        for directory in &self.directories {
            list(root, directory, &mut present)?;
        }
        let mut stale = Vec::new();
        for (path, text) in &self.files {
            if !present.remove(path) {
                stale.push(Stale::Missing(path.clone()));
                continue;
            }
            let file = root.join(path);
            if fs::read(&file).map_err(TreeError::at(&file))? != text.as_bytes() {
                stale.push(Stale::Differs(path.clone()));
            }
        }
        stale.extend(present.into_iter().map(Stale::LeftOver));
        Ok(stale)
    }

    /// Makes the checkout at `root` as generated and returns what had been stale. Other files are not touched.
    ///
    /// # Errors
    /// If something can't be read, written or removed; what was done until then stays done.
    pub fn write(&self, root: &Path) -> Result<Vec<Stale>, TreeError> {
        let stale = self.stale(root)?;
        for file in &stale {
            match file {
                Stale::LeftOver(path) => {
                    let file = root.join(path);
                    fs::remove_file(&file).map_err(TreeError::at(&file))?;
                }
                Stale::Missing(path) | Stale::Differs(path) => {
                    let file = root.join(path);
                    if let Some(parent) = file.parent() {
                        fs::create_dir_all(parent).map_err(TreeError::at(parent))?;
                    }
                    fs::write(&file, &self.files[path]).map_err(TreeError::at(&file))?;
                }
            }
        }
        Ok(stale)
    }
}

/// Every file below `directory`, as paths below `root`.
fn list(root: &Path, directory: &str, found: &mut BTreeSet<String>) -> Result<(), TreeError> {
    let path = root.join(directory);
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(TreeError::at(&path))?,
    };
    for entry in entries {
        let entry = entry.map_err(TreeError::at(&path))?;
        let below = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(TreeError::at(&path))?.is_dir() {
            list(root, &below, found)?;
        } else {
            found.insert(below);
        }
    }
    Ok(())
}
