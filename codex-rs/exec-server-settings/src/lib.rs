//! What people write into files to set a program up, read so that every complaint names the place.
//!
//! [`document`] reads one TOML file: unknown keys are refused, and every value carries its file, line and key. What the
//! values mean is the matter of whoever reads them. Nothing here touches a file system or an environment: texts come in as
//! arguments.

pub mod document;
mod suggest;

pub use document::{Document, FileError, Found, NamedText, Place, Table};
pub use suggest::closest;
