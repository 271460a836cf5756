//! 58–68: reaching the network.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use serde_json::json;

use super::attempt::{Attempt, Ending, Through};
use super::scene::{Profile, Scene};

pub(crate) fn attempts() -> Vec<Attempt> {
    let attempt = |number, name, attempt| Attempt::new(number, name, Profile::Workspace, attempt);
    vec![
        attempt(/*number*/ 58, "TCP to the machine and beyond", |scene, through| {
            let port = port_outside(scene);
            let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
            for address in [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into(), nowhere] {
                through.must_fail(
                    format!("{address}"),
                    TcpStream::connect_timeout(&address, Duration::from_secs(1)),
                );
            }
        })
        .prepared(listen_outside)
        .controlled(local_server),
        attempt(/*number*/ 59, "UDP", |_, through| {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket of its own network");
            through.must_fail("send", socket.send_to(b"x", "192.0.2.1:9"));
            through.must_fail("multicast", socket.send_to(b"x", "224.0.0.1:9"));
        }),
        attempt(/*number*/ 60, "resolve a name", |_, through| {
            use std::net::ToSocketAddrs as _;
            through.must_fail("a name", ("host.invalid", 80).to_socket_addrs());
            through.must_fail(
                "a server of names",
                UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", "8.8.8.8:53")),
            );
        }),
        attempt(/*number*/ 61, "other kinds of sockets", |_, through| other_families(through)),
        attempt(/*number*/ 62, "sockets by ring", |_, through| {
            let zeroes = [0_u64; 64];
            // SAFETY: an empty description.
            through
                .must_refuse("ring", unsafe { libc::syscall(libc::SYS_io_uring_setup, 8, zeroes.as_ptr()) });
        }),
        attempt(/*number*/ 63, "sockets of the file system", |scene, through| {
            let path = scene.outside().join("../socket");
            through.must_fail("stream", UnixStream::connect(&path));
            through.must_fail("datagram", UnixDatagram::unbound().and_then(|socket| socket.connect(&path)));
            for known in ["/run/dbus/system_bus_socket", "/var/run/docker.sock", "/run/systemd/private"] {
                through.must_fail(known, UnixStream::connect(known));
            }
            // Pairs have no address, and many programs need them.
            let (one, other) = UnixStream::pair().expect("pairs work");
            io::Write::write_all(&mut &one, b"x").expect("they carry bytes");
            io::Read::read_exact(&mut &other, &mut [0]).expect("they carry bytes");
        })
        .prepared(|scene| {
            // Its file stays when it is closed, and would be refused for another reason; so it is kept open.
            let listener =
                std::os::unix::net::UnixListener::bind(scene.root().join("socket")).expect("a socket");
            std::mem::forget(listener);
        }),
        attempt(/*number*/ 64, "abstract sockets", |_, through| {
            // SAFETY: numbers.
            through.must_refuse(
                "socket",
                i64::from(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) }),
            );
        }),
        attempt(/*number*/ 65, "be reached from the machine", |scene, _| {
            let listener = TcpListener::bind("0.0.0.0:0").expect("own ports may be listened on");
            let port = listener.local_addr().expect("it has one").port();
            std::fs::write(scene.workspace().join("port"), port.to_string()).expect("told");
        })
        .checked(|scene, through| {
            let port = std::fs::read_to_string(scene.workspace().join("port"))
                .ok()
                .and_then(|port| port.parse::<u16>().ok());
            through.note("it did not listen", port.is_none());
        }),
        Attempt::new(66, "vsock with the network", Profile::WorkspaceOnline, |_, through| {
            // SAFETY: numbers.
            unsafe {
                through.must_refuse("vsock", i64::from(libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)));
                through.must_refuse(
                    "raw",
                    i64::from(libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
                );
                through.must_refuse("packet", i64::from(libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)));
            }
        })
        .prepared(listen_outside)
        .controlled(|scene| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port_outside(scene)));
            TcpStream::connect_timeout(&address, Duration::from_secs(10))
                .expect("the network may be reached");
        }),
        Attempt::new(67, "no network, with all files", Profile::Offline, |scene, through| {
            let port = port_outside(scene);
            for address in
                [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from(([192, 0, 2, 1], 9))]
            {
                through.must_fail(
                    format!("{address}"),
                    TcpStream::connect_timeout(&address, Duration::from_secs(1)),
                );
            }
            other_families(through);
            through.must_fail("unix", UnixStream::connect(scene.root().join("socket")));
        })
        .prepared(listen_outside)
        .controlled(|scene| {
            std::fs::write(scene.outside().join("../allowed"), "x").expect("all files may be written")
        }),
        attempt(/*number*/ 72, "a proxy that the server is to run", |_, through| {
            let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
            through.must_fail("direct", TcpStream::connect_timeout(&nowhere, Duration::from_secs(1)));
        })
        .refused(|_| {
            let proxy = json!({
                "enabled": true, "enableSocks5": true, "enableSocks5Udp": false, "allowUpstreamProxy": false,
                "dangerouslyAllowAllUnixSockets": false, "mode": "full", "allowLocalBinding": false,
            });
            let launch = json!({
                "proxy": proxy, "auditMetadata": {}, "environmentId": "e", "executionId": "x",
                "policyDecisionTimeoutMs": 30000,
            });
            vec![(json!({ "networkProxy": launch }), "does not support networkProxyLaunch")]
        }),
        attempt(/*number*/ 106, "an address out of reach, in silence", |_, through| {
            let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
            through.must_fail("connect", TcpStream::connect_timeout(&nowhere, Duration::from_secs(1)));
        })
        .ending(Ending::Told("connect", "network restricted")),
    ]
}

fn other_families(through: &mut Through) {
    let families = [
        ("raw", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        ("raw 6", libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW, 0),
        ("netlink audit", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT),
        ("netlink uevent", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT),
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("algorithms", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        ("express data path", libc::AF_XDP, libc::SOCK_RAW, 0),
        ("bluetooth", libc::AF_BLUETOOTH, libc::SOCK_RAW, 0),
        ("can", libc::AF_CAN, libc::SOCK_RAW, 0),
        ("tipc", libc::AF_TIPC, libc::SOCK_RDM, 0),
        ("unix", libc::AF_UNIX, libc::SOCK_DGRAM, 0),
    ];
    for (name, family, kind, protocol) in families {
        // SAFETY: numbers.
        through.must_refuse(name, i64::from(unsafe { libc::socket(family, kind, protocol) }));
    }
}

/// A port that is listened on for as long as the attempt lasts, told through a file.
pub(crate) fn listen_outside(scene: &Scene) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    std::fs::write(scene.root().join("port"), port.to_string()).expect("told");
    // Open until this program ends: that it is closed must not be why it can't be reached.
    std::mem::forget(listener);
}

pub(crate) fn port_outside(scene: &Scene) -> u16 {
    std::fs::read_to_string(scene.root().join("port")).expect("told").parse().expect("a port")
}

fn local_server(_: &Scene) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("own ports may be listened on");
    let address = listener.local_addr().expect("it has one");
    let client = TcpStream::connect(address).expect("and connected to");
    drop((client, listener.accept().expect("from inside")));
}
