//! What is to be copied, and where to: files several at a time, directories before what is in them, links as links.
//!
//! What fails is told and noted, and the rest goes on, unless it is the connection or the disk that failed.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use codex_exec_server_core::service::{FileSystem, FsError};
use codex_exec_server_protocol::fs::{
    FsCanonicalizeParams, FsCreateDirectoryParams, FsCreateLinkParams, FsGetMetadataParams,
    FsGetMetadataResponse, FsReadLinkParams, FsSetPermissionsParams,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::file::{Between, COPIED_BITS, partial_of};
use super::progress::Progress;
use super::{Copied, Failed};
use crate::cli::Failure;
use crate::cli::exit::{self, undone};
use crate::cli::files::{Fault, Host, Kind, Listing, about, shown, uri};
use crate::cli::teller::Teller;

/// Things that are copied at a time. Small files are mostly waiting: for the distance, and for disks.
const AT_A_TIME: usize = 8;
/// Whoever makes a directory can write into it, whatever it will permit in the end.
const OWNER: u32 = 0o700;

/// See the module.
pub(super) struct Copying {
    from: Arc<dyn FileSystem>,
    to: Arc<dyn FileSystem>,
    what: What,
    progress: Rc<Progress>,
    large: Semaphore,
    copied: RefCell<Copied>,
    /// Directories that were made and don't have their final permissions or time yet, parents first.
    unfinished: RefCell<Vec<(PathBuf, u32, Option<i64>)>>,
    /// The directories that trees become: one that is met as a source would be copied into itself for ever.
    roots: RefCell<HashSet<Identity>>,
}

/// What is copied, besides files and their permissions.
#[derive(Debug, Clone, Copy)]
pub(super) struct What {
    pub(super) directories: bool,
    /// When things were changed last.
    pub(super) times: bool,
}

/// What tells a directory from all others, as far as its machine says.
#[derive(PartialEq, Eq, Hash)]
struct Identity(String, i64);

/// One thing to be copied.
struct Job {
    kind: Kind,
    from: PathBuf,
    to: PathBuf,
    /// The directory was named on the command line.
    is_root: bool,
}

impl Copying {
    pub(super) fn new(from: &Host, to: &Host, what: What, progress: Rc<Progress>) -> Self {
        Self {
            from: Arc::clone(&from.files),
            to: Arc::clone(&to.files),
            what,
            progress,
            large: Semaphore::new(1),
            copied: RefCell::new(Copied { verified: true, ..Copied::default() }),
            unfinished: RefCell::default(),
            roots: RefCell::default(),
        }
    }

    /// Copies each of `sources` to `destination`, or into it if it is a directory.
    pub(super) async fn copy(self, sources: &[PathBuf], destination: &Path) -> Result<Copied, Failure> {
        let folder = self.folder(destination).await?;
        if folder.is_none() && (sources.len() > 1 || ends_with_slash(destination)) {
            return Err(undone(format_args!(
                "{}: is no directory, so nothing can be copied into it",
                shown(destination)
            )));
        }
        let target = match &folder {
            Some(folder) => folder.clone(),
            None => self.place(destination).await?,
        };
        let mut jobs = Vec::new();
        for source in sources.iter().rev() {
            match self.job(source, &target, folder.is_some()).await {
                Ok(job) => jobs.push(job),
                Err(error) => self.note(error)?,
            }
        }
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_A_TIME
                && let Some(job) = jobs.pop()
            {
                running.push(self.run(job));
            }
            match running.next().await {
                None => break,
                Some(Ok(more)) => jobs.extend(more),
                Some(Err(error)) => self.note(error)?,
            }
        }
        drop(running);
        self.finish().await?;
        let mut copied = self.copied.into_inner();
        copied.verified &= copied.files > 0;
        Ok(copied)
    }

    /// Where `destination` really is, if it is a directory.
    async fn folder(&self, destination: &Path) -> Result<Option<PathBuf>, Failure> {
        match look(&*self.to, destination).await? {
            Some(found) if found.is_directory => Ok(Some(real(&*self.to, destination).await?)),
            Some(_) | None => Ok(None),
        }
    }

    /// Where something of a new name really goes: its directory must be there.
    async fn place(&self, destination: &Path) -> Result<PathBuf, Failure> {
        let name = destination
            .file_name()
            .ok_or_else(|| undone(format_args!("{}: has no name of its own", shown(destination))))?;
        let parent = destination.parent().unwrap_or(Path::new("/"));
        Ok(real(&*self.to, parent).await?.join(name))
    }

    /// What was named on the command line; a link stands for what it leads to.
    async fn job(&self, source: &Path, target: &Path, is_folder: bool) -> Result<Job, Failure> {
        let found = find(&*self.from, source).await?;
        let kind = match (found.is_directory, found.is_file) {
            (true, _) if !self.what.directories => {
                return Err(undone(format_args!("{}: is a directory; copy it with -r", shown(source))));
            }
            (true, _) => Kind::Directory,
            (false, true) => Kind::File,
            (false, false) => Kind::Other,
        };
        let to = match source.file_name() {
            Some(name) if is_folder => target.join(name),
            _ => target.to_owned(),
        };
        Ok(Job { kind, from: source.to_owned(), to, is_root: true })
    }

    /// Copies one thing, and tells what is in it.
    async fn run(&self, job: Job) -> Result<Vec<Job>, Failure> {
        let Job { kind, from, to, is_root } = job;
        match kind {
            Kind::Directory => return self.directory(from, to, is_root).await,
            Kind::Symlink => self.link(&from, &to).await?,
            Kind::Other => {
                return Err(undone(format_args!(
                    "{}: is a device, pipe or socket, and not copied",
                    shown(&from)
                )));
            }
            Kind::File => {
                let between = Between {
                    from: &self.from,
                    to: &self.to,
                    progress: &self.progress,
                    large: &self.large,
                    keeps_times: self.what.times,
                };
                let done = between.copy(&from, &to).await?;
                if done.resumed_bytes > 0 {
                    let (name, bytes) = (shown(&to), done.resumed_bytes);
                    Teller::default()
                        .tell(format_args!("{name}: went on behind {bytes} bytes that were there"));
                }
                let mut copied = self.copied.borrow_mut();
                copied.files += 1;
                copied.bytes += done.bytes;
                copied.resumed_bytes += done.resumed_bytes;
                copied.verified &= done.verified;
            }
        }
        Ok(Vec::new())
    }

    async fn link(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        let params = FsReadLinkParams { path: uri(from)?, sandbox: None };
        let link = match self.from.read_link(params).await {
            // Everything else can be copied all the same.
            Err(FsError::Unsupported(flag)) => {
                return Err(
                    format!("{}: is a link, which a server without {flag} can't read", shown(from)).into()
                );
            }
            link => link.map_err(|error| about(shown(from), &error))?,
        };
        let target_base64 = link.target_base64;
        let params = FsCreateLinkParams { path: uri(to)?, target_base64, overwrite: true, sandbox: None };
        self.to.create_link(params).await.map_err(|error| about(shown(to), &error))?;
        self.copied.borrow_mut().links += 1;
        Ok(())
    }

    async fn directory(&self, from: PathBuf, to: PathBuf, is_root: bool) -> Result<Vec<Job>, Failure> {
        let original = find(&*self.from, &from).await?;
        if !is_root && identity(&original).is_some_and(|known| self.roots.borrow().contains(&known)) {
            return Err(undone(format_args!("{}: is where it would be copied to", shown(&from))));
        }
        if self.make_directory(&to).await? {
            let mode = original.mode.map(|mode| mode & COPIED_BITS);
            if let Some(mode) = mode {
                self.permit(&to, mode | OWNER, /*modified_at_ms*/ None).await?;
                if self.what.times || mode | OWNER != mode {
                    // Whatever is put into it changes its time.
                    let time = self.what.times.then_some(original.modified_at_ms);
                    self.unfinished.borrow_mut().push((to.clone(), mode, time));
                }
            }
            self.copied.borrow_mut().directories += 1;
        }
        if is_root {
            let made = find(&*self.to, &to).await?;
            self.roots.borrow_mut().extend(identity(&made));
        }
        let Listing(entries) = Listing::read(&*self.from, &from).await?;
        let left_over: HashSet<OsString> = entries.iter().map(|entry| partial_of(&entry.name)).collect();
        let mut jobs = Vec::with_capacity(entries.len());
        for entry in entries.into_iter().rev() {
            if left_over.contains(&entry.name) {
                let name = shown(&from.join(&entry.name));
                Teller::default()
                    .tell(format_args!("{name}: is what an interrupted copy left, and not copied"));
                continue;
            }
            let (from, to) = (from.join(&entry.name), to.join(&entry.name));
            jobs.push(Job { kind: entry.kind, from, to, is_root: false });
        }
        Ok(jobs)
    }

    /// Makes a directory, unless there is one, which is no link to one; whether it was made.
    async fn make_directory(&self, to: &Path) -> Result<bool, Failure> {
        let params = FsCreateDirectoryParams {
            path: uri(to)?,
            recursive: Some(false),
            follow_symlinks: Some(false),
            sandbox: None,
        };
        let error = match self.to.create_directory(params).await {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        let is_unknown = matches!(error, FsError::OutcomeUnknown);
        let exists = error.data().is_some_and(|data| data.errno.as_deref() == Some("EEXIST"));
        if !is_unknown && !exists {
            return Err(about(shown(to), &error));
        }
        let path = uri(to)?;
        let params = FsGetMetadataParams { path, follow_symlinks: Some(false), sandbox: None };
        match self.to.get_metadata(params).await {
            Ok(found) if found.is_directory => Ok(is_unknown),
            // A link to one is none.
            Ok(_) | Err(FsError::Refused(_)) if exists => {
                Err(undone(format_args!("{}: is there already, and is no directory", shown(to))))
            }
            Ok(_) | Err(_) => Err(about(shown(to), &error)),
        }
    }

    async fn permit(&self, path: &Path, mode: u32, modified_at_ms: Option<i64>) -> Result<(), Failure> {
        let params = FsSetPermissionsParams {
            path: uri(path)?,
            mode,
            modified_at_ms,
            follow_symlinks: None,
            sandbox: None,
        };
        self.to.set_permissions(params).await.map_err(|error| about(shown(path), &error))
    }

    /// Gives directories the permissions that would have been in the way, and their times, those within others first.
    async fn finish(&self) -> Result<(), Failure> {
        let unfinished = self.unfinished.take();
        for (path, mode, time) in unfinished.iter().rev() {
            if let Err(error) = self.permit(path, *mode, *time).await {
                self.note(error)?;
            }
        }
        Ok(())
    }

    /// Tells what was not copied, and goes on; unless nothing else can be copied either.
    fn note(&self, error: Failure) -> Result<(), Failure> {
        if error.downcast_ref::<Fault>().is_some_and(Fault::is_fatal) {
            return Err(error);
        }
        self.progress.clear();
        let message = error.to_string();
        Teller::default().tell(format_args!("{message}"));
        let mut copied = self.copied.borrow_mut();
        copied.code = copied.code.max(exit::code(&error));
        copied.failed.push(Failed { message });
        Ok(())
    }
}

/// What is at `path`, or where it leads; `None` if there is nothing.
async fn look(files: &dyn FileSystem, path: &Path) -> Result<Option<FsGetMetadataResponse>, Failure> {
    let params = FsGetMetadataParams { path: uri(path)?, follow_symlinks: None, sandbox: None };
    match files.get_metadata(params).await {
        Ok(found) => Ok(Some(found)),
        Err(FsError::NotFound(_)) => Ok(None),
        Err(error) => Err(about(shown(path), &error)),
    }
}

/// As [`look`], of what has to be there.
async fn find(files: &dyn FileSystem, path: &Path) -> Result<FsGetMetadataResponse, Failure> {
    let found = look(files, path).await?;
    found.ok_or_else(|| undone(format_args!("{}: no such file or directory", shown(path))))
}

/// Without links.
async fn real(files: &dyn FileSystem, path: &Path) -> Result<PathBuf, Failure> {
    let params = FsCanonicalizeParams { path: uri(path)?, sandbox: None };
    let answer = files.canonicalize(params).await.map_err(|error| about(shown(path), &error))?;
    Ok(answer.path.to_path()?)
}

fn identity(found: &FsGetMetadataResponse) -> Option<Identity> {
    Some(Identity(found.inode.clone()?, found.created_at_ms))
}

fn ends_with_slash(path: &Path) -> bool {
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    bytes.len() > 1 && bytes.ends_with(b"/")
}
