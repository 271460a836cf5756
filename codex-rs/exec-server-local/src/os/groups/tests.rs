//! Finding, making and taking away control groups: on files like the kernel's, and on the kernel where it lets us.

use super::*;
use crate::os::{Command, Output, Status, read_output, spawn};

/// Longer than anything takes to die.
const LONG: Duration = Duration::from_secs(60);

const NOBODY: Maker = Maker { os_pid: 1, began: 1 };

/// Files as the kernel shows them in a group that was delegated to this process, which is alone in it.
fn delegated() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    file("cgroup.controllers", "cpu io memory pids\n");
    file("cgroup.subtree_control", "");
    file("cgroup.type", "domain\n");
    file("cgroup.procs", &format!("{}\n", std::process::id()));
    fs::create_dir(folder.path().join(SERVER)).expect("a folder");
    file("codex-exec-server/cgroup.procs", "");
    folder
}

fn claim(folder: &tempfile::TempDir) -> Result<ControlGroups, String> {
    ControlGroups::claim(folder.path().to_owned(), NOBODY, |_| true)
}

fn content(folder: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).expect("a file")
}

#[test]
fn the_server_leaves_its_group_and_passes_the_controllers_on() {
    let folder = delegated();
    // To look changes nothing.
    assert_eq!(Plan::of(folder.path()), Ok(Plan::MakeRoom));
    assert_eq!(content(&folder, "cgroup.subtree_control"), "");
    claim(&folder).expect("it was delegated");
    assert_eq!(content(&folder, "codex-exec-server/cgroup.procs"), "0");
    assert_eq!(content(&folder, "cgroup.subtree_control"), "+memory +pids");
}

#[test]
fn the_topmost_group_may_have_processes_and_one_that_passes_controllers_on_is_left_as_it_is() {
    let topmost = delegated();
    fs::remove_file(topmost.path().join("cgroup.type")).expect("it is there");
    claim(&topmost).expect("it was delegated");
    assert_eq!(content(&topmost, "codex-exec-server/cgroup.procs"), "");
    let ready = delegated();
    fs::write(ready.path().join("cgroup.subtree_control"), "memory pids\n").expect("a file");
    claim(&ready).expect("it was delegated");
    assert_eq!(content(&ready, "codex-exec-server/cgroup.procs"), "");
    assert_eq!(content(&ready, "cgroup.subtree_control"), "memory pids\n");
}

#[test]
fn a_group_that_is_not_the_servers_alone_is_left_alone() {
    let shared = delegated();
    fs::write(shared.path().join("cgroup.procs"), format!("1\n{}\n", std::process::id())).expect("a file");
    assert!(claim(&shared).expect_err("1 lives there").contains("other processes share"));
    assert_eq!(content(&shared, "cgroup.subtree_control"), "");
    let lacking = delegated();
    fs::write(lacking.path().join("cgroup.controllers"), "hugetlb\n").expect("a file");
    assert!(claim(&lacking).expect_err("it lacks both").contains("lacks the controllers memory and pids"));
    let below = delegated();
    fs::create_dir(below.path().join("below")).expect("a folder");
    for name in ["cgroup.controllers", "cgroup.subtree_control", "cgroup.procs"] {
        fs::copy(below.path().join(name), below.path().join("below").join(name)).expect("a copy");
    }
    if rustix::process::geteuid().is_root() {
        let told = ControlGroups::claim(below.path().join("below"), NOBODY, |_| true);
        assert!(told.expect_err("systemd may keep it").contains("nobody has delegated"));
    }
}

#[test]
fn bounds_are_written_in_the_kernels_words_and_swap_may_not_be_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["memory.max", "pids.max"] {
        fs::write(folder.path().join(name), "").expect("a file");
    }
    let limits = TreeLimits { memory_bytes: Some(1 << 30), processes: Some(64) };
    set(folder.path(), limits).expect("all that is there is written");
    assert_eq!(
        (content(&folder, "memory.max").as_str(), content(&folder, "pids.max").as_str()),
        ("1073741824", "64")
    );
    fs::write(folder.path().join("memory.swap.max"), "").expect("a file");
    set(folder.path(), limits).expect("all that is there is written");
    assert_eq!(content(&folder, "memory.swap.max"), "0");
    fs::remove_file(folder.path().join("pids.max")).expect("it is there");
    set(folder.path(), limits).expect_err("a bound that can't be written is none");
    set(folder.path(), TreeLimits::default()).expect("nothing is written");
}

