use super::*;

fn env(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn policy(inherit: EnvInherit) -> EnvPolicy {
    EnvPolicy {
        inherit,
        ignore_default_excludes: true,
        exclude: Vec::new(),
        set: BTreeMap::new(),
        include_only: Vec::new(),
    }
}

fn own() -> Environment {
    env(&[
        ("HOME", "/root"),
        ("PATH", "/bin"),
        ("LC_ALL", "C"),
        ("LC_TIME", "C"),
        ("EDITOR", "vi"),
        ("Api_Key", "k"),
        ("MY_TOKEN_2", "t"),
    ])
}

#[test]
fn without_a_policy_the_environment_is_exactly_what_was_asked_for() {
    assert_eq!(child_environment(&own(), /*policy*/ None, &strings(&[("A", "1")])), env(&[("A", "1")]));
    assert_eq!(child_environment(&own(), /*policy*/ None, &BTreeMap::new()), Environment::new());
}

#[test]
fn each_kind_of_inheritance_begins_with_its_own_names() {
    let inherited = |inherit| child_environment(&own(), Some(&policy(inherit)), &BTreeMap::new());
    assert_eq!(inherited(EnvInherit::All), own());
    assert_eq!(inherited(EnvInherit::Core), env(&[("HOME", "/root"), ("PATH", "/bin"), ("LC_ALL", "C")]));
    assert_eq!(inherited(EnvInherit::None), Environment::new());
}

#[test]
fn names_that_look_like_credentials_are_dropped_unless_asked_for() {
    let mut cautious = policy(EnvInherit::All);
    cautious.ignore_default_excludes = false;
    let kept = child_environment(&own(), Some(&cautious), &BTreeMap::new());
    assert_eq!(
        kept,
        env(&[("HOME", "/root"), ("PATH", "/bin"), ("LC_ALL", "C"), ("LC_TIME", "C"), ("EDITOR", "vi")])
    );
}

#[test]
fn what_is_set_passes_the_excludes_but_not_the_includes_and_the_request_wins_over_all() {
    let mut all = policy(EnvInherit::All);
    all.ignore_default_excludes = false;
    all.exclude = vec!["ed?tor".into(), "PA*".into()];
    all.set = strings(&[("PATH", "/set"), ("EXTRA_KEY", "set")]);
    all.include_only = vec!["p*".into(), "home".into()];
    let made = child_environment(&own(), Some(&all), &strings(&[("HOME", "/mine"), ("ANY", "1")]));
    assert_eq!(made, env(&[("HOME", "/mine"), ("PATH", "/set"), ("ANY", "1")]));
}

#[test]
fn only_asterisk_and_question_mark_are_special_in_a_pattern() {
    let mut odd = policy(EnvInherit::None);
    odd.set = strings(&[("[A]", "1"), ("A", "1"), ("{B,C}", "1"), ("B", "1"), ("D\\D", "1")]);
    odd.include_only = vec!["[a]".into(), "{b,*}".into(), "d\\?".into()];
    let kept = child_environment(&Environment::new(), Some(&odd), &BTreeMap::new());
    assert_eq!(kept, env(&[("[A]", "1"), ("{B,C}", "1"), ("D\\D", "1")]));
}
