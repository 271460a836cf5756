//! The process table with real processes and no connection: what is kept, for how long, and for whom.
//!
//! Processes run in real time. Where a test is about a span of time it stops the clock while nothing real is under
//! way, moves it, and lets it run again.

mod audience;
mod budget;
mod faults;
mod flood;
mod follow;
mod full_disk;
mod identity;
mod requests;
mod retention;
mod shells;
mod spool;
mod support;
mod watchers;
mod window;
