//! What a client may find out about this machine before it works on it: layers of configuration, and plugins and skills in
//! directories.
//!
//! ```text
//! roots → files that have the names of the field → within bounds, and under the caller's policy, as they are
//! ```
//!
//! What is in the files is for the client; only what leads from one file to another is read here (`manifest`). Everything
//! is looked at by the file service, so a policy confines it as it does files.

mod bundle;
mod config;
mod installed;
mod manifest;
mod places;
mod root;
mod scan;
mod skill;
mod yaml;

pub use self::config::read_config;
pub use self::installed::discover_installed;
pub use self::root::discover_roots;
