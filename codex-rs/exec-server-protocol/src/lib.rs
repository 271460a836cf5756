//! What travels on the wire, and nothing else: the types of every method and notification, the envelope around them,
//! error codes, and the encodings of bytes and paths.
//!
//! No IO, no clock, no other crate of this project. Start at [`methods`], the table that everything else hangs on.

pub mod binary;
pub mod bytes;
pub mod bytes_result;
pub mod capabilities;
pub mod environment;
pub mod error_code;
pub mod fs;
pub mod http;
pub mod ids;
pub mod listing_result;
pub mod long_write;
pub mod metadata_result;
pub mod methods;
pub mod network;
pub mod path_uri;
pub mod process;
pub mod rpc;
pub mod sandbox;
pub mod scan;
pub mod session;
pub mod table;
