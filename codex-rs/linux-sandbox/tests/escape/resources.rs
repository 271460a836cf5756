//! 101–104: using more than was allowed.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde_json::json;

use super::attempt::Attempt;
use super::scene::Profile;

const MOST_PROCESSES: usize = 40;
const MOST_MEMORY: usize = 1 << 30;
const MOST_BYTES: u64 = 1 << 20;

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name, attempt| Attempt::new(number, name, Profile::Workspace, attempt);
    vec![
        attempt(/*number*/ 101, "processes without end", |_, through| {
            let made: Vec<i32> = (0..4 * MOST_PROCESSES).map_while(|_| another_process()).collect();
            through.note(format!("{} processes", made.len()), made.len() >= MOST_PROCESSES);
            for process in made {
                // SAFETY: a child of this program, which nobody else waits for.
                unsafe {
                    libc::kill(process, libc::SIGKILL);
                    libc::waitpid(process, std::ptr::null_mut(), 0);
                }
            }
        })
        .changed(|_| json!({ "limits": { "processes": MOST_PROCESSES } }))
        .controlled(|_| {
            let ran = std::process::Command::new("/bin/true").status();
            assert!(ran.is_ok_and(|ran| ran.success()), "a few processes may be made");
        })
        .missing(|| {
            let is_root = rustix::process::geteuid().is_root();
            is_root.then(|| "the system does not bind root's processes, so the limit is refused".into())
        }),
        attempt(/*number*/ 102, "memory without end", |_, through| {
            through.note("all at once", map(2 * MOST_MEMORY));
            const PIECE: usize = 64 << 20;
            let pieces = (0..4 * MOST_MEMORY / PIECE).take_while(|_| map(PIECE)).count();
            through.note(format!("{pieces} pieces"), pieces * PIECE >= MOST_MEMORY);
        })
        .changed(|_| json!({ "limits": { "memoryBytes": MOST_MEMORY } })),
        attempt(/*number*/ 103, "fill what lies in memory", |_, through| {
            for folder in ["/dev/shm", "/dev"] {
                let space = rustix::fs::statvfs(folder).expect("it can be asked");
                through.note(format!("{folder} has no end"), space.f_blocks == 0 || space.f_files == 0);
                let Ok(file) = File::create(Path::new(folder).join("filler")) else { continue };
                let more = (space.f_blocks + 1) * space.f_frsize;
                through.note(format!("{folder} is larger than the machine bears"), more > 1 << 30);
                // SAFETY: a descriptor and numbers. What does not fit is refused before any of it is taken.
                let taken = unsafe {
                    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
                    libc::fallocate(descriptor, 0, 0, libc::off_t::try_from(more).expect("a length"))
                };
                through.must_refuse(format!("fill {folder}"), taken.into());
            }
        })
        .checked(|scene, through| {
            through.note("it is the machine's", Path::new("/dev/shm/filler").exists());
            super::attempt::nothing_changed(scene, through);
        }),
        attempt(/*number*/ 104, "a huge file", |scene, through| {
            // SAFETY: ignores the signal, which would end this program before it could tell.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
            let file = File::create(scene.workspace().join("huge")).expect("the workspace may be written");
            file.write_all_at(b"work", 0).expect("a small one may be made");
            through.must_fail("lengthen", file.set_len(MOST_BYTES + 1));
            through.must_fail("with a hole", file.set_len(64 << 30));
            through.must_fail("write behind", file.write_all_at(b"x", MOST_BYTES));
        })
        .changed(|_| json!({ "limits": { "fileBytes": MOST_BYTES } }))
        .checked(|scene, through| {
            let file = std::fs::metadata(scene.workspace().join("huge")).expect("it was made");
            through.note("it is there", file.len() > MOST_BYTES);
        }),
    ]
}

/// One more child that does nothing, or `None` if there may be no more.
fn another_process() -> Option<i32> {
    // SAFETY: the copy makes one call, again and again.
    unsafe {
        match libc::fork() {
            0 => loop {
                libc::pause();
            },
            process => (process > 0).then_some(process),
        }
    }
}

/// Whether so much memory could be had. It is never given back.
fn map(bytes: usize) -> bool {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, which nobody uses.
    let mapped =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind | libc::MAP_NORESERVE, -1, 0) };
    mapped != libc::MAP_FAILED
}
