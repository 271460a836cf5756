//! A workspace of two packages in a folder of its own.

// Each test binary uses its part.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use codex_exec_server_argument_comment_lint::{Finding, Request, check, fix};
use tempfile::TempDir;

/// What the library of the other package, `other`, offers.
const OTHER: &str = "
pub mod tree {
    pub fn walk(path: &str, recursive: bool, depth: Option<u32>) {}
}
pub use tree::walk;
pub struct Log { pub inner: Inner }
pub struct Inner;
impl Log {
    pub fn new(retain_bytes: usize) -> Self { todo!() }
    pub fn read(&self, after: u64, max_bytes: Option<usize>) -> Page { todo!() }
    pub async fn follow(&self, from: u64) -> Result<Page, ()> { todo!() }
}
impl Inner { pub fn push(&mut self, first: u64, second: u64) {} }
pub struct Page;
impl Page { pub fn seek(&self, row: i64, exact: bool) -> Page { todo!() } }
pub trait Clock { fn wait(&self, at_least_ms: u64, precise: bool); }
";

/// See the module.
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    /// With `code` as the library of the package `one`.
    pub(crate) fn new(code: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let this = Self { folder };
        this.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"other\"]\n");
        for package in ["one", "other"] {
            let manifest = format!("[package]\nname = \"{package}\"\nedition = \"2024\"\n");
            this.write(&format!("{package}/Cargo.toml"), &manifest);
        }
        this.write("other/src/lib.rs", OTHER);
        this.write("one/src/lib.rs", code);
        this
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).expect("a file")
    }

    pub(crate) fn request(&self) -> Request {
        Request { workspace: self.path().to_owned(), ..Request::default() }
    }

    /// What is found in the whole workspace.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        check(&self.request()).expect("it can be read").findings
    }

    /// Mends the library of `one` and returns it.
    pub(crate) fn mended(&self) -> String {
        fix(&self.request()).expect("it can be mended");
        self.read("one/src/lib.rs")
    }
}

/// What is found in `code`, as `line:column` and the comment to write.
pub(crate) fn places(code: &str) -> Vec<String> {
    let findings = Folder::new(code).findings();
    let told = |finding: &Finding| {
        let comment = finding.edit.as_ref().map_or("?", |edit| edit.text.trim());
        format!("{}:{} {comment}", finding.line, finding.column)
    };
    findings.iter().map(told).collect()
}

/// The names that are asked for in the body of a function that sees the other package, in the order of places.
pub(crate) fn asked(body: &str) -> Vec<String> {
    asked_with("", body)
}

/// The same, with items beside the function.
pub(crate) fn asked_with(items: &str, body: &str) -> Vec<String> {
    let code = format!("use other::*;\n{items}\nfn function() {{\n{body}\n}}\n");
    let findings = Folder::new(&code).findings();
    let name = |finding: &Finding| {
        finding.edit.as_ref().map_or("?".into(), |edit| edit.text.trim().trim_matches(['/', '*']).to_owned())
    };
    findings.iter().map(name).collect()
}

/// A path below the folder, as findings show it.
pub(crate) fn below(folder: &Folder, path: &str) -> PathBuf {
    folder.path().join(path)
}
