//! `cp`: files and trees from here to the machine, and back.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use serde_json::json;

use crate::files::{text, words};
use crate::home::Home;
use crate::support::{PATIENCE, Proxy, Server, noise, output, pid, stderr, wait};

/// The same path on the machine.
fn there(path: &Path) -> String {
    format!(":{}", text(path))
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

/// Names of what a folder holds.
fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Everything below a folder: by its path there, what it is, its permissions, and what is in it.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (char, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("it is there") {
            let path = entry.expect("an entry").path();
            let kind = fs::symlink_metadata(&path).expect("it is there").file_type();
            let what = if kind.is_symlink() {
                ('l', 0, fs::read_link(&path).expect("a link").as_os_str().as_bytes().to_owned())
            } else if kind.is_dir() {
                folders.push(path.clone());
                ('d', mode(&path), Vec::new())
            } else {
                ('f', mode(&path), fs::read(&path).expect("it can be read"))
            };
            found.insert(path.strip_prefix(folder).expect("it is below").to_owned(), what);
        }
    }
    found
}

/// A tree with everything in it that can be copied.
fn plant(root: &Path) {
    fs::create_dir_all(root.join("deep/er")).expect("it can be made");
    fs::create_dir(root.join("empty")).expect("it can be made");
    fs::write(root.join("long"), noise(/*len*/ 1_200_000)).expect("it can be written");
    fs::write(root.join("none"), "").expect("it can be written");
    fs::write(root.join("deep/er/.hidden"), "hidden").expect("it can be written");
    fs::write(root.join(OsStr::from_bytes(b"caf\xe9\n%")), "odd").expect("it can be written");
    fs::write(root.join("x".repeat(255)), "long name").expect("it can be written");
    for number in 0..40 {
        fs::write(root.join(format!("deep/{number}")), number.to_string()).expect("it can be written");
    }
    symlink("../long", root.join("deep/link")).expect("it can be made");
    symlink("nowhere", root.join("broken")).expect("it can be made");
    symlink("deep", root.join("way")).expect("it can be made");
    symlink(OsStr::from_bytes(b"\xff"), root.join("odd link")).expect("it can be made");
    permit(&root.join("long"), /*mode*/ 0o640);
    permit(&root.join("deep/er/.hidden"), /*mode*/ 0o755);
    permit(&root.join("deep/er"), /*mode*/ 0o500);
    permit(&root.join("empty"), /*mode*/ 0o711);
}

#[test]
fn a_file_goes_to_the_machine_and_back_as_it_is() {
    for server in Server::each() {
        let home = Home::new();
        let [original, copy, back] = ["f", "copy", "d"].map(|name| home.path().join(name));
        let content = noise(/*len*/ 3_000_001);
        fs::write(&original, &content).expect("it can be written");
        permit(&original, /*mode*/ 0o640);
        fs::write(&copy, "old").expect("it can be written");
        fs::create_dir(&back).expect("it can be made");
        assert_eq!(home.says(&words("cp", &server, &[text(&original), &there(&copy)])), "");
        assert!(fs::read(&copy).expect("it is there") == content);
        assert_eq!(mode(&copy), 0o640);
        let told = home.json(&words("cp", &server, &["--json", &there(&copy), text(&back)]));
        assert_eq!(
            told,
            json!({"files": 1, "directories": 0, "links": 0, "bytes": 3_000_001, "resumedBytes": 0, "verified": true,
                "failed": []})
        );
        assert!(fs::read(back.join("copy")).expect("it is there") == content);
        assert_eq!(mode(&back.join("copy")), 0o640);
        assert_eq!(
            (names(home.path()), names(&back)),
            (vec!["copy".into(), "d".into(), "f".into()], vec!["copy".into()])
        );
    }
}

#[test]
fn a_tree_goes_to_the_machine_and_back_as_it_is() {
    for server in Server::each() {
        let home = Home::new();
        let [original, copy, back] = ["original", "copy", "back"].map(|name| home.path().join(name));
        plant(&original);
        let expected = tree(&original);
        let told = home.json(&words("cp", &server, &["-r", "--json", text(&original), &there(&copy)]));
        assert_eq!(
            (&told["files"], &told["directories"], &told["links"]),
            (&json!(45), &json!(4), &json!(4))
        );
        assert_eq!((&told["verified"], &told["failed"]), (&json!(true), &json!([])));
        assert!(tree(&copy) == expected, "{:?}", tree(&copy).keys());
        home.says(&words("cp", &server, &["--recursive", &there(&copy), text(&back)]));
        assert!(tree(&back) == expected, "{:?}", tree(&back).keys());
        // Once more, into what is there already.
        home.says(&words("cp", &server, &["-r", &there(&copy), text(&back)]));
        assert!(tree(&back.join("copy")) == expected, "{:?}", tree(&back).keys());
    }
}

