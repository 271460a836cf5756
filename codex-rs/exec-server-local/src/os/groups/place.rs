//! Where this process's control group lies, and whether it is of any use: from what the kernel's files say.

use std::path::PathBuf;

/// What bounds on whole trees need.
pub(super) const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// The folder of this process's group in the unified hierarchy, by its `/proc/self/cgroup` and `/proc/self/mountinfo`.
///
/// # Errors
/// Why there is none, in a sentence without a full stop.
pub(super) fn own_folder(groups: &str, mounts: &str) -> Result<PathBuf, String> {
    let own = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .ok_or("the kernel has no unified hierarchy of control groups")?;
    let shown = |(root, place): (String, String)| {
        // A mount may show a part of the hierarchy only.
        let below = match root.as_str() {
            "/" => own,
            root => own.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'))?,
        };
        Some(PathBuf::from(place).join(below.trim_start_matches('/')))
    };
    let mounted = mounts.lines().filter_map(unified_mount).collect::<Vec<_>>();
    if mounted.is_empty() {
        return Err("the unified hierarchy of control groups is not mounted".into());
    }
    mounted
        .into_iter()
        .find_map(shown)
        .ok_or_else(|| format!("the control group {own} is not among what is mounted"))
}

/// What part of the unified hierarchy a line of `mountinfo` shows, and where.
fn unified_mount(line: &str) -> Option<(String, String)> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, place) = (fields.next()?, fields.next()?);
    kind.starts_with("cgroup2 ").then(|| (unescape(root), unescape(place)))
}

/// Spaces and the like stand there as octal numbers.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

/// Whether a list of controllers has all that are needed.
///
/// # Errors
/// Which are missing, in a sentence without a full stop.
pub(super) fn enough(controllers: &str) -> Result<(), String> {
    let there: Vec<&str> = controllers.split_whitespace().collect();
    let missing: Vec<&str> = CONTROLLERS.into_iter().filter(|needed| !there.contains(needed)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    Err(format!(
        "the server's control group lacks the controllers {} of the unified hierarchy (it has {there})",
        missing.join(" and ")
    ))
}

/// A group is named by the process that made it, so that whoever comes later can tell what was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maker {
    pub(super) os_pid: u32,
    /// When it began, in the kernel's ticks: numbers are used again.
    pub(super) began: u64,
}

const PREFIX: &str = "codex-process-";

impl Maker {
    /// From the number of a process and its `/proc/…/stat`.
    pub(super) fn from_stat(os_pid: u32, stat: &str) -> Option<Self> {
        // The second field is a name, which may hold anything but ends with the last parenthesis.
        let (_, rest) = stat.rsplit_once(')')?;
        let began = rest.split_whitespace().nth(19)?.parse().ok()?;
        Some(Self { os_pid, began })
    }

    pub(super) fn name(&self, number: u64) -> String {
        format!("{PREFIX}{}-{}-{number}", self.os_pid, self.began)
    }

    /// Who made the group of this name; `None` if it is none of ours.
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let maker = Self { os_pid: parts.next()?.parse().ok()?, began: parts.next()?.parse().ok()? };
        let _number: u64 = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(maker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "8:pids:/\n4:memory:/user/7\n0::/system.slice/codex.service\n";
    const UNIFIED: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_own_group_is_found_below_where_the_hierarchy_is_mounted() {
        let found = |groups, mounts| own_folder(groups, mounts).map(|path| path.display().to_string());
        assert_eq!(found(MIXED, UNIFIED).as_deref(), Ok("/sys/fs/cgroup/system.slice/codex.service"));
        assert_eq!(found("0::/\n", UNIFIED).as_deref(), Ok("/sys/fs/cgroup/"));
        // A container shows its own part, by a name with a space.
        let part = "9 8 0:26 /system.slice /a\\040b rw shared:3 - cgroup2 cgroup rw\n";
        assert_eq!(found(MIXED, part).as_deref(), Ok("/a b/codex.service"));
        let other = "9 8 0:26 /system.slices /x rw - cgroup2 cgroup rw\n";
        assert_eq!(
            found(MIXED, &format!("{other}{UNIFIED}")).as_deref(),
            Ok("/sys/fs/cgroup/system.slice/codex.service")
        );
    }

    #[test]
    fn what_is_not_there_is_told() {
        let told = |groups, mounts| own_folder(groups, mounts).expect_err("there is none");
        assert_eq!(told("4:memory:/\n", UNIFIED), "the kernel has no unified hierarchy of control groups");
        let legacy = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(told(MIXED, legacy), "the unified hierarchy of control groups is not mounted");
        let other = "9 8 0:26 /user.slice /x rw - cgroup2 cgroup rw\n";
        assert!(told(MIXED, other).contains("/system.slice/codex.service is not among what is mounted"));
    }

    #[test]
    fn controllers_that_are_missing_are_named() {
        assert_eq!(enough("cpuset cpu io memory hugetlb pids\n"), Ok(()));
        let told = enough("hugetlb\n").expect_err("two are missing");
        assert!(told.contains("memory and pids") && told.ends_with("(it has hugetlb)"), "{told}");
        let told = enough("cpu memory").expect_err("one is missing");
        assert!(told.contains("controllers pids of") && told.ends_with("(it has cpu, memory)"), "{told}");
        assert!(enough("").expect_err("both are missing").ends_with("(it has none)"));
    }

    #[test]
    fn a_groups_name_tells_who_made_it_and_other_names_tell_nothing() {
        let stat = "42 (a) b) c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 8675309 1 2";
        let maker = Maker::from_stat(/*os_pid*/ 42, stat).expect("it has all fields");
        assert_eq!(maker, Maker { os_pid: 42, began: 8_675_309 });
        assert_eq!(Maker::of(&maker.name(/*number*/ 7)), Some(maker));
        for other in [
            "codex-process-",
            "codex-process-1-2",
            "codex-process-1-2-3-4",
            "codex-process-a-2-3",
            "system.slice",
        ] {
            assert_eq!(Maker::of(other), None, "{other}");
        }
    }
}
