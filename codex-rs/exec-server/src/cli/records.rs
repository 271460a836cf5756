//! What this machine remembers of commands that were left running elsewhere, so that they can be found again.
//!
//! One JSON file for each command, in a folder of the user's own. A record says how to reach the server and which process
//! it is; it never holds a credential. Files come and go whole: written aside and moved to their place.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use codex_exec_server_protocol::ids::{ProcessId, SessionId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::target::Address;

/// Records kept at a time.
const MAX_RECORDS: usize = 1_000;
/// A record is smaller than this: a larger file is none.
const MAX_RECORD_BYTES: u64 = 64 << 10;
/// How much of a command line is remembered, for people to recognize it.
const MAX_ARGV_BYTES: usize = 16 << 10;
/// Hexadecimal digits of an id.
const ID_DIGITS: usize = 8;
/// What the files are called behind their id.
const SUFFIX: &str = ".json";

/// A command that was left running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    /// Names it on this machine.
    pub(super) id: String,
    /// Where it runs.
    pub(super) address: Address,
    /// The session that owns it.
    pub(super) session_id: SessionId,
    /// Which process of the session it is.
    pub(super) process_id: ProcessId,
    /// As it was started; a very long one is cut.
    pub(super) argv: Vec<String>,
    /// Whether it runs on a terminal.
    pub(super) tty: bool,
    /// Milliseconds since the Unix epoch, by this machine's clock.
    pub(super) started_at_ms: u64,
    /// How long the server keeps it while nobody is attached.
    pub(super) kept_ms: u64,
}

/// Why records can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// The environment does not say where.
    #[error(
        "there is no place to remember commands that run on: set HOME, or XDG_STATE_HOME to an absolute path"
    )]
    NoPlace,
    /// The operating system refuses.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Somebody never cleans up.
    #[error(
        "{MAX_RECORDS} commands are remembered in {} already, the limit; `codex-exec-server ps` forgets those that are gone",
        .0.display()
    )]
    Full(PathBuf),
    /// Nothing of that name.
    #[error("no command {0} is remembered here; `codex-exec-server ps` lists those that are")]
    Unknown(String),
    /// Several of that name.
    #[error("{prefix} could be any of {}; write more of it", .candidates.join(", "))]
    Ambiguous { prefix: String, candidates: Vec<String> },
}

/// All records, and the files that are none, with the reason.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// By their time of start.
    pub(super) records: Vec<Record>,
    pub(super) unreadable: Vec<(PathBuf, String)>,
}

/// The folder of records.
#[derive(Debug, Clone)]
pub(super) struct Records {
    folder: PathBuf,
}

impl Records {
    /// Where the environment says: `$XDG_STATE_HOME`, or `~/.local/state`. Nothing is made before there is something to
    /// remember.
    pub(super) fn of_this_user() -> Result<Self, RecordError> {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .ok_or(RecordError::NoPlace)?;
        Ok(Self { folder: state.join("codex-exec-server/sessions") })
    }

