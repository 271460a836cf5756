//! "Did you mean …?"

/// How alike two words must be before one is offered for the other; 1 is equal. Lets through a letter too many, too few or
/// swapped in words of ordinary length.
const ALIKE: f64 = 0.79;

/// The one of `known` that `word` was probably meant to be, if any is close.
#[must_use]
pub fn closest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["default", "include_local", "environments", "connect_timeout_sec"];
        for (word, meant) in [
            ("defualt", Some("default")),
            ("include-local", Some("include_local")),
            ("environment", Some("environments")),
            ("connect_timeout", Some("connect_timeout_sec")),
            ("DEFAULT", Some("default")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(word, known), meant, "{word}");
        }
    }
}
