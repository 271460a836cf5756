//! Launchers that stand by: what they start is what a launcher starts that was made for it.

use std::os::fd::OwnedFd;
use std::path::Path;

use codex_exec_server_local::{LocalBackend, Sandbox};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::runner::{backend, backend_standing_by, finish, start};
use super::scene::{Profile, Scene};

/// Starts until one is by a launcher that stood by. They come while others run, so this takes a few.
const MOST_STARTS: usize = 10_000;

/// What a process is: its mounts and their rights, devices, rights, limits, descriptors, session and signals. What others
/// mount elsewhere meanwhile says nothing of it.
const SELF: &str = "cut -d' ' -f 4-6 /proc/self/mountinfo | grep -E \"^[^ ]+ (/|/(proc|dev|sys)[^ ]*|$PWD[^ ]*) \" | sort; \
                    stat -c '%n %A %u %g %t %T' /dev/* /dev/shm /dev/pts/*; \
                    grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig[BIC])' /proc/self/status; ulimit -c; ulimit -n; \
                    ls /proc/self/fd; cut -d' ' -f 3-8 /proc/self/stat; readlink /proc/self/cwd; umask; env; \
                    cut -d: -f 1 /proc/self/net/dev; ls /proc /proc/1; cat; exit 3";

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_stood_by_makes_the_same_sandbox() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    let argv = ["/bin/sh", "-c", SELF];
    let env = [("PATH", "/usr/bin:/bin")];
    for profile in [Profile::Workspace, Profile::ReadOnly] {
        let context = || Some(scene.context(profile));
        let fresh = backend();
        let fresh = start(&fresh, &argv, &scene.workspace(), &env, context()).await.expect("it starts");
        let fresh = finish(&*fresh).await;
        assert_eq!(fresh.code, 3, "{}", fresh.output);

        let (standing_by, sandbox) = backend_standing_by();
        let mut starts = 0;
        let stood_by = loop {
            let before = served(&sandbox);
            let process =
                start(&standing_by, &argv, &scene.workspace(), &env, context()).await.expect("it starts");
            let ran = finish(&*process).await;
            if served(&sandbox) > before {
                break ran;
            }
            starts += 1;
            assert!(starts < MOST_STARTS, "nobody stands by");
        };
        assert_eq!((stood_by.code, stood_by.output), (fresh.code, fresh.output));
    }
}

fn served(sandbox: &Sandbox) -> u64 {
    sandbox.standing().expect("launchers are to stand by").served
}

/// Starts processes until `enough`; each of them runs, whatever has become of those that stand by.
async fn start_until(backend: &LocalBackend, scene: &Scene, mut enough: impl FnMut() -> bool) {
    for _ in 0..MOST_STARTS {
        let context = Some(scene.context(Profile::ReadOnly));
        let argv = ["/bin/sh", "-c", "exit 3"];
        let process = start(backend, &argv, &scene.workspace(), &[], context).await.expect("it starts");
        assert_eq!(finish(&*process).await.code, 3);
        if enough() {
            return;
        }
    }
    panic!("not even after {MOST_STARTS} starts");
}

/// A backend whose launchers stand by, and the process that makes them.
async fn with_zygote(scene: &Scene) -> (LocalBackend, Sandbox, i32, OwnedFd) {
    let (backend, sandbox) = backend_standing_by();
    let mut found = None;
    start_until(&backend, scene, || {
        found = sandbox.standing().and_then(|standing| standing.zygote).and_then(|number| {
            let process = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
            Some((number, process))
        });
        found.is_some()
    })
    .await;
    let (number, process) = found.expect("it was found");
    (backend, sandbox, number, process)
}

/// Waits for the end of a process.
fn await_end(process: &OwnedFd) {
    poll(&mut [PollFd::new(process, PollFlags::IN)], None).expect("it can be awaited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zygote_that_is_killed_or_does_not_answer_is_replaced_and_every_start_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    let (backend, sandbox, _, first) = with_zygote(&scene).await;
    let mut zygote = first;
    for signal in [Signal::KILL, Signal::STOP] {
        pidfd_send_signal(&zygote, signal).expect("it is ours");
        let mut next = None;
        let before = served(&sandbox);
        start_until(&backend, &scene, || {
            let ended = poll(&mut [PollFd::new(&zygote, PollFlags::IN)], Some(&Default::default())) == Ok(1);
            next = sandbox
                .standing()
                .and_then(|standing| standing.zygote)
                .filter(|_| ended)
                .and_then(|number| pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok());
            next.is_some() && served(&sandbox) > before
        })
        .await;
        zygote = next.expect("there is another");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zygote_holds_nothing_of_the_servers_nor_of_any_policy_and_ends_with_its_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    let (backend, sandbox, number, process) = with_zygote(&scene).await;
    let own = Path::new("/proc").join(number.to_string());
    let read = |name: &str| std::fs::read(own.join(name)).expect("it lives");
    assert_eq!(read("environ"), b"", "it has no environment");
    assert_eq!(read("cmdline"), [codex_linux_sandbox::NAME.to_bytes(), b"\0"].concat());
    // The streams lead nowhere, and the socket to whoever asks for more. While it makes one, it has that one's as well.
    let mut held = Vec::new();
    for entry in std::fs::read_dir(own.join("fd")).expect("it lives") {
        let entry = entry.expect("it lives");
        let Ok(place) = std::fs::read_link(entry.path()) else { continue };
        held.push((entry.file_name().to_string_lossy().into_owned(), place.to_string_lossy().into_owned()));
    }
    held.sort();
    let kinds: Vec<_> =
        held.iter().map(|(name, place)| (name.as_str(), place.split(':').next().unwrap_or(place))).collect();
    let expected = [("0", "/dev/null"), ("1", "pipe"), ("2", "pipe"), ("4", "socket")];
    assert_eq!(
        kinds.iter().copied().filter(|(name, _)| *name != "3" && *name != "5").collect::<Vec<_>>(),
        expected
    );
    assert!(
        kinds.iter().all(|(_, place)| matches!(*place, "/dev/null" | "pipe" | "socket" | "anon_inode")),
        "{held:?}"
    );
    drop((backend, sandbox));
    await_end(&process);
}