/// A group of this test's own in the machine's hierarchy, whatever it can bound; `None`, said aloud, where there can't be one.
fn real(name: &str) -> Option<PathBuf> {
    let files = ["/proc/self/cgroup", "/proc/self/mountinfo"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    let folder =
        own_folder(&files[0], &files[1]).map(|own| own.join(format!("{name}-{}", std::process::id())));
    let made = folder.and_then(|folder| {
        fs::create_dir(&folder)
            .map(|()| folder.clone())
            .map_err(|error| format!("{}: {error}", folder.display()))
    });
    made.inspect_err(|why| println!("skipped: no control group can be made here: {why}")).ok()
}

fn groups(folder: &Path) -> &'static ControlGroups {
    let (next, left) = (AtomicU64::new(1), Mutex::default());
    Box::leak(Box::new(ControlGroups { folder: folder.to_owned(), maker: NOBODY, next, left }))
}

/// Starts a shell in a group, and returns what it says first.
fn start(script: &str, group: &Group) -> (crate::os::Child, String) {
    let mut command = Command::new(["/bin/sh", "-c", script], "/");
    command.group = Some(group.clone());
    let spawned = spawn(&command).expect("it starts");
    let Output::Pipes { stdout, .. } = spawned.output else { panic!("pipes were asked for") };
    poll(&mut [PollFd::new(&stdout, PollFlags::IN)], None).expect("it says something");
    let mut text = [0; 4096];
    let count = read_output(&stdout, &mut text).expect("it has said something");
    (spawned.child, String::from_utf8_lossy(&text[..count]).into_owned())
}

#[test]
fn a_tree_is_in_its_group_before_it_runs_and_dies_with_it() {
    let Some(folder) = real("codex-test-tree") else { return };
    let groups = groups(&folder);
    let group = groups.make(TreeLimits::default()).expect("a group");
    let place = group.0.folder.clone();
    let script = "cat /proc/self/cgroup; sleep 1000 & exec sleep 1000";
    let (child, said) = start(script, &group);
    let name = place.file_name().and_then(|name| name.to_str()).expect("it is text");
    assert!(said.lines().any(|line| line.starts_with("0::") && line.ends_with(name)), "{said}");
    group.kill();
    poll(&mut [PollFd::new(&child, PollFlags::IN)], None).expect("it ends");
    let exit = child.try_wait().expect("it is ours").expect("it is dead");
    assert_eq!(exit.status, Status::Signalled(libc::SIGKILL));
    await_empty(&place, Instant::now() + LONG);
    drop((child, group));
    groups.tidy();
    assert!(!place.exists(), "it was taken away");
    remove(&folder).expect("it is empty");
}

#[test]
fn what_a_dead_server_left_behind_is_taken_away_and_what_a_living_one_has_stays() {
    let Some(folder) = real("codex-test-sweep") else { return };
    let living = folder.join(NOBODY.name(/*number*/ 1));
    fs::create_dir(&living).expect("a folder");
    sweep(&folder, LONG, |_| true);
    assert!(living.exists());
    let group = groups(&folder).make(TreeLimits { memory_bytes: None, processes: None });
    // Both have one maker, and this one would have the other's name.
    assert!(group.is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists));
    let procs = OpenOptions::new().write(true).open(living.join("cgroup.procs")).expect("it can be entered");
    let inner = Inner { folder: living.clone(), procs, groups: groups(&folder) };
    let group = Group(Arc::new(inner));
    let (child, _) = start("echo; exec sleep 1000", &group);
    sweep(&folder, LONG, |_| false);
    poll(&mut [PollFd::new(&child, PollFlags::IN)], None).expect("it ends");
    assert!(!living.exists(), "it was taken away");
    drop((child, group));
    remove(&folder).expect("it is empty");
}
