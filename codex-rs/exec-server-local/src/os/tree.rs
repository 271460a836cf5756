//! Ending a whole tree of processes.
//!
//! Owns who belongs to a tree and the order of the work: everything is stopped first and killed only when a look at all processes
//! finds nobody new. What is stopped cannot fork, so a tree that multiplies is caught up with instead of
//! being chased. Leaves graceful signals and time limits to the caller.
//!
//! A process is a member if it carries the tree's [`Mark`](super::Mark), is the child of a member, or is in the session of a member. The
//! root made a session of its own, so nobody in a member's session can be from outside.
//!
//! Numbers of processes are used again, so none is signalled by number. For each candidate a pidfd is opened first, then the evidence
//! is read (again), and then the pidfd must still name an unreaped process: only then was the evidence about that one. Where the
//! evidence is kinship, the same is asked of the relative.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open};

use super::child::Child;
use super::proc_table::{ProcTable, Stat};
use super::sys;

/// Members that are held by a pidfd at a time, at most. Larger trees are stopped and killed as a whole all the same, only their
/// deaths are waited for in portions of this size, so that one tree cannot use up the server's descriptors.
const HOLD_LIMIT: usize = 512;

/// Looks that are repeated at most because somebody's process ended while being looked at. On a busy machine
/// that may happen in every look, and has most likely nothing to do with the tree.
const BLURRED_LOOKS: usize = 16;

/// How the killing ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillReport {
    /// Processes that were alive and are dead.
    pub killed: usize,
    /// Processes that were still alive at the deadline, or that have become another user's. Ascending. If descendants were being
    /// born and dying faster than they could be caught, one that was seen last stands for all of them.
    pub survivors: Vec<i32>,
}

/// Kills `root` and all its descendants, and returns when they are dead or at `deadline`.
///
/// It works the same after `root` itself has ended, also when it was reaped. Descendants may still be zombies on
/// return; they run no code and hold no descriptor. Blocks the calling thread: usually a few milliseconds,
/// and up to the deadline if a process hangs in the kernel.
///
/// The server itself is never signalled, nor a process that is not proven to belong to the tree.
///
/// # Errors
/// When `/proc` cannot be read or no descriptor can be had. The root's process group has been killed even then.
pub fn kill_tree(root: &Child, deadline: Instant) -> io::Result<KillReport> {
    let result = Hunt::new(root, deadline).and_then(Hunt::run);
    if result.is_err() {
        root.signal_group(Signal::KILL)?;
    }
    result
}

struct Hunt<'a> {
    root: &'a Child,
    deadline: Instant,
    table: ProcTable,
    own_pid: i32,
    own_session: i32,
    /// Everybody found and stopped since the last killing.
    members: HashMap<i32, Member>,
    /// Sessions of members, each with the number of a member as its witness.
    sessions: HashMap<i32, i32>,
    /// Proven to descend from elsewhere. Remembered so that only the first look reads everybody's `stat`; the mark, which is cheap
    /// to read, is asked for every time.
    outsiders: HashSet<i32>,
    /// Members that are dead but not reaped, as far as known.
    dead: HashSet<i32>,
    /// How many members have a pidfd, and how many may.
    held: usize,
    hold_limit: usize,
    /// A set, as a member that is not held may be seen once more while it is dying.
    killed: HashSet<i32>,
}

struct Member {
    evidence: Evidence,
    session: i32,
    /// `None` beyond the limit: such a member is looked up again by its evidence.
    pidfd: Option<OwnedFd>,
    /// Whether a signal was refused, because the process has become another user's.
    out_of_reach: bool,
}

/// Why a process is taken for a member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    Root,
    Mark,
    ChildOf(i32),
    InSessionOf { witness: i32, session: i32 },
}

/// What one look at all processes has shown.
#[derive(Default)]
struct Look {
    /// Members that were found and stopped.
    stopped: usize,
    /// A member that ended by itself between being listed and being stopped. It may have left a child behind that was not
    /// there yet when the list was made, so nothing is settled.
    escaped: Option<i32>,
    /// Whether a process was gone or changed before it could be examined. It may have been a member, or anybody's.
    blurred: bool,
}

/// Whether evidence stands.
enum Proof {
    /// Of the process that this pidfd names.
    Holds(OwnedFd),
    Fails,
    /// There is no such process any more.
    Gone,
}

