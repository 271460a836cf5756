//! What a sandboxed process was kept from, as it is told.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::rules::{Access, Origin, Rule};

/// One thing that a process was kept from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// The system call's name.
    pub operation: String,
    /// What it was about.
    pub subject: Subject,
    /// What decided, in words: what may be done and where that was said.
    pub rule: String,
}

/// See [`Denial`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// A file, by its path in bytes.
    Path(Vec<u8>),
    /// An address on the network.
    Address(String),
    /// The call itself.
    Call,
}

/// The most that are kept of one process; those that come first say most.
pub const MOST: usize = 32;
/// Of longer paths the rest is left out.
const LONGEST_PATH: usize = 1024;
/// A report fits into this, so into a pipe that nobody reads yet.
pub(crate) const REPORT_BYTES: usize = 48 * 1024;

/// What is told when a process has ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whether nobody inside has ever had a socket.
    pub(crate) is_network_unused: bool,
    pub(crate) denials: Denials,
}

impl Report {
    /// For the road; never longer than [`REPORT_BYTES`].
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&[u8::from(self.is_network_unused)], &self.denials.to_bytes()[..]].concat()
    }

    /// The other end of [`to_bytes`](Self::to_bytes): whether the network is unused, and what was denied; `None` where
    /// nothing, or half of it, arrived.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<(bool, Vec<Denial>)> {
        let (unused, denials) = bytes.split_first()?;
        Some((*unused == 1, Denials::from_bytes(denials)?))
    }
}

/// A bounded list without repetitions.
#[derive(Debug, Default)]
pub(crate) struct Denials(Vec<Denial>);

impl Denials {
    pub(crate) fn note(&mut self, mut denial: Denial) {
        if let Subject::Path(path) = &mut denial.subject {
            path.truncate(LONGEST_PATH);
        }
        if self.0.len() < MOST && !self.0.contains(&denial) {
            self.0.push(denial);
        }
    }

    /// For the road; shorter than [`REPORT_BYTES`].
    fn to_bytes(&self) -> Vec<u8> {
        let mut told = &self.0[..];
        loop {
            match postcard::to_stdvec(told) {
                Ok(bytes) if bytes.len() < REPORT_BYTES => return bytes,
                _ if told.is_empty() => return vec![0],
                _ => told = &told[..told.len() / 2],
            }
        }
    }

    /// The other end of [`to_bytes`](Self::to_bytes); `None` where nothing, or half of it, arrived.
    fn from_bytes(bytes: &[u8]) -> Option<Vec<Denial>> {
        postcard::from_bytes(bytes).ok()
    }
}

/// The rule that decided about a path, in words.
pub(crate) fn words(decided: Option<(&Path, Rule)>) -> String {
    let Some((place, rule)) = decided else { return "not listed".into() };
    let place: PathBuf = place.to_string_lossy().chars().take(LONGEST_PATH / 2).collect::<String>().into();
    let place = place.display();
    match (rule.origin, rule.access) {
        (Origin::Server, _) => "kept by the server".into(),
        (Origin::Protected, _) => format!("protected {place}"),
        (Origin::Glob, _) => format!("deny {place}, by a glob"),
        (_, Access::Deny) => format!("deny {place}"),
        (_, Access::Read) => format!("read {place}"),
        (_, Access::Write) => format!("write {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(at: usize) -> Denial {
        let subject = Subject::Path([format!("/{at}/").into_bytes(), vec![b'x'; 4096]].concat());
        Denial { operation: "openat".into(), subject, rule: "read /".into() }
    }

    #[test]
    fn a_list_is_bounded_in_number_and_size_and_says_nothing_twice() {
        let mut denials = Denials::default();
        for at in 0..100 {
            denials.note(denial(at % 50));
        }
        let bytes = denials.to_bytes();
        assert!(bytes.len() <= REPORT_BYTES, "{}", bytes.len());
        let told = Denials::from_bytes(&bytes).expect("whole");
        assert_eq!(told.len(), MOST);
        let Subject::Path(path) = &told[1].subject else { panic!("it is a path") };
        assert!(path.starts_with(b"/1/") && path.len() == LONGEST_PATH);
        assert_eq!(Denials::from_bytes(&bytes[..10]), None);
        assert_eq!(Denials::from_bytes(&[]), None);
    }

    #[test]
    fn no_denials_are_told_as_well_and_half_a_report_says_nothing_of_a_network() {
        for is_network_unused in [true, false] {
            let bytes = Report { is_network_unused, denials: Denials::default() }.to_bytes();
            assert_eq!(Report::from_bytes(&bytes), Some((is_network_unused, Vec::new())));
            assert_eq!(Report::from_bytes(&bytes[..1]), None);
        }
        assert_eq!(Report::from_bytes(&[]), None);
    }
}
