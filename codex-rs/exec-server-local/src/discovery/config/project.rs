//! Which directories of a project have a say: from the project's root down to where somebody works, those that the user
//! trusts.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The directories between the project's root and `cwd`, the root first, that are trusted. `documents` are the user's and the
/// administrator's, those that count more first.
pub(super) fn trusted(cwd: &Path, documents: &[&Table]) -> Result<Vec<PathBuf>, String> {
    let markers = markers(documents)?;
    let root = cwd.ancestors().find(|folder| markers.iter().any(|marker| is_marked(folder, marker)));
    let root = root.unwrap_or(cwd);
    let repository = cwd.ancestors().find(|folder| is_marked(folder, GIT));
    let mut folders: Vec<&Path> = cwd.ancestors().take_while(|folder| folder.starts_with(root)).collect();
    folders.reverse();
    let is_trusted = |folder: &Path| {
        let mut says = [Some(folder), Some(root), repository].into_iter().flatten();
        says.find_map(|place| level(place, documents)).is_some_and(|level| level == "trusted")
    };
    Ok(folders.into_iter().filter(|folder| is_trusted(folder)).map(Path::to_owned).collect())
}

const GIT: &str = ".git";

/// Names that mark the root of a project.
fn markers(documents: &[&Table]) -> Result<Vec<String>, String> {
    let wrong = || "project_root_markers must be an array of strings".to_owned();
    match documents.iter().find_map(|document| document.get("project_root_markers")) {
        None => Ok(vec![GIT.to_owned()]),
        Some(Value::Array(markers)) => {
            markers.iter().map(|marker| marker.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Whether `marker` is in `folder`. A directory `.git` counts if it is a repository's: a file there leads to one.
fn is_marked(folder: &Path, marker: &str) -> bool {
    let marked = folder.join(marker);
    if marker == GIT && marked.is_dir() { marked.join("HEAD").exists() } else { marked.exists() }
}

/// What the first document that speaks of `place`, by this path or the one without links, says of it.
fn level<'a>(place: &Path, documents: &[&'a Table]) -> Option<&'a str> {
    let real = std::fs::canonicalize(place).ok();
    let names = [Some(place), real.as_deref()];
    documents.iter().find_map(|document| {
        let projects = document.get("projects")?.as_table()?;
        let mut names = names.iter().flatten().filter_map(|name| name.to_str());
        names.find_map(|name| projects.get(name)?.get("trust_level")?.as_str())
    })
}
