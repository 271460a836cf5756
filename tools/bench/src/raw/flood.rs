//! The raw side of a keystroke beside a flood: the terminal as it is, and a thread that reads all that another program writes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::echo::RawEcho;
use super::spawn::{Piped, Program, Stdin, reap};
use crate::error::BenchError;
use crate::lanes::Probe;

/// As much as a pipe holds by default.
const READ_BYTES: usize = 64 * 1024;

/// Microseconds of a keystroke. While others have their turn the flood stands still.
pub(crate) struct RawFloodedEcho {
    echo: RawEcho,
    flood: Flood,
}

impl RawFloodedEcho {
    pub(crate) fn open(echo: RawEcho, flood: &[&str]) -> Result<Self, BenchError> {
        Ok(Self { echo, flood: Flood::start(flood)? })
    }
}

impl Probe for RawFloodedEcho {
    fn begin(&mut self) -> Result<(), BenchError> {
        self.flood.set(State::Flows);
        Ok(())
    }

    fn sample(&mut self) -> Result<f64, BenchError> {
        self.echo.sample()
    }

    fn end(&mut self) {
        self.flood.set(State::Rests);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Rests,
    Flows,
    Over,
}

/// Shared by the flood and the thread that reads it.
#[derive(Clone)]
struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked has changed nothing by halves.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while it rests; false when it is over.
    fn pass(&self) -> bool {
        let state = self.0.1.wait_while(self.state(), |state| *state == State::Rests);
        *state.unwrap_or_else(PoisonError::into_inner) == State::Flows
    }
}

/// A program that writes without end. Dropping it kills the program.
struct Flood {
    gate: Gate,
    pid: Pid,
    reader: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(argv: &[&str]) -> Result<Self, BenchError> {
        let Piped { pid, stdout, .. } = Program::new(argv)?.spawn_piped(Stdin::Null)?;
        let gate = Gate(Arc::new((Mutex::new(State::Rests), Condvar::new())));
        let own = gate.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; READ_BYTES];
            while own.pass() && rustix::io::read(&stdout, buffer.as_mut_slice()).is_ok_and(|count| count > 0)
            {
            }
        });
        Ok(Self { gate, pid, reader: Some(reader) })
    }

    fn set(&self, state: State) {
        *self.gate.state() = state;
        self.gate.0.1.notify_all();
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.set(State::Over);
        // An error means that it has ended already, and then both waits return at once.
        let _ = kill_process(self.pid, Signal::KILL);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let _ = reap(self.pid);
    }
}
