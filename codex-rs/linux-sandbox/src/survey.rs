//! From rules about paths to a view of this machine's files.
//!
//! Owns looking at the machine: links, what exists, what has several names. What it finds is checked once more by the
//! launcher before it is used. A rule that can't be kept is an error, never left out.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::expand::{ExpandError, Expansion};
use crate::intent::{Files, Policy};
use crate::job::Fence;
use crate::locate::{Found, Located, git_dir, locate};
use crate::placeholder::{ATTEMPTS, Made, Placeholder, Shared};
use crate::rules::{Access, Origin, Rule, Rules};
use crate::view::{Base, Identity, Step, View};

/// Why rules can't be kept on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// A rule's path leads over a link that the process could point elsewhere.
    #[error("the sandbox entry {} crosses a writable symlink at {}; name what it leads to", entry.display(), link.display())]
    WritableLink {
        /// The rule's path.
        entry: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// A part of a root leads out of it.
    #[error("the sandbox entry {} is to lie within {}, but a link leads it to {}; name that place itself if it is meant", entry.display(), root.display(), target.display())]
    LeavesRoot {
        /// The rule's path.
        entry: PathBuf,
        /// What it is to lie in.
        root: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// Files to be denied can't be found.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// A path can't be looked at.
    #[error("the sandbox entry {}: {source}", entry.display())]
    Io {
        /// The rule's path.
        entry: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What a survey has found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) view: View,
    pub(crate) fence: Option<Fence>,
    /// The rules by the paths where they really hold.
    pub(crate) rules: Rules,
    /// To be held for as long as the process lives.
    pub(crate) placeholders: Vec<Placeholder>,
    pub(crate) sight: Sight,
}

/// What stood at the places of the rules when they were looked at. A view shows those things and not what has taken their
/// places since.
#[derive(Debug, Default)]
pub(crate) struct Sight(Vec<(PathBuf, Option<(u64, u64)>)>);

impl Sight {
    fn of(places: &[Place]) -> Self {
        // What a glob matched is a snapshot by its nature.
        let asked = places.iter().filter(|place| place.rule.origin != Origin::Glob);
        Self(asked.map(|place| (place.entry.clone(), identity(&place.entry))).collect())
    }

    /// Whether the same still stands there.
    pub(crate) fn is_current(&self) -> bool {
        self.0.iter().all(|(path, seen)| identity(path) == *seen)
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// One rule and where it leads.
struct Place {
    entry: PathBuf,
    rule: Rule,
    located: Located,
}

/// Looks at the machine for `policy`.
///
/// # Errors
/// [`SurveyError`]
pub(crate) fn survey(policy: &Policy) -> Result<Survey, SurveyError> {
    let (rules, globs, glob_depth, within) = match &policy.files {
        Files::All => {
            let view = View { base: Base::Machine { writable: true }, host_devices: true, steps: Vec::new() };
            let mut rules = Rules::default();
            rules.add("/".into(), Access::Write, Origin::Asked);
            let sight = Sight::default();
            return Ok(Survey { view, fence: None, rules, placeholders: Vec::new(), sight });
        }
        Files::Ruled { rules, globs, glob_depth, within } => (rules, globs, *glob_depth, within),
    };
    let mut expansion = Expansion::new();
    for glob in globs {
        expansion.add(glob, glob_depth)?;
    }
    let mut asked = rules.clone();
    for path in std::mem::take(&mut expansion.found) {
        asked.add(path, Access::Deny, Origin::Glob);
    }
    protect_histories(&mut asked);

    let mut places = Vec::new();
    for (entry, rule) in asked.iter() {
        let located = locate(entry).map_err(|source| SurveyError::Io { entry: entry.to_owned(), source })?;
        places.push(Place { entry: entry.to_owned(), rule, located });
    }
    refuse_strays(&places, within)?;
    deny_other_names(&mut places, expansion)?;
    let mut real = Rules::default();
    for place in &places {
        real.add(place.located.path.clone(), place.rule.access, place.rule.origin);
    }
    refuse_writable_links(&places, &real)?;
    let placeholders = hold_missing(&mut places, &mut real)?;
    let (view, fence) = arrange(&places, &real);
    let sight = Sight::of(&places);
    Ok(Survey { view, fence, rules: real, placeholders, sight })
}

/// Whoever may put a link into a project must not open what lies elsewhere by it.
fn refuse_strays(places: &[Place], within: &BTreeMap<PathBuf, PathBuf>) -> Result<(), SurveyError> {
    for place in places.iter().filter(|place| place.rule.access > Access::Deny) {
        let Some(root) = within.get(&place.entry) else { continue };
        let real = locate(root).map_err(|source| SurveyError::Io { entry: root.clone(), source })?;
        if !place.located.path.starts_with(&real.path) {
            return Err(SurveyError::LeavesRoot {
                entry: place.entry.clone(),
                root: root.clone(),
                target: place.located.path.clone(),
            });
        }
    }
    Ok(())
}

/// Where a protected `.git` is a file, what it names is protected as well.
fn protect_histories(rules: &mut Rules) {
    let files: Vec<PathBuf> = rules
        .iter()
        .filter(|(path, rule)| rule.origin == Origin::Protected && path.ends_with(".git"))
        .map(|(path, _)| path.to_owned())
        .collect();
    for history in files.iter().filter_map(|file| git_dir(file)) {
        if let Ok(Located { path, found: Found::Something(_), .. }) = locate(&history)
            && rules.at(&path).is_none()
            && rules.access(&path) == Access::Write
        {
            rules.add(path, Access::Read, Origin::Protected);
        }
    }
}

/// A file with several names is denied by all that the process could find where it may write; elsewhere a name that the
/// rules allow to be read was put there by somebody who may.
fn deny_other_names(places: &mut Vec<Place>, mut expansion: Expansion) -> Result<(), SurveyError> {
    let mut inodes = Vec::new();
    for place in places.iter() {
        if place.rule.access == Access::Deny
            && let Found::Something(Identity { directory: false, device, inode }) = place.located.found
            && std::fs::symlink_metadata(&place.located.path)
                .is_ok_and(|file| file.is_file() && file.nlink() > 1)
        {
            inodes.push((device, inode));
        }
    }
    if inodes.is_empty() {
        return Ok(());
    }
    let roots: Vec<PathBuf> = places
        .iter()
        .filter(|place| place.rule.access == Access::Write)
        .map(|place| place.located.path.clone())
        .collect();
    for root in roots {
        expansion.add_links(&root, &inodes)?;
    }
    for entry in expansion.found {
        let located = locate(&entry).map_err(|source| SurveyError::Io { entry: entry.clone(), source })?;
        places.push(Place { entry, rule: Rule { access: Access::Deny, origin: Origin::Asked }, located });
    }
    Ok(())
}

/// What a glob matches lies, as a rule, where the process may write: there what it leads to now is denied, as a snapshot.
fn refuse_writable_links(places: &[Place], real: &Rules) -> Result<(), SurveyError> {
    for place in places.iter().filter(|place| place.rule.origin != Origin::Glob) {
        for (link, _) in &place.located.links {
            let folder = link.parent().unwrap_or(Path::new("/"));
            if real.access(folder) == Access::Write {
                return Err(SurveyError::WritableLink { entry: place.entry.clone(), link: link.clone() });
            }
        }
    }
    Ok(())
}

/// Puts something where nothing is and nothing may be made.
fn hold_missing(places: &mut [Place], real: &mut Rules) -> Result<Vec<Placeholder>, SurveyError> {
    let mut held = Vec::new();
    for place in places.iter_mut().filter(|place| place.rule.access < Access::Write) {
        let mut looks = 0;
        while hold(place, real, &mut held)? == Held::LookAgain {
            looks += 1;
            if looks == ATTEMPTS {
                let source = io::Error::from_raw_os_error(libc::EBUSY);
                return Err(SurveyError::Io { entry: place.entry.clone(), source });
            }
        }
    }
    Ok(held)
}

/// What came of holding a place.
#[derive(PartialEq, Eq)]
enum Held {
    Settled,
    /// What was there is not there any more.
    LookAgain,
}

fn hold(place: &mut Place, real: &mut Rules, held: &mut Vec<Placeholder>) -> Result<Held, SurveyError> {
    let entry = place.entry.clone();
    let failed = |source| SurveyError::Io { entry: entry.clone(), source };
    let folder = place.rule.origin == Origin::Protected;
    match &place.located.found {
        Found::Nothing { first_missing } => {
            // Where the process can't write it can't make anything either. What others make there later is seen.
            let around = real.access(first_missing.parent().unwrap_or(Path::new("/")));
            if around != Access::Write || place.rule.origin == Origin::AskedIfPresent {
                return Ok(Held::Settled);
            }
            let missing = first_missing.clone();
            match Placeholder::put(&missing, folder).map_err(failed)? {
                Made::Held(placeholder) => held.push(placeholder),
                Made::Occupied => {}
                Made::Impossible => return Ok(Held::Settled),
            }
            // The rule holds for the placeholder, and so for everything that could have come below.
            place.located = locate(&missing).map_err(failed)?;
            if let Found::Nothing { .. } = place.located.found {
                return look_again(place);
            }
            real.add(missing, place.rule.access, place.rule.origin);
        }
        Found::Something(found) => {
            let found = *found;
            match Placeholder::share(&place.located.path, folder).map_err(failed)? {
                Shared::Held(placeholder) => held.push(placeholder),
                Shared::Foreign | Shared::Gone => {}
                // It would be gone before a view is built on it.
                Shared::Leaving => return look_again(place),
            }
            // Before it was held, it may have gone with whoever held it, and others may have put another there.
            let now = locate(&entry).map_err(failed)?;
            let is_same = now.found == Found::Something(found);
            // The rest of a view is arranged by where its rules hold.
            let is_missing = matches!(now.found, Found::Nothing { .. });
            if is_missing || (!is_same && now.path == place.located.path) {
                place.located = now;
                return Ok(Held::LookAgain);
            }
        }
        // The first component that is no folder may be such a file, put there for somebody else.
        Found::OutOfReach => {
            let file = place.located.path.ancestors().find(|path| path.symlink_metadata().is_ok());
            if let Some(file) = file.map(Path::to_owned)
                && real.access(file.parent().unwrap_or(Path::new("/"))) == Access::Write
            {
                match Placeholder::share(&file, /*folder*/ false).map_err(failed)? {
                    Shared::Held(placeholder) => {
                        held.push(placeholder);
                        place.located = locate(&file).map_err(failed)?;
                        real.add(file, place.rule.access, place.rule.origin);
                    }
                    Shared::Foreign | Shared::Gone => {}
                    Shared::Leaving => return look_again(place),
                }
            }
        }
    }
    Ok(Held::Settled)
}

fn look_again(place: &mut Place) -> Result<Held, SurveyError> {
    let failed = |source| SurveyError::Io { entry: place.entry.clone(), source };
    place.located = locate(&place.entry).map_err(failed)?;
    Ok(Held::LookAgain)
}

fn arrange(places: &[Place], real: &Rules) -> (View, Option<Fence>) {
    let base = match real.at(Path::new("/")).map(|rule| rule.access) {
        None | Some(Access::Deny) => Base::Empty,
        Some(access) => Base::Machine { writable: access == Access::Write },
    };
    let mut present: Vec<(&Path, Identity)> = places
        .iter()
        .filter_map(|place| match place.located.found {
            Found::Something(identity) => Some((place.located.path.as_path(), identity)),
            Found::Nothing { .. } | Found::OutOfReach => None,
        })
        .filter(|(path, ..)| *path != Path::new("/"))
        .collect();
    present.sort_by_key(|(path, ..)| *path);
    present.dedup_by_key(|(path, ..)| *path);
    let pins = pins(&present, real);
    present.extend(pins.iter().map(|(path, identity)| (path.as_path(), *identity)));
    present.sort_by_key(|(path, ..)| *path);

    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let mut steps = Vec::new();
    let mut writable = Vec::new();
    if base == (Base::Machine { writable: true }) {
        writable.push(b"/".to_vec());
    }
    if base == Base::Empty {
        let mut links: Vec<&(PathBuf, PathBuf)> = places
            .iter()
            .filter(|place| place.rule.access > Access::Deny)
            .flat_map(|place| &place.located.links)
            .collect();
        links.sort();
        links.dedup();
        for (link, target) in links {
            if real.access(link) == Access::Deny {
                steps.push(Step::Link { path: bytes(link), target: bytes(target) });
            }
        }
    }
    for (path, identity) in &present {
        if is_private(path) {
            continue;
        }
        let around = real.access(path.parent().unwrap_or(Path::new("/")));
        match real.access(path) {
            Access::Write if around != Access::Write => {
                writable.push(bytes(path));
                steps.push(Step::Show { path: bytes(path), writable: true, identity: *identity });
            }
            Access::Read if around != Access::Read => {
                steps.push(Step::Show { path: bytes(path), writable: false, identity: *identity });
            }
            Access::Deny if around != Access::Deny => {
                let opened = present.iter().any(|(below, _)| {
                    below != path && below.starts_with(path) && real.access(below) == Access::Write
                });
                steps.push(if identity.directory && opened {
                    Step::HideAround { path: bytes(path) }
                } else {
                    Step::Hide { path: bytes(path), directory: identity.directory }
                });
            }
            // A pin: shown on top of itself.
            Access::Write if pins.contains_key(*path) => {
                steps.push(Step::Show { path: bytes(path), writable: true, identity: *identity });
            }
            Access::Write | Access::Read | Access::Deny => {}
        }
    }
    // Where nothing of the machine can be written anyway, a second fence is cheap; where all can, it would say nothing.
    let fence = Fence { writable };
    (View { base, host_devices: false, steps }, Some(fence))
}

/// Folders that lie between a place that may be written and one below it that may not. They are made mount points, which
/// can't be renamed: if they could, a denied file would have another name by the time of the next process.
fn pins(present: &[(&Path, Identity)], real: &Rules) -> BTreeMap<PathBuf, Identity> {
    let mut pins = BTreeMap::new();
    for (path, _) in present.iter().filter(|(path, _)| real.access(path) < Access::Write) {
        let between = path.ancestors().skip(1).take_while(|folder| {
            real.access(folder) == Access::Write && real.at(folder).is_none() && *folder != Path::new("/")
        });
        for folder in between {
            if let Ok(Located { found: Found::Something(identity), .. }) = locate(folder) {
                pins.insert(folder.to_owned(), identity);
            }
        }
    }
    pins
}

/// Inside there are others of these, which nobody outside shares.
fn is_private(path: &Path) -> bool {
    path.starts_with("/proc")
        || path == Path::new("/dev")
        || (path.starts_with("/dev") && !path.starts_with("/dev/shm"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::DirBuilderExt as _;

    use codex_exec_server_protocol::sandbox::SandboxNetwork;
    use rustix::fs::{FlockOperation, flock};

    use super::*;

    /// May write below `root`, but make no `.git` there.
    fn policy(root: &Path) -> Policy {
        let mut rules = Rules::default();
        rules.add(root.to_owned(), Access::Write, Origin::Asked);
        rules.add(root.join(".git"), Access::Read, Origin::Protected);
        let files = Files::Ruled { rules, globs: Vec::new(), glob_depth: None, within: BTreeMap::new() };
        Policy { files, network: SandboxNetwork::Restricted }
    }

    #[test]
    fn a_placeholder_that_somebody_is_about_to_take_away_is_not_relied_on() {
        let root = tempfile::tempdir().expect("a folder");
        let (policy, left) = (policy(root.path()), root.path().join(".git"));
        // As whoever held it last, between having it alone and taking it away.
        std::fs::DirBuilder::new().mode(0o1500).create(&left).expect("made");
        let alone = File::open(&left).expect("it can be read");
        flock(&alone, FlockOperation::NonBlockingLockExclusive).expect("nobody else has it");
        let error = survey(&policy).expect_err("it would be gone under the view");
        assert!(error.to_string().contains("busy"), "{error}");
        std::fs::remove_dir(&left).expect("it is empty");
        drop(alone);
        let survey = survey(&policy).expect("there is a new one");
        assert_eq!(survey.placeholders.len(), 1);
        assert!(left.exists());
        drop(survey);
        assert!(!left.exists());
    }
}
