//! `fs/glob` and `fs/search`

use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_core::service::{Found, SearchEnd};
use codex_exec_server_local::fs::{LocalFileSystem, LocalSearch};
use codex_exec_server_protocol::fs::{
    FsGlobMatchesNotification, FsGlobParams, FsGlobResponse, FsSearchMatchesNotification, FsSearchParams,
    FsSearchResponse, SearchId,
};
use codex_exec_server_protocol::methods::ServerNotification;

use crate::connection::searches::Searches;

/// Finds paths, telling them as they are found.
pub(super) async fn glob(
    system: &LocalFileSystem,
    searches: &Searches,
    params: FsGlobParams,
) -> Result<FsGlobResponse, FsFault> {
    let (id, credit) = (params.search_id.clone(), params.credit_batches);
    let tell = |search_id, batch, matches| {
        ServerNotification::FsGlobMatches(FsGlobMatchesNotification { search_id, batch, matches })
    };
    let (batches, end) = run(searches, id, credit, system.glob(params), tell).await?;
    let SearchEnd { matches, truncated, unreadable } = end;
    Ok(FsGlobResponse { batches, matches, truncated, unreadable })
}

/// Finds lines, telling them as they are found.
pub(super) async fn contents(
    system: &LocalFileSystem,
    searches: &Searches,
    params: FsSearchParams,
) -> Result<FsSearchResponse, FsFault> {
    let (id, credit) = (params.search_id.clone(), params.credit_batches);
    let tell = |search_id, batch, matches| {
        ServerNotification::FsSearchMatches(FsSearchMatchesNotification { search_id, batch, matches })
    };
    let (batches, end) = run(searches, id, credit, system.search(params), tell).await?;
    let SearchEnd { matches, truncated, unreadable } = end;
    Ok(FsSearchResponse { batches, matches, truncated, unreadable })
}

/// How many batches there were, and how the search ended; every batch is on its way by then. Dropping the future ends the
/// search, and what of it still waits is not sent.
async fn run<T: Send + 'static>(
    searches: &Searches,
    id: SearchId,
    credit: Option<u64>,
    mut search: LocalSearch<T>,
    tell: impl Fn(SearchId, u64, Vec<T>) -> ServerNotification,
) -> Result<(u64, SearchEnd), FsFault> {
    let place = searches.open(id.clone(), credit)?;
    let mut batches = 0;
    loop {
        match search.next_found().await? {
            Found::Matches(matches) => {
                batches += 1;
                place.send(tell(id.clone(), batches, matches).encode()).await;
            }
            Found::End(end) => {
                place.sent().await;
                return Ok((batches, end));
            }
        }
    }
}
