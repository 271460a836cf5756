//! Documentation written for rustdoc, made readable elsewhere: links become the words they stand on.

use crate::constants::BOUNDS;

/// ``[`X`](y::X)`` and ``[`X`]`` as `` `X` ``; everything else as it is.
pub(crate) fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("[`") {
        let Some(end) = rest[at..].find("`]") else { break };
        out.push_str(&rest[..at]);
        out.push_str(&rest[at + 1..=at + end]);
        rest = &rest[at + end + 2..];
        if rest.starts_with('(')
            && let Some(close) = rest.find(')')
        {
            rest = &rest[close + 1..];
        }
    }
    out.push_str(rest);
    out
}

/// As [`without_links`], with bounds as numbers: for readers who have no constants to look into.
pub(crate) fn with_numbers(text: &str) -> String {
    BOUNDS.iter().fold(without_links(text), |text, (name, value)| {
        text.replace(&format!("`{name}`"), &value.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_becomes_the_words_it_stands_on() {
        for (text, expected) in [
            ("plain `code` [brackets] (and more)", "plain `code` [brackets] (and more)"),
            ("see [`A`] and [`b`](c::b), [`d`] (e)", "see `A` and `b`, `d` (e)"),
            ("broken [`A", "broken [`A"),
        ] {
            assert_eq!(without_links(text), expected);
        }
    }

    #[test]
    fn a_bound_becomes_its_number() {
        assert_eq!(with_numbers("1 to [`MAX_BLOCK_BYTES`](super::MAX_BLOCK_BYTES)."), "1 to 1048576.");
    }
}
