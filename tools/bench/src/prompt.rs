//! A process that says what it is told, whoever is connected to its server: it listens to a named pipe.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::error::BenchError;

/// Says `ready`, then every line that is written into the pipe whose path is the next argument.
pub(crate) const PARROT: [&str; 3] =
    ["/bin/sh", "-c", "exec 3<>\"$0\"; echo ready; while read -r line <&3; do echo \"$line\"; done"];

/// A named pipe in the temporary folder. Removed on drop.
pub(crate) struct Prompt {
    path: PathBuf,
    file: File,
}

impl Prompt {
    pub(crate) fn create(name: &str) -> Result<Self, BenchError> {
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let path =
            std::env::temp_dir().join(format!("codex-exec-server-bench-{}-{name}", std::process::id()));
        let fail = |source: std::io::Error| BenchError::File { path: path.clone(), source };
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| fail(errno.into()))?;
        // Both ways: opening one end alone waits for the other.
        let file = File::options().read(true).write(true).open(&path).map_err(fail)?;
        Ok(Self { path, file })
    }

    pub(crate) fn path(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    pub(crate) fn write(&mut self, line: &str) -> Result<(), BenchError> {
        let fail = |source| BenchError::File { path: self.path.clone(), source };
        self.file.write_all(line.as_bytes()).map_err(fail)
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
