//! One file of configuration.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use toml::Table;

/// Longer ones are refused.
const FILE_BYTES: u64 = 4 << 20;

/// The document; `None` if there is no file. An error names the file, and the place in it.
pub(super) fn load(path: &Path) -> Result<Option<Table>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("failed to read {}: {error}", path.display());
    // To open a pipe waits for a writer otherwise.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(&error)),
    };
    if !file.metadata().map_err(|error| failed(&error))?.is_file() {
        return Err(failed(&"it is no regular file"));
    }
    let mut text = String::new();
    let read = file.take(FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if read as u64 > FILE_BYTES {
        return Err(failed(&format_args!(
            "it is longer than {FILE_BYTES} bytes, the limit of a file of configuration"
        )));
    }
    parse(&text).map(Some).map_err(|(at, why)| match at {
        Some(at) => {
            let before = &text.as_bytes()[..at.min(text.len())];
            let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
            format!("{}:{line}:{column}: {why}", path.display())
        }
        None => format!("{}: {why}", path.display()),
    })
}

/// The document, or where it is wrong and why.
fn parse(text: &str) -> Result<Table, (Option<usize>, String)> {
    toml::from_str(text).map_err(|error| (error.span().map(|span| span.start), error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_document_or_missing_or_wrong_at_a_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        let complaint = |path: &Path| {
            let error = load(path).expect_err("it is refused");
            error.replace(&path.display().to_string(), "FILE")
        };
        assert_eq!(load(&path), Ok(None));
        assert_eq!(load(&path.join("below")), Ok(None));
        std::fs::write(&path, "a = 1\n").expect("it can be written");
        assert_eq!(load(&path), Ok(Some("a = 1".parse().expect("it is TOML"))));
        assert_eq!(load(&path.join("below a file")), Ok(None));
        std::fs::write(&path, "a = 1\n\nbc = x\n").expect("it can be written");
        assert!(complaint(&path).starts_with("FILE:3:6: "), "{}", complaint(&path));
        std::fs::write(&path, b"a = \"\xff\"").expect("it can be written");
        assert_eq!(complaint(&path), "failed to read FILE: stream did not contain valid UTF-8");
        let long = std::fs::File::create(&path).expect("it can be made");
        long.set_len(FILE_BYTES + 1).expect("it can be that long");
        let expected =
            "failed to read FILE: it is longer than 4194304 bytes, the limit of a file of configuration";
        assert_eq!(complaint(&path), expected);
        assert_eq!(complaint(folder.path()), "failed to read FILE: it is no regular file");
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).expect("it can be made");
        assert_eq!(complaint(&pipe), "failed to read FILE: it is no regular file");
    }
}