    #[cfg(test)]
    fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Remembers a command under a new id, which is returned.
    pub(super) fn add(&self, mut record: Record) -> Result<String, RecordError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| RecordError::Io { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(at(&self.folder))?;
        if self.files()?.len() >= MAX_RECORDS {
            return Err(RecordError::Full(self.folder.clone()));
        }
        shorten(&mut record.argv);
        loop {
            record.id = Uuid::new_v4().simple().to_string()[..ID_DIGITS].to_owned();
            let path = self.path(&record.id);
            let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(at(&self.folder))?;
            let text = serde_json::to_vec_pretty(&record).map_err(io::Error::from).map_err(at(&path))?;
            file.write_all(&text).map_err(at(&path))?;
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(record.id),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&path)(error.error)),
            }
        }
    }

    /// Everything that is remembered.
    pub(super) fn all(&self) -> Result<Listing, RecordError> {
        let mut listing = Listing::default();
        for path in self.files()? {
            match read(&path) {
                Ok(Some(record)) => listing.records.push(record),
                // Forgotten by somebody else in between.
                Ok(None) => {}
                Err(reason) => listing.unreadable.push((path, reason)),
            }
        }
        listing.records.sort_by(|a, b| (a.started_at_ms, &a.id).cmp(&(b.started_at_ms, &b.id)));
        Ok(listing)
    }

    /// The one whose id begins with `prefix`.
    pub(super) fn find(&self, prefix: &str) -> Result<Record, RecordError> {
        let mut found = self.all()?.records;
        found.retain(|record| !prefix.is_empty() && record.id.starts_with(prefix));
        match found.len() {
            0 => Err(RecordError::Unknown(prefix.to_owned())),
            1 => Ok(found.remove(0)),
            _ => {
                let candidates = found.into_iter().map(|record| record.id).collect();
                Err(RecordError::Ambiguous { prefix: prefix.to_owned(), candidates })
            }
        }
    }

    /// Forgets one; nothing if it is forgotten already.
    pub(super) fn remove(&self, id: &str) -> Result<(), RecordError> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RecordError::Io { path, source }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{SUFFIX}"))
    }

    /// The files that are called as records are.
    fn files(&self) -> Result<Vec<PathBuf>, RecordError> {
        let failed = |source| RecordError::Io { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if id_of(&path).is_some() {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// The id that a file's name says.
fn id_of(path: &Path) -> Option<&str> {
    let id = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (id.len() == ID_DIGITS && id.bytes().all(is_digit)).then_some(id)
}

/// `None` if the file is not there.
fn read(path: &Path) -> Result<Option<Record>, String> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut text = Vec::new();
    file.take(MAX_RECORD_BYTES + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_RECORD_BYTES {
        return Err(format!("larger than {MAX_RECORD_BYTES} bytes"));
    }
    let record: Record = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if id_of(path) == Some(&record.id) {
        Ok(Some(record))
    } else {
        Err(format!("says that it is {}", record.id))
    }
}

/// Cuts a command line behind what people need to recognize it.
fn shorten(argv: &mut Vec<String>) {
    let mut room = MAX_ARGV_BYTES;
    for at in 0..argv.len() {
        // Escapes in JSON and the list around them.
        let size = 6 * argv[at].len() + 8;
        if size > room {
            let mut end = room.saturating_sub(8) / 6;
            while !argv[at].is_char_boundary(end) {
                end -= 1;
            }
            argv[at].truncate(end);
            argv[at].push('…');
            argv.truncate(at + 1);
            return;
        }
        room -= size;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn record() -> Record {
        Record {
            id: String::new(),
            address: Address::url("ws://127.0.0.1:9".into(), /*token_file*/ None),
            session_id: "../../s".into(),
            process_id: "run".into(),
            argv: vec!["make".into(), "test".into()],
            tty: false,
            started_at_ms: 7,
            kept_ms: 80_000,
        }
    }

    fn records() -> (tempfile::TempDir, Records) {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::in_folder(dir.path().join("a/b"));
        (dir, records)
    }

    #[test]
    fn what_was_remembered_is_found_by_any_prefix_that_is_its_own_and_forgotten_when_told() {
        let (_dir, records) = records();
        assert!(records.all().unwrap().records.is_empty());
        let id = records.add(record()).unwrap();
        for prefix in [&id[..], &id[..4], &id[..1]] {
            assert_eq!(records.find(prefix).unwrap(), Record { id: id.clone(), ..record() });
        }
        for wrong in ["", "zz", "../b"] {
            assert!(matches!(records.find(wrong), Err(RecordError::Unknown(_))), "{wrong}");
        }
        records.remove(&id).unwrap();
        records.remove(&id).unwrap();
        assert!(records.all().unwrap().records.is_empty());
    }

    #[test]
    fn a_prefix_of_several_is_answered_with_all_of_them() {
        let (_dir, records) = records();
        // One more than there are first digits.
        let ids: Vec<String> = (0..17).map(|_| records.add(record()).unwrap()).collect();
        let shared = ids
            .iter()
            .map(|id| &id[..1])
            .find(|first| ids.iter().filter(|id| id.starts_with(first)).count() > 1);
        let found = records.find(shared.unwrap());
        assert!(
            matches!(&found, Err(RecordError::Ambiguous { candidates, .. }) if candidates.len() > 1),
            "{found:?}"
        );
    }

    #[test]
    fn records_are_for_their_owner_only() {
        let (_dir, records) = records();
        let id = records.add(record()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&records.folder), mode(&records.path(&id))), (0o700, 0o600));
    }

    #[test]
    fn a_file_that_is_no_record_is_told_and_hides_no_other() {
        let (_dir, records) = records();
        let id = records.add(record()).unwrap();
        let other = fs::read_to_string(records.path(&id)).unwrap();
        for (name, text, reason) in [
            ("00000001.json", "{", "EOF"),
            ("00000002.json", r#"{"id":"00000002","surprise":1}"#, "unknown field"),
            ("00000003.json", &other, "says that it is"),
            ("00000004.json", &" ".repeat(100_000), "larger than 65536 bytes"),
        ] {
            fs::write(records.folder.join(name), text).unwrap();
            let listing = records.all().unwrap();
            assert_eq!(listing.records.len(), 1);
            assert!(listing.unreadable[0].1.contains(reason), "{:?}", listing.unreadable);
            fs::remove_file(records.folder.join(name)).unwrap();
        }
        fs::write(records.folder.join("README"), "not ours").unwrap();
        assert!(records.all().unwrap().unreadable.is_empty());
    }

    #[test]
    fn there_are_never_more_records_than_the_limit() {
        let (_dir, records) = records();
        records.add(record()).unwrap();
        for n in 1..MAX_RECORDS {
            fs::write(records.path(&format!("{n:08x}")), "").unwrap();
        }
        let refused = records.add(record());
        assert!(matches!(refused, Err(RecordError::Full(_))), "{refused:?}");
    }

    #[test]
    fn a_long_command_line_is_cut_between_characters_and_its_record_can_be_read() {
        let (_dir, records) = records();
        for argument in ["ä".repeat(100_000), "\u{1}".repeat(100_000), "x".repeat(2_000)] {
            let argv = vec![argument; 20];
            let id = records.add(Record { argv: argv.clone(), ..record() }).unwrap();
            let found = records.find(&id).unwrap();
            let last = found.argv.last().unwrap().strip_suffix('…').unwrap();
            assert!(argv[0].starts_with(last) && found.argv.len() < argv.len());
        }
    }
}
