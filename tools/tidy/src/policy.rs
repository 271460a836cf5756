//! Who may depend on whom, and who may import what: the table of codex-rs/ARCHITECTURE.md, as data.

/// What one crate may do.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Its folder from the root of the checkout.
    pub folder: &'static str,
    /// Crates of our own that what it ships may depend on; without `codex-exec-server-` or
    /// `codex-`, and `server` for the server.
    pub may_use: &'static [&'static str],
    /// Paths that its sources must not name, tests aside.
    pub must_not_name: &'static [&'static str],
}

/// Neither IO nor clocks nor tasks: time arrives as an argument.
const NO_IO: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
];

/// Every crate under `codex-rs/`. One that is not listed is a finding: its place in the architecture has to be decided.
pub const POLICIES: &[Policy] = &[
    Policy { folder: "codex-rs/exec-server-protocol", may_use: &[], must_not_name: NO_IO },
    Policy { folder: "codex-rs/exec-server-core", may_use: &["protocol"], must_not_name: NO_IO },
    Policy { folder: "codex-rs/exec-server-settings", may_use: &[], must_not_name: NO_IO },
    // It carries messages and knows none of them.
    Policy { folder: "codex-rs/exec-server-transport", may_use: &[], must_not_name: &[] },
    // It enforces what the wire asks for; what a process or a session is, it does not know.
    Policy { folder: "codex-rs/linux-sandbox", may_use: &["protocol"], must_not_name: &["tokio"] },
    Policy {
        folder: "codex-rs/exec-server-local",
        may_use: &["protocol", "core", "linux-sandbox"],
        must_not_name: &[],
    },
    Policy {
        folder: "codex-rs/exec-server-client",
        may_use: &["protocol", "core", "settings", "transport"],
        must_not_name: &[],
    },
    Policy {
        folder: "codex-rs/exec-server-testkit",
        may_use: &["protocol", "core", "transport", "client"],
        must_not_name: &[],
    },
    Policy { folder: "codex-rs/unified-exec", may_use: &["protocol", "core"], must_not_name: &[] },
    Policy { folder: "codex-rs/mcp", may_use: &["protocol", "core", "unified-exec"], must_not_name: &[] },
    Policy {
        folder: "codex-rs/exec-server",
        may_use: &[
            "protocol",
            "core",
            "settings",
            "transport",
            "local",
            "client",
            "unified-exec",
            "mcp",
            "linux-sandbox",
        ],
        must_not_name: &[],
    },
];

/// The policy of the crate in `folder`; `None` for crates under `tools/`, which nothing depends on.
#[must_use]
pub fn policy_of(folder: &str) -> Option<&'static Policy> {
    POLICIES.iter().find(|policy| policy.folder == folder)
}
