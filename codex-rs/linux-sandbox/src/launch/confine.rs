//! Giving up rights: resource limits, capabilities, Landlock, seccomp.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, Scope,
};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use crate::bpf::Instruction;
use crate::job::{Failure, Fence, Stage};

/// Soft and hard alike.
pub(super) fn set_limits(limits: &[(u32, u64)]) -> io::Result<()> {
    limits.iter().try_for_each(|&(resource, value)| set_limit(resource, value, value))
}

pub(super) fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let none = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: the structure has the kernel's layout and outlives the call; nothing is written back.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const limit, none) })
}

/// No program that is run from here on, by this process or by its children, gets any by its file.
pub(super) fn bound_capabilities() -> io::Result<()> {
    let mut capability = 0;
    loop {
        // SAFETY: passes numbers.
        match check(i64::from(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })) {
            Ok(()) => capability += 1,
            // The kernel says where its list ends.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && capability > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// None is left, and none can come back.
pub(super) fn give_up_capabilities() -> io::Result<()> {
    // User 0 is nobody special, and stays so.
    rustix::thread::set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(rustix::thread::set_no_new_privs(/*no_new_privs*/ true)?)
}

/// A second fence behind the view: whoever gets around the mounts can't change files outside either. As much of it as the
/// kernel has.
pub(super) fn landlock(fence: &Fence) -> Result<(), Failure> {
    let failed = |detail: String| Failure { stage: Stage::Landlock, errno: libc::EINVAL, detail };
    let abi = ABI::V6;
    let everything = AccessFs::from_all(abi);
    let reading = AccessFs::from_read(abi);
    let build = || -> Result<(), landlock::RulesetError> {
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(everything)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
        let mut created = ruleset.create()?;
        let mut allow = |path: &Path, access: BitFlags<AccessFs>| -> Result<(), landlock::RulesetError> {
            // What was shown may be gone by now; a rule less allows less.
            if let Ok(fd) = PathFd::new(path) {
                let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
                (&mut created).add_rule(PathBeneath::new(fd, access))?;
            }
            Ok(())
        };
        allow(Path::new("/"), reading)?;
        let device = AccessFs::WriteFile | AccessFs::ReadFile | AccessFs::IoctlDev | AccessFs::Truncate;
        allow(Path::new("/dev"), device | AccessFs::ReadDir)?;
        allow(Path::new("/dev/shm"), everything)?;
        for path in &fence.writable {
            allow(Path::new(OsStr::from_bytes(path)), everything)?;
        }
        created.restrict_self()?;
        Ok(())
    };
    build().map_err(|error| failed(error.to_string()))
}

/// As [`seccomp`], with a descriptor from which the calls that the filter asks about are read. Fails on kernels that can't, and
/// where somebody listens already.
pub(super) fn seccomp_listening(filter: &[Instruction]) -> io::Result<OwnedFd> {
    let program = filter_program(filter)?;
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Linux 5.19: a call that somebody looks at is not begun again whenever a signal comes.
    let whole = listen | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let mut refused = io::Error::from_raw_os_error(libc::ENOSYS);
    for flags in [whole, listen] {
        // SAFETY: as for `seccomp`; a success is a new descriptor, close-on-exec.
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        };
        match i32::try_from(result) {
            // SAFETY: nobody else has it.
            Ok(descriptor) if descriptor >= 0 => return Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
            _ => refused = io::Error::last_os_error(),
        }
    }
    Err(refused)
}

/// From here on some calls are refused; the filter can't be taken off, and children have it too.
pub(super) fn seccomp(filter: &[Instruction]) -> io::Result<()> {
    let program = filter_program(filter)?;
    // SAFETY: `Instruction` has the layout of `sock_filter`; the kernel copies the program and keeps no pointer.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })
}

fn filter_program(filter: &[Instruction]) -> io::Result<libc::sock_fprog> {
    Ok(libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut().cast(),
    })
}

fn check(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
