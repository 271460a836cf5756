//! One list of cases for whatever holds files: this machine, the same under a policy, a server over a WebSocket, and the
//! reference's server where it is at hand. A caller of the trait must not be able to tell which it holds. What only the wire
//! can say is tried on the wire (`wire`), and what only a policy can deny, in `confined`.

#[macro_use]
mod support;

#[macro_use]
#[path = "file_system/place.rs"]
mod place;

#[path = "file_system/confined.rs"]
mod confined;
#[path = "file_system/confined_helpers.rs"]
mod confined_helpers;
#[path = "file_system/copies.rs"]
mod copies;
#[path = "file_system/directories.rs"]
mod directories;
#[path = "file_system/extended.rs"]
mod extended;
#[path = "file_system/handles.rs"]
mod handles;
#[path = "file_system/hang.rs"]
mod hang;
#[path = "file_system/metadata.rs"]
mod metadata;
#[path = "file_system/reading.rs"]
mod reading;
#[path = "file_system/refusals.rs"]
mod refusals;
#[path = "file_system/sandboxed.rs"]
mod sandboxed;
#[path = "file_system/search_wire.rs"]
mod search_wire;
#[path = "file_system/searching.rs"]
mod searching;
#[path = "file_system/transfer.rs"]
mod transfer;
#[path = "file_system/trees.rs"]
mod trees;
#[path = "file_system/watch_wire.rs"]
mod watch_wire;
#[path = "file_system/watching.rs"]
mod watching;
#[path = "file_system/wire.rs"]
mod wire;
#[path = "file_system/writing.rs"]
mod writing;
