//! Sandboxes of this machine's processes: what the machine can enforce, and making one ready for a start.
//!
//! What can't be enforced is refused before anything runs. Whether the machine can is found out by really running a
//! sandbox in which everything is tried that must fail.

mod standbys;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use codex_exec_server_core::error::ServiceError;
use codex_exec_server_core::fs_fault::FsFault;
use codex_exec_server_protocol::environment::{SandboxStandby, SandboxSupport};
use codex_exec_server_protocol::sandbox::{SandboxContext, SandboxNetwork};
use codex_linux_sandbox::intent::{Files, Intent, IntentError, Policy, resolve};
use codex_linux_sandbox::places::{MINIMAL, Places};
use codex_linux_sandbox::{Extras, Launcher, Prepared, prepare, prepare_file_server, prepare_trial};

use self::standbys::Standbys;
pub use self::standbys::Standing;
use crate::os;

/// How the refusal of what can't be enforced begins. Peers know these words.
const UNENFORCEABLE: &str = "sandbox intent cannot be enforced on this executor";
/// How the refusal of an intent begins that has no meaning here, or can't be kept.
const UNPREPARED: &str = "failed to prepare process sandbox";
/// The same of a single file operation.
const UNPREPARED_FILES: &str = "failed to prepare file system sandbox";

/// A trial takes milliseconds. Where it does not end, clients are not kept waiting.
const TRIAL_PATIENCE: Duration = Duration::from_secs(2);

/// See the module. Cheap to clone; the answer about the machine is shared.
#[derive(Debug, Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    launcher: Option<Launcher>,
    hidden: Vec<PathBuf>,
    support: OnceLock<Support>,
    is_trial_announced: AtomicBool,
    standbys: Option<Arc<Standbys>>,
}

/// What this machine can enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// Every profile: nothing got through.
    Full,
    /// None. Says why, and what can be done about it.
    None {
        /// The reason, in a sentence without a full stop.
        reason: String,
    },
}

impl Sandbox {
    /// Sandboxes by way of `launcher`.
    #[must_use]
    pub fn new(launcher: Launcher) -> Self {
        Self::with(Some(launcher), Vec::new(), /*stands_by*/ false)
    }

