//! The processes that are known: a bounded number, those that ended going first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::UnifiedExecError;
use crate::state::ProcessNumber;
use crate::tracked::Tracked;

/// See the module.
#[derive(Debug)]
pub(crate) struct Registry {
    limit: usize,
    /// The number given last.
    last: u64,
    /// Places that are kept for processes that are being started.
    reserved: usize,
    /// The one asked for least recently first.
    processes: VecDeque<Arc<Tracked>>,
}

impl Registry {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, last: 0, reserved: 0, processes: VecDeque::new() }
    }

    /// Keeps a place for a process that is about to start. Of those that ended, the one asked for least
    /// recently makes room; a running one never does.
    pub(crate) fn reserve(&mut self) -> Result<(), UnifiedExecError> {
        while self.processes.len() + self.reserved >= self.limit {
            let Some(ended) = self.processes.iter().position(|process| process.state().is_final()) else {
                // All places may be reserved by starts under way; then the one that comes next is named.
                let next = ProcessNumber(self.last + 1);
                let least_recent = self.processes.front().map_or(next, |process| process.number);
                return Err(UnifiedExecError::TooManyProcesses { limit: self.limit, least_recent });
            };
            self.processes.remove(ended);
        }
        self.reserved += 1;
        Ok(())
    }

    /// A place that was kept is not needed any more: its process is here, or did not start.
    pub(crate) fn release(&mut self) {
        self.reserved -= 1;
    }

    /// Numbers a process that has started, and adds it. One that did not start takes no number, so a number that was given
    /// is that of a process that is known or was forgotten.
    pub(crate) fn add(&mut self, process: impl FnOnce(ProcessNumber) -> Tracked) -> Arc<Tracked> {
        self.last += 1;
        let process = Arc::new(process(ProcessNumber(self.last)));
        self.processes.push_back(Arc::clone(&process));
        process
    }

    /// Finds a process, which is from now on the one asked for most recently.
    pub(crate) fn get(&mut self, number: ProcessNumber) -> Result<Arc<Tracked>, UnifiedExecError> {
        match self.processes.iter().position(|process| process.number == number) {
            Some(at) => {
                let process = self.processes.remove(at).expect("it was just found there");
                self.processes.push_back(Arc::clone(&process));
                Ok(process)
            }
            None if (1..=self.last).contains(&number.0) => Err(UnifiedExecError::Forgotten(number)),
            None => Err(UnifiedExecError::UnknownProcess(number)),
        }
    }

    pub(crate) fn remove(&mut self, number: ProcessNumber) {
        self.processes.retain(|process| process.number != number);
    }

    /// All, by number.
    pub(crate) fn all(&self) -> Vec<Arc<Tracked>> {
        let mut all: Vec<_> = self.processes.iter().cloned().collect();
        all.sort_by_key(|process| process.number);
        all
    }
}
