//! Which arguments don't speak for themselves, and where the call already says what they are.

use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

use crate::resolve::Callee;

/// Whether an argument says nothing of what it is for: `true`, `None`, a bare number.
pub(crate) fn is_opaque(argument: &Expr) -> bool {
    match argument {
        Expr::Lit(ExprLit { lit: Lit::Bool(_) | Lit::Int(_) | Lit::Float(_), .. }) => true,
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => {
            matches!(&**expr, Expr::Lit(ExprLit { lit: Lit::Int(_) | Lit::Float(_), .. }))
        }
        Expr::Path(path) => path.path.is_ident("None"),
        _ => false,
    }
}

/// Names that say no more than the place does.
const MEANINGLESS: [&str; 3] = ["arg", "val", "value"];
/// Units that a parameter's name may end in.
const UNITS: [&str; 8] = ["bytes", "ms", "millis", "ns", "secs", "seconds", "us", "usec"];

/// Whether a comment with the parameter's name would tell a reader nothing new.
pub(crate) fn is_evident(callee: &Callee, parameters: usize, parameter: &str) -> bool {
    parameter.chars().count() == 1
        || MEANINGLESS.contains(&parameter)
        || (parameters == 1 && is_named_by(callee, parameter))
}

/// Whether the name of the function has every word of the parameter's, a unit aside.
fn is_named_by(callee: &Callee, parameter: &str) -> bool {
    let said: Vec<String> = words(&callee.owner).into_iter().chain(words(&callee.name)).collect();
    let mut wanted = words(parameter);
    if wanted.len() > 1 && wanted.last().is_some_and(|last| UNITS.contains(&last.as_str())) {
        wanted.pop();
    }
    wanted.iter().all(|word| said.iter().any(|other| is_said_by(singular(word), other)))
}

/// Whether `other` is `word` or made from it: `percentile` says that it takes a `percent`. Shorter words begin too many.
fn is_said_by(word: &str, other: &str) -> bool {
    singular(other) == word || (word.len() >= 4 && other.starts_with(word))
}

/// The words of a name in `snake_case` or `CamelCase`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if character == '_' || character.is_uppercase() {
            words.push(String::new());
        }
        if character != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opaque(argument: &str) -> bool {
        is_opaque(&syn::parse_str(argument).expect("an expression"))
    }

    fn evident(owner: &str, name: &str, parameters: usize, parameter: &str) -> bool {
        let callee = Callee { name: name.into(), owner: owner.into(), candidates: Vec::new() };
        is_evident(&callee, parameters, parameter)
    }

    #[test]
    fn booleans_none_and_bare_numbers_are_opaque() {
        for argument in ["true", "false", "None", "0", "1_000_u64", "0xff", "1.5", "-1", "-0.5"] {
            assert!(opaque(argument), "{argument}");
        }
    }

    #[test]
    fn texts_names_and_what_is_computed_speak_for_themselves() {
        for argument in
            ["\"\"", "'x'", "b\"x\"", "b'x'", "LIMIT", "Some(1)", "64 << 10", "!true", "x", "1 as u8", "[0]"]
        {
            assert!(!opaque(argument), "{argument}");
        }
    }

    #[test]
    fn the_only_argument_of_a_function_that_names_it_is_evident() {
        assert!(evident("", "set_nodelay", /*parameters*/ 1, "nodelay"));
        assert!(evident("", "with_timeout", /*parameters*/ 1, "timeout_ms"));
        assert!(evident("", "limits", /*parameters*/ 1, "limit"));
        assert!(evident("", "percentile", /*parameters*/ 1, "percent"));
        assert!(!evident("", "settle", /*parameters*/ 1, "set"));
        assert!(evident("ProcessNumber", "new", /*parameters*/ 1, "number"));
        assert!(!evident("", "set_nodelay", /*parameters*/ 2, "nodelay"));
        assert!(!evident("", "terminate", /*parameters*/ 1, "grace_ms"));
        assert!(!evident("", "for_ms", /*parameters*/ 1, "wait_ms"));
    }

    #[test]
    fn a_name_that_says_nothing_is_not_asked_for() {
        assert!(evident("", "numbered", /*parameters*/ 2, "n"));
        assert!(evident("", "store", /*parameters*/ 2, "value"));
        assert!(!evident("", "numbered", /*parameters*/ 2, "first"));
    }
}
