use proptest::prelude::*;

use super::*;

/// Paths of up to four components over two names, so that containment and equality are common.
fn path() -> impl Strategy<Value = PathBuf> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b")], 0..4)
        .prop_map(|names| names.iter().fold(PathBuf::from("/"), |path, name| path.join(name)))
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::Deny), Just(Access::Read), Just(Access::Write)]
}

fn rules_of(entries: &[(PathBuf, Access)]) -> Rules {
    let mut rules = Rules::default();
    for (path, access) in entries {
        rules.add(path.clone(), *access, Origin::Asked);
    }
    rules
}

/// The rule of the module, said as directly as possible: walk down to the path and listen to everybody on the way.
fn model(entries: &[(PathBuf, Access)], path: &Path) -> Access {
    let mut access = Access::Deny;
    let mut closed = false;
    for depth in 1..=path.components().count() {
        let place: PathBuf = path.components().take(depth).collect();
        let mut said: Vec<Access> =
            entries.iter().filter(|(at, _)| *at == place).map(|(_, access)| *access).collect();
        said.sort_by_key(|access| [2, 0, 1][*access as usize]);
        match said.last() {
            Some(Access::Read) if closed => {}
            Some(new) => {
                access = *new;
                closed = *new == Access::Deny;
            }
            None => {}
        }
    }
    access
}

proptest! {
    #[test]
    fn the_deepest_rule_decides_and_deny_wins_at_one_depth(
        entries in proptest::collection::vec((path(), access()), 0..8), at in path(),
    ) {
        prop_assert_eq!(rules_of(&entries).access(&at), model(&entries, &at));
    }

    #[test]
    fn the_order_of_rules_never_matters(
        (entries, shuffled) in proptest::collection::vec((path(), access()), 0..8)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
    ) {
        prop_assert_eq!(rules_of(&entries), rules_of(&shuffled));
    }

    #[test]
    fn one_more_deny_never_opens_anything(
        entries in proptest::collection::vec((path(), access()), 0..8), deny in path(), at in path(),
    ) {
        let before = rules_of(&entries).access(&at);
        let mut more = entries;
        more.push((deny, Access::Deny));
        prop_assert!(rules_of(&more).access(&at) <= before);
    }

    #[test]
    fn a_rule_that_allows_reading_never_lets_anything_be_written(
        entries in proptest::collection::vec((path(), access()), 0..8), read in path(), at in path(),
    ) {
        let before = rules_of(&entries).access(&at);
        let mut more = entries;
        more.push((read, Access::Read));
        prop_assert!(rules_of(&more).access(&at) <= before.max(Access::Read));
    }

    #[test]
    fn a_rule_says_nothing_about_what_it_does_not_contain(
        entries in proptest::collection::vec((path(), access()), 0..8), rule in path(), new in access(), at in path(),
    ) {
        prop_assume!(!at.starts_with(&rule));
        let before = rules_of(&entries).access(&at);
        let mut more = entries;
        more.push((rule, new));
        prop_assert_eq!(rules_of(&more).access(&at), before);
    }
}

#[test]
fn reading_below_a_denied_place_stays_denied_until_writing_opens_it() {
    let rules = rules_of(&[
        ("/".into(), Access::Read),
        ("/a".into(), Access::Deny),
        ("/a/b".into(), Access::Read),
        ("/a/c".into(), Access::Write),
        ("/a/c/d".into(), Access::Read),
    ]);
    assert_eq!(rules.access(Path::new("/x")), Access::Read);
    assert_eq!(rules.access(Path::new("/a/b/x")), Access::Deny);
    assert_eq!(rules.access(Path::new("/a/c/x")), Access::Write);
    assert_eq!(rules.access(Path::new("/a/c/d/x")), Access::Read);
    assert!(!rules.is_full_read() && !rules.is_full_write());
}
