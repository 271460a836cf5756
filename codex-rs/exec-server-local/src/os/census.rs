//! Who belongs to a tree of processes.
//!
//! Owns finding members among all processes of the machine, proving each, and stopping it. Leaves killing to
//! `tree`.
//!
//! A process is a member if it carries the tree's [`Mark`](super::Mark), is the child of a member, or is in
//! the session of a member. The root made a session of its own, so nobody in a member's session can be from
//! outside.
//!
//! Numbers of processes are used again, so none is signalled by number. For each candidate a pidfd is opened
//! first, then the evidence is read (again), and then the pidfd must still name an unreaped process: only
//! then was the evidence about that one. Where the evidence is kinship, the same is asked of the relative.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open};

use super::child::Child;
use super::mark;
use super::proc_table::{ProcTable, Stat};
use super::sys;

/// Members that are held by a pidfd at a time, at most. Larger trees are stopped and killed as a whole all
/// the same, only their deaths are waited for in portions of this size, so that one tree cannot use up the
/// server's descriptors.
const HOLD_LIMIT: usize = 512;

/// What is known of all processes, seen from one tree.
pub(super) struct Census<'a> {
    root: &'a Child,
    table: ProcTable,
    own_pid: i32,
    own_session: i32,
    /// Everybody found and stopped since the last killing.
    pub(super) members: HashMap<i32, Member>,
    /// Sessions of members, each with the number of a member as its witness.
    sessions: HashMap<i32, i32>,
    /// Proven to descend from elsewhere. Remembered so that only the first look reads everybody's `stat`; the
    /// mark, which is cheap to read, is asked for every time.
    outsiders: HashSet<i32>,
    /// Members that are dead but not reaped, as far as known.
    dead: HashSet<i32>,
    /// How many members have a pidfd, and how many may.
    held: usize,
    hold_limit: usize,
}

/// A process of the tree, stopped.
pub(super) struct Member {
    pub(super) evidence: Evidence,
    /// `None` beyond the limit: such a member is looked up again by its evidence.
    pub(super) pidfd: Option<OwnedFd>,
    /// Whether a signal was refused, because the process has become another user's.
    pub(super) out_of_reach: bool,
    session: i32,
}

/// Why a process is taken for a member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    Root,
    Mark,
    ChildOf(i32),
    InSessionOf { witness: i32, session: i32 },
}

/// What one look at all processes has shown.
#[derive(Default)]
pub(super) struct Look {
    /// Members that were found and stopped.
    pub(super) stopped: usize,
    /// A member that ended by itself between being listed and being stopped. It may have left a child behind
    /// that was not there yet when the list was made, so nothing is settled.
    pub(super) escaped: Option<i32>,
    /// Whether a process was gone or changed before it could be examined. It may have been a member, or
    /// anybody's.
    pub(super) blurred: bool,
}

/// Whether evidence stands.
pub(super) enum Proof {
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

impl<'a> Census<'a> {
    pub(super) fn new(root: &'a Child) -> io::Result<Self> {
        let dead = if is_dead(root.as_fd())? { HashSet::from([root.os_pid()]) } else { HashSet::new() };
        Ok(Self {
            root,
            table: ProcTable::open()?,
            own_pid: getpid().as_raw_nonzero().get(),
            own_session: sys::session_of(/*os_pid*/ 0).unwrap_or(0),
            members: HashMap::new(),
            sessions: HashMap::new(),
            outsiders: HashSet::new(),
            dead,
            held: 0,
            hold_limit: HOLD_LIMIT,
        })
    }

