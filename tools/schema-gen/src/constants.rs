//! Numbers of the protocol that stand in no type: error codes, and the bounds that documentation refers to by name.

use codex_exec_server_protocol::error_code::ErrorCode;
use codex_exec_server_protocol::{fs, network, scan};

/// A bound by its name in Rust, which TypeScript shares.
pub(crate) type Bound = (&'static str, u64);

macro_rules! bounds {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$((stringify!($name), $module::$name as u64)),*]
    };
}

/// Every bound of the protocol itself, as against those that a server chooses (`ServerLimits`).
pub(crate) const BOUNDS: &[Bound] = bounds![
    scan::MAX_VALUES,
    scan::MAX_DEPTH,
    fs::MAX_READ_FILE_BYTES,
    fs::MAX_BLOCK_BYTES,
    fs::MAX_FILE_HANDLES,
    fs::MAX_FILE_HANDLE_ID_BYTES,
    fs::MAX_STAT_PATHS,
    fs::MAX_WALK_DEPTH,
    fs::MAX_WALK_DIRECTORIES,
    fs::MAX_WALK_ENTRIES,
    fs::MAX_SEARCH_MATCHES,
    fs::MAX_CONTEXT_LINES,
    fs::MAX_SEARCH_LINE_BYTES,
    fs::MAX_SEARCH_RANGES,
    fs::MAX_SEARCH_DEPTH,
    fs::MAX_SEARCH_PATTERN_BYTES,
    fs::MAX_SEARCH_ID_BYTES,
    network::DEFAULT_NET_WINDOW_BYTES,
    network::MAX_NET_DATA_BYTES,
];

/// Error codes by name, as TypeScript spells it: `invalidRequest`.
pub(crate) fn error_codes() -> impl Iterator<Item = (String, i64)> {
    ErrorCode::ALL.into_iter().map(|code| {
        // A variant's name is its only spelling; `Debug` is how a program can see it.
        let mut name = format!("{code:?}");
        name[..1].make_ascii_lowercase();
        (name, code.number())
    })
}
