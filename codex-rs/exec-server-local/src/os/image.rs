//! A command in the form that the kernel wants it: NUL-terminated strings and arrays of pointers.
//!
//! Owns all validation and allocation that an `execve` needs, so that the child, which may not allocate,
//! finds everything ready. All strings live in one buffer: a large environment costs two allocations, not one
//! per variable.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::command::{Command, Stdio};
use super::error::SpawnError;

/// Searched when the child's environment has no `PATH` at all. An empty `PATH` means the working directory,
/// as in `execvp`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// The strings of one `execve`. Pointers handed out are valid as long as the image is not dropped.
pub(super) struct Image {
    /// Every string, each with its NUL. Not changed after construction, so `pointers` stay valid.
    strings: Vec<u8>,
    /// Null-terminated groups of pointers into `strings`: candidates, arguments, environment; then `cwd`.
    pointers: Vec<*const c_char>,
    /// Where each group starts in `pointers`.
    argv_at: usize,
    envp_at: usize,
    cwd_at: usize,
    /// The program name as the caller wrote it.
    name: PathBuf,
    /// Whether `name` was looked up in a search path.
    searched: bool,
}

impl Image {
    /// Checks and lays out `command`.
    ///
    /// # Errors
    /// [`SpawnError::MissingProgram`] and [`SpawnError::NulByte`]. Both are
    /// found before anything is opened or created.
    pub(super) fn new(command: &Command) -> Result<Self, SpawnError> {
        let Some(program) = command.argv.first().filter(|program| !program.is_empty()) else {
            return Err(SpawnError::MissingProgram { terminal: matches!(command.stdio, Stdio::Pty(_)) });
        };
        let mut layout = Layout::with_capacity_for(command);

        let searched = !program.as_bytes().contains(&b'/');
        for candidate in candidates(command) {
            layout.string("argv", &[&candidate])?;
        }
        let argv_at = layout.end_group();

        match &command.arg0 {
            Some(arg0) => layout.string("arg0", &[arg0.as_bytes()])?,
            None => layout.string("argv", &[program.as_bytes()])?,
        }
        for argument in &command.argv[1..] {
            layout.string("argv", &[argument.as_bytes()])?;
        }
        let envp_at = layout.end_group();

        for (name, value) in &command.env {
            // A name that is empty or holds `=` is passed on like any other: the kernel takes it, and what the child
            // makes of it is the child's matter.
            no_nul("env name", name.as_bytes())?;
            layout.string("env value", &[name.as_bytes(), b"=", value.as_bytes()])?;
        }
        let cwd_at = layout.end_group();
        layout.string("cwd", &[command.cwd.as_os_str().as_bytes()])?;

        let Layout { strings, starts } = layout;
        let pointers = starts
            .iter()
            .map(|start| start.map_or(std::ptr::null(), |start| strings[start..].as_ptr().cast()))
            .collect();
        Ok(Self { strings, pointers, argv_at, envp_at, cwd_at, name: PathBuf::from(program), searched })
    }

    /// Null-terminated files to try in turn.
    pub(super) fn candidates(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }

    /// Null-terminated arguments, the first being what the child believes its name to be.
    pub(super) fn argv(&self) -> *const *const c_char {
        self.pointers[self.argv_at..].as_ptr()
    }

    /// Null-terminated environment.
    pub(super) fn envp(&self) -> *const *const c_char {
        self.pointers[self.envp_at..].as_ptr()
    }

    /// The working directory.
    pub(super) fn cwd(&self) -> *const c_char {
        self.pointers[self.cwd_at]
    }

    /// The file to blame for `errno`: the candidate that was refused, or the bare name if none exists.
    pub(super) fn blame(&self, candidate: usize, errno: i32) -> PathBuf {
        if self.searched && errno == libc::ENOENT {
            return self.name.clone();
        }
        let candidates = self.strings.split_inclusive(|&byte| byte == 0).take(self.argv_at - 1);
        match candidates.map(CStr::from_bytes_with_nul).nth(candidate) {
            Some(Ok(path)) => PathBuf::from(OsStr::from_bytes(path.to_bytes())),
            Some(Err(_)) | None => self.name.clone(),
        }
    }
}

/// An [`Image`] under construction: offsets instead of pointers, because the buffer may still move.
struct Layout {
    strings: Vec<u8>,
    /// Offset of each string; `None` ends a group.
    starts: Vec<Option<usize>>,
}

impl Layout {
    fn with_capacity_for(command: &Command) -> Self {
        let arguments: usize = command.argv.iter().map(|argument| argument.len() + 1).sum();
        let variables: usize = command.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        // The rest is room for a usual number of search path candidates.
        Self {
            strings: Vec::with_capacity(arguments + variables + command.cwd.as_os_str().len() + 512),
            starts: Vec::with_capacity(command.argv.len() + command.env.len() + 20),
        }
    }

    fn string(&mut self, what: &'static str, parts: &[&[u8]]) -> Result<(), SpawnError> {
        self.starts.push(Some(self.strings.len()));
        for part in parts {
            no_nul(what, part)?;
            self.strings.extend_from_slice(part);
        }
        self.strings.push(0);
        Ok(())
    }

    /// Ends a group; the answer is where the next one starts.
    fn end_group(&mut self) -> usize {
        self.starts.push(None);
        self.starts.len()
    }
}

fn no_nul(what: &'static str, bytes: &[u8]) -> Result<(), SpawnError> {
    if bytes.contains(&0) { Err(SpawnError::NulByte { what }) } else { Ok(()) }
}

/// The files that a search for the program of `command` tries in turn.
pub(super) fn candidates(command: &Command) -> Vec<Vec<u8>> {
    let program = command.argv.first().map_or(&b""[..], |program| program.as_bytes());
    if program.contains(&b'/') {
        return vec![program.to_vec()];
    }
    let directories = search_path(&command.env).split(|&byte| byte == b':');
    directories
        .map(|directory| {
            let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
            [directory, separator, program].concat()
        })
        .collect()
}

/// The first `PATH`, which is the one that `getenv` would find.
fn search_path<N: AsRef<OsStr>, V: AsRef<OsStr>>(env: &[(N, V)]) -> &[u8] {
    env.iter()
        .find(|(name, _)| name.as_ref() == "PATH")
        .map_or(DEFAULT_PATH, |(_, value)| value.as_ref().as_bytes())
}