/// When things below a folder were changed last, in milliseconds, without links.
fn times(folder: &Path) -> BTreeMap<PathBuf, u128> {
    let all = tree(folder).into_iter().filter(|(_, (kind, ..))| *kind != 'l');
    all.map(|(name, _)| {
        let changed =
            fs::metadata(folder.join(&name)).expect("it is there").modified().expect("it has a time");
        (name, changed.duration_since(UNIX_EPOCH).expect("it is later").as_millis())
    })
    .collect()
}

#[test]
fn what_was_long_ago_stays_so_where_that_is_asked_for() {
    for server in Server::each() {
        let home = Home::new();
        let [original, copy, back, plain] =
            ["original", "copy", "back", "plain"].map(|name| home.path().join(name));
        fs::create_dir_all(original.join("d/empty")).expect("it can be made");
        fs::write(original.join("d/f"), "text").expect("it can be written");
        fs::write(original.join("g"), "").expect("it can be written");
        symlink("g", original.join("link")).expect("it can be made");
        // Those within others first.
        for (name, ms) in [("d/f", 1_234_567_890_123), ("d/empty", 5), ("d", 1_000_000_000_000), ("g", 999)] {
            let time = UNIX_EPOCH + Duration::from_millis(ms);
            let file = File::open(original.join(name)).expect("it is there");
            file.set_modified(time).expect("it is ours");
        }
        permit(&original.join("d"), /*mode*/ 0o500);
        let expected = times(&original);
        assert_eq!(expected.len(), 4);
        home.says(&words("cp", &server, &["-r", "-p", text(&original), &there(&copy)]));
        home.says(&words("cp", &server, &["-r", "--preserve", &there(&copy), text(&back)]));
        assert_eq!((times(&copy), times(&back)), (expected.clone(), expected.clone()));
        assert_eq!(mode(&back.join("d")), 0o500);
        home.says(&words("cp", &server, &["-r", &there(&copy), text(&plain)]));
        assert!(times(&plain).iter().all(|(name, time)| *time > expected[name]), "{:?}", times(&plain));
    }
}

#[test]
fn several_things_go_into_a_directory() {
    let (home, server) = (Home::new(), Server::websocket(&[]));
    let [a, b, d] = ["a", "b", "d"].map(|name| home.path().join(name));
    fs::write(&a, "a").expect("it can be written");
    fs::write(&b, "b").expect("it can be written");
    let said = home.is_undone(&words("cp", &server, &[text(&a), text(&b), &there(&d)]));
    assert!(said.contains("/d: is no directory, so nothing can be copied into it"), "{said}");
    fs::create_dir(&d).expect("it can be made");
    home.says(&words("cp", &server, &[text(&a), text(&b), &there(&d)]));
    assert_eq!(names(&d), ["a", "b"]);
}

#[test]
fn a_connection_that_is_cut_again_and_again_costs_a_copy_nothing() {
    let (home, server) = (Home::new(), Server::websocket(&[]));
    let [original, up, down] = ["f", "up", "down"].map(|name| home.path().join(name));
    let content = noise(/*len*/ 6 << 20);
    fs::write(&original, &content).expect("it can be written");
    for (proxy, from, to, copy) in [
        (
            Proxy::before(&server, vec![200_000, 1_000_000, 3_000_000]),
            there(&original),
            text(&down).to_owned(),
            &down,
        ),
        (
            Proxy::before_requests(&server, vec![200_000, 1_000_000, 3_000_000]),
            text(&original).to_owned(),
            there(&up),
            &up,
        ),
    ] {
        let told = home.json(&["cp", "--json", "--connect", &proxy.url, &from, &to]);
        assert_eq!((&told["bytes"], &told["verified"]), (&json!(6 << 20), &json!(true)));
        assert!(fs::read(copy).expect("it is there") == content);
        for _ in 0..3 {
            proxy.cuts.recv_timeout(PATIENCE).expect("each connection is cut");
        }
    }
    assert_eq!(names(home.path()), ["down", "f", "up"]);
}

#[test]
fn an_interrupted_copy_goes_on_as_far_as_it_is_the_originals_beginning() {
    let server = Server::websocket(&[]);
    let home = Home::new();
    let content = noise(/*len*/ 2_000_000);
    let original = home.path().join("f");
    fs::write(&original, &content).expect("it can be written");
    let wrong = [b"x", &content[1..1_500_000]].concat();
    let longer = [&content[..], b"more"].concat();
    for (left, resumed) in [
        (&content[..1_500_000], 1_500_000),
        (&content[..], 2_000_000),
        (&wrong[..], 0),
        (&longer[..], 0),
        (&b""[..], 0),
    ] {
        for is_up in [true, false] {
            let copy = home.path().join(if is_up { "up" } else { "down" });
            let partial = copy.with_file_name(if is_up { ".up.partial" } else { ".down.partial" });
            fs::write(&partial, left).expect("it can be written");
            let (from, to) = if is_up {
                (text(&original).to_owned(), there(&copy))
            } else {
                (there(&original), text(&copy).to_owned())
            };
            let told = home.json(&words("cp", &server, &["--json", &from, &to]));
            assert_eq!((&told["resumedBytes"], &told["verified"]), (&json!(resumed), &json!(true)), "{from}");
            assert!(fs::read(&copy).expect("it is there") == content);
            assert!(!partial.exists());
            fs::remove_file(copy).expect("it is there");
        }
    }
}

