//! Work that a second thread does beside the first, if one comes to it in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use super::host::FsHost;

/// See the module.
#[derive(Debug)]
pub(super) struct Beside<T> {
    /// Somebody has begun it, or nobody ever will.
    is_settled: Arc<AtomicBool>,
    running: JoinHandle<Option<T>>,
}

impl<T: Send + 'static> Beside<T> {
    /// Offers `work` to the threads that may wait for a disk; `None` if all of them have something to do. To be called from one
    /// of them.
    pub(super) fn offer(host: &FsHost, work: impl FnOnce() -> T + Send + 'static) -> Option<Self> {
        let permit = host.spare_thread()?;
        let is_settled = Arc::new(AtomicBool::new(false));
        let claim = Arc::clone(&is_settled);
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            (!claim.swap(true, Ordering::Relaxed)).then(work)
        });
        Some(Self { is_settled, running })
    }

    /// Whether it was begun. If not, it never will be.
    pub(super) fn was_begun(&self) -> bool {
        self.is_settled.swap(true, Ordering::Relaxed)
    }

    /// What came of it; `None` if it never began. A panic in it goes on here.
    pub(super) async fn outcome(self) -> Option<T> {
        match self.running.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is being shut down.
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use codex_exec_server_core::limits::FileLimits;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn work_that_no_thread_comes_to_in_time_is_never_begun() {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let host = FsHost::new(FileLimits::default());
        let outcome = runtime.block_on(async {
            let offered = tokio::task::spawn_blocking(move || {
                // This is the only thread.
                let beside = Beside::offer(&host, || "done").expect("by the bounds there is another");
                assert!(!beside.was_begun());
                beside
            });
            offered.await.unwrap().outcome().await
        });
        assert_eq!(outcome, None);
    }

    #[test]
    fn work_that_was_begun_is_waited_for() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let host = FsHost::new(FileLimits::default());
        let outcome = runtime.block_on(async {
            let offered = tokio::task::spawn_blocking(move || {
                let ((begin, begun), (end, ended)) = (channel(), channel());
                let work = move || {
                    begin.send(()).unwrap();
                    ended.recv().unwrap();
                    "done"
                };
                let beside = Beside::offer(&host, work).expect("there is another thread");
                begun.recv().unwrap();
                assert!(beside.was_begun());
                end.send(()).unwrap();
                beside
            });
            offered.await.unwrap().outcome().await
        });
        assert_eq!(outcome, Some("done"));
    }

    #[tokio::test]
    async fn nothing_is_offered_to_threads_beyond_the_bound() {
        let host = FsHost::new(FileLimits { threads: 1, ..FileLimits::default() });
        let busy = host.spare_thread().expect("it has nothing to do");
        assert!(Beside::offer(&host, || ()).is_none());
        drop(busy);
        assert!(Beside::offer(&host, || ()).is_some());
    }
}
