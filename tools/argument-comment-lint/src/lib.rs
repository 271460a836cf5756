//! Finds arguments that don't speak for themselves, such as `true` or `5`, in calls without a comment that names the
//! parameter: `walk(path, /*recursive*/ true)`. Comments that name another parameter are found too. README.md has the
//! rules.
//!
//! `workspace` reads the sources, `index` collects what functions call their parameters, `check` walks through the
//! calls, `resolve` finds out what they reach, and `rules` says which arguments need a name.

mod check;
mod comments;
mod common_methods;
mod finding;
mod fix;
mod imports;
mod index;
mod resolve;
mod rules;
mod scope;
mod selection;
mod types;
mod workspace;

use std::path::PathBuf;

pub use finding::{Edit, Finding};
pub use fix::{Fixed, fix};
pub use selection::{Selection, SelectionError, split};
pub use workspace::WorkspaceError;

use index::Index;
use workspace::Workspace;

/// What is to be looked at.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The folder with the workspace's Cargo.toml.
    pub workspace: PathBuf,
    /// Files and folders to look at; empty for all.
    pub paths: Vec<PathBuf>,
    /// Packages and targets to look at.
    pub selection: Selection,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many files were looked at.
    pub files: usize,
    /// What is wrong with them, by place.
    pub findings: Vec<Finding>,
}

/// Reads the whole workspace, since calls reach everywhere, and looks at what was asked for.
pub fn check(request: &Request) -> Result<Report, WorkspaceError> {
    let workspace = Workspace::read(&request.workspace)?;
    let index = Index::read(&workspace);
    if let Some(unknown) = request
        .selection
        .packages
        .iter()
        .find(|wanted| workspace.packages.iter().all(|package| package.name != **wanted))
    {
        return Err(WorkspaceError::NoPackage(unknown.clone()));
    }
    let places = workspace.places(&request.paths)?;
    let mut report = Report::default();
    for (position, source) in workspace.sources.iter().enumerate() {
        let package = &workspace.packages[source.package].name;
        if places[position] && request.selection.includes(package, &source.target) {
            report.files += 1;
            report.findings.extend(check::check(&index, source, position));
        }
    }
    report.findings.sort();
    Ok(report)
}