/// A program with a terminal for its words, of which all that was said is kept.
struct Watched {
    child: Child,
    said: mpsc::Receiver<Vec<u8>>,
    so_far: String,
}

impl Watched {
    fn start(mut command: Command) -> Self {
        let pty = openpty(None, None).expect("a terminal");
        let child = command.stderr(Stdio::from(pty.slave)).spawn().expect("the program starts");
        // What else holds the terminal's other end goes with the command.
        drop(command);
        let (sender, said) = mpsc::channel();
        let mut master = File::from(pty.master);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = master.read(&mut buffer) {
                if sender.send(buffer[..read].to_owned()).is_err() {
                    return;
                }
            }
        });
        Self { child, said, so_far: String::new() }
    }

    /// Waits until what was said so far is as it should be.
    fn await_words(&mut self, is_said: impl Fn(&str) -> bool) {
        while !is_said(&self.so_far) {
            let more = self.said.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|error| panic!("{error}, only {:?}", self.so_far));
            self.so_far.push_str(&String::from_utf8_lossy(&more));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_copy_shows_how_far_it_is_and_one_that_is_interrupted_goes_on_when_it_is_asked_for_again() {
    let (home, server) = (Home::new(), Server::websocket(&[]));
    let content = noise(/*len*/ 12 << 20);
    let (original, copy) = (home.path().join("f"), home.path().join("copy"));
    fs::write(&original, &content).expect("it can be written");
    // More than is asked for ahead: whatever comes first, what has come begins with the file's beginning.
    let proxy = Proxy::stalling(&server, /*after_bytes*/ 9 << 20);
    let mut copying =
        Watched::start(home.command(&["cp", "--connect", &proxy.url, &there(&original), text(&copy)]));
    let is_under_way = |said: &str| {
        let mut lines = said.split("codex-exec-server: ");
        lines.any(|line| line.contains(" of 12.0 MiB, ") && !line.starts_with("0.0 "))
    };
    copying.await_words(is_under_way);
    kill(pid(&copying.child), Signal::SIGINT).expect("it takes signals");
    copying.await_words(|said| said.contains("interrupted; the same command goes on with what is there"));
    assert_eq!(wait(&mut copying.child).code(), Some(130));
    assert_eq!(names(home.path()), [".copy.partial", "f"]);
    let left = fs::read(home.path().join(".copy.partial")).expect("it is there");
    assert!(!left.is_empty());
    let told = home.json(&words("cp", &server, &["--json", &there(&original), text(&copy)]));
    // One that was being written when the signal came may have been written before another in front of it.
    let resumed = if content.starts_with(&left) { left.len() } else { 0 };
    assert_eq!((&told["resumedBytes"], &told["verified"]), (&json!(resumed), &json!(true)));
    assert!(fs::read(&copy).expect("it is there") == content);
    assert_eq!(names(home.path()), ["copy", "f"]);
}

#[test]
fn what_is_behind_a_hole_of_an_interrupted_copy_is_copied_again() {
    let (home, server) = (Home::new(), Server::websocket(&[]));
    let content = noise(/*len*/ 10 << 20);
    let (original, copy) = (home.path().join("f"), home.path().join("copy"));
    fs::write(&original, &content).expect("it can be written");
    // Of several blocks that were written together the last arrived, and one before did not.
    let mut left = content[..9 << 20].to_owned();
    left[7 << 20..8 << 20].fill(0);
    fs::write(home.path().join(".copy.partial"), left).expect("it can be written");
    let told = home.json(&words("cp", &server, &["--json", text(&original), &there(&copy)]));
    assert_eq!((&told["resumedBytes"], &told["verified"]), (&json!(1 << 20), &json!(true)));
    assert!(fs::read(&copy).expect("it is there") == content);
}

#[test]
fn what_can_not_be_copied_is_told_and_the_rest_is_copied() {
    for server in Server::each() {
        let home = Home::new();
        let [original, copy] = ["original", "copy"].map(|name| home.path().join(name));
        fs::create_dir(&original).expect("it can be made");
        fs::write(original.join("f"), "text").expect("it can be written");
        fs::write(original.join("g"), "text").expect("it can be written");
        home.fifo("original/fifo");
        // What is left over of an interrupted copy of `f` would be in the way of the next one.
        fs::write(original.join(".f.partial"), "te").expect("it can be written");
        // A directory is in the way.
        fs::create_dir_all(copy.join("original/g/x")).expect("it can be made");
        let (code, printed, said) =
            home.outcome(&words("cp", &server, &["-r", text(&original), &there(&copy)]));
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{said}");
        assert!(said.contains("/original/fifo: is a device, pipe or socket, and not copied"), "{said}");
        assert!(said.contains("/original/g: Is a directory"), "{said}");
        assert!(said.contains("/.f.partial: is what an interrupted copy left, and not copied"), "{said}");
        assert_eq!(fs::read(copy.join("original/f")).expect("it is there"), b"text");
        assert!(!copy.join("original/fifo").exists() && !copy.join("original/.f.partial").exists());
        let none = home.path().join("none");
        let (code, _, said) = home.outcome(&words("cp", &server, &[&there(&none), &there(&original), "."]));
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("/none: no such file") && said.contains("is a directory; copy it with -r"),
            "{said}"
        );
    }
}

