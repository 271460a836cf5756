//! What a sandboxed process sees of the file system, as steps that can be carried out without asking again.
//!
//! Plain data, made by `survey` on the server's side and carried out by `launch::mounts` inside. Paths are absolute,
//! free of links when they were looked at, and travel as bytes.

use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) base: Base,
    /// Whether `/dev` is the machine's own. Otherwise there is a small one.
    pub(crate) host_devices: bool,
    /// In order: a folder before what it contains.
    pub(crate) steps: Vec<Step>,
}

/// What everything else stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Base {
    /// The machine's own tree.
    Machine { writable: bool },
    /// Nothing but what the steps bring in.
    Empty,
}

/// One change of the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// What the machine has at this path, with its own rights.
    Show { path: Vec<u8>, writable: bool, identity: Identity },
    /// Something that can't be opened stands in its place.
    Hide { path: Vec<u8>, directory: bool },
    /// The same for a folder through which one gets to places that are shown later: it can be passed, not listed.
    HideAround { path: Vec<u8> },
    /// A link of the machine that leads to a place that is shown; only on an empty base.
    Link { path: Vec<u8>, target: Vec<u8> },
}

/// What a path named when it was checked: if it names something else when it is used, nothing is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) directory: bool,
}
