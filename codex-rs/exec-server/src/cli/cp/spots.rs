//! Which machine each path of `cp` is on, as it is written.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// A path with its side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spot<'a> {
    /// On this machine.
    Here(&'a Path),
    /// On the one that was named.
    There(&'a Path),
}

/// From which side to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the machine.
    Up,
    /// To this one.
    Down,
}

impl<'a> Spot<'a> {
    pub(super) fn of(written: &'a Path) -> Self {
        match written.as_os_str().as_bytes().strip_prefix(b":") {
            None => Self::Here(written),
            Some(b"") => Self::There(Path::new(".")),
            Some(path) => Self::There(Path::new(OsStr::from_bytes(path))),
        }
    }

    pub(super) const fn path(&self) -> &'a Path {
        match self {
            Self::Here(path) | Self::There(path) => path,
        }
    }
}

impl Way {
    /// All sources are on one side and the destination on the other.
    pub(super) fn of(sources: &[PathBuf], destination: &Path) -> Result<Self, Failure> {
        let is_there = |path: &Path| matches!(Spot::of(path), Spot::There(_));
        let way = if is_there(destination) { Self::Up } else { Self::Down };
        for source in sources {
            match (is_there(source), way) {
                (false, Self::Up) | (true, Self::Down) => {}
                (true, Self::Up) => {
                    return Err(format!(
                        "{} and {} are both on the machine; copy there with: codex-exec-server run -- cp -r",
                        source.display(),
                        destination.display()
                    )
                    .into());
                }
                (false, Self::Down) => {
                    return Err(format!(
                        "{} and {} are both on this machine; write :PATH for what is on the other",
                        source.display(),
                        destination.display()
                    )
                    .into());
                }
            }
        }
        Ok(way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_in_front_is_the_other_machine() {
        for (written, expected) in [
            (":/srv/a", Spot::There(Path::new("/srv/a"))),
            (":a", Spot::There(Path::new("a"))),
            (":", Spot::There(Path::new("."))),
            ("::a", Spot::There(Path::new(":a"))),
            ("a:b", Spot::Here(Path::new("a:b"))),
            ("./:a", Spot::Here(Path::new("./:a"))),
        ] {
            assert_eq!(Spot::of(Path::new(written)), expected, "{written}");
        }
    }

    #[test]
    fn a_copy_goes_from_one_side_to_the_other() {
        let way = |sources: &[&str], to| {
            let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
            Way::of(&sources, Path::new(to)).map_err(|error| error.to_string())
        };
        assert_eq!(way(&["a", "b"], ":"), Ok(Way::Up));
        assert_eq!(way(&[":a", ":/b"], "."), Ok(Way::Down));
        assert!(way(&["a"], "b").is_err_and(|said| said.contains("both on this machine")));
        assert!(
            way(&[":a", "b"], ":c").is_err_and(|said| said.contains(":a and :c are both on the machine"))
        );
    }
}
