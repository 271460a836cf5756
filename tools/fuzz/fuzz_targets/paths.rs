//! Paths and patterns of a peer: a path URI names one path or none, there and back, and a glob matches without end or fails.
//!
//! The input is a URI, a pattern and a path, with newlines between them.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use codex_exec_server_protocol::path_uri::{HostOs, PathUri};
use codex_linux_sandbox::glob::Glob;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (uri, pattern, path) = (next(), next(), next());
    if let Ok(uri) = std::str::from_utf8(uri).unwrap_or_default().parse::<PathUri>() {
        assert_eq!(Ok(&uri), uri.as_str().parse().as_ref(), "its own text names the same");
        if let Ok(path) = uri.to_host_path_bytes(HostOs::Linux) {
            assert!(path.starts_with(b"/") && !path.contains(&0), "{uri}: {path:?}");
            let again = PathUri::from_path_bytes(&path).expect("a path has a name");
            let back = again.to_host_path_bytes(HostOs::Linux).expect("it is this kind of machine's");
            assert_eq!(as_path(&back), as_path(&path), "{uri} became {again}");
        }
    }
    if let Ok(uri) = PathUri::from_path_bytes(path) {
        let back = uri.to_host_path_bytes(HostOs::Linux).expect("it is this kind of machine's");
        assert_eq!(as_path(&back), as_path(path), "{uri}");
    }
    if let Ok(glob) = Glob::new(Path::new("/base"), &String::from_utf8_lossy(pattern)) {
        assert!(glob.prefix().is_absolute());
        let path = Path::new(OsStr::from_bytes(path));
        if glob.matches(path) {
            assert!(path.starts_with(glob.prefix()), "what it matches lies where it is looked for");
        }
    }
});

/// To be compared as paths: a component `.` says nothing, and is left out on the way.
fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
