//! 70, 71 and 80: around a proxy that is to be the only way out.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::attempt::{Attempt, Through};
use super::files::write_everyhow;
use super::launcher::{evil_library, library_was_loaded, make_evil_library, no_compiler};
use super::network::{listen_outside, port_outside};
use super::scene::{Profile, Scene};

pub(crate) fn attempts() -> Vec<Attempt> {
    vec![
        Attempt::new(70, "a managed network without details", Profile::WorkspaceOnline, |_, _| {}).refused(
            |_| {
                let enforced = |mut change: Value| {
                    change["enforceManagedNetwork"] = true.into();
                    change
                };
                let proxy = json!({ "HTTP_PROXY": "http://127.0.0.1:1" });
                let disabled = json!({ "type": "disabled", "file_system": null, "network": null });
                vec![
                    (enforced(json!({})), "needs a proxy"),
                    (enforced(json!({ "managedNetwork": { "loopbackPorts": [1] } })), "needs a proxy"),
                    (enforced(json!({ "env": { "HTTP_PROXY": "" } })), "needs a proxy"),
                    (enforced(json!({ "env": { "HTTP_PROXY": "http://192.0.2.1:1" } })), "loopback alone"),
                    (enforced(json!({ "env": proxy, "sandbox": null })), "needs a `sandbox`"),
                    (enforced(json!({ "env": proxy, "sandbox": { "permissions": disabled } })), "`disabled`"),
                ]
            },
        ),
        // The profile's own word for the network is `enabled`.
        Attempt::new(
            71,
            "past the proxy of a managed network",
            Profile::WorkspaceOnline,
            |scene, through| {
                past_proxy(scene, through);
            },
        )
        .prepared(|scene| {
            listen_outside(scene);
            run_proxy(scene);
        })
        .changed(managed)
        .controlled(through_proxy),
        Attempt::new(
            80,
            "a library in every program, beside a proxy",
            Profile::Workspace,
            |scene, through| {
                write_everyhow(through, &scene.outside());
                past_proxy(scene, through);
            },
        )
        .missing(no_compiler)
        .prepared(|scene| {
            make_evil_library(scene);
            listen_outside(scene);
            run_proxy(scene);
        })
        .changed(|scene| {
            let mut change = managed(scene);
            change["env"]["LD_PRELOAD"] = evil_library(scene).into();
            change
        })
        .controlled(|scene| {
            library_was_loaded(scene);
            through_proxy(scene);
        }),
    ]
}

/// Says something to whoever speaks first, until this program ends.
fn run_proxy(scene: &Scene) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    std::fs::write(scene.root().join("proxy"), port.to_string()).expect("told");
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut asked = [0; 5];
            if connection.read_exact(&mut asked).is_ok() {
                // Whoever has gone meanwhile does not mind.
                let _ = connection.write_all(b"proxied");
            }
        }
    });
}

fn managed(scene: &Scene) -> Value {
    let port = std::fs::read_to_string(scene.root().join("proxy")).expect("told");
    json!({
        "enforceManagedNetwork": true,
        "managedNetwork": { "allowLocalBinding": true, "allowUnixSockets": ["/"] },
        "env": { "HTTP_PROXY": format!("http://user:secret@localhost:{port}/"), "https_proxy": format!("127.0.0.1:{port}") },
    })
}

/// The control: each variable leads to the proxy.
fn through_proxy(_: &Scene) {
    for name in ["HTTP_PROXY", "https_proxy"] {
        let proxy = std::env::var(name).expect("it is set");
        let address = proxy.trim_start_matches("http://user:secret@").trim_end_matches('/');
        let mut proxy = TcpStream::connect(address).expect("the proxy can be reached");
        proxy.write_all(b"hello").expect("and spoken to");
        let mut answer = Vec::new();
        proxy.read_to_end(&mut answer).expect("and heard");
        assert_eq!(answer, b"proxied");
    }
}

fn past_proxy(scene: &Scene, through: &mut Through) {
    let port = port_outside(scene);
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
    for address in [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into(), nowhere] {
        through.must_fail(format!("{address}"), TcpStream::connect_timeout(&address, Duration::from_secs(1)));
    }
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket of its own network");
    through.must_fail("send", socket.send_to(b"x", nowhere));
    through.must_fail("unix", UnixStream::connect("/run/dbus/system_bus_socket"));
    // SAFETY: numbers.
    through
        .must_refuse("unix socket", i64::from(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) }));
}
