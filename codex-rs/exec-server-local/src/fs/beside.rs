//! Work that a second thread does beside the first, if it comes to it in time.
//!
//! The kernel puts a new thread on a processor that has nothing to do, if it sees one. On a virtual machine one that sleeps does not
//! count: the second thread then waits for the processor of the first, which goes elsewhere when it sees that
//! ([`Beside::make_way`]).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use tokio::sync::oneshot;

use super::host::FsHost;

/// Of such a thread. What it does with files is never deep.
const STACK_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Beside<T> {
    /// Somebody has begun it, or nobody ever will.
    is_settled: Arc<AtomicBool>,
    outcome: oneshot::Receiver<std::thread::Result<T>>,
}

impl<T: Send + 'static> Beside<T> {
    /// Offers `work` to a thread; `None` if there are as many threads that may wait for a disk as there may be.
    pub(super) fn offer(host: &FsHost, work: impl FnOnce() -> T + Send + 'static) -> Option<Self> {
        let permit = host.spare_thread()?;
        let (beside, work) = Self::new(work);
        let run = move || {
            let _permit = permit;
            work();
        };
        std::thread::Builder::new().name("fs-beside".into()).stack_size(STACK_BYTES).spawn(run).ok()?;
        Some(beside)
    }

    /// Work that is still to be given to a thread.
    pub(super) fn new(work: impl FnOnce() -> T + Send + 'static) -> (Self, impl FnOnce() + Send + 'static) {
        let is_settled = Arc::new(AtomicBool::new(false));
        let (tell, outcome) = oneshot::channel();
        let claim = Arc::clone(&is_settled);
        let run = move || {
            if !claim.swap(true, Ordering::Relaxed) {
                // Perhaps nobody waits for it any more.
                let _ = tell.send(catch_unwind(AssertUnwindSafe(work)));
            }
        };
        (Self { is_settled, outcome }, run)
    }

    /// Leaves this processor to the second thread if that has not begun, for another that this thread may use.
    pub(super) fn make_way(&self) {
        if self.is_settled.load(Ordering::Relaxed) {
            return;
        }
        let Ok(allowed) = sched_getaffinity(/*pid*/ None) else { return };
        let (here, mut elsewhere) = (sched_getcpu(), allowed);
        if here >= CpuSet::MAX_CPU {
            return;
        }
        elsewhere.unset(here);
        if elsewhere.count() > 0 && sched_setaffinity(/*pid*/ None, &elsewhere).is_ok() {
            // It may come back, but nothing makes it.
            let _ = sched_setaffinity(/*pid*/ None, &allowed);
        }
    }

    /// Whether it was begun. If not, it never will be.
    pub(super) fn was_begun(&self) -> bool {
        self.is_settled.swap(true, Ordering::Relaxed)
    }

    /// What came of it; `None` if it never began. A panic in it goes on here.
    pub(super) async fn outcome(self) -> Option<T> {
        let outcome = self.outcome.await.ok()?;
        Some(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use codex_exec_server_core::limits::FileLimits;

    use super::*;

    #[tokio::test]
    async fn work_that_no_thread_comes_to_in_time_is_never_begun() {
        let (beside, run) = Beside::new(|| "done");
        assert!(!beside.was_begun());
        run();
        assert_eq!(beside.outcome().await, None);
    }

    #[tokio::test]
    async fn work_that_was_begun_is_waited_for() {
        let ((begin, begun), (end, ended)) = (channel(), channel());
        let work = move || {
            begin.send(()).unwrap();
            ended.recv().unwrap();
            "done"
        };
        let beside = Beside::offer(&FsHost::new(FileLimits::default()), work).expect("there may be a thread");
        begun.recv().unwrap();
        assert!(beside.was_begun());
        end.send(()).unwrap();
        assert_eq!(beside.outcome().await, Some("done"));
    }

    #[tokio::test]
    #[should_panic(expected = "the work's own")]
    async fn a_panic_in_the_work_reaches_whoever_waits_for_it() {
        let (beside, run) = Beside::<()>::new(|| panic!("the work's own"));
        run();
        beside.outcome().await;
    }

    #[test]
    fn who_makes_way_may_be_where_it_might_before() {
        let before = sched_getaffinity(/*pid*/ None).unwrap();
        let (beside, run) = Beside::new(|| ());
        beside.make_way();
        assert!(sched_getaffinity(/*pid*/ None).unwrap() == before);
        run();
        beside.make_way();
        assert!(sched_getaffinity(/*pid*/ None).unwrap() == before);
    }

    #[test]
    fn there_are_no_more_threads_than_there_may_be() {
        let host = FsHost::new(FileLimits { threads: 1, ..FileLimits::default() });
        let busy = host.spare_thread().expect("none is busy");
        assert!(Beside::offer(&host, || ()).is_none());
        drop(busy);
        assert!(Beside::offer(&host, || ()).is_some());
    }
}
