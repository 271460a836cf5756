//! Starts of `[shell, "-lc", command]` that need not read the login files each time.
//!
//! A client may say that such starts belong to a scope (`process/start.shellSnapshot`). The first of a scope runs the login
//! shell once and asks it what its files have left (`dialect`: what, and how another shell is told; `capture`: the asking).
//! From then on a shell reads that, as a file that it finds open, instead of the files. Where that can't be had, the start
//! is made as it was asked for: a snapshot saves time and nothing else.

mod capture;
mod dialect;
mod wanted;

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::SetOnce;

use self::capture::capture;
use self::dialect::Dialect;
use self::wanted::Key;
pub(super) use self::wanted::{Wanted, wanted};
use super::handle::Crew;
use super::host::ProcessHost;
use super::start::Confinement;
use crate::env::Environment;
use crate::os;

/// What login files have left.
#[derive(Debug)]
struct Snapshot {
    dialect: Dialect,
    /// What a shell reads in their place.
    file: os::Carried,
    /// Whether a command may have to be read with aliases of theirs.
    has_aliases: bool,
    /// Variables that they have set, or set differently.
    set: Environment,
    /// Variables that they have taken away.
    unset: BTreeSet<OsString>,
}

impl Snapshot {
    /// Has `command` begin where the login files have left off. Variables that somebody asked for by name are `explicit`
    /// and win, as they do with the reference.
    fn restore(&self, command: &mut os::Command, explicit: &BTreeSet<OsString>) {
        let mut env: Environment = command.env.drain(..).collect();
        env.retain(|name, _| !self.unset.contains(name) || explicit.contains(name));
        for (name, value) in &self.set {
            if !explicit.contains(name) {
                env.insert(name.clone(), value.clone());
            }
        }
        self.dialect.restore(&mut command.argv, &mut env, self.has_aliases);
        command.env = env.into_iter().collect();
        command.carried = Some(self.file.clone());
    }
}

/// A snapshot that is being taken, or was; nothing in it means that it could not be.
type Slot = Arc<SetOnce<Option<Arc<Snapshot>>>>;

/// The snapshots of one session.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// The one that was not needed for longest first.
    kept: Mutex<VecDeque<(Key, Slot)>>,
}

impl Snapshots {
    /// Has `command` made from a snapshot, which may have to be taken first. It stays as it is where there is none.
    pub(super) async fn restore(
        &self,
        host: &Arc<ProcessHost>,
        crew: &Crew,
        wanted: Wanted,
        command: &mut os::Command,
        confinement: Option<&Confinement>,
    ) {
        let Some((slot, is_new)) = self.slot(&wanted.key, host.limits.shell.snapshots_per_session) else {
            return;
        };
        if is_new {
            let taking = capture(
                Arc::clone(host),
                wanted.dialect(),
                command.clone(),
                confinement.map(Confinement::closed),
            );
            let (ended, set) = (crew.ended.clone(), Arc::clone(&slot));
            let (scope, shell) = (wanted.key.scope.clone(), wanted.key.shell.clone());
            // Goes on whoever stops waiting: the next start finds what came of it.
            let taken = crew.tasks.spawn(taking.run(ended));
            crew.tasks.spawn(async move {
                let snapshot = match taken.await {
                    Ok(Ok(snapshot)) => Some(Arc::new(snapshot)),
                    Ok(Err(why)) => {
                        tracing::warn!(%scope, %shell, %why, "no shell snapshot; login files are read at each start");
                        None
                    }
                    Err(panic) => {
                        tracing::error!(%scope, %shell, %panic, "taking a shell snapshot failed");
                        None
                    }
                };
                // Only this sets it.
                let _ = set.set(snapshot);
            });
        }
        if let Some(snapshot) = slot.wait().await {
            snapshot.restore(command, &wanted.explicit);
        }
    }

    /// The place of a snapshot, and whether it is for the caller to have it filled. `None` if none may be kept.
    fn slot(&self, key: &Key, limit: usize) -> Option<(Slot, bool)> {
        // Every change under this lock leaves a list in order.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(known, _)| known == key) {
            let found = kept.remove(at)?;
            let slot = Arc::clone(&found.1);
            kept.push_back(found);
            return Some((slot, false));
        }
        if limit == 0 {
            return None;
        }
        while kept.len() >= limit {
            kept.pop_front();
        }
        let slot = Slot::default();
        kept.push_back((key.clone(), Arc::clone(&slot)));
        Some((slot, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: &str) -> Key {
        Key::example(scope)
    }

    #[test]
    fn the_snapshot_that_was_not_needed_for_longest_makes_room() {
        let snapshots = Snapshots::default();
        let is_new = |scope: &str| snapshots.slot(&key(scope), /*limit*/ 2).map(|(_, is_new)| is_new);
        let asked = ["a", "b", "a", "c", "a", "b"].map(is_new);
        assert_eq!(asked, [true, true, false, true, false, true].map(Some));
    }

    #[test]
    fn where_none_may_be_kept_none_is_taken() {
        assert!(Snapshots::default().slot(&key("a"), /*limit*/ 0).is_none());
    }
}
