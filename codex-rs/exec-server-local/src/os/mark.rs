//! The brand that every process of a tree carries.
//!
//! Owns the choice of the value and what carrying it means. Reading it off a process is left to `proc_table`.
//!
//! Terminating a tree needs an answer to "is this process one of ours?" that survives `setsid`, `fork`, the
//! death of every ancestor, and closed descriptors. A cgroup would give it, but needs delegation that a
//! server often lacks in containers and on shared hosts. A variable in the environment is visible to the
//! program and lost as soon as it cleans its own. What is left is what the kernel copies at every `fork` and
//! keeps at every `execve`: resource limits. Of these, the time that a *real-time* process may run without
//! sleeping (`RLIMIT_RTTIME`, in microseconds) is the one nobody uses at such sizes: a limit of 2^62 µs is
//! 146 000 years, so it means "unlimited" whatever its low bits say, and those hold a number unique to the
//! tree.
//!
//! Limits of the method. A process may lower the limit and so drop the brand; ancestry and session then still
//! find it in the usual case. `prlimit` shows the brand of processes of the same user only; others are read
//! from `/proc/<pid>/limits`. Where the server's own limit is in earnest small, trees carry no brand at all.
//!
//! A server within a tree of another server may not raise its hard limit, and must not: it is the outer
//! server's brand. So an inner tree keeps the hard limit and carries its own brand in the soft one, and both
//! servers find it. From the third level inwards, a middle server's brand is not on the processes of the
//! inner one, which it then finds by ancestry.

use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::rand::{GetRandomFlags, getrandom};

use super::sys;

/// The resource whose limit is the brand.
pub(super) const RESOURCE: sys::Resource = libc::RLIMIT_RTTIME;

/// Set in a brand that stands in both limits.
const OUTER: u64 = 1 << 62;
/// Set in a brand that stands in the soft limit only. It is below every hard limit that has `OUTER`.
const INNER: u64 = 1 << 61;
/// The rest of a brand: a number that two servers on one machine will not choose alike.
const NUMBER: u64 = (1 << 60) - 1;

/// Names one tree of processes among all on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// `None` where this server cannot mark.
    brand: Option<NonZeroU64>,
    hard: u64,
}

impl Mark {
    /// A mark that no tree has had yet.
    pub(super) fn fresh() -> Self {
        /// The server's own hard limit. Its children can have any up to this one.
        static OWN_HARD: LazyLock<u64> =
            LazyLock::new(|| sys::limits_of(/*os_pid*/ 0, RESOURCE).map_or(0, |(_soft, hard)| hard));
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(random()));
        Self::numbered(NEXT.fetch_add(1, Relaxed), *OWN_HARD)
    }

    /// None: whoever has it is in no tree, and leaves the limits of its children as they are.
    pub(super) fn none() -> Self {
        Self { brand: None, hard: 0 }
    }

    fn numbered(number: u64, own_hard: u64) -> Self {
        let number = number & NUMBER;
        if own_hard == libc::RLIM64_INFINITY {
            let brand = OUTER | number;
            Self { brand: NonZeroU64::new(brand), hard: brand }
        } else if own_hard >= OUTER {
            Self { brand: NonZeroU64::new(INNER | number), hard: own_hard }
        } else {
            Self { brand: None, hard: own_hard }
        }
    }

    /// What the root of the tree sets for itself before it runs its program.
    pub(super) fn limit(self) -> Option<libc::rlimit64> {
        self.brand.map(|brand| libc::rlimit64 { rlim_cur: brand.get(), rlim_max: self.hard })
    }

    /// Whether a process with these limits is of this tree.
    pub(super) fn is_on(self, (soft, hard): (u64, u64)) -> bool {
        self.brand.is_some_and(|brand| brand.get() == soft || brand.get() == hard)
    }
}

/// Unpredictable enough that servers do not collide. Without the kernel's help, the time and the process
/// number serve, as they differ between servers too.
fn random() -> u64 {
    let mut bytes = [0; 8];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(8) => u64::from_ne_bytes(bytes),
        Ok(_) | Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            (u64::from(std::process::id()) << 32) ^ u64::from(now.subsec_nanos()) ^ now.as_secs()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlimited_server_brands_both_limits_and_recognises_either() {
        let mark = Mark::numbered(/*number*/ 7, libc::RLIM64_INFINITY);
        let brand = OUTER | 7;
        let limit = mark.limit().expect("an unlimited server can mark");
        assert_eq!((limit.rlim_cur, limit.rlim_max), (brand, brand));
        assert!(mark.is_on((brand, brand)) && mark.is_on((3, brand)) && mark.is_on((brand, u64::MAX)));
        assert!(!mark.is_on((OUTER | 8, OUTER | 8)) && !mark.is_on((u64::MAX, u64::MAX)));
    }

    #[test]
    fn a_nested_server_keeps_the_outer_brand_in_the_hard_limit() {
        let outer = Mark::numbered(NUMBER, libc::RLIM64_INFINITY);
        let inner = Mark::numbered(u64::MAX, outer.hard);
        let limit = inner.limit().expect("a nested server can mark");
        assert!(limit.rlim_cur < limit.rlim_max);
        assert!(
            inner.is_on((limit.rlim_cur, limit.rlim_max)) && outer.is_on((limit.rlim_cur, limit.rlim_max))
        );
        assert!(!inner.is_on((outer.hard, outer.hard)), "the inner server itself is not in its tree");
    }

    #[test]
    fn a_limit_that_is_meant_is_left_alone() {
        let mark = Mark::numbered(/*number*/ 7, /*own_hard*/ 200_000);
        assert_eq!(mark.limit().map(|limit| limit.rlim_cur), None);
        assert!(!mark.is_on((200_000, 200_000)));
    }
}
