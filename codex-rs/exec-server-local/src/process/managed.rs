//! Networks that consist of proxies alone: which of them a command's environment names, and what it finds instead.
//!
//! Pure. A process with such a network has a loopback of its own, on which each proxy stands at a port; what carries bytes
//! between the two is a [`bridge`](super::bridge).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_protocol::network::ManagedNetwork;
use codex_exec_server_protocol::sandbox::{SandboxContext, SandboxNetwork, SandboxPermissions};
use codex_linux_sandbox::MOST_LISTENERS;

use crate::env::Environment;

/// Variables that must name a proxy which can be bridged, if they are set. Others that end like them may.
const PROXIES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
/// Ports below are given out only as somebody asked for them.
const FIRST_FREE_PORT: u16 = 1024;

/// A way out of a process's own network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bridge {
    /// Where the process finds it, on its own loopback.
    pub(super) port: u16,
    /// Where it leads, on the machine's loopback: the first that answers.
    pub(super) target: Vec<SocketAddr>,
}

/// The same intent with the network closed, whatever it said of it.
pub(super) fn isolated(context: &SandboxContext) -> Result<SandboxContext, ServiceError> {
    let mut context = context.clone();
    match &mut context.permissions {
        SandboxPermissions::Managed { network, .. } | SandboxPermissions::External { network } => {
            *network = SandboxNetwork::Restricted;
            Ok(context)
        }
        SandboxPermissions::Disabled => {
            Err(refused("needs a sandbox that confines, and these permissions are `disabled`"))
        }
    }
}

/// Finds the proxies that `env` names, and has it name the bridges to them instead.
///
/// # Errors
/// A refusal, if there is none, one that is not on this machine's loopback, or too many.
pub(super) fn bridge_proxies(
    env: &mut Environment,
    network: Option<&ManagedNetwork>,
) -> Result<Vec<Bridge>, ServiceError> {
    let mut bridges = Bridges::default();
    for &port in network.iter().flat_map(|network| &network.loopback_ports) {
        bridges.lead(port, localhost(port));
    }
    let mut found = false;
    for (name, value) in env.iter_mut() {
        let Some(name) = name.to_str().map(str::to_ascii_uppercase) else { continue };
        if !name.ends_with("_PROXY") || name.ends_with("NO_PROXY") || value.is_empty() {
            continue;
        }
        let text = value.to_str();
        match text.and_then(|text| Some((text, Address::find(text)?))) {
            Some((text, address)) => {
                let port = bridges.lead(address.port, address.target);
                let (before, after) = (&text[..address.place.start], &text[address.place.end..]);
                *value = format!("{before}127.0.0.1:{port}{after}").into();
                found = true;
            }
            None if PROXIES.contains(&name.as_str()) => {
                return Err(refused(&format!(
                    "reaches proxies on this machine's loopback alone, such as http://127.0.0.1:3128, and {name} names another"
                )));
            }
            None => {}
        }
    }
    if !found {
        return Err(refused(
            "needs a proxy: set HTTP_PROXY, HTTPS_PROXY or ALL_PROXY in `env` to one on this machine's loopback, such as \
             http://127.0.0.1:3128",
        ));
    }
    if bridges.0.len() > MOST_LISTENERS {
        let count = bridges.0.len();
        return Err(refused(&format!("bridges at most {MOST_LISTENERS} addresses, and {count} were named")));
    }
    Ok(bridges.0)
}

fn refused(why: &str) -> ServiceError {
    ServiceError::InvalidArgument(format!("enforceManagedNetwork {why}"))
}

#[derive(Default)]
struct Bridges(Vec<Bridge>);

impl Bridges {
    /// The port at which `target` is found, which is its own unless another stands there.
    fn lead(&mut self, wanted: u16, target: Vec<SocketAddr>) -> u16 {
        if let Some(bridge) = self.0.iter().find(|bridge| bridge.target == target) {
            return bridge.port;
        }
        let taken: BTreeSet<u16> = self.0.iter().map(|bridge| bridge.port).collect();
        let mut port = wanted;
        while taken.contains(&port) {
            port = port.checked_add(1).map_or(FIRST_FREE_PORT, |port| port.max(FIRST_FREE_PORT));
        }
        self.0.push(Bridge { port, target });
        port
    }
}

/// An address on the loopback within the text of a proxy variable.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// Where host and port stand.
    place: Range<usize>,
    port: u16,
    target: Vec<SocketAddr>,
}

impl Address {
    /// `[scheme://][user[:password]@]host[:port][/…]`
    fn find(text: &str) -> Option<Self> {
        let (scheme, start) = text.find("://").map_or(("http", 0), |at| (&text[..at], at + 3));
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        let start = start + text[start..end].rfind('@').map_or(0, |at| at + 1);
        let (host, port) = match text[start..end].strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => match text[start..end].split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (&text[start..end], None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None => default_port(scheme)?,
        };
        let target = if host.eq_ignore_ascii_case("localhost") {
            localhost(port)
        } else {
            let ip: IpAddr = host.parse().ok()?;
            ip.to_canonical().is_loopback().then(|| vec![SocketAddr::new(ip, port)])?
        };
        Some(Self { place: start..end, port, target })
    }
}

fn localhost(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some(80),
        "https" => Some(443),
        "socks" | "socks4" | "socks4a" | "socks5" | "socks5h" => Some(1080),
        _ => None,
    }
}

#[cfg(test)]
#[path = "managed_tests.rs"]
mod tests;
