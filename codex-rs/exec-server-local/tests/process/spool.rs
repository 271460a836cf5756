//! Output beyond memory: in a file for as long as somebody has still to read it, and on a disk that may fail.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_core::limits::{Limits, LogLimits};
use codex_exec_server_core::process_event::Proof;
use codex_exec_server_core::service::ExecBackend;
use codex_exec_server_local::LocalBackend;
use codex_exec_server_local::process::{ProcessHost, ProcessTable};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{OutputBudget, ProcessStartParams, WhenFull};

use crate::audience::{drain, next};
use crate::support::{
    Recorder, bytes, close_stdin, numbers, output, pass, read, read_params, read_until, shell, small,
    start_followed,
};

/// 1.3 MB.
pub(crate) const FLOOD: &str = "seq 200000";

pub(crate) fn flood() -> Vec<u8> {
    numbers(200_000)
}

/// Logs of 64 KiB in memory, 16 KiB of it while the file is used, and 4 MiB in all.
pub(crate) fn spooling() -> Limits {
    let mut limits = small();
    limits.log = LogLimits {
        retain_bytes: 4 << 20,
        memory_bytes: 64 << 10,
        spooled_memory_bytes: 16 << 10,
        // Whoever does not take everything at once is left to the spool.
        pace: Duration::ZERO,
        read_bytes: 128 << 10,
        ..limits.log
    };
    limits
}

