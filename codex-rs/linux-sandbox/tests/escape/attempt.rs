//! What an attempt is.

use serde_json::{Value, json};

use super::scene::{Profile, Scene};

/// One row of the suite.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    /// As in `docs/sandbox.md`.
    pub(crate) number: u16,
    /// What is tried.
    pub(crate) name: &'static str,
    pub(crate) profile: Profile,
    /// Why it can't be tried here, if so; told when it is skipped.
    pub(crate) missing: fn() -> Option<String>,
    /// Outside, before.
    pub(crate) prepare: fn(&Scene),
    /// What differs in the parameters of the start, as a merge patch.
    pub(crate) change: fn(&Scene) -> Value,
    /// Other changes, with which nothing may run, and what is said about each.
    pub(crate) refused: fn(&Scene) -> Vec<(Value, &'static str)>,
    /// Inside: notes what got through.
    pub(crate) attempt: fn(&Scene, &mut Through),
    /// Inside: work that must succeed; panics if it does not.
    pub(crate) control: fn(&Scene),
    /// How the process ends.
    pub(crate) ending: Ending,
    /// Outside, afterwards: notes what changed that must not.
    pub(crate) check: fn(&Scene, &mut Through),
}

/// See [`Attempt::ending`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It exits when it has tried.
    Exits,
    /// It is ended by force when it has tried.
    Terminated,
    /// It fails, and what it was kept from is told: the call, and the rule that decided.
    Told(&'static str, &'static str),
}

impl Attempt {
    pub(crate) const fn new(
        number: u16,
        name: &'static str,
        profile: Profile,
        attempt: fn(&Scene, &mut Through),
    ) -> Self {
        let control = match profile {
            Profile::ReadOnly | Profile::Minimal => read_something,
            _ => write_in_workspace,
        };
        Self {
            number,
            name,
            profile,
            missing: || None,
            prepare: nothing,
            change: |_| json!({}),
            refused: |_| Vec::new(),
            attempt,
            control,
            ending: Ending::Exits,
            check: nothing_changed,
        }
    }

    pub(crate) const fn missing(mut self, missing: fn() -> Option<String>) -> Self {
        self.missing = missing;
        self
    }

    pub(crate) const fn changed(mut self, change: fn(&Scene) -> Value) -> Self {
        self.change = change;
        self
    }

    pub(crate) const fn refused(mut self, refused: fn(&Scene) -> Vec<(Value, &'static str)>) -> Self {
        self.refused = refused;
        self
    }

    pub(crate) const fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    pub(crate) const fn prepared(mut self, prepare: fn(&Scene)) -> Self {
        self.prepare = prepare;
        self
    }

    pub(crate) const fn controlled(mut self, control: fn(&Scene)) -> Self {
        self.control = control;
        self
    }

    pub(crate) const fn checked(mut self, check: fn(&Scene, &mut Through)) -> Self {
        self.check = check;
        self
    }
}

fn nothing(_: &Scene) {}

fn write_in_workspace(scene: &Scene) {
    let file = scene.workspace().join("honest");
    std::fs::write(&file, "work").expect("the workspace may be written");
    assert_eq!(std::fs::read(&file).expect("and read"), b"work");
    std::fs::rename(&file, scene.workspace().join("honest2")).expect("and changed");
    std::fs::remove_file(scene.workspace().join("honest2")).expect("and tidied");
    std::fs::write("/dev/null", "x").expect("there are devices");
}

fn read_something(_: &Scene) {
    assert!(std::fs::read_dir("/usr").expect("programs can be found").next().is_some());
}

/// What is outside of the workspace is as it was.
pub(crate) fn nothing_changed(scene: &Scene, through: &mut Through) {
    through.note("outside changed", !scene.outside_is_as_it_was());
}

/// What got through, by name.
#[derive(Default)]
pub(crate) struct Through(pub(crate) Vec<String>);

impl Through {
    pub(crate) fn note(&mut self, what: impl Into<String>, got_through: bool) {
        if got_through {
            self.0.push(what.into());
        }
    }

    /// Something that must have failed.
    pub(crate) fn must_fail<T, E>(&mut self, what: impl Into<String>, result: Result<T, E>) {
        self.note(what, result.is_ok());
    }

    /// A system call that must have failed.
    pub(crate) fn must_refuse(&mut self, what: impl Into<String>, result: i64) {
        self.note(what, result >= 0);
    }
}
