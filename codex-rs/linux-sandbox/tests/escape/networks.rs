//! Networks that are used again: only those that nobody inside has ever used.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;

use codex_exec_server_local::LocalBackend;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::runner::{backend, backend_standing_by, finish, start, this_program};
use super::scene::{Profile, Scene};

/// Starts until something has come about that does as soon as launchers stand by. They come while others run.
const MOST_STARTS: usize = 10_000;
/// How many look for what one has left: more than networks are kept and launchers stand by.
const LOOKERS: usize = 8;

/// What is left behind, and how.
const LEAVING: [(&str, fn()); 6] = [
    ("closed connections", leave_connections),
    ("a listener that a daemon holds", leave_to_a_daemon),
    ("a listener under way to nobody", leave_under_way),
    ("a route socket", leave_a_route_socket),
    ("a pair", || std::mem::forget(UnixStream::pair().expect("a pair"))),
    ("nothing but the look", || {}),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_two_sandboxes_that_had_a_socket_had_the_same_network_and_nothing_is_found_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    let (fresh, (standing_by, sandbox)) = (backend(), backend_standing_by());
    let mut seen = BTreeSet::new();
    let pristine = look(&fresh, &scene, LEAVING.len() - 1, &mut seen).await;
    for _ in 0..MOST_STARTS {
        let _ = look(&standing_by, &scene, LEAVING.len() - 1, &mut seen).await;
        if sandbox.standing().is_some_and(|standing| standing.zygote.is_some() && standing.served > 0) {
            break;
        }
    }
    for (leaves, (name, _)) in LEAVING.iter().enumerate() {
        assert_eq!(look(&standing_by, &scene, leaves, &mut seen).await, pristine, "before {name}");
        for _ in 0..LOOKERS {
            let found = look(&standing_by, &scene, LEAVING.len() - 1, &mut seen).await;
            assert_eq!(found, pristine, "after {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_nobody_has_used_is_used_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = Scene::set_up(folder.path());
    let (standing_by, _sandbox) = backend_standing_by();
    // As long as they are held, no other network has the same number.
    let mut held: Vec<(String, File)> = Vec::new();
    for _ in 0..MOST_STARTS {
        for entry in std::fs::read_dir("/proc/self/fd").expect("descriptors").flatten() {
            let Ok(link) = std::fs::read_link(entry.path()) else { continue };
            let link = link.to_string_lossy().into_owned();
            let is_new = link.starts_with("net:[") && held.iter().all(|(name, _)| *name != link);
            // It may be gone by now, and its number another's.
            if is_new
                && let Ok(file) = File::open(entry.path())
                && let Ok(opened) = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
                && opened.to_string_lossy() == link
            {
                held.push((link, file));
            }
        }
        let argv = ["/bin/sh", "-c", "readlink /proc/self/ns/net"];
        let env = [("PATH", "/usr/bin:/bin")];
        let context = Some(scene.context(Profile::ReadOnly));
        let process = start(&standing_by, &argv, &scene.workspace(), &env, context).await.expect("it starts");
        let ran = finish(&*process).await;
        assert_eq!(ran.code, 0, "{}", ran.output);
        if held.iter().any(|(name, _)| name == ran.output.trim()) {
            return;
        }
    }
    panic!("none was used again");
}

/// Runs [`inside`], and returns what it found.
async fn look(backend: &LocalBackend, scene: &Scene, leaves: usize, seen: &mut BTreeSet<String>) -> String {
    let program = this_program();
    let argv =
        [program.to_str().expect("a plain path"), "--exact", "escape::networks::inside", "--nocapture"];
    let leaves = leaves.to_string();
    let env = [("PATH", "/usr/bin:/bin"), (LEAVES, leaves.as_str())];
    let context = Some(scene.context(Profile::ReadOnly));
    let process = start(backend, &argv, &scene.workspace(), &env, context).await.expect("it starts");
    let ran = finish(&*process).await;
    assert_eq!(ran.code, 0, "{}", ran.output);
    let told = ran.output.split(MARK).nth(1).expect("it tells what it found");
    let (cookie, found) = told.split_once('\n').expect("two parts");
    // Kernels before 5.14 have no such number.
    assert!(cookie == "0" || seen.insert(cookie.to_owned()), "network {cookie} was used twice");
    found.to_owned()
}

/// What to leave, by its number.
const LEAVES: &str = "ESCAPE_LEAVES";
const MARK: &str = "----";

/// Not a test by itself: this is what runs inside the sandbox.
#[test]
fn inside() {
    let Some(leaves) = std::env::var(LEAVES).ok().and_then(|number| number.parse::<usize>().ok()) else {
        return;
    };
    let mut found = String::new();
    for file in ["tcp", "tcp6", "udp", "udp6", "raw", "unix", "dev"] {
        let mut text = String::new();
        if File::open(format!("/proc/self/net/{file}"))
            .is_ok_and(|mut file| file.read_to_string(&mut text).is_ok())
        {
            found.push_str(&text);
        }
    }
    let sockets = std::fs::read_to_string("/proc/self/net/sockstat").expect("it can be read");
    found.extend(sockets.lines().take(1));
    println!("{MARK}{}\n{found}{MARK}", cookie());
    LEAVING[leaves].1();
}

/// A number that no other network ever has; 0 where the kernel gives none.
fn cookie() -> u64 {
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let (mut cookie, mut length) = (0_u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the kernel stores that many bytes, to a place that has them.
    unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        );
    }
    cookie
}

fn leave_connections() {
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
        // Not every machine has the second kind.
        let Ok(listener) = TcpListener::bind(address) else { continue };
        let address = listener.local_addr().expect("it has one");
        // The one who closes first keeps its port for a minute.
        drop(TcpStream::connect(address).expect("its own can be reached"));
        drop(listener.accept().expect("from inside"));
    }
}

fn leave_to_a_daemon() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    // SAFETY: numbers; from here on programs that are run have it.
    unsafe { libc::fcntl(listener.as_raw_fd(), libc::F_SETFD, 0) };
    let daemon = std::process::Command::new("/bin/sh").args(["-c", "sleep 1000 & sleep 1000"]).spawn();
    std::mem::forget((listener, daemon.expect("it starts")));
}

fn leave_under_way() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (one, other) = UnixStream::pair().expect("a pair");
    // Each lies in the other's queue, with nobody to take it out: the kernel has to find that out.
    for (through, what) in
        [(&one, [listener.as_fd(), one.as_fd()]), (&other, [listener.as_fd(), other.as_fd()])]
    {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&what));
        sendmsg(through, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).expect("sent");
    }
}

fn leave_a_route_socket() {
    // SAFETY: numbers.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) };
    assert!(socket >= 0, "it is allowed");
}
