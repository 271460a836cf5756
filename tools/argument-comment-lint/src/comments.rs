//! Comments between two tokens. A parser drops them, so they are read from the text; strings can't stand there.

use std::ops::Range;

/// A block comment right before an argument.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Comment<'a> {
    /// Its place in the file, in bytes, delimiters included.
    pub(crate) range: Range<usize>,
    /// What stands between the delimiters.
    pub(crate) content: &'a str,
}

impl Comment<'_> {
    /// The parameter it names: `/*name*/`, without blanks. Anything else is prose.
    pub(crate) fn parameter(&self) -> Option<&str> {
        is_identifier(self.content).then_some(self.content)
    }

    /// Whether it is prose that says no more than the name, such as `/* name */` or `/*name=*/`.
    pub(crate) fn is_loosely(&self, name: &str) -> bool {
        self.content.trim().trim_end_matches(['=', ':']).trim_end() == name
    }
}

fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|rest| rest.is_alphanumeric() || rest == '_')
}

/// The block comment that ends the stretch `gap` of `text`, blanks aside. The stretch lies between two tokens.
pub(crate) fn last(text: &str, gap: Range<usize>) -> Option<Comment<'_>> {
    let mut found = None;
    let mut at = gap.start;
    while at < gap.end {
        let rest = &text[at..gap.end];
        if rest.starts_with("//") {
            found = None;
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            let length = block(rest);
            let content = &rest[2..length.saturating_sub(2).max(2)];
            found = Some(Comment { range: at..at + length, content });
            at += length;
        } else {
            let character = rest.chars().next()?;
            if !character.is_whitespace() {
                found = None;
            }
            at += character.len_utf8();
        }
    }
    found
}

/// The length of the block comment that `text` begins with; they nest.
fn block(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Option<&str> {
        last(text, 0..text.len()).map(|comment| comment.content)
    }

    #[test]
    fn only_the_comment_next_to_the_argument_counts() {
        assert_eq!(named("/*first*/ /*second*/ "), Some("second"));
        assert_eq!(named("/*first*/ // and a line\n  "), None);
        assert_eq!(named("// /*inside*/\n"), None);
        assert_eq!(named("\n    // a line\n    /*name*/\n    "), Some("name"));
        assert_eq!(named("  "), None);
    }

    #[test]
    fn comments_nest_and_may_hold_any_letters() {
        assert_eq!(named("/* ä /* in */ out */ "), Some(" ä /* in */ out "));
        assert_eq!(named("/**/ "), Some(""));
    }

    #[test]
    fn a_name_has_no_blanks() {
        let comment = |content| Comment { range: 0..0, content };
        assert_eq!(comment("limit_bytes").parameter(), Some("limit_bytes"));
        assert_eq!(comment(" limit_bytes ").parameter(), None);
        assert_eq!(comment("2fast").parameter(), None);
        assert!(comment(" limit_bytes= ").is_loosely("limit_bytes"));
        assert!(!comment(" the limit ").is_loosely("limit_bytes"));
    }
}
