//! Control groups: bounds on whole trees of processes, where the system has delegated a group to this one.
//!
//! Only the unified hierarchy (version 2) is used. Owns finding the group, making one below it for each process that is to
//! be bounded, putting processes into it before they run, and taking away what is left, of this process and of others like
//! it that have died. What there is to bound is left to the caller.

mod place;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use self::place::{Maker, enough, own_folder};

/// Where the server itself goes: a group with processes of its own can't bound those of others.
const SERVER: &str = "codex-exec-server";
/// How long what is left of another server is given to die.
const PATIENCE: Duration = Duration::from_secs(1);

static OWN: OnceLock<Result<ControlGroups, String>> = OnceLock::new();

/// From now on this process divides its control group, if it may. To be called by a program that is a server and nothing else,
/// before it starts any process: it moves this process, and takes away what others left behind, which may take a second.
///
/// # Errors
/// Why it has none to divide, in a sentence without a full stop.
pub fn claim_control_groups() -> Result<(), &'static str> {
    let own = OWN.get_or_init(|| {
        let own = own_group()?;
        let stat = read("/proc/self/stat".as_ref())?;
        let maker = Maker::from_stat(std::process::id(), &stat).ok_or("/proc/self/stat can't be read")?;
        ControlGroups::claim(own, maker, is_alive)
    });
    own.as_ref().map(|_| ()).map_err(String::as_str)
}

/// What came of [`claim_control_groups`], if it was called.
pub fn control_groups() -> Option<Result<&'static ControlGroups, &'static str>> {
    OWN.get().map(|own| own.as_ref().map_err(String::as_str))
}

/// What [`claim_control_groups`] would come to. Changes nothing.
///
/// # Errors
/// Why there would be none, in a sentence without a full stop.
pub fn look_for_control_groups() -> Result<(), String> {
    Plan::of(&own_group()?).map(|_| ())
}

fn own_group() -> Result<PathBuf, String> {
    own_folder(&read("/proc/self/cgroup".as_ref())?, &read("/proc/self/mountinfo".as_ref())?)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What has to be done to a group before others can be made below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Nothing.
    Ready,
    /// Its controllers must be passed on.
    PassOn,
    /// This process must leave it before.
    MakeRoom,
}

impl Plan {
    fn of(folder: &Path) -> Result<Self, String> {
        enough(&read(&folder.join("cgroup.controllers"))?)?;
        is_delegated(folder)?;
        if enough(&read(&folder.join("cgroup.subtree_control"))?).is_ok() {
            return Ok(Self::Ready);
        }
        // The machine's own root is the only one that may have both processes and bounds on others.
        if !folder.join("cgroup.type").exists() {
            return Ok(Self::PassOn);
        }
        let own = std::process::id().to_string();
        if read(&folder.join("cgroup.procs"))?.lines().any(|member| member != own) {
            return Err("other processes share the server's control group; start it in one of its own \
                        (`systemd-run -p Delegate=yes`)"
                .into());
        }
        Ok(Self::MakeRoom)
    }
}

/// Whether the maker of a group still runs.
fn is_alive(maker: &Maker) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", maker.os_pid));
    stat.is_ok_and(|stat| Maker::from_stat(maker.os_pid, &stat).as_ref() == Some(maker))
}

/// See the module.
#[derive(Debug)]
pub struct ControlGroups {
    folder: PathBuf,
    maker: Maker,
    next: AtomicU64,
    /// Those that could not be taken away yet, since somebody lives in them.
    left: Mutex<Vec<PathBuf>>,
}

/// What all processes of a tree may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeLimits {
    /// Memory, swapped or not.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at one time.
    pub processes: Option<u64>,
}

impl TreeLimits {
    /// What is written to which file. Where the kernel does not count swap, the second is missing.
    fn lines(self) -> Vec<(&'static str, String)> {
        let memory = self.memory_bytes.map(|bytes| ("memory.max", bytes.to_string()));
        let swap = self.memory_bytes.map(|_| ("memory.swap.max", "0".to_owned()));
        let processes = self.processes.map(|count| ("pids.max", count.to_string()));
        [memory, swap, processes].into_iter().flatten().collect()
    }
}

impl ControlGroups {
    fn claim(folder: PathBuf, maker: Maker, is_alive: impl Fn(&Maker) -> bool) -> Result<Self, String> {
        let plan = Plan::of(&folder)?;
        if plan == Plan::MakeRoom {
            make_room(&folder)
                .map_err(|error| format!("the server can't move within its control group: {error}"))?;
        }
        if plan != Plan::Ready {
            let wanted = place::CONTROLLERS.map(|name| format!("+{name}")).join(" ");
            write(&folder.join("cgroup.subtree_control"), &wanted)
                .map_err(|error| format!("the server's control group can't pass controllers on: {error}"))?;
        }
        sweep(&folder, PATIENCE, is_alive);
        Ok(Self { folder, maker, next: AtomicU64::new(1), left: Mutex::default() })
    }

