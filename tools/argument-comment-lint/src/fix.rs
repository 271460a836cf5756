//! Writes the comments that are missing. Nothing but comments changes: a file whose tokens would differ is not written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::finding::{Edit, Finding};
use crate::workspace::{self, WorkspaceError};
use crate::{Request, check};

/// What was mended.
#[derive(Debug, Default)]
pub struct Fixed {
    /// How many arguments.
    pub arguments: usize,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}

/// Mends what `request` finds, where there is just one way to.
pub fn fix(request: &Request) -> Result<Fixed, WorkspaceError> {
    let mut edits: BTreeMap<PathBuf, Vec<Edit>> = BTreeMap::new();
    for Finding { path, edit, .. } in check(request)?.findings {
        if let Some(edit) = edit {
            edits.entry(path).or_default().push(edit);
        }
    }
    let mut fixed = Fixed::default();
    for (path, edits) in edits {
        write(&path, &edits)?;
        fixed.arguments += edits.len();
        fixed.files.push(path);
    }
    Ok(fixed)
}

fn write(path: &Path, edits: &[Edit]) -> Result<(), WorkspaceError> {
    let failed = |source| WorkspaceError::Io { path: path.to_owned(), source };
    let before = fs::read_to_string(path).map_err(failed)?;
    let after = apply(&before, edits);
    let tokens = |text: &str| {
        workspace::tokens(text).map_err(|source| WorkspaceError::Source { path: path.to_owned(), source })
    };
    if tokens(&before)? != tokens(&after)? {
        return Err(WorkspaceError::Changed(path.to_owned()));
    }
    fs::write(path, after).map_err(failed)
}

/// Applies edits that don't overlap.
fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort();
    let mut mended = text.to_owned();
    for edit in edits.into_iter().rev() {
        mended.replace_range(edit.start..edit.end, &edit.text);
    }
    mended
}
