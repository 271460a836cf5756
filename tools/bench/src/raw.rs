//! The least that the operating system asks for the work of each row, done without a server in between.
//!
//! Children are started by `posix_spawn`, which shares the parent's memory until the exec; one thread, no
//! runtime.

mod echo;
mod flood;
mod in_flight;
mod loopback;
mod passes;
mod pipe;
mod spawn;

pub(crate) use self::echo::{RawEcho, open_terminal};
pub(crate) use self::flood::RawFloodedEcho;
pub(crate) use self::in_flight::RawInFlight;
pub(crate) use self::loopback::RawRoundTrip;
pub(crate) use self::passes::Pass;
pub(crate) use self::pipe::megabytes_per_second;
pub(crate) use self::spawn::{Piped, Program, RawOneShot, Stdin, reap};
