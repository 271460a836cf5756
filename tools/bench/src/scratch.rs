//! Files to measure with, in a folder of their own below the temporary one.

use std::path::{Path, PathBuf};

use crate::error::BenchError;

/// The folder. Removed on drop, with what is in it.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn create() -> Result<Self, BenchError> {
        let path = std::env::temp_dir().join(format!("codex-exec-server-bench-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|source| BenchError::File { path: path.clone(), source })?;
        Ok(Self { path })
    }

    /// A file of that many bytes, none of which is zero, so that none is a hole.
    pub(crate) fn file(&self, name: &str, bytes: usize) -> Result<PathBuf, BenchError> {
        let path = self.path.join(name);
        let text: Vec<u8> = (0..=250_u8).map(|byte| byte + 1).cycle().take(bytes).collect();
        std::fs::write(&path, text).map_err(|source| BenchError::File { path: path.clone(), source })?;
        Ok(path)
    }

    /// A folder of that many empty files.
    pub(crate) fn folder(&self, name: &str, entries: usize) -> Result<PathBuf, BenchError> {
        let path = self.path.join(name);
        let fail = |source| BenchError::File { path: path.clone(), source };
        std::fs::create_dir(&path).map_err(fail)?;
        for number in 0..entries {
            std::fs::write(path.join(format!("entry-{number:05}.txt")), []).map_err(fail)?;
        }
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind in the temporary folder is no reason to lose the results.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The URL of a path that has nothing in it that a URL has other words for.
pub(crate) fn url_of(path: &Path) -> String {
    format!("file://{}", path.display())
}