/// What came of trying to stop one member.
enum Admission {
    Stopped,
    /// It was dead before, and is known to be.
    Dead,
    /// It has died since it was listed.
    Escaped,
    /// It is there, but the evidence no longer stands, or cannot be checked any more.
    Unproven,
}

impl<'a> Hunt<'a> {
    fn new(root: &'a Child, deadline: Instant) -> io::Result<Self> {
        let dead = if is_dead(root.as_fd())? { HashSet::from([root.os_pid()]) } else { HashSet::new() };
        Ok(Self {
            root,
            deadline,
            table: ProcTable::open()?,
            own_pid: getpid().as_raw_nonzero().get(),
            own_session: sys::session_of(0).unwrap_or(0),
            members: HashMap::new(),
            sessions: HashMap::new(),
            outsiders: HashSet::new(),
            dead,
            held: 0,
            hold_limit: HOLD_LIMIT,
            killed: HashSet::new(),
        })
    }

    fn run(mut self) -> io::Result<KillReport> {
        // One call stops most trees as a whole: the kernel signals a group at once, and a `fork` that
        // is under way is either seen by it or starts over.
        match self.root.signal_group(Signal::STOP) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
            Err(error) => return Err(error),
        }
        let mut blurred_looks = 0;
        loop {
            // A member may have been in the middle of a `fork` when it was stopped. So a look that finds
            // nobody new ends the stopping, but only one that finds nobody at all ends the work.
            let mut look = self.look()?;
            while look.stopped > 0 && !self.is_overdue() {
                look = self.look()?;
            }
            if self.members.values().all(|member| member.out_of_reach) {
                blurred_looks += usize::from(look.blurred);
                let is_settled = look.escaped.is_none() && (!look.blurred || blurred_looks > BLURRED_LOOKS);
                if is_settled || self.is_overdue() {
                    return self.report(look.escaped);
                }
            } else {
                self.kill_members()?;
                if !self.await_deaths()? {
                    return self.report(look.escaped);
                }
                self.forget_killed();
            }
        }
    }

    fn is_overdue(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Forgets everybody but those that cannot be killed, who may still be somebody's evidence.
    fn forget_killed(&mut self) {
        self.members.retain(|_, member| member.out_of_reach);
        self.held = self.members.values().filter(|member| member.pidfd.is_some()).count();
        self.sessions = self.members.iter().map(|(pid, member)| (member.session, *pid)).collect();
        self.sessions.remove(&0);
    }

    fn report(mut self, escaped: Option<i32>) -> io::Result<KillReport> {
        let mut survivors: Vec<i32> = escaped.into_iter().collect();
        for (pid, member) in self.members {
            let dead = match &member.pidfd {
                Some(pidfd) => is_dead(pidfd.as_fd())?,
                None => self.table.stat(pid).is_none_or(|stat| stat.state == b'Z'),
            };
            if !dead {
                survivors.push(pid);
                self.killed.remove(&pid);
            } else if !member.out_of_reach {
                self.killed.insert(pid);
            }
        }
        survivors.sort_unstable();
        survivors.dedup();
        Ok(KillReport { killed: self.killed.len(), survivors })
    }

    /// Looks at all processes once and stops the members that are not stopped yet.
    fn look(&mut self) -> io::Result<Look> {
        let mut look = Look::default();
        let root_pid = self.root.os_pid();
        if !self.members.contains_key(&root_pid) {
            self.admit(root_pid, Evidence::Root, &mut look)?;
        }
        // A dead root that is not reaped holds its number and with it its session's.
        if is_unreaped(self.root.as_fd()) {
            self.sessions.entry(root_pid).or_insert(root_pid);
        }

        let mut unmarked: Vec<(i32, Stat)> = Vec::new();
        // The youngest first: a process that forks and exits over and over has the highest numbers, and
        // must be stopped before its next step.
        for pid in self.table.pids()?.into_iter().rev() {
            if pid == self.own_pid || self.members.contains_key(&pid) {
                continue;
            }
            match self.table.brand_limits(pid) {
                Some(limits) if self.root.mark().is_on(limits) => {
                    self.admit(pid, Evidence::Mark, &mut look)?
                }
                Some(_) if self.outsiders.contains(&pid) => {}
                // The session of a kernel thread, and the server's own. No member can be in either, and
                // asking for it is much cheaper than reading `stat`.
                Some(_) if matches!(sys::session_of(pid), Some(session) if session == 0 || session == self.own_session) =>
                {
                    self.outsiders.insert(pid);
                }
                Some(_) => match self.table.stat(pid) {
                    Some(stat) => unmarked.push((pid, stat)),
                    None => look.blurred = true,
                },
                None => look.blurred = true,
            }
        }
        self.stop_kin(&mut unmarked, &mut look)?;
        self.remember_outsiders(&unmarked);
        Ok(look)
    }

    /// Of processes without the mark, stops those that are kin of members, and kin of these, and so on. The rest stays
    /// in `unmarked`.
    fn stop_kin(&mut self, unmarked: &mut Vec<(i32, Stat)>, look: &mut Look) -> io::Result<()> {
        loop {
            let before = look.stopped;
            let mut rest = Vec::with_capacity(unmarked.len());
            for (pid, stat) in unmarked.drain(..) {
                let evidence = if self.members.contains_key(&stat.parent) || self.is_root(stat.parent) {
                    Evidence::ChildOf(stat.parent)
                } else if let Some(&witness) = self.sessions.get(&stat.session) {
                    Evidence::InSessionOf { witness, session: stat.session }
                } else {
                    rest.push((pid, stat));
                    continue;
                };
                self.admit(pid, evidence, look)?;
            }
            *unmarked = rest;
            if look.stopped == before {
                return Ok(());
            }
        }
    }

    /// A process is proven to be from outside when the line of its ancestors, all of them still alive, leads to init, the kernel
    /// or the server without meeting a member.
    fn remember_outsiders(&mut self, unmarked: &[(i32, Stat)]) {
        let mut known = usize::MAX;
        while known != self.outsiders.len() {
            known = self.outsiders.len();
            for (pid, stat) in unmarked {
                if stat.parent <= 1 || stat.parent == self.own_pid || self.outsiders.contains(&stat.parent) {
                    self.outsiders.insert(*pid);
                }
            }
        }
    }

    /// Stops `pid` and enters it as a member, if it is alive and the evidence stands, and notes in `look` what came of it.
    fn admit(&mut self, pid: i32, evidence: Evidence, look: &mut Look) -> io::Result<()> {
        match self.stop(pid, evidence)? {
            Admission::Stopped => look.stopped += 1,
            Admission::Dead => {}
            Admission::Escaped => look.escaped = Some(pid),
            Admission::Unproven => look.blurred = true,
        }
        Ok(())
    }

    fn stop(&mut self, pid: i32, evidence: Evidence) -> io::Result<Admission> {
        let pidfd = match self.prove(pid, evidence)? {
            Proof::Holds(pidfd) => pidfd,
            Proof::Fails => return Ok(Admission::Unproven),
            Proof::Gone => return Ok(Admission::Escaped),
        };
        if is_dead(pidfd.as_fd())? {
            // At the first sight of a dead member, it may have died after the list was made, leaving a child that is not on it.
            return Ok(if self.dead.insert(pid) { Admission::Escaped } else { Admission::Dead });
        }
        let out_of_reach = match sys::signal_process(pidfd.as_fd(), Some(Signal::STOP)) {
            Ok(true) => false,
            Ok(false) => return Ok(Admission::Escaped),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => true,
            Err(error) => return Err(error),
        };
        // A number that was that of a dead member has been used again.
        self.dead.remove(&pid);
        let session = sys::session_of(pid).filter(|session| *session != self.own_session).unwrap_or(0);
        let pidfd = (self.held < self.hold_limit).then_some(pidfd);
        if pidfd.is_some() {
            self.held += 1;
            if session != 0 {
                self.sessions.entry(session).or_insert(pid);
            }
        }
        self.members.insert(pid, Member { evidence, session, pidfd, out_of_reach });
        Ok(Admission::Stopped)
    }

    /// Checks that the evidence is true of the very process that a pidfd names.
    fn prove(&mut self, pid: i32, evidence: Evidence) -> io::Result<Proof> {
        if evidence == Evidence::Root {
            return self.root.as_fd().try_clone_to_owned().map(Proof::Holds);
        }
        let Some(pidfd) = self.open(pid)? else {
            return Ok(Proof::Gone);
        };
        let holds = match evidence {
            Evidence::Root => true,
            Evidence::Mark => {
                self.table.brand_limits(pid).is_some_and(|limits| self.root.mark().is_on(limits))
            }
            Evidence::ChildOf(parent) => {
                self.table.stat(pid).is_some_and(|stat| stat.parent == parent) && self.still_names(parent)
            }
            Evidence::InSessionOf { witness, session } => {
                // A process leaves its session only for one of its own, so a witness that is still there is still in it unless
                // it says otherwise.
                self.table.stat(pid).is_some_and(|stat| stat.session == session)
                    && (sys::session_of(witness) == Some(session) || self.is_root(witness))
                    && self.still_names(witness)
            }
        };
        Ok(if !is_unreaped(pidfd.as_fd()) {
            Proof::Gone
        } else if holds {
            Proof::Holds(pidfd)
        } else {
            Proof::Fails
        })
    }

    /// Whether the number still names the member or root that it named when that was proven.
    fn still_names(&self, relative: i32) -> bool {
        let pidfd = if self.is_root(relative) {
            Some(self.root.as_fd())
        } else {
            self.members.get(&relative).and_then(|member| member.pidfd.as_ref()).map(|pidfd| pidfd.as_fd())
        };
        pidfd.is_some_and(is_unreaped)
    }

    fn is_root(&self, pid: i32) -> bool {
        pid == self.root.os_pid()
    }

    /// `None` when the process is gone. Out of descriptors, it lets go of those held, will hold fewer, and tries once more.
    fn open(&mut self, pid: i32) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(pid) else {
            return Ok(None);
        };
        let answer = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::MFILE | Errno::NFILE) if self.held > 1 => {
                self.hold_limit = self.held / 2;
                self.held = 0;
                self.members.values_mut().for_each(|member| member.pidfd = None);
                self.sessions.clear();
                pidfd_open(pid, PidfdFlags::empty())
            }
            answer => answer,
        };
        match answer {
            Ok(pidfd) => Ok(Some(pidfd)),
            // `EINVAL`: the number is that of a thread by now.
            Err(Errno::SRCH | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn kill_members(&mut self) -> io::Result<()> {
        let mut unheld = Vec::new();
        for (pid, member) in &mut self.members {
            match &member.pidfd {
                Some(pidfd) => member.out_of_reach = !kill(pidfd.as_fd())?,
                None => unheld.push((*pid, member.evidence)),
            }
        }
        for (pid, evidence) in unheld {
            if let Proof::Holds(pidfd) = self.prove(pid, evidence)?
                && kill(pidfd.as_fd())?
            {
                self.killed.insert(pid);
            }
        }
        Ok(())
    }

    /// Waits for those that were killed and forgets them one by one. `false` when the deadline came first.
    fn await_deaths(&mut self) -> io::Result<bool> {
        loop {
            let awaited: Vec<(i32, BorrowedFd<'_>)> = self
                .members
                .iter()
                .filter(|(_, member)| !member.out_of_reach)
                .filter_map(|(pid, member)| member.pidfd.as_ref().map(|pidfd| (*pid, pidfd.as_fd())))
                .collect();
            if awaited.is_empty() {
                return Ok(Instant::now() < self.deadline || self.members.is_empty());
            }
            let mut polled: Vec<_> =
                awaited.iter().map(|(_, pidfd)| PollFd::from_borrowed_fd(*pidfd, PollFlags::IN)).collect();
            let left = self.deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let dead: Vec<i32> = awaited
                .iter()
                .zip(&polled)
                .filter(|(_, polled)| !polled.revents().is_empty())
                .map(|((pid, _), _)| *pid)
                .collect();
            self.held -= dead.len();
            for pid in dead {
                self.members.remove(&pid);
                self.dead.insert(pid);
                self.killed.insert(pid);
            }
        }
    }
}

/// `false` when the process has become another user's.
fn kill(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    match sys::signal_process(pidfd, Some(Signal::KILL)) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the process still has its number: it is alive or a zombie.
fn is_unreaped(pidfd: BorrowedFd<'_>) -> bool {
    // A refusal comes from somebody who is there.
    sys::signal_process(pidfd, None).unwrap_or(true)
}

/// Whether the process and all its threads have ended.
fn is_dead(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)))? > 0)
}
