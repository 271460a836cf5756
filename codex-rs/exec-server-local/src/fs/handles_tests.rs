use codex_exec_server_core::limits::FileLimits;
use codex_exec_server_protocol::fs::FsOpenMode;
use codex_exec_server_protocol::path_uri::PathUri;
use tokio::task::JoinHandle;

use super::*;

const MIB: u64 = 1 << 20;

/// Handles with room for two long blocks, whose host does one thing after another. `h` is a file of 8 MiB.
async fn handles(folder: &tempfile::TempDir) -> Arc<FileHandles> {
    let limits = FileLimits { threads: 1, block_bytes_ahead: 2 << 20, ..FileLimits::default() };
    let path = folder.path().join("f");
    std::fs::File::create(&path).and_then(|file| file.set_len(8 * MIB)).expect("it can be made");
    let handles = Arc::new(FileHandles::new(FsHost::new(limits)));
    open(&handles, folder, "h").await;
    handles
}

async fn open(handles: &FileHandles, folder: &tempfile::TempDir, id: &str) {
    let path = PathUri::try_from(folder.path().join("f").as_path()).expect("a path");
    let params =
        FsOpenParams { handle_id: FileHandleId(id.to_owned()), path, mode: FsOpenMode::Read, sandbox: None };
    handles.open(params).await.expect("it can be opened");
}

type Block = Result<(usize, Option<OwnedSemaphorePermit>), FsFault>;

/// Asks for a block, in a task of its own that has begun when this returns.
async fn ask(handles: &Arc<FileHandles>, offset: u64, len: u64) -> JoinHandle<Block> {
    let handles = Arc::clone(handles);
    let params = FsReadBlockParams { handle_id: FileHandleId("h".to_owned()), offset, len };
    let asking = tokio::spawn(async move {
        handles.take_block(params, |block| Ok(block.whole(Vec::new())?.0.len())).await
    });
    // On one thread it is polled in between.
    tokio::task::yield_now().await;
    asking
}

#[tokio::test]
async fn no_more_long_blocks_are_read_than_may_be_ahead_of_the_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let handles = handles(&folder).await;
    let mut held = Vec::new();
    for offset in [0, MIB] {
        let (bytes, room) =
            ask(&handles, offset, MIB).await.await.expect("no panic").expect("it can be read");
        assert_eq!(bytes as u64, MIB);
        held.push(room.expect("a long block takes room"));
    }
    let third = ask(&handles, 2 * MIB, MIB).await;
    // Had the third asked for the host's only thread, it would be done before this is.
    open(&handles, &folder, "fence").await;
    assert!(!third.is_finished());
    // What is short needs no room, nor does another connection.
    let (bytes, room) =
        ask(&handles, /*offset*/ 0, /*len*/ 1024).await.await.expect("no panic").expect("it can be read");
    assert_eq!((bytes, room.is_some()), (1024, false));
    held.pop();
    let (bytes, room) = third.await.expect("no panic").expect("it can be read");
    assert_eq!((bytes as u64, room.is_some()), (MIB, true));
}

#[tokio::test]
async fn ranges_share_the_room_of_blocks_and_one_that_is_larger_than_all_of_it_takes_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let handles = handles(&folder).await;
    assert!(handles.room(/*range_bytes*/ 1024).await.is_none());
    let range = handles.room(/*range_bytes*/ u64::MAX).await;
    let (_, block) = ask(&handles, /*offset*/ 0, MIB).await.await.expect("no panic").expect("it can be read");
    let second = ask(&handles, MIB, MIB).await;
    open(&handles, &folder, "fence").await;
    assert!(!second.is_finished());
    drop(range);
    second.await.expect("no panic").expect("it can be read");
    drop(block);
    let small = Ahead::new(/*limit_bytes*/ 512 << 10);
    assert!(small.room(MIB).await.is_some());
}