pub(crate) fn host(limits: Limits, directory: &Path) -> Arc<ProcessHost> {
    ProcessHost::new([].into(), limits, Some(directory.to_owned()))
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Nothing follows and everything is written.
pub(crate) async fn closed(table: &ProcessTable, process: &str) {
    let mut seen = 0;
    loop {
        let page = read(table, process, seen).await;
        seen = page.next_seq.0 - 1;
        if page.closed && page.chunks.is_empty() {
            return;
        }
    }
}

/// Reads everything, page by page as long as pages are cut. Returns what was dropped before it.
pub(crate) async fn read_all(table: &ProcessTable, process: &str) -> (u64, Vec<u8>) {
    let (mut after, mut all, mut dropped) = (0, Vec::new(), 0);
    loop {
        let page = table.read(read_params(process, after)).await.expect("it is known");
        if let (true, Some(gone)) = (all.is_empty(), page.dropped) {
            dropped = gone.bytes;
        }
        all.extend(bytes(&page));
        after = page.next_seq.0 - 1;
        if page.closed && page.chunks.is_empty() {
            return (dropped, all);
        }
    }
}

#[tokio::test]
async fn what_nobody_reads_goes_to_a_file_is_read_back_whole_and_is_gone_with_its_process() {
    let folder = folder();
    let host = host(spooling(), folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    table.start(shell("p", FLOOD)).await.expect("it starts");
    closed(&table, "p").await;
    // A file nobody else sees, which takes what memory does not hold and little more.
    assert!(host.spooled_bytes() > 1 << 20 && host.spooled_bytes() < 2 << 20, "{}", host.spooled_bytes());
    // What is on its way to the file, and what was read when the process ended, may still be in memory.
    assert!(host.output_memory_bytes() <= 256 << 10, "{}", host.output_memory_bytes());
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);

    let (dropped, all) = read_all(&table, "p").await;
    assert!(dropped == 0 && all == flood());
    pass(Duration::from_secs(81)).await;
    assert!(table.list().processes.is_empty());
    assert_eq!((host.spooled_bytes(), host.output_memory_bytes()), (0, 0));
}

#[tokio::test]
async fn a_follower_that_stands_still_has_everything_when_it_goes_on() {
    let folder = folder();
    let host = host(spooling(), folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    let (recorder, follow) = Recorder::follow(&table);
    start_followed(&table, follow, shell("p", &format!("{FLOOD}; read line; {FLOOD}"))).await;
    // It does not draw, and the process does not wait.
    read_until(&table, "p", |page| page.output_bytes == Some(flood().len() as u64)).await;
    assert!(host.spooled_bytes() > 1 << 20);
    close_stdin(&table, "p").await;
    let events = recorder.draw_to_close(follow).await;
    assert!(output(&events) == [flood(), flood()].concat());
    // What is left may have been lost on its way; it is what was filed last.
    assert!(host.spooled_bytes() < 1 << 20, "{}", host.spooled_bytes());
}

#[tokio::test]
async fn a_reader_that_keeps_up_never_touches_the_disk() {
    let folder = folder();
    let directory = folder.path().join("made when it is needed");
    // Nobody is this slow.
    let mut limits = spooling();
    limits.log.pace = Duration::from_hours(1);
    limits.log.memory_bytes = 192 << 10;
    let host = host(limits, &directory);
    let table = ProcessTable::new(Arc::clone(&host));
    let (recorder, follow) = Recorder::follow(&table);
    // It has nobody to keep up with before it is followed.
    start_followed(&table, follow, shell("p", &format!("read line; {FLOOD}"))).await;
    close_stdin(&table, "p").await;
    let events = recorder.draw_to_close(follow).await;
    assert!(output(&events) == flood());
    assert!(!directory.exists());
}

#[tokio::test]
async fn readers_on_this_machine_read_on_wherever_they_stood_still() {
    let folder = folder();
    let path = [("PATH".into(), "/usr/bin:/bin".into())].into();
    let backend = LocalBackend::new(path, spooling(), Some(folder.path().to_owned()));
    let process = backend.start(shell("p", FLOOD)).await.expect("it starts");
    let (mut quick, mut stalled) = (process.subscribe(Seq::START), process.subscribe(Seq::START));
    next(&mut stalled).await;
    let (all, gone, proof) = drain(&mut quick).await;
    assert!(all == flood());
    assert_eq!((gone, proof), (0, Proof::Checksum));
    let mut late = process.subscribe(Seq::START);
    let (rest, gone, proof) = drain(&mut stalled).await;
    assert!(all.ends_with(&rest) && rest.len() > all.len() / 2);
    assert_eq!((gone, proof), (0, Proof::Checksum));
    // Whoever comes while one that stood still has it to read finds it all.
    let (late, gone, proof) = drain(&mut late).await;
    assert_eq!((late.len() as u64 + gone, proof == Proof::Checksum), (all.len() as u64, gone == 0));
}

#[tokio::test]
async fn at_its_budget_a_process_waits_or_drops_what_is_oldest_and_the_disk_takes_no_more() {
    let folder = folder();
    let mut limits = spooling();
    limits.log.retain_bytes = 512 << 10;
    let host = host(limits, folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    table.start(shell("drops", FLOOD)).await.expect("it starts");
    closed(&table, "drops").await;
    assert!(host.spooled_bytes() <= 700 << 10, "{}", host.spooled_bytes());
    let page = read(&table, "drops", /*after*/ 0).await;
    let dropped = page.dropped.expect("it wrote more");
    let (gone, all) = read_all(&table, "drops").await;
    assert_eq!((gone, page.chunks[0].seq), (dropped.bytes, dropped.through_seq.next()));
    assert!(all == flood()[usize::try_from(gone).expect("it fits")..]);
    assert!(all.len() > 400 << 10 && all.len() <= 512 << 10, "{}", all.len());

    let mut params = shell("waits", FLOOD);
    params.output = Some(OutputBudget { retain_bytes: None, when_full: Some(WhenFull::Wait) });
    table.start(params).await.expect("it starts");
    let page = read_until(&table, "waits", |page| page.output_bytes >= Some(512 << 10)).await;
    assert_eq!((page.dropped, page.exited), (None, false));
    table.shut_down().await;
    assert_eq!((host.spooled_bytes(), host.output_memory_bytes()), (0, 0));
}

#[tokio::test]
async fn the_budget_of_the_server_bounds_all_files_together_and_each_process_goes_on_within_it() {
    let folder = folder();
    let host = host(Limits { retained_output_total_bytes: 1 << 20, ..spooling() }, folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    for name in ["a", "b", "c", "d"] {
        table.start(shell(name, FLOOD)).await.expect("it starts");
    }
    for name in ["a", "b", "c", "d"] {
        closed(&table, name).await;
    }
    // Each that had begun may have taken one more place.
    assert!(host.spooled_bytes() <= (1 << 20) + 4 * (33 << 10), "{}", host.spooled_bytes());
    for name in ["a", "b", "c", "d"] {
        let (gone, all) = read_all(&table, name).await;
        assert!(all == flood()[usize::try_from(gone).expect("it fits")..]);
        assert!(!all.is_empty());
    }
}

/// Processes flood while their output can't be filed. One that drops its oldest ends all the same, and what is kept in
/// memory is right. One that says nothing of it waits at what memory holds.
async fn runs_within_memory(directory: PathBuf) {
    let host = host(spooling(), &directory);
    let table = ProcessTable::new(Arc::clone(&host));
    table.start(shell("waits", FLOOD)).await.expect("it starts");
    let mut params = shell("p", FLOOD);
    params.output = Some(OutputBudget { retain_bytes: None, when_full: Some(WhenFull::DropOldest) });
    table.start(params).await.expect("it starts");
    closed(&table, "p").await;
    let page = read_until(&table, "waits", |page| page.output_bytes >= Some(32 << 10)).await;
    assert_eq!((page.dropped, page.exited), (None, false));
    let (gone, all) = read_all(&table, "p").await;
    assert!(gone > 0 && all == flood()[usize::try_from(gone).expect("it fits")..]);
    assert!(all.len() > 32 << 10 && all.len() <= 64 << 10, "{}", all.len());
    assert_eq!(host.spooled_bytes(), 0);
}

#[tokio::test]
async fn without_a_directory_that_can_be_used_memory_is_all_there_is() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("it is written");
    runs_within_memory(file.clone()).await;
    runs_within_memory(file.join("below a file")).await;
    runs_within_memory("/proc/sys/nobody may make one here".into()).await;
    let readonly = folder.path().join("read-only");
    std::fs::create_dir(&readonly).expect("it is made");
    std::fs::set_permissions(&readonly, std::fs::Permissions::from_mode(0o500)).expect("it is ours");
    // Root may write where nobody may.
    if std::fs::write(readonly.join("probe"), "").is_err() {
        runs_within_memory(readonly).await;
    }
}

#[tokio::test]
async fn a_directory_is_made_for_this_user_alone_and_two_servers_can_share_it() {
    let folder = folder();
    let directory = folder.path().join("state/codex-exec-server");
    let tables = [(); 2].map(|()| ProcessTable::new(host(spooling(), &directory)));
    for table in &tables {
        table.start(shell("p", FLOOD)).await.expect("it starts");
    }
    for table in &tables {
        closed(table, "p").await;
        assert!(read_all(table, "p").await == (0, flood()));
    }
    let mode = std::fs::metadata(&directory).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    tables[0].shut_down().await;
    assert!(read_all(&tables[1], "p").await == (0, flood()));
}

#[tokio::test]
async fn a_process_that_writes_byte_by_byte_to_two_streams_is_kept_whole() {
    let folder = folder();
    let mut limits = spooling();
    limits.log.memory_chunks = 500;
    limits.log.read_chunks = 700;
    let host = host(limits, folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    // Seen at once, so that nothing is merged.
    let (recorder, follow) = Recorder::follow(&table);
    let script = "i=0; while [ $i -lt 4000 ]; do printf a; printf b >&2; i=$((i+1)); done";
    start_followed(&table, follow, shell("p", script)).await;
    let mut seen = 0;
    loop {
        let page = read(&table, "p", seen).await;
        seen = page.next_seq.0 - 1;
        if page.closed && page.chunks.is_empty() {
            break;
        }
    }
    let events = recorder.draw_to_close(follow).await;
    let all = output(&events);
    let count = |byte| all.iter().filter(|&&other| other == byte).count();
    assert_eq!((count(b'a'), count(b'b'), all.len()), (4_000, 4_000, 8_000));
}

fn dropping(params: ProcessStartParams) -> ProcessStartParams {
    let output = OutputBudget { retain_bytes: Some(1 << 20), when_full: Some(WhenFull::DropOldest) };
    ProcessStartParams { output: Some(output), ..params }
}

#[tokio::test]
async fn a_flood_a_hundred_times_the_budget_passes_a_reader_that_stands_still_in_bounded_memory() {
    passes_a_reader_that_stands_still(100 << 20).await;
}

#[tokio::test]
#[ignore = "takes a minute: `just soak-output`"]
async fn soak_ten_gibibytes_pass_a_reader_that_stands_still() {
    passes_a_reader_that_stands_still(10 << 30).await;
}

async fn passes_a_reader_that_stands_still(flood_bytes: u64) {
    let folder = folder();
    let host = host(spooling(), folder.path());
    let table = ProcessTable::new(Arc::clone(&host));
    let (recorder, follow) = Recorder::follow(&table);
    let script = format!("head -c {flood_bytes} /dev/zero; echo end");
    start_followed(&table, follow, dropping(shell("p", &script))).await;
    let (mut seen, mut most) = (0, 0);
    loop {
        let page = table.read(read_params("p", seen)).await.expect("it is known");
        seen = page.next_seq.0 - 1;
        most = most.max(host.output_memory_bytes());
        assert!(host.spooled_bytes() <= 3 << 19, "{}", host.spooled_bytes());
        if page.closed && page.chunks.is_empty() {
            break;
        }
    }
    assert!(most <= 384 << 10, "{most} bytes were in memory");
    let process = recorder.next().await;
    let mut drawn = 0;
    let mut first = None;
    loop {
        let draw = process.draw(follow, 64 << 10);
        for event in &draw.events {
            if let codex_exec_server_core::event_log::Event::Output(chunk) = event {
                first.get_or_insert(chunk.offset);
                drawn += chunk.bytes.len() as u64;
            }
        }
        if !draw.more && !draw.events.is_empty() {
            break;
        }
    }
    assert_eq!(first.expect("there is a tail") + drawn, flood_bytes + 4);
    assert!(drawn > 700 << 10 && drawn <= 1 << 20, "{drawn}");
}
