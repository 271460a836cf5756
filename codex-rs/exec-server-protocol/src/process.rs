//! `process/*`: start a program, follow its output, feed it, signal it, end it.

mod ending;
mod input;
mod list;
mod output;
mod start;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

pub use self::ending::*;
pub use self::input::*;
pub use self::list::*;
pub use self::output::*;
pub use self::start::*;

/// A result without members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct EmptyResponse {}