#[test]
fn nothing_is_written_through_a_link_at_the_destination() {
    for server in Server::each() {
        let home = Home::new();
        let [original, victim, copy] = ["d", "victim", "copy"].map(|name| home.path().join(name));
        fs::create_dir_all(original.join("sub")).expect("it can be made");
        fs::write(original.join("f"), "new").expect("it can be written");
        fs::write(original.join("sub/f"), "new").expect("it can be written");
        fs::create_dir_all(&victim).expect("it can be made");
        fs::write(victim.join("f"), "old").expect("it can be written");
        fs::create_dir_all(copy.join("d")).expect("it can be made");
        symlink(victim.join("f"), copy.join("d/f")).expect("it can be made");
        symlink(&victim, copy.join("d/sub")).expect("it can be made");
        let (code, _, said) = home.outcome(&words("cp", &server, &["-r", &there(&original), text(&copy)]));
        assert!(code == Some(1) && said.contains("/d/sub: is there already, and is no directory"), "{said}");
        assert_eq!(tree(&victim).into_values().map(|found| found.2).collect::<Vec<_>>(), [b"old"]);
        assert!(fs::symlink_metadata(copy.join("d/f")).expect("it is there").is_file());
        assert_eq!(fs::read(copy.join("d/f")).expect("it is there"), b"new");
    }
}

#[test]
fn a_tree_is_not_copied_into_itself() {
    for server in Server::each() {
        let home = Home::new();
        let original = home.path().join("d");
        fs::create_dir_all(original.join("sub")).expect("it can be made");
        fs::write(original.join("f"), "text").expect("it can be written");
        let (code, _, said) =
            home.outcome(&words("cp", &server, &["-r", text(&original), &there(&original.join("sub"))]));
        assert!(code == Some(1) && said.contains("/d/sub/d: is where it would be copied to"), "{said}");
        assert_eq!(names(&original.join("sub/d")), ["f", "sub"]);
    }
}

#[test]
fn where_a_path_is_has_to_be_said() {
    let home = Home::new();
    for (args, why) in [
        (["cp", "a", "b"], "write :PATH for what is on the other"),
        (["cp", ":a", ":b"], "are both on the machine"),
    ] {
        let said = home.fails(&args);
        assert!(said.contains(why), "{said}");
    }
    fs::write(home.path().join("f"), "text").expect("it can be written");
    let nowhere = there(&home.path().join("none/f"));
    let said = home.is_undone(&["cp", text(&home.path().join("f")), &nowhere]);
    assert!(said.contains("/none: No such file or directory"), "{said}");
}

/// A small disk of its own, gone with this value; `None` where nobody may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).expect("it can be made");
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("none", &path, "tmpfs", flags, c"size=1m").ok()?;
        Some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let gone = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
        assert!(std::thread::panicking() || gone.is_ok());
    }
}

#[test]
fn a_full_disk_ends_the_copy_and_leaves_what_was_there() {
    let home = Home::new();
    let Some(disk) = SmallDisk::mount(home.path().join("disk")) else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    let (original, copy) = (home.path().join("f"), disk.0.join("f"));
    fs::write(&original, noise(/*len*/ 2 << 20)).expect("it can be written");
    fs::write(&copy, "old").expect("it can be written");
    let server = Server::websocket(&[]);
    for to in [there(&copy), text(&copy).to_owned()] {
        let from = if to.starts_with(':') { text(&original).to_owned() } else { there(&original) };
        let done = output(home.command(&words("cp", &server, &[&from, &to])));
        let said = stderr(&done);
        assert!(done.status.code() == Some(1) && said.contains("No space left on device"), "{said}");
        assert_eq!(fs::read(&copy).expect("it is there"), b"old");
    }
}
