//! Splits a command line into words the way a POSIX shell does for quotes and backslashes. Nothing is
//! expanded: no variables, globs, pipes or comments.

use crate::error::BenchError;

/// The words of `command`. Fails on an open quote, a trailing backslash, and on no words at all.
pub(crate) fn split(command: &str) -> Result<Vec<String>, BenchError> {
    let fail = |problem| BenchError::Command { command: command.to_owned(), problem };
    let mut words = Vec::new();
    // `None` between words, so that `''` is a word of no characters while a run of blanks is none.
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(character) = rest.next() {
        match character {
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or_else(|| fail("ends inside a single quote"))? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => double_quoted(&mut rest, word.get_or_insert_default())
                .ok_or_else(|| fail("ends inside a double quote"))?,
            '\\' => match rest.next().ok_or_else(|| fail("ends with a backslash"))? {
                '\n' => {}
                other => word.get_or_insert_default().push(other),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    if words.is_empty() {
        return Err(fail("is empty"));
    }
    Ok(words)
}

/// Reads up to the closing quote. Inside, a backslash is only special before the few characters it can
/// protect.
fn double_quoted(rest: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '"' => return Some(()),
            '\\' => match rest.next()? {
                '\n' => {}
                protected @ ('"' | '\\' | '$' | '`') => word.push(protected),
                other => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        split(command).expect("the command is well formed")
    }

    fn problem(command: &str) -> String {
        split(command).expect_err("the command is malformed").to_string()
    }

    #[test]
    fn blanks_of_any_length_separate_words() {
        assert_eq!(words("  a  b\tc\nd "), ["a", "b", "c", "d"]);
    }

    #[test]
    fn single_quotes_protect_everything() {
        assert_eq!(words(r#"sh -c 'a "b" \n $c'"#), ["sh", "-c", r#"a "b" \n $c"#]);
    }

    #[test]
    fn double_quotes_protect_blanks_and_let_backslash_escape_only_what_a_shell_escapes() {
        assert_eq!(words(r#""a b" "\"\\\$\`\n""#), ["a b", r#""\$`\n"#]);
    }

    #[test]
    fn quoted_and_bare_parts_join_into_one_word() {
        assert_eq!(words(r#"--x='a b'"c d"\ e"#), ["--x=a bc d e"]);
    }

    #[test]
    fn an_empty_quote_is_a_word() {
        assert_eq!(words(r#"a '' """#), ["a", "", ""]);
    }

    #[test]
    fn an_escaped_line_end_vanishes() {
        assert_eq!(words("a\\\nb \"c\\\nd\""), ["ab", "cd"]);
    }

    #[test]
    fn malformed_commands_are_named() {
        assert_eq!(problem("a 'b"), "command `a 'b` ends inside a single quote");
        assert_eq!(problem("a \"b"), "command `a \"b` ends inside a double quote");
        assert_eq!(problem("a \"b\\"), "command `a \"b\\` ends inside a double quote");
        assert_eq!(problem("a \\"), "command `a \\` ends with a backslash");
        assert_eq!(problem("  "), "command `  ` is empty");
    }
}
