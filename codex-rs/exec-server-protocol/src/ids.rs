//! Names and numbers that identify things on the wire. Each is its own type, so that none can stand in for another.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS)]
        #[serde(transparent)]
        #[ts(type = "string")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text as it travels on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }
    };
}

string_id! {
    /// Names a process within its session. Chosen by the client; never an operating system's pid. May be empty.
    ProcessId
}
string_id! {
    /// Names a session: a version 4 UUID that the server chose. Whoever knows it may resume the session.
    SessionId
}
string_id! {
    /// Names one `process/write` (or `process/closeStdin`) within its process, so that a resend is never applied twice.
    WriteId
}
string_id! {
    /// Names one attempt of a request that must not run twice; a repeat joins the first or gets its recorded answer.
    RequestKey
}

/// Position in one process's log. The first event is 1; 0 means "before everything".
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(transparent)]
#[ts(type = "number")]
pub struct Seq(pub u64);

impl Seq {
    /// Before every event.
    pub const START: Self = Self(0);
    /// Behind every event: the largest number that every JSON reader keeps exact.
    pub const END: Self = Self((1 << 53) - 1);

    /// The position right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