    /// None: every profile is refused. For programs that are no launcher and know of none.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::with(/*launcher*/ None, Vec::new(), /*stands_by*/ false)
    }

    /// The same, with files that nobody inside may see whatever his profile says, such as a credential of the server.
    #[must_use]
    pub fn hiding(&self, hidden: Vec<PathBuf>) -> Self {
        Self::with(self.inner.launcher.clone(), hidden, self.inner.standbys.is_some())
    }

    /// The same, with launchers that stand by for the next processes once there was one. For programs that go on.
    #[must_use]
    pub fn standing_by(&self) -> Self {
        Self::with(self.inner.launcher.clone(), self.inner.hidden.clone(), /*stands_by*/ true)
    }

    fn with(launcher: Option<Launcher>, hidden: Vec<PathBuf>, stands_by: bool) -> Self {
        let standbys = launcher.clone().filter(|_| stands_by).map(Standbys::new);
        Self {
            inner: Arc::new(Inner {
                launcher,
                hidden,
                support: OnceLock::new(),
                is_trial_announced: AtomicBool::new(false),
                standbys,
            }),
        }
    }

    /// How launchers stand by; `None` where none are to.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.inner.standbys.as_ref().map(|standbys| standbys.standing())
    }

    /// What this machine can enforce. The first to ask waits some milliseconds while it is tried.
    #[must_use]
    pub fn support(&self) -> &Support {
        self.inner.support.get_or_init(|| match &self.inner.launcher {
            Some(launcher) => examine(launcher),
            None => Support::None { reason: "this program has no sandbox launcher".into() },
        })
    }

    /// [`support`](Self::support) is about to be asked: [`tried`](Self::tried) waits for that from now on.
    pub fn announce_trial(&self) {
        self.inner.is_trial_announced.store(true, Ordering::Relaxed);
    }

    /// Waits until it is known what this machine can enforce, if that is about to be found out; for two seconds at most.
    pub async fn tried(&self) {
        if self.known_support().is_none() && self.inner.is_trial_announced.load(Ordering::Relaxed) {
            let sandbox = self.clone();
            let trial = tokio::task::spawn_blocking(move || drop(sandbox.support().clone()));
            // Whoever asks later is told what came of one that takes longer.
            let _ = tokio::time::timeout(TRIAL_PATIENCE, trial).await;
        }
    }

    /// The answer of [`support`](Self::support) if somebody has asked already.
    #[must_use]
    pub fn known_support(&self) -> Option<&Support> {
        self.inner.support.get()
    }

    /// The same as clients are told.
    #[must_use]
    pub fn told_support(&self) -> Option<SandboxSupport> {
        self.known_support().map(|support| match support {
            Support::Full => {
                SandboxSupport { processes: true, reason: None, standby: self.standing().map(told_standing) }
            }
            Support::None { reason } => {
                SandboxSupport { processes: false, reason: Some(reason.clone()), standby: None }
            }
        })
    }

    /// Makes a sandbox ready for `command`; `None` if the intent asks for none. Ports of its own loopback are listened on
    /// for whoever starts it. Looks at files, and so may block.
    pub(crate) fn prepare(
        &self,
        context: &SandboxContext,
        command: &os::Command,
        listen: Vec<u16>,
    ) -> Result<Option<Prepared>, PrepareError> {
        let refused = |why: &dyn std::fmt::Display| {
            PrepareError::Refused(ServiceError::InvalidArgument(format!("{UNPREPARED}: {why}")))
        };
        let policy = match resolve(context, &self.places(command)).map_err(|error| refused(&error))? {
            Intent::Unconfined => return Ok(None),
            Intent::Confined(policy) => policy,
        };
        let launcher = match (self.support(), &self.inner.launcher) {
            (Support::Full, Some(launcher)) => launcher,
            (Support::None { reason }, _) => return Err(PrepareError::Refused(unenforceable(reason))),
            (Support::Full, None) => {
                return Err(PrepareError::Refused(unenforceable("there is no launcher")));
            }
        };
        let (program, limits) = os::program_of(command)?;
        let terminal = matches!(command.stdio, os::Stdio::Pty(_));
        let extras = Extras { terminal, limits, listen };
        prepare(launcher, &policy, program, extras).map(Some).map_err(|error| refused(&error))
    }

    /// Starts `command` in the sandbox that was made ready for it. Blocks until its program runs.
    pub(crate) fn spawn(
        &self,
        command: &os::Command,
        prepared: Prepared,
    ) -> Result<os::Confined, os::SpawnError> {
        let Some(standbys) =
            self.inner.standbys.as_ref().filter(|_| prepared.suits_standby() && command.group.is_none())
        else {
            return os::spawn_confined(command, prepared);
        };
        // The next one is made while this one runs, on another processor if there is one; but not before whoever does this start
        // has begun with it, since where there is no other they would take turns.
        match standbys.take() {
            Some(standby) => {
                let begun = || {
                    standbys.count();
                    standbys.restock();
                };
                let started = os::spawn_confined_by(standby, command, prepared, begun);
                // Where it could not be used.
                standbys.restock();
                started
            }
            None => {
                standbys.restock();
                os::spawn_confined(command, prepared)
            }
        }
    }

    /// What files a context allows; `None` if it restricts none. Of the network nothing is asked.
    pub(crate) fn file_policy(&self, context: &SandboxContext) -> Result<Option<Policy>, FsFault> {
        let places = Places {
            slash_tmp: Path::new("/tmp").is_dir(),
            minimal: minimal(),
            hidden: self.inner.hidden.clone(),
            ..Places::default()
        };
        match resolve(context, &places) {
            Ok(Intent::Unconfined | Intent::Confined(Policy { files: Files::All, .. })) => Ok(None),
            Ok(Intent::Confined(policy)) => {
                // The network has nothing to do with it; policies that differ in that alone are one.
                Ok(Some(Policy { network: SandboxNetwork::Restricted, ..policy }))
            }
            // Peers know these words.
            Err(error @ IntentError::NeedsCwd) => Err(FsFault::Sandbox(error.to_string())),
            Err(error) => Err(FsFault::Sandbox(format!("{UNPREPARED_FILES}: {error}"))),
        }
    }

    /// Makes a process ready that does file operations under `policy`. Looks at files, and so may block.
    pub(crate) fn prepare_file_server(
        &self,
        policy: &Policy,
        settings: Vec<u8>,
    ) -> Result<Prepared, FsFault> {
        let unenforceable = |why: &str| FsFault::Sandbox(unenforceable(why).to_string());
        let launcher = match (self.support(), &self.inner.launcher) {
            (Support::Full, Some(launcher)) => launcher,
            (Support::None { reason }, _) => return Err(unenforceable(reason)),
            (Support::Full, None) => return Err(unenforceable("there is no launcher")),
        };
        prepare_file_server(launcher, policy, settings)
            .map_err(|error| FsFault::Sandbox(format!("{UNPREPARED_FILES}: {error}")))
    }

    fn places(&self, command: &os::Command) -> Places {
        let var = |name: &str| {
            command.env.iter().find(|(key, _)| key == OsStr::new(name)).map(|(_, value)| PathBuf::from(value))
        };
        let folder = |path: &PathBuf| is_normal(path) && path.is_dir();
        Places {
            cwd: Some(command.cwd.clone()).filter(|cwd| is_normal(cwd)),
            home: var("HOME").filter(|home| is_normal(home)),
            tmpdir: var("TMPDIR").filter(folder),
            slash_tmp: Path::new("/tmp").is_dir(),
            minimal: minimal(),
            hidden: self.inner.hidden.clone(),
        }
    }
}

