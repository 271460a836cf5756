//! Searches of the files of the server's machine.
//!
//! A search ends with its connection. While nothing was found that its caller knows of, it is asked for again on the next
//! one; afterwards nobody could say what of it was told already.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use codex_exec_server_core::service::{FileSearch, Found, FsError, SearchEnd, ServiceFuture};
use codex_exec_server_protocol::fs::{
    FsGlobParams, FsGlobResponse, FsSearchCreditNotification, FsSearchMatch, FsSearchParams,
    FsSearchResponse, FsWalkEntry, SearchId,
};
use codex_exec_server_protocol::methods::{ClientNotification, FsGlob, FsSearch, Method};

use crate::client::Client;
use crate::error::{RequestError, Unsupported};
use crate::link::CallError;
use crate::searches::{Batch, Mailbox, WINDOW};
use crate::session::Attached;
use crate::state::Connections;
use crate::unfinished::Unfinished;

/// When so many batches were taken, the server is told.
const WORTH_TELLING: u64 = WINDOW / 2;

/// What is searched for.
pub(super) trait Kind: Send + 'static {
    type Asked: Method<Params: fmt::Debug + Send + Sync, Response: Send>;
    type Item: Send;

    fn name(params: &mut <Self::Asked as Method>::Params, id: SearchId);
    fn items(batch: Batch) -> Option<Vec<Self::Item>>;
    fn end(response: <Self::Asked as Method>::Response) -> (u64, SearchEnd);
}

/// Paths, by their names.
pub(super) struct Paths;

impl Kind for Paths {
    type Asked = FsGlob;
    type Item = FsWalkEntry;

    fn name(params: &mut FsGlobParams, id: SearchId) {
        params.search_id = id;
        params.credit_batches = Some(WINDOW);
    }

    fn items(batch: Batch) -> Option<Vec<FsWalkEntry>> {
        if let Batch::Paths(paths) = batch { Some(paths) } else { None }
    }

    fn end(response: FsGlobResponse) -> (u64, SearchEnd) {
        (response.batches, response.into())
    }
}

/// Lines, by their content.
pub(super) struct Lines;

impl Kind for Lines {
    type Asked = FsSearch;
    type Item = FsSearchMatch;

    fn name(params: &mut FsSearchParams, id: SearchId) {
        params.search_id = id;
        params.credit_batches = Some(WINDOW);
    }

    fn items(batch: Batch) -> Option<Vec<FsSearchMatch>> {
        if let Batch::Lines(lines) = batch { Some(lines) } else { None }
    }

    fn end(response: FsSearchResponse) -> (u64, SearchEnd) {
        (response.batches, response.into())
    }
}

/// See the module. Dropping it gives the search up, of which the server is told.
pub(super) struct RemoteSearch<K: Kind> {
    client: Client,
    connections: Connections,
    params: <K::Asked as Method>::Params,
    stage: Stage,
    kind: PhantomData<fn() -> K>,
}

enum Stage {
    /// It is to be asked for, on the next connection.
    Asking,
    Running(Running),
    /// It has ended.
    Over(Result<SearchEnd, FsError>),
}

type Answer = Pin<Box<dyn Future<Output = Result<(u64, SearchEnd), CallError>> + Send>>;

/// A search on one connection.
struct Running {
    attached: Arc<Attached>,
    mailbox: Mailbox,
    answer: Answer,
    /// What was answered: how many batches there are.
    answered: Option<Result<(u64, SearchEnd), CallError>>,
    /// Batches that the caller was given.
    taken: u64,
    /// Those of which the server was not told.
    owed: u64,
    unfinished: Option<Unfinished>,
}

impl<K: Kind> fmt::Debug for RemoteSearch<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSearch").field("params", &self.params).finish_non_exhaustive()
    }
}

impl<K: Kind> RemoteSearch<K> {
    pub(super) fn new(client: &Client, params: <K::Asked as Method>::Params) -> Self {
        let connections = client.inner.connections();
        Self { client: client.clone(), connections, params, stage: Stage::Asking, kind: PhantomData }
    }

