//! What people write to set a program up, read so that every complaint names the place and every value its origin.
//!
//! ```text
//! defaults, system file, user file, variables, flags → Layer … Layer → Effective → typed values, each with its Origin
//! ```
//!
//! [`document`] reads one TOML file: unknown keys are refused, and every value carries its file, line and key. On it stand
//! the [`layers`](Layer) of settings, of which later ones win. What can be set is a list of [`Key`]s, each with its kind
//! and its bounds; what it means is the matter of whoever keeps the list. Nothing here touches a file system or an
//! environment: texts come in as arguments.

pub mod document;
mod key;
mod layers;
mod origin;
mod print;
mod read;
mod suggest;

pub use document::{Document, FileError, Found, NamedText, Place, Table};
pub use key::{Given, Key, Kind, Setting, VARIABLE_PREFIX, Value};
pub use layers::{Chosen, Effective, Layer, LayerError, StrayVariable, stray_variables};
pub use origin::{LayerKind, Origin, SettingError};
pub use print::{notation, print};
pub use suggest::closest;
