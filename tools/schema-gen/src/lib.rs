//! Turns the protocol crate's method table and types into files that readers of other languages use: JSON Schema under
//! `schema/json/`, TypeScript under `sdk-ts/src/generated/`.
//!
//! The table is the only source. Everything is made in memory first ([`generate`]); [`Tree`] then writes it, or tells
//! what in the checkout differs from it.

mod constants;
mod docs;
mod json;
mod protocol;
mod tree;
mod typescript;

use std::path::{Path, PathBuf};

pub use self::tree::{Stale, Tree, TreeError};

/// Everything that is generated, for both directories.
#[must_use]
pub fn generate() -> Tree {
    let protocol = protocol::Protocol::read();
    let mut tree = Tree::new(&[json::DIRECTORY, typescript::DIRECTORY]);
    json::add(&protocol, &mut tree);
    typescript::add(&protocol, &mut tree);
    tree
}

/// The checkout that this program was built from, which is where `schema/` and `sdk-ts/` lie. A build that runs it
/// elsewhere names the place in the variable `CODEX_EXEC_SERVER_CHECKOUT`.
#[must_use]
pub fn checkout() -> PathBuf {
    std::env::var_os("CODEX_EXEC_SERVER_CHECKOUT")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), PathBuf::from)
}
