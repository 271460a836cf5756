//! What tests may become.

/// Whether a process of this user namespace can become the user: containers know a few only.
///
/// # Panics
/// Where `/proc` is not mounted.
#[must_use]
pub fn is_mapped(user: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().expect("a number"));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let (first, count) = (first.expect("a first user"), count.expect("a count"));
        (first..first + count).contains(&user.into())
    })
}
