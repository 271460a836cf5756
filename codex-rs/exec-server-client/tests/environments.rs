//! Environments as their callers see them.

#[path = "environments/lazy.rs"]
mod lazy;
#[path = "environments/lookup.rs"]
mod lookup;
#[path = "environments/program.rs"]
mod program;