    /// Looks at all processes once and stops the members that are not stopped yet.
    pub(super) fn look(&mut self) -> io::Result<Look> {
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
            match self.is_marked(pid) {
                Some(true) => self.admit(pid, Evidence::Mark, &mut look)?,
                Some(false) if self.outsiders.contains(&pid) => {}
                Some(false) if self.is_in_a_foreign_session(pid) => {
                    self.outsiders.insert(pid);
                }
                Some(false) => match self.table.stat(pid) {
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

    /// Of processes without the mark, stops those that are kin of members, and kin of these, and so on. The
    /// rest stays in `unmarked`.
    fn stop_kin(&mut self, unmarked: &mut Vec<(i32, Stat)>, look: &mut Look) -> io::Result<()> {
        loop {
            let before = look.stopped;
            let mut rest = Vec::with_capacity(unmarked.len());
            for (pid, stat) in unmarked.drain(..) {
                let evidence = if self.members.contains_key(&stat.parent) {
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

    /// A process is proven to be from outside when the line of its ancestors, all of them still alive, leads
    /// to init, the kernel or the server without meeting a member.
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

    /// `None` when there is no such process any more.
    fn is_marked(&self, pid: i32) -> Option<bool> {
        match sys::limits_of(pid, mark::RESOURCE) {
            Ok(limits) => Some(self.root.mark().is_on(limits)),
            // Another user's process, such as a set-uid program. The text form is readable for all, but slow.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                if self.outsiders.contains(&pid) || self.is_in_a_foreign_session(pid) {
                    return Some(false);
                }
                self.table.brand_limits_text(pid).map(|limits| self.root.mark().is_on(limits))
            }
            Err(_) => None,
        }
    }

    /// Whether it is a kernel thread, whose session is 0, or in the server's own session. No member
    /// can be in either, and asking is much cheaper than reading `stat`.
    fn is_in_a_foreign_session(&self, pid: i32) -> bool {
        sys::session_of(pid).is_some_and(|session| session == 0 || session == self.own_session)
    }

    /// Stops `pid` and enters it as a member, if it is alive and the evidence stands, and notes in `look`
    /// what came of it.
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
            // At the first sight of a dead member, it may have died after the list was made, leaving a child
            // that is not on it.
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
        self.members.insert(pid, Member { evidence, pidfd, out_of_reach, session });
        Ok(Admission::Stopped)
    }

    /// Checks that the evidence is true of the very process that a pidfd names.
    pub(super) fn prove(&mut self, pid: i32, evidence: Evidence) -> io::Result<Proof> {
        if evidence == Evidence::Root {
            return self.root.as_fd().try_clone_to_owned().map(Proof::Holds);
        }
        let Some(pidfd) = self.open(pid)? else {
            return Ok(Proof::Gone);
        };
        let holds = match evidence {
            Evidence::Root => true,
            Evidence::Mark => self.is_marked(pid) == Some(true),
            Evidence::ChildOf(parent) => {
                self.table.stat(pid).is_some_and(|stat| stat.parent == parent) && self.still_names(parent)
            }
            Evidence::InSessionOf { witness, session } => {
                // The witness may have left for a session of its own since; a root that leads a session
                // cannot.
                self.table.stat(pid).is_some_and(|stat| stat.session == session)
                    && (self.is_root(witness) || sys::session_of(witness) == Some(session))
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

    /// `None` when the process is gone. Out of descriptors, it lets go of those held, will hold fewer, and
    /// tries once more.
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

    /// A member that was waited for has died.
    pub(super) fn note_death(&mut self, pid: i32) {
        if self.members.remove(&pid).is_some_and(|member| member.pidfd.is_some()) {
            self.held -= 1;
        }
        self.dead.insert(pid);
    }

    /// Forgets everybody but those that cannot be killed, who may still be somebody's evidence.
    pub(super) fn forget_reachable(&mut self) {
        self.members.retain(|_, member| member.out_of_reach);
        self.held = self.members.values().filter(|member| member.pidfd.is_some()).count();
        self.sessions = self.members.iter().map(|(pid, member)| (member.session, *pid)).collect();
        self.sessions.remove(&0);
    }

    /// Whether a member still runs code.
    pub(super) fn runs(&self, pid: i32, member: &Member) -> io::Result<bool> {
        match &member.pidfd {
            Some(pidfd) => is_dead(pidfd.as_fd()).map(|dead| !dead),
            None => Ok(self.table.stat(pid).is_some_and(|stat| stat.state != b'Z')),
        }
    }
}

/// Whether the process still has its number: it is alive or a zombie.
fn is_unreaped(pidfd: BorrowedFd<'_>) -> bool {
    // A refusal comes from somebody who is there.
    sys::signal_process(pidfd, /*signal*/ None).unwrap_or(true)
}

/// Whether the process and all its threads have ended.
fn is_dead(pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)))? > 0)
}
