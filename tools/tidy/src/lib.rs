//! Checks what the architecture promises and no compiler does.
//!
//! `tree` reads the checkout; each file under `rules` holds one rule; [`policy`] holds what differs from crate to
//! crate: who may import what and depend on whom.

mod finding;
pub mod policy;
mod rules;
mod tree;

use std::path::Path;

pub use finding::Finding;
pub use tree::TreeError;

/// Checks the checkout at `root`; returns how many files were read, and what is wrong with them, by path and line.
pub fn check(root: &Path) -> Result<(usize, Vec<Finding>), TreeError> {
    let crates = tree::read(root)?;
    let files = crates.iter().map(|package| package.sources.len() + 1).sum();
    let mut findings: Vec<Finding> = crates.iter().flat_map(rules::check).collect();
    findings.sort();
    Ok((files, findings))
}
