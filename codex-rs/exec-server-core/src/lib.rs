//! The rules of the server and its clients, without IO: no clock, no task, no socket. Time arrives as an argument.
//!
//! What is kept of a process's output is decided in [`event_log`], what of it is in a file in [`spool`], when a process
//! waits for its reader in [`pace`], how far what is sent may be ahead of a reader in [`output_window`], how much of it may stand before somebody else's word in
//! [`backlog`], how a log is followed
//! in [`log_cursor`], who may speak for a session in [`sessions`],
//! what a repeat means in [`idempotency`], in which order a receiver sees events in [`sequencer`], what went wrong with a
//! file in [`fs_fault`], and how a client comes back over another connection in [`reconnect`]. [`service`] is what a caller can
//! ask of a machine, near or far, and [`process_event`] what it is told.

pub mod backlog;
pub mod errno;
pub mod error;
pub mod event_log;
pub mod fs_fault;
pub mod handshake;
pub mod idempotency;
pub mod limits;
pub mod log_cursor;
pub mod output_window;
pub mod pace;
pub mod process_event;
pub mod reconnect;
pub mod schedule;
pub mod search_fault;
pub mod sequencer;
pub mod service;
pub mod sessions;
pub mod spool;
pub mod watch_fault;