fn told_standing(standing: Standing) -> SandboxStandby {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    SandboxStandby {
        launchers: count(standing.there),
        ready: count(standing.ready),
        hits: standing.served,
        misses: standing.missed,
        zygote_os_pid: standing.zygote,
    }
}

fn minimal() -> Vec<PathBuf> {
    MINIMAL.iter().map(PathBuf::from).filter(|path| path.exists()).collect()
}

/// Why a sandbox is not ready.
pub(crate) enum PrepareError {
    /// The client is told so.
    Refused(ServiceError),
    /// The command could not be started without one either.
    Command(os::SpawnError),
}

impl From<os::SpawnError> for PrepareError {
    fn from(error: os::SpawnError) -> Self {
        Self::Command(error)
    }
}

/// The refusal of what can't be enforced.
pub(crate) fn unenforceable(reason: impl std::fmt::Display) -> ServiceError {
    ServiceError::InvalidArgument(format!("{UNENFORCEABLE}: {reason}"))
}

/// Places in the variables of a request are used only if they say plainly what they name.
fn is_normal(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|part| !matches!(part, std::path::Component::ParentDir))
}

fn examine(launcher: &Launcher) -> Support {
    let tried = prepare_trial(launcher)
        .map_err(|error| error.to_string())
        .and_then(|prepared| os::try_sandbox(prepared).map_err(|error| error.to_string()));
    let support = match tried {
        Ok(through) if through.is_empty() => Support::Full,
        Ok(through) => Support::None {
            reason: format!("in a trial of the sandbox a process could {}", through.join(", ")),
        },
        Err(error) => Support::None { reason: format!("{error}; {}", remedy()) },
    };
    match &support {
        Support::Full => tracing::info!("sandbox: every profile can be enforced"),
        Support::None { reason } => tracing::warn!(%reason, "sandbox: profiles are refused"),
    }
    support
}

/// What keeps user namespaces away is, as a rule, one of these.
fn remedy() -> String {
    let setting = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).ok();
    if setting("/proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
        return "user namespaces are switched off: set the sysctl user.max_user_namespaces".into();
    }
    if setting("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        return "set the sysctl kernel.unprivileged_userns_clone to 1".into();
    }
    if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        return "give the program an AppArmor profile with `userns`, or set the sysctl \
                kernel.apparmor_restrict_unprivileged_userns to 0"
            .into();
    }
    "in a container, allow user namespaces, mounts and a new /proc: \
     --security-opt seccomp=unconfined --security-opt systempaths=unconfined --security-opt apparmor=unconfined"
        .into()
}
