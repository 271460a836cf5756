//! The process layer against the real kernel: programs are really started, signalled and killed.
//!
//! Every wait is for an event: the end of a pipe, a line of output, the death that a pidfd reports.

mod birth;
mod concurrency;
mod failures;
mod reaping;
mod support;
mod terminal;
mod tree;
