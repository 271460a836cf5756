//! The last step: becoming the program.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::chdir;
use rustix::thread::UnshareFlags;

use crate::job::{CARRIED, Failure, Program, STATUS, Stage, sealed};

/// With the rights that the program will have.
pub(super) fn enter_directory(program: &Program) -> io::Result<()> {
    Ok(chdir(program.cwd.as_slice())?)
}

/// `execvpe` over prepared candidates, without a fallback to a shell. Returns only when none could be run: with a refusal
/// if there was one, otherwise with what the last one came to. From here on descriptors are this process's alone.
pub(super) fn execute(program: &Program) -> Failure {
    let failed = |candidate: usize, errno: i32| Failure {
        stage: Stage::Program,
        errno,
        detail: candidate.to_string(),
    };
    let (Some(argv), Some(envp)) = (Strings::new(&program.argv), Strings::new(&program.envp)) else {
        return failed(/*candidate*/ 0, libc::EINVAL);
    };
    if let Err(error) = own_descriptors().and_then(|()| carry(program)) {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        return Failure { stage: Stage::Job, errno, detail: String::new() };
    }
    let mut refused = None;
    let mut last = libc::ENOENT;
    for (at, candidate) in program.candidates.iter().enumerate() {
        let Ok(path) = CString::new(candidate.as_slice()) else { return failed(at, libc::EINVAL) };
        // SAFETY: NUL-terminated strings and null-terminated arrays of them, all alive.
        unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        match errno {
            libc::EACCES => refused = refused.or(Some(at)),
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => last = errno,
            errno => return failed(at, errno),
        }
    }
    match (refused, program.candidates.len()) {
        (Some(at), _) => failed(at, libc::EACCES),
        (None, 1) => failed(/*candidate*/ 0, last),
        (None, _) => failed(/*candidate*/ 0, libc::ENOENT),
    }
}

/// `execve` would do it: what is closed and put in places from here on must not be the launcher's.
fn own_descriptors() -> io::Result<()> {
    // SAFETY: nobody in this memory runs meanwhile who could take one of the launcher's descriptors for this process's.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FILES) }?)
}

/// Puts what the program carries where it looks for it. Whatever else is open here closes when the program runs.
fn carry(program: &Program) -> io::Result<()> {
    let Some(bytes) = &program.carried else { return Ok(()) };
    // A number of its own, since what has that of the place already would not outlive `execve`.
    let file = fcntl_dupfd_cloexec(sealed("carried", bytes)?, STATUS + 1)?;
    // SAFETY: the descriptor is open, and nobody here uses the place any more: the job was read long ago.
    if unsafe { libc::dup2(file.as_raw_fd(), CARRIED) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// An array as `execve` wants it.
struct Strings {
    /// What the pointers lead to.
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    fn new(strings: &[Vec<u8>]) -> Option<Self> {
        let strings: Vec<CString> =
            strings.iter().map(|string| CString::new(string.as_slice()).ok()).collect::<Option<_>>()?;
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Some(Self { _strings: strings, pointers })
    }
}