    /// Asks for it. Cancel-safe: either nothing was sent, or what was sent is known.
    async fn ask(&mut self) -> Result<Option<Running>, RequestError> {
        let attached = self.connections.next().await?;
        if !attached.peer.environment.capabilities.fs_search {
            return Err(Unsupported("fsSearch").into());
        }
        let mailbox = self.client.inner.router.searches().open();
        K::name(&mut self.params, mailbox.id.clone());
        // Lost before it was sent: the next connection may serve.
        let Ok(pending) = attached.link.begin::<K::Asked>(&self.params).await else { return Ok(None) };
        let unfinished = Unfinished::new(&attached, pending.id(), &self.client.inner.tasks);
        let answer = Box::pin(async move { pending.answer().await.map(K::end) });
        Ok(Some(Running {
            attached,
            mailbox,
            answer,
            answered: None,
            taken: 0,
            owed: 0,
            unfinished: Some(unfinished),
        }))
    }

    async fn next_found(&mut self) -> Result<Found<K::Item>, FsError> {
        loop {
            let stage = match &mut self.stage {
                Stage::Over(outcome) => return outcome.clone().map(Found::End),
                Stage::Asking => match self.ask().await {
                    Ok(Some(running)) => Stage::Running(running),
                    Ok(None) => Stage::Asking,
                    Err(error) => Stage::Over(Err(error.into())),
                },
                Stage::Running(running) => match running.next::<K>().await {
                    Step::Found(items) => return Ok(Found::Matches(items)),
                    Step::Then(stage) => stage,
                },
            };
            self.stage = stage;
        }
    }
}

/// What comes of waiting for a search.
enum Step<T> {
    Found(Vec<T>),
    Then(Stage),
}

impl Running {
    async fn next<K: Kind>(&mut self) -> Step<K::Item> {
        loop {
            self.grant().await;
            match self.mailbox.take() {
                Ok(Some(batch)) => {
                    self.taken += 1;
                    self.owed += 1;
                    match K::items(batch) {
                        Some(items) if items.is_empty() => continue,
                        Some(items) => return Step::Found(items),
                        None => return lost("what came was not asked for".into()),
                    }
                }
                Ok(None) => {}
                Err(fault) => return lost(fault.into()),
            }
            // Whatever came before the answer is in the mailbox by now, hence taken.
            match &self.answered {
                Some(Ok((batches, end))) if *batches <= self.taken => {
                    return Step::Then(Stage::Over(Ok(*end)));
                }
                Some(Err(CallError::Refused(error))) => {
                    return Step::Then(Stage::Over(Err(error.clone().into())));
                }
                Some(Err(CallError::Disconnected(_))) if self.taken == 0 => return Step::Then(Stage::Asking),
                Some(Err(CallError::Disconnected(error))) => return lost(error.to_string().into()),
                Some(Ok(_)) => {
                    // Batches may come behind the answer, but not over another connection.
                    tokio::select! {
                        () = self.mailbox.news() => {}
                        _ = self.attached.link.ended() => {
                            self.answered = Some(Err(self.attached.link.disconnected().into()));
                        }
                    }
                }
                None => tokio::select! {
                    () = self.mailbox.news() => {}
                    answer = &mut self.answer => {
                        if let Some(unfinished) = self.unfinished.take() {
                            unfinished.finish();
                        }
                        self.answered = Some(answer);
                    }
                },
            }
        }
    }

    /// Lets the server send more, if it is worth telling. Cancel-safe: what was not told is still owed.
    async fn grant(&mut self) {
        if self.owed < WORTH_TELLING || self.answered.is_some() {
            return;
        }
        let credit = FsSearchCreditNotification { search_id: self.mailbox.id.clone(), batches: self.owed };
        // If the connection is gone, so is the search.
        let _ = self.attached.link.notify(&ClientNotification::FsSearchCredit(credit)).await;
        self.owed = 0;
    }
}

fn lost<T>(why: Arc<str>) -> Step<T> {
    Step::Then(Stage::Over(Err(FsError::SearchLost(why))))
}

impl<K: Kind> FileSearch<K::Item> for RemoteSearch<K> {
    fn next(&mut self) -> ServiceFuture<'_, Result<Found<K::Item>, FsError>> {
        Box::pin(self.next_found())
    }
}
