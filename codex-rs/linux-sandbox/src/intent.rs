//! From what was asked for on the wire to rules about paths of this machine.
//!
//! Pure: symbolic places arrive as [`Places`]. What an intent does not say, and what this version does not understand,
//! never widens what a process may do.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use codex_exec_server_protocol::path_uri::{HostOs, PathUri};
use codex_exec_server_protocol::sandbox::{
    MissingPathBehavior, SandboxAccess, SandboxContext, SandboxEntry, SandboxFileSystem, SandboxNetwork,
    SandboxPath, SandboxPermissions, SandboxSpecialPath, WindowsSandboxLevel,
};

use crate::glob::{Glob, GlobError};
use crate::places::Places;
use crate::rules::{Access, Origin, Rules};

/// Folders right below a place that may be written which stay as they are: whoever may change them decides what other
/// programs run on the user's behalf later.
pub const PROTECTED: [&str; 4] = [".git", ".agents", ".codex", ".aws"];

/// What is to be enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Nothing.
    Unconfined,
    /// This.
    Confined(Policy),
}

/// What a process may touch, in terms of this machine's paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Files.
    pub files: Files,
    /// Whether the network of the machine can be reached.
    pub network: SandboxNetwork,
}

/// Which files a process may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Whatever the user may.
    All,
    /// What the rules allow.
    Ruled {
        /// The rules.
        rules: Rules,
        /// Deny also what these match when the process starts.
        globs: Vec<Glob>,
        /// How many levels deep they look; `None` for any.
        glob_depth: Option<usize>,
        /// Rules that were given as places within a root, by their paths, and those roots: what a link makes of such a
        /// place must not lie elsewhere.
        within: BTreeMap<PathBuf, PathBuf>,
    },
}

/// Why an intent has no meaning here. Nothing is dropped: what can't be understood is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// A URI for another kind of machine.
    #[error("{0}")]
    Foreign(String),
    /// A path that reads differently as text and as a path.
    #[error("path URI `{0}` has an encoded separator, which is not allowed in a sandbox")]
    EncodedSeparator(PathUri),
    /// A path with `..`, which says nothing about what it names.
    #[error("path URI `{0}` has a `..` component, which is not allowed in a sandbox")]
    ParentComponent(PathUri),
    /// A mechanism of Windows was asked for.
    #[error("native MXC is unavailable on this executor")]
    Mxc,
    /// The old mechanism was asked for, and can't express the rest.
    #[error("useLegacyLandlock can't express this sandbox; leave it out")]
    Legacy,
    /// A glob that is no pattern.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// A relative glob, and nowhere to start from.
    #[error("file system sandbox context with dynamic permissions requires cwd")]
    NeedsCwd,
}

/// Gives an intent its meaning on this machine.
///
/// # Errors
/// [`IntentError`]
pub fn resolve(context: &SandboxContext, places: &Places) -> Result<Intent, IntentError> {
    if context.windows_sandbox_level == WindowsSandboxLevel::Mxc {
        return Err(IntentError::Mxc);
    }
    let (files, network) = match &context.permissions {
        SandboxPermissions::Disabled => return Ok(Intent::Unconfined),
        SandboxPermissions::External { network } => (Files::All, *network),
        SandboxPermissions::Managed { file_system: SandboxFileSystem::Unrestricted, network } => {
            (Files::All, *network)
        }
        SandboxPermissions::Managed {
            file_system: SandboxFileSystem::Restricted { entries, glob_scan_max_depth },
            network,
        } => {
            let resolver = Resolver::new(context, places)?;
            let depth = glob_scan_max_depth.map(std::num::NonZeroUsize::get);
            (resolver.files(entries, depth)?, *network)
        }
    };
    if context.use_legacy_landlock && matches!(&files, Files::Ruled { rules, .. } if !rules.is_full_read()) {
        return Err(IntentError::Legacy);
    }
    match (&files, network) {
        (Files::All, SandboxNetwork::Enabled) => Ok(Intent::Unconfined),
        (Files::All | Files::Ruled { .. }, _) => Ok(Intent::Confined(Policy { files, network })),
    }
}

