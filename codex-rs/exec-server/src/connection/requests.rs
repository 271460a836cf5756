//! The requests of one connection that wait for their answers.
//!
//! A request is run where it arrives until it first has to wait, so requests take their places in order of arrival
//! and the many that never wait cost no task. What waits goes on beside the others, within bounds, and can be cancelled.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::limits::Limits;
use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::rpc::{RequestId, encode_error};
use tokio::sync::SetOnce;
use tokio::task::{JoinSet, unconstrained};
use tokio::time::timeout;

use super::outbound::{Outbound, Owed};
use crate::handlers::{Answer, Work};

/// What may become of a request that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It may wait for ever: it counts against the bounds, and can be dropped at any time without a trace.
    Idle,
    /// It has begun something that goes on to its end by itself, soon: it always runs on.
    Busy,
    /// It is about to begin something that may take long, and then is seen through to its end: it counts against the
    /// bounds, and is refused before it begins or not at all.
    Steady,
}

/// A request that was answered.
struct Done {
    id: RequestId,
    ticket: u64,
    /// The size of its message, if it counted against the bounds.
    idle_bytes: Option<usize>,
}

/// See the module.
pub(crate) struct Requests {
    outbound: Arc<Outbound>,
    limits: Limits,
    tasks: JoinSet<Done>,
    idle: usize,
    idle_bytes: usize,
    /// Whether the bytes that wait have not become fewer for as long as that is waited for.
    stuck: bool,
    /// By id; a client that uses an id twice at a time can cancel the later one only.
    cancels: HashMap<RequestId, (u64, Arc<SetOnce<()>>)>,
    next: u64,
}

impl Requests {
    pub(crate) fn new(outbound: Arc<Outbound>, limits: Limits) -> Self {
        Self {
            outbound,
            limits,
            tasks: JoinSet::new(),
            idle: 0,
            idle_bytes: 0,
            stuck: false,
            cancels: HashMap::new(),
            next: 0,
        }
    }

    /// Runs `work`, which came as a message of `bytes`, and answers it now or when it is done.
    pub(crate) fn run(&mut self, id: RequestId, waiting: Waiting, bytes: usize, mut work: Work) {
        self.collect();
        if waiting == Waiting::Steady
            && let Err(why) = self.check_room()
        {
            return self.refuse(&id, why);
        }
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // Unconstrained: a burst uses up the reading task's budget, and a request that is turned away for that would
        // lose its place to the next one.
        if let Poll::Ready(answer) = pin!(unconstrained(work.as_mut())).poll(&mut context) {
            return give(answer, |owed| self.outbound.answer(owed));
        }
        match waiting {
            Waiting::Idle => self.wait_idly(id, bytes, work),
            Waiting::Busy => self.see_through(id, /*counted_bytes*/ None, work),
            Waiting::Steady => {
                self.idle += 1;
                self.idle_bytes += bytes;
                self.see_through(id, Some(bytes), work);
            }
        }
    }

    /// Waits for what nobody can cancel.
    fn see_through(&mut self, id: RequestId, counted_bytes: Option<usize>, work: Work) {
        let (outbound, ticket) = (Arc::clone(&self.outbound), self.ticket());
        self.tasks.spawn(async move {
            give(work.await, |owed| outbound.reply(owed));
            Done { id, ticket, idle_bytes: counted_bytes }
        });
    }

    fn check_room(&self) -> Result<(), String> {
        let Limits { requests_in_flight, request_bytes_in_flight, .. } = self.limits;
        if self.idle >= requests_in_flight {
            return Err(format!("{requests_in_flight} requests of this connection wait already, its limit"));
        }
        if self.idle_bytes >= request_bytes_in_flight {
            return Err(format!(
                "{request_bytes_in_flight} bytes of requests of this connection wait already, its limit"
            ));
        }
        Ok(())
    }

    fn wait_idly(&mut self, id: RequestId, bytes: usize, work: Work) {
        if let Err(why) = self.check_room() {
            return self.refuse(&id, why);
        }
        let ticket = self.ticket();
        let cancel = Arc::new(SetOnce::new());
        self.cancels.insert(id.clone(), (ticket, Arc::clone(&cancel)));
        self.idle += 1;
        self.idle_bytes += bytes;
        let outbound = Arc::clone(&self.outbound);
        self.tasks.spawn(async move {
            let answer = tokio::select! {
                biased;
                answer = work => answer,
                _ = cancel.wait() => encode_error(&id, &RpcError::from(&ServiceError::Cancelled)).into(),
            };
            give(answer, |owed| outbound.reply(owed));
            Done { id, ticket, idle_bytes: Some(bytes) }
        });
    }

    fn refuse(&self, id: &RequestId, why: String) {
        self.outbound.answer(encode_error(id, &RpcError::from(&ServiceError::Busy(why))));
    }

    fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// `$/cancel`: answers a waiting request with an error. Nothing if it is answered already, or can't be dropped.
    pub(crate) fn cancel(&mut self, id: &RequestId) {
        if let Some((_, cancel)) = self.cancels.remove(id) {
            let _ = cancel.set(());
        }
    }

    /// Resolves when there is room for another request.
    ///
    /// Those that always run on end soon. Writes end as their process reads: while it does, waiting for it is what keeps a
    /// client that pipelines from being refused. One that reads nothing is waited for once, and then holds nobody up
    /// any more: whatever must wait beyond the bound is refused until something has moved.
    pub(crate) async fn room(&mut self) {
        self.collect();
        while self.idle_bytes >= self.limits.request_bytes_in_flight && !self.stuck {
            match timeout(self.limits.request_room, self.tasks.join_next()).await {
                Ok(Some(done)) => self.forget(done),
                Ok(None) => break,
                Err(_) => self.stuck = true,
            }
        }
        while self.tasks.len() >= 2 * self.limits.requests_in_flight {
            if let Some(done) = self.tasks.join_next().await {
                self.forget(done);
            }
        }
    }

    /// Resolves when every request is answered; to be called when none can wait any more.
    pub(crate) async fn answered(&mut self) {
        while let Some(done) = self.tasks.join_next().await {
            self.forget(done);
        }
    }

    fn collect(&mut self) {
        // Mostly; it is quicker told than looked for.
        if self.tasks.is_empty() {
            return;
        }
        while let Some(done) = self.tasks.try_join_next() {
            self.forget(done);
        }
    }

    fn forget(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done { id, ticket, idle_bytes }) => {
                if let Some(bytes) = idle_bytes {
                    self.idle -= 1;
                    self.idle_bytes -= bytes;
                    self.stuck = false;
                }
                if self.cancels.get(&id).is_some_and(|(known, _)| *known == ticket) {
                    self.cancels.remove(&id);
                }
            }
            // Only a panic in a handler gets here; its request stays unanswered, the others go on.
            Err(error) => tracing::error!(%error, "a request failed"),
        }
    }
}

/// Adds an answer in the way of `add`, then does what is to be done behind it.
fn give(answer: Answer, add: impl FnOnce(Owed)) {
    add(Owed { reply: answer.reply, is_receipt: answer.is_receipt, room: answer.hold });
    if let Some(then) = answer.then {
        then();
    }
}
