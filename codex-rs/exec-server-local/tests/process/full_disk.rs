//! A disk that is full: what finds room there is kept whole, and the rest costs nobody anything.

use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codex_exec_server_local::process::{Acknowledgement, ProcessTable};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_protocol::process::{OutputBudget, ProcessStartParams, WhenFull};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

use crate::spool::{FLOOD, closed, flood, host, read_all, spooling};
use crate::support::{Recorder, output, read_until, shell, start_followed, write};

/// After this a server looks whether there is room again.
const RETRY: Duration = Duration::from_secs(10);

/// A disk in memory, which nobody else sees and which is gone with this.
struct SmallDisk(OwnedFd);

impl SmallDisk {
    /// `None`, and said so, where nobody may make one.
    fn of(size: &str) -> Option<Self> {
        let make = || {
            let disk = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_set_string(&disk, "size", size)?;
            fsconfig_create(&disk)?;
            fsmount(&disk, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        };
        match make() {
            Ok(disk) => Some(Self(disk)),
            Err(error) => {
                println!("skipped: no small disk can be made here: {error}");
                None
            }
        }
    }

    fn place(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// Counts warnings that name a directory. One for all tests of this program, since it can have one.
#[derive(Default)]
struct Warnings(Mutex<Vec<(String, Arc<AtomicUsize>)>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

struct Everybody;

impl Warnings {
    /// How often `place` is warned about from now on.
    fn about(place: &Path) -> Arc<AtomicUsize> {
        // Only the first succeeds.
        let _ = tracing::subscriber::set_global_default(Everybody);
        let count = Arc::new(AtomicUsize::new(0));
        WARNINGS.0.lock().expect("no panic").push((place.display().to_string(), Arc::clone(&count)));
        count
    }
}

struct Directory(Option<String>);

impl Visit for Directory {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "directory" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

impl Subscriber for Everybody {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut named = Directory(None);
        event.record(&mut named);
        for (place, count) in &*WARNINGS.0.lock().expect("no panic") {
            count.fetch_add(usize::from(named.0.as_ref() == Some(place)), Ordering::SeqCst);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn dropping(mut params: ProcessStartParams) -> ProcessStartParams {
    params.output = Some(OutputBudget { retain_bytes: None, when_full: Some(WhenFull::DropOldest) });
    params
}

#[tokio::test]
async fn what_a_full_disk_holds_is_kept_whole_for_each_process_and_said_once() {
    let Some(disk) = SmallDisk::of("1m") else { return };
    let (warnings, began) = (Warnings::about(&disk.place()), Instant::now());
    let table = ProcessTable::new(host(spooling(), &disk.place()));
    // Each of them would fill it.
    for name in ["a", "b"] {
        table.start(dropping(shell(name, FLOOD))).await.expect("it starts");
    }
    let mut kept = 0;
    for name in ["a", "b"] {
        closed(&table, name).await;
        let (gone, all) = read_all(&table, name).await;
        assert!(all == flood()[usize::try_from(gone).expect("it fits")..]);
        kept += all.len();
    }
    // What the disk holds, and something in memory.
    assert!(kept > 512 << 10 && kept <= (1 << 20) + 2 * (300 << 10), "{kept} bytes are kept");
    let said = warnings.load(Ordering::SeqCst);
    assert!(said == 1 || (said > 1 && began.elapsed() > RETRY), "{said} warnings");
    table.shut_down().await;
}

/// Output in pieces of which five leave a page of a slot unused, and then in pieces of which four fill all of it.
const SHORT_THEN_LONG: &str = "i=0; while [ $i -lt 60 ]; do head -c 5600 /dev/zero; read ok; i=$((i+1)); done; \
     i=0; while [ $i -lt 240 ]; do head -c 8000 /dev/zero; read ok; i=$((i+1)); done";

#[tokio::test]
async fn a_place_on_a_full_disk_is_good_for_whatever_comes_next() {
    let Some(disk) = SmallDisk::of("256k") else { return };
    let (warnings, began) = (Warnings::about(&disk.place()), Instant::now());
    let table = ProcessTable::new(host(spooling(), &disk.place()));
    table.start(dropping(shell("p", SHORT_THEN_LONG))).await.expect("it starts");
    let mut bytes = 0;
    for (count, size) in [(60, 5_600), (240, 8_000)] {
        for n in 0..count {
            bytes += size;
            // Seen, a piece does not grow.
            read_until(&table, "p", |page| page.output_bytes == Some(bytes)).await;
            write(&table, "p", &format!("{size} {n}"), "\n").await;
        }
    }
    closed(&table, "p").await;
    let (gone, all) = read_all(&table, "p").await;
    assert_eq!(gone + all.len() as u64, bytes);
    // Seven slots have room on it; one of them may be free for what comes next.
    assert!(all.len() > 6 * 30_000, "{} bytes are kept", all.len());
    let said = warnings.load(Ordering::SeqCst);
    assert!(said == 1 || (said > 1 && began.elapsed() > RETRY), "{said} warnings");
    table.shut_down().await;
}

#[tokio::test]
async fn a_process_whose_reader_lags_waits_on_a_full_disk_and_loses_nothing() {
    let Some(disk) = SmallDisk::of("256k") else { return };
    let table = ProcessTable::new(host(spooling(), &disk.place()));
    let (recorder, follow) = Recorder::follow_within(&table, 32 << 10);
    start_followed(&table, follow, shell("p", FLOOD)).await;
    let mut events = Vec::new();
    while !matches!(events.last(), Some(codex_exec_server_core::event_log::Event::Closed(..))) {
        let process = recorder.next().await;
        loop {
            let draw = process.draw(follow, 8 << 10);
            events.extend(draw.events);
            if !draw.more {
                break;
            }
        }
        if let Some(last) = events.last() {
            let word = Acknowledgement { through: Some(Seq(last.seq().0)), after: None };
            table.acknowledge(follow, &"p".into(), word);
        }
    }
    assert!(output(&events) == flood());
}