struct Resolver<'a> {
    places: &'a Places,
    roots: Vec<PathBuf>,
    cwd: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl<'a> Resolver<'a> {
    fn new(context: &SandboxContext, places: &'a Places) -> Result<Self, IntentError> {
        let path = |uri: Option<&PathUri>| uri.map(host_path).transpose();
        let roots = context.effective_workspace_roots().iter().map(host_path).collect::<Result<_, _>>()?;
        Ok(Self {
            places,
            roots,
            cwd: path(context.effective_cwd())?.or_else(|| places.cwd.clone()),
            home: path(context.user_home_dir.as_ref())?.or_else(|| places.home.clone()),
        })
    }

    fn files(&self, entries: &[SandboxEntry], glob_depth: Option<usize>) -> Result<Files, IntentError> {
        let mut rules = Rules::default();
        let mut globs = Vec::new();
        let mut within = BTreeMap::new();
        for entry in entries {
            let access = match entry.access {
                SandboxAccess::Read => Access::Read,
                SandboxAccess::Write => Access::Write,
                SandboxAccess::Deny => Access::Deny,
            };
            match &entry.path {
                SandboxPath::Path { path } => {
                    let origin = match entry.missing_path_behavior {
                        Some(MissingPathBehavior::Skip) => Origin::AskedIfPresent,
                        None => Origin::Asked,
                    };
                    rules.add(host_path(path)?, access, origin);
                }
                SandboxPath::GlobPattern { pattern } => globs.extend(self.glob(pattern, access)?),
                SandboxPath::Special { value } => self.special(value, access, &mut rules, &mut within),
            }
        }
        let full_write = rules.is_full_write();
        if !full_write {
            protect(&mut rules);
        }
        // What the server hides is hidden from those too who may touch everything else.
        for hidden in &self.places.hidden {
            rules.add(hidden.clone(), Access::Deny, Origin::Server);
        }
        globs.sort();
        globs.dedup();
        if full_write && globs.is_empty() && self.places.hidden.is_empty() {
            return Ok(Files::All);
        }
        Ok(Files::Ruled { rules, globs, glob_depth, within })
    }

    /// A glob can only deny: one that is to allow something says nothing.
    fn glob(&self, pattern: &str, access: Access) -> Result<Option<Glob>, IntentError> {
        if access != Access::Deny {
            return Ok(None);
        }
        let base = if let Some(rest) = pattern.strip_prefix("~/") {
            return match &self.home {
                Some(home) => Ok(Some(Glob::new(home, rest)?)),
                None => Err(IntentError::Glob(GlobError::NoHome(pattern.to_owned()))),
            };
        } else if pattern.starts_with('/') {
            Path::new("/")
        } else {
            self.cwd.as_deref().ok_or(IntentError::NeedsCwd)?
        };
        Ok(Some(Glob::new(base, pattern)?))
    }

    fn special(
        &self,
        place: &SandboxSpecialPath,
        access: Access,
        rules: &mut Rules,
        within: &mut BTreeMap<PathBuf, PathBuf>,
    ) {
        match place {
            SandboxSpecialPath::Root => rules.add(PathBuf::from("/"), access, Origin::Asked),
            SandboxSpecialPath::Minimal => {
                // Needed to run programs, so to be read; nobody writes there by that name.
                let access = access.min(Access::Read);
                for path in &self.places.minimal {
                    rules.add(path.clone(), access, Origin::Asked);
                }
            }
            SandboxSpecialPath::CurrentWorkingDirectory => {
                self.project_roots(/*subpath*/ None, access, rules, within)
            }
            SandboxSpecialPath::ProjectRoots { subpath } => {
                self.project_roots(subpath.as_deref(), access, rules, within);
            }
            SandboxSpecialPath::Tmpdir => {
                if let Some(tmpdir) = &self.places.tmpdir {
                    rules.add(tmpdir.clone(), access, Origin::Asked);
                }
            }
            SandboxSpecialPath::SlashTmp => {
                if self.places.slash_tmp {
                    rules.add(PathBuf::from("/tmp"), access, Origin::Asked);
                }
            }
            SandboxSpecialPath::Unknown { .. } => {}
        }
    }

    /// A subpath that leaves its root allows nothing; one that was to narrow closes the whole root.
    fn project_roots(
        &self,
        subpath: Option<&str>,
        access: Access,
        rules: &mut Rules,
        within: &mut BTreeMap<PathBuf, PathBuf>,
    ) {
        for root in &self.roots {
            match subpath.map(|subpath| below(root, subpath)) {
                None => rules.add(root.clone(), access, Origin::Asked),
                Some(Some(path)) => {
                    within.insert(path.clone(), root.clone());
                    rules.add(path, access, Origin::Asked);
                }
                Some(None) if access == Access::Write => {}
                Some(None) => rules.add(root.clone(), Access::Deny, Origin::Asked),
            }
        }
    }
}

/// `subpath` below `root`, if it stays there by its text.
fn below(root: &Path, subpath: &str) -> Option<PathBuf> {
    let mut path = root.to_owned();
    if subpath.starts_with('~') || subpath.contains('\0') {
        return None;
    }
    for component in Path::new(subpath).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Adds the rules that keep [`PROTECTED`] folders as they are.
fn protect(rules: &mut Rules) {
    let writable: Vec<PathBuf> = rules
        .iter()
        .filter(|(path, rule)| {
            rule.access == Access::Write && *path != Path::new("/") && !is_protected_name(path)
        })
        .map(|(path, _)| path.to_owned())
        .collect();
    for root in writable {
        for name in PROTECTED {
            let path = root.join(name);
            if rules.at(&path).is_none() {
                rules.add(path, Access::Read, Origin::Protected);
            }
        }
    }
}

fn is_protected_name(path: &Path) -> bool {
    path.file_name().is_some_and(|name| PROTECTED.iter().any(|protected| name == *protected))
}

/// The path that a URI names here.
fn host_path(uri: &PathUri) -> Result<PathBuf, IntentError> {
    if uri.has_encoded_separator() {
        return Err(IntentError::EncodedSeparator(uri.clone()));
    }
    let bytes = uri
        .to_host_path_bytes(HostOs::CURRENT)
        .map_err(|foreign| IntentError::Foreign(foreign.to_string()))?;
    let path: PathBuf = Path::new(OsStr::from_bytes(&bytes)).components().collect();
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(IntentError::ParentComponent(uri.clone()));
    }
    Ok(path)
}

#[cfg(test)]
#[path = "intent_tests.rs"]
mod tests;
