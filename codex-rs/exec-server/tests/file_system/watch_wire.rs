//! What only the wire can say of watches: names, bounds, and their end.

use codex_exec_server::ServerConfig;
use codex_exec_server_core::limits::{FileLimits, Limits};
use codex_exec_server_testkit::patiently;
use serde_json::json;

use crate::place::uri;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_have_names_and_bounds_and_end_when_told_or_with_their_connection() {
    let files =
        FileLimits { watches: 3, watches_per_connection: 2, watched_directories: 2, ..FileLimits::default() };
    let config = ServerConfig::with_limits(Limits { files, ..Limits::default() });
    crate::support::with(config, |harness| async move {
        let folder = tempfile::tempdir().expect("a folder");
        let path = std::fs::canonicalize(folder.path()).expect("it is there");
        let (mut one, mut two) = (harness.connect().await, harness.connect().await);
        one.initialize().await;
        two.initialize().await;
        let watch = |id: u64| json!({"watchId": id, "path": uri(&path)});
        assert_eq!(one.done("fs/watch", watch(/*id*/ 1)).await["path"], json!(uri(&path)));
        assert_eq!(one.refused("fs/watch", watch(/*id*/ 1)).await.message, "watch 1 exists already");
        one.done("fs/watch", watch(/*id*/ 2)).await;
        let error = one.refused("fs/watch", watch(/*id*/ 3)).await;
        assert_eq!(error.message, "2 watches of this connection stand, its limit; end one with fs/unwatch");
        // Of two watches of one path both are told.
        std::fs::write(path.join("f"), "").expect("it can be written");
        let mut told = Vec::new();
        while told.len() < 2 {
            let (method, params) = one.next_notification().await;
            assert_eq!(method, "fs/changed");
            if params["changes"][0]["kind"] == "created" {
                assert_eq!(params["changes"][0]["path"], json!(uri(path.join("f"))));
                told.push(params["watchId"].as_u64().expect("a number"));
            }
        }
        told.sort_unstable();
        assert_eq!(told, [1, 2]);

        two.done("fs/watch", watch(/*id*/ 1)).await;
        let error = two.refused("fs/watch", watch(/*id*/ 2)).await;
        assert_eq!(error.message, "3 watches stand on this server, its limit; try again later");
        two.done("fs/unwatch", json!({"watchId": 1})).await;
        two.done("fs/unwatch", json!({"watchId": 1})).await;
        let again = async |client: &mut codex_exec_server_testkit::Client, id| {
            patiently("room for a watch", async {
                while client.call("fs/watch", watch(id)).await.is_err() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        };
        again(&mut two, /*id*/ 1).await;
        one.vanish();
        again(&mut two, /*id*/ 2).await;
        two.done("fs/unwatch", json!({"watchId": 2})).await;

        for name in ["a", "b"] {
            std::fs::create_dir(path.join(name)).expect("it can be made");
        }
        let deep = json!({"watchId": 3, "path": uri(&path), "recursive": true});
        let error = patiently("room for a watch", async {
            loop {
                let error = two.refused("fs/watch", deep.clone()).await;
                if !error.message.contains("watches stand") {
                    return error;
                }
            }
        })
        .await;
        assert_eq!(
            error.message,
            "there are more than 2 directories to watch, the limit of one watch; watch less, or exclude some"
        );
    })
    .await;
}
