//! What a process may touch: from portable intent to an enforced sandbox.
//!
//! ```text
//! SandboxContext ─ intent → Policy ─ survey → View ─ prepare → Job ─ launch → program
//!    (wire)       (pure)   (rules)  (server)        (server)       (launcher)
//! ```
//!
//! [`intent`] gives the wire's words a meaning in paths, [`rules`] says which of them decides; both are pure. A survey looks
//! at the machine and turns rules into steps; a [`Launcher`], which is the same program started anew, carries them out in
//! namespaces of its own, gives up every right, and becomes the program. Everything is enforced or nothing runs.
//!
//! Owns everything between an intent and an `execve`. Leaves to others how a process is born, what becomes of its output,
//! and what clients are told.

pub mod file_rules;
pub mod glob;
pub mod intent;
pub mod places;
pub mod rules;

#[cfg(target_os = "linux")]
mod bpf;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod denial;
#[cfg(target_os = "linux")]
mod expand;
#[cfg(target_os = "linux")]
mod job;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod launcher;
#[cfg(target_os = "linux")]
mod locate;
#[cfg(target_os = "linux")]
mod placeholder;
#[cfg(target_os = "linux")]
mod prepare;
#[cfg(target_os = "linux")]
mod survey;
#[cfg(target_os = "linux")]
mod view;
#[cfg(target_os = "linux")]
mod watched;

#[cfg(target_os = "linux")]
pub use self::{
    denial::{Denial, MOST as MOST_DENIALS, Subject},
    job::{CARRIED, Failure, JOB, MOST_LISTENERS, Program, STATUS, Stage},
    launcher::{Launcher, NAME, Serve},
    prepare::{
        Born, Extras, FileServer, Held, PrepareError, Prepared, Ready, Running, Started, WaitError, Zygote,
        prepare, prepare_file_server, prepare_standby, prepare_trial, prepare_zygote, trial_names,
    },
    survey::SurveyError,
};
