//! Launchers that stand by: what they start is what a launcher starts that was made for it.

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
            let served = sandbox.stood_by();
            let process =
                start(&standing_by, &argv, &scene.workspace(), &env, context()).await.expect("it starts");
            let ran = finish(&*process).await;
            if sandbox.stood_by() > served {
                break ran;
            }
            starts += 1;
            assert!(starts < MOST_STARTS, "nobody stands by");
        };
        assert_eq!((stood_by.code, stood_by.output), (fresh.code, fresh.output));
    }
}