    /// A group with these bounds, for one tree.
    ///
    /// # Errors
    /// When the system refuses a group or a bound, such as for there being too many.
    pub fn make(&'static self, limits: TreeLimits) -> io::Result<Group> {
        self.tidy();
        let folder = self.folder.join(self.maker.name(self.next.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder)?;
        let group = |procs| Group(Arc::new(Inner { folder: folder.clone(), procs, groups: self }));
        let made = set(&folder, limits)
            .and_then(|()| OpenOptions::new().write(true).open(folder.join("cgroup.procs")));
        made.map(group).inspect_err(|_| self.let_go(&folder))
    }

    /// Takes away a group, now or when everybody in it is gone.
    fn let_go(&self, folder: &Path) {
        if remove(folder).is_err() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
        }
    }

    fn tidy(&self) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).retain(|folder| remove(folder).is_err());
    }
}

/// Whether this process may divide its group. What is an ordinary user's was given to him; root may everything, and so must
/// be told that nobody else (systemd, as a rule) keeps it.
fn is_delegated(folder: &Path) -> Result<(), String> {
    const DELEGATE: &str =
        "have one delegated to it (systemd: `Delegate=yes`; by hand: `systemd-run -p Delegate=yes`)";
    for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
        if accessat(CWD, folder.join(name), Access::WRITE_OK, AtFlags::EACCESS).is_err() {
            return Err(format!("the server may not divide its control group; {DELEGATE}"));
        }
    }
    let is_told = || {
        ["trusted.delegate", "user.delegate"].into_iter().any(|name| {
            let mut value = [0_u8; 4];
            rustix::fs::getxattr(folder, name, &mut value)
                .is_ok_and(|length| value.get(..length) == Some(b"1"))
        })
    };
    // The topmost that is to be seen: the machine's, or a container's.
    let is_topmost = || !folder.parent().is_some_and(|parent| parent.join("cgroup.controllers").exists());
    if !rustix::process::geteuid().is_root() || is_topmost() || is_told() {
        return Ok(());
    }
    Err(format!("nobody has delegated its control group to the server; {DELEGATE}"))
}

/// Moves this process to a group below.
fn make_room(folder: &Path) -> io::Result<()> {
    let server = folder.join(SERVER);
    match fs::create_dir(&server) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    write(&server.join("cgroup.procs"), "0")
}

/// Takes away the groups of those who are dead, with who lives in them.
fn sweep(folder: &Path, patience: Duration, is_alive: impl Fn(&Maker) -> bool) {
    let until = Instant::now() + patience;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let maker = entry.file_name().to_str().and_then(Maker::of);
        if maker.is_some_and(|maker| !is_alive(&maker)) {
            kill(&entry.path());
            await_empty(&entry.path(), until);
            // Where somebody hangs in the kernel, the next server tries again.
            let _ = remove(&entry.path());
        }
    }
}

fn set(folder: &Path, limits: TreeLimits) -> io::Result<()> {
    for (name, value) in limits.lines() {
        match write(&folder.join(name), &value) {
            Err(error) if name == "memory.swap.max" && error.kind() == io::ErrorKind::NotFound => {}
            written => written?,
        }
    }
    Ok(())
}

/// Kills everybody in a group.
fn kill(folder: &Path) {
    // Linux 5.14. Before, one after the other, as often as somebody new may have come.
    if write(&folder.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for _ in 0..16 {
        let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let members: Vec<_> = members
            .lines()
            .filter_map(|member| rustix::process::Pid::from_raw(member.parse().ok()?))
            .collect();
        if members.is_empty() {
            return;
        }
        for member in members {
            let _ = rustix::process::kill_process(member, rustix::process::Signal::KILL);
        }
    }
}

/// Waits until nobody lives in a group any more, or until then.
fn await_empty(folder: &Path, until: Instant) {
    let Ok(events) = File::open(folder.join("cgroup.events")) else { return };
    while fs::read_to_string(folder.join("cgroup.events")).is_ok_and(|text| text.contains("populated 1")) {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        // Opened before it was read, so a change in between is not missed.
        if !matches!(poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&left)), Ok(1..)) {
            return;
        }
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// In one piece: these files take a value by one call.
fn write(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// The group of one tree. Goes when nobody needs it, and nobody lives in it.
#[derive(Debug, Clone)]
pub struct Group(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    procs: File,
    groups: &'static ControlGroups,
}

impl Group {
    /// Whoever writes `0` to this is a member from then on.
    pub(super) fn door(&self) -> RawFd {
        self.0.procs.as_raw_fd()
    }

    /// Takes it away if nobody lives in it; otherwise it goes when it is dropped, or later.
    pub(super) fn let_go(&self) {
        let _ = remove(&self.0.folder);
    }

    /// Kills all members.
    pub(super) fn kill(&self) {
        kill(&self.0.folder);
    }
}

/// Two are the same if they are one.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Group {}

impl Drop for Inner {
    fn drop(&mut self) {
        self.groups.let_go(&self.folder);
    }
}
