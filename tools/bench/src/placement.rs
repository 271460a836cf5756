//! Which processors a client and its server have. A round trip between two programs takes a few microseconds when both are
//! on one processor, and several times that when an idle one has to be woken for each half of it, most of all on a virtual
//! machine. The kernel decides between the two by chance and may stay with it for seconds, so that a median is of the one or
//! of the other. What compares round trips therefore settles it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::error::BenchError;
use crate::machine;
use crate::target::Target;

/// Where the programs of a row run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Where the kernel puts them.
    Free,
    /// Client and servers on one processor: what is compared is work, not waking.
    OneProcessor,
}

impl Placement {
    /// The name of `metric` when it is measured this way.
    pub(crate) fn name(self, metric: &str) -> String {
        match self {
            Self::Free => format!("{metric}, placed freely"),
            Self::OneProcessor => metric.to_owned(),
        }
    }

    /// Places a server that has started. It has seen all processors by then and has made as many threads as it would
    /// anywhere.
    pub(crate) fn of_server(self, target: &Target) -> Result<(), BenchError> {
        match self {
            Self::Free => Ok(()),
            Self::OneProcessor => bind(target.pid(), &one()?),
        }
    }

    /// Places this program, threads that help it included, until the result is dropped. Nothing may be started meanwhile
    /// that is to see every processor.
    pub(crate) fn of_client(self) -> Result<Placed, BenchError> {
        let before = sched_getaffinity(None)?;
        if self == Self::OneProcessor {
            bind(std::process::id(), &one()?)?;
        }
        Ok(Placed { before })
    }
}

/// A program that is back everywhere as soon as this is dropped.
pub(crate) struct Placed {
    before: CpuSet,
}

impl Drop for Placed {
    fn drop(&mut self) {
        // Without it the rows that follow would be slower, and say so by what they compare with.
        let _ = bind(std::process::id(), &self.before);
    }
}

/// The same one each time: the first that this program may use.
fn one() -> Result<CpuSet, BenchError> {
    let allowed = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|&processor| allowed.is_set(processor));
    let mut set = CpuSet::new();
    set.set(first.unwrap_or_else(sched_getcpu));
    Ok(set)
}

/// Every thread that the program has now; those that they start later are placed as they are.
fn bind(pid: u32, set: &CpuSet) -> Result<(), BenchError> {
    for thread in machine::threads(pid)? {
        match sched_setaffinity(Some(thread), set) {
            // It has ended meanwhile.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_on_one_processor_until_it_is_let_go() {
        // The helper of another test may be about, too: only this thread is looked at, and one that it starts.
        let before = sched_getaffinity(None).expect("its processors");
        let placed = Placement::OneProcessor.of_client().expect("it may be placed");
        assert_eq!(sched_getaffinity(None).expect("its processors").count(), 1);
        let helper = std::thread::spawn(|| sched_getaffinity(None).expect("its processors").count());
        assert_eq!(helper.join().expect("it ends"), 1);
        drop(placed);
        assert_eq!(sched_getaffinity(None).expect("its processors").count(), before.count());
    }
}
