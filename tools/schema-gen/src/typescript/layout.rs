//! Lays out a type that ts-rs wrote on one line (with comments on lines of their own): a member a line, indented, and
//! everything `readonly`.
//!
//! It knows the shapes that ts-rs emits, not TypeScript: objects, unions, generics, string literals, doc comments.

use crate::docs::without_links;

/// An object without comments stays on one line up to this width.
const WIDTH: usize = 90;

/// A type, laid out to follow `export type X = `.
pub(super) fn lay_out(text: &str) -> String {
    let mut parser = Parser { rest: text.trim() };
    print(&parser.expression(), /*indent*/ 0)
}

/// A comment block, or nothing if there is nothing to say.
pub(super) fn comment(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match text.trim() {
        "" => String::new(),
        line if !line.contains('\n') => format!("{margin}/** {line} */\n"),
        lines => {
            let mut out = format!("{margin}/**\n");
            for line in lines.lines() {
                out.push_str(format!("{margin} * {line}").trim_end());
                out.push('\n');
            }
            out + &margin + " */\n"
        }
    }
}

/// What a comment block says.
pub(super) fn comment_text(block: &str) -> String {
    let inner = block.trim().trim_start_matches("/**").trim_end_matches("*/");
    let lines: Vec<&str> = inner.lines().map(|line| line.trim().trim_start_matches('*').trim()).collect();
    lines.join("\n").trim().to_owned()
}

enum Piece {
    Text(String),
    Object(Vec<Member>),
}

struct Member {
    docs: String,
    pieces: Vec<Piece>,
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    /// Up to the `,` or `}` that ends the member it stands in, or to the end.
    fn expression(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut open = 0_usize;
        while let Some(next) = self.rest.chars().next() {
            match next {
                '{' => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    self.take(/*bytes*/ 1);
                    pieces.push(Piece::Object(self.members()));
                    continue;
                }
                '}' => break,
                ',' if open == 0 => break,
                '"' => {
                    let end = self.rest[1..].find('"').map_or(self.rest.len(), |at| at + 2);
                    text.push_str(self.take(end));
                    continue;
                }
                '<' | '(' | '[' => open += 1,
                '>' | ')' | ']' => open = open.saturating_sub(1),
                _ => {}
            }
            text.push_str(self.take(next.len_utf8()));
        }
        pieces.push(Piece::Text(text));
        pieces
    }

    /// Behind a `{`, up to and with its `}`.
    fn members(&mut self) -> Vec<Member> {
        let mut members = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\n', ',']);
            if self.rest.is_empty() || self.rest.starts_with('}') {
                self.take(usize::from(!self.rest.is_empty()));
                return members;
            }
            let mut docs = String::new();
            while self.rest.starts_with("/**") {
                let end = self.rest.find("*/").map_or(self.rest.len(), |at| at + 2);
                docs = without_links(&comment_text(self.take(end)));
                self.rest = self.rest.trim_start();
            }
            members.push(Member { docs, pieces: self.expression() });
        }
    }
}

fn print(pieces: &[Piece], indent: usize) -> String {
    let objects = pieces.iter().filter(|piece| matches!(piece, Piece::Object(_))).count();
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(&read_only(text)),
            Piece::Object(members) => {
                out.push_str(&object(members, indent + if objects > 1 { 2 } else { 0 }))
            }
        }
    }
    let out = out.trim();
    if objects > 1 && (out.contains('\n') || out.len() > WIDTH) {
        // A union of objects: one alternative a line.
        let margin = " ".repeat(indent + 2);
        let separator = format!("\n{margin}| ");
        return format!("{separator}{}", out.replace("} | {", &format!("}}{separator}{{")));
    }
    out.to_owned()
}

fn object(members: &[Member], indent: usize) -> String {
    if members.is_empty() {
        return "Record<string, never>".to_owned();
    }
    let texts: Vec<String> = members
        .iter()
        .map(|member| format!("readonly {}", without_quotes(&print(&member.pieces, indent + 2))))
        .collect();
    let plain =
        members.iter().all(|member| member.docs.is_empty()) && !texts.iter().any(|text| text.contains('\n'));
    let line = format!("{{ {} }}", texts.join("; "));
    if plain && line.len() + indent <= WIDTH {
        return line;
    }
    let mut out = String::from("{\n");
    for (member, text) in members.iter().zip(texts) {
        out.push_str(&comment(&member.docs, indent + 2));
        out.push_str(&format!("{}{text};\n", " ".repeat(indent + 2)));
    }
    out + &" ".repeat(indent) + "}"
}

/// A member's name without quotes where it needs none.
fn without_quotes(member: &str) -> String {
    let bare = member.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    match bare {
        Some((name, rest)) if name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') => {
            format!("{name}{rest}")
        }
        _ => member.to_owned(),
    }
}

fn read_only(text: &str) -> String {
    text.replace("Array<", "ReadonlyArray<").replace("unknown[]", "ReadonlyArray<unknown>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_a_line_of_its_own_and_its_comment_above() {
        let text = "{ \n/**\n * One [`X`](y).\n */\na?: Array<string>, \n/**\n * Two,\n * lines.\n */\n\"b\": C | null, }";
        let expected = "{\n  /** One `X`. */\n  readonly a?: ReadonlyArray<string>;\n  /**\n   * Two,\n   * lines.\n   */\n  \
                        readonly b: C | null;\n}";
        assert_eq!(lay_out(text), expected);
    }

    #[test]
    fn short_objects_stay_on_a_line_and_long_unions_do_not() {
        assert_eq!(lay_out("{ [key in string]?: string }"), "{ readonly [key in string]?: string }");
        assert_eq!(lay_out("Record<string, never>"), "Record<string, never>");
        assert_eq!(lay_out("\"a,b\" | \"c}\""), "\"a,b\" | \"c}\"");
        let text = "{ \"type\": \"a\" } | { \"type\": \"b\", \n/**\n * Why.\n */\nreason: string, }";
        let expected = "\n  | { readonly type: \"a\" }\n  | {\n    readonly type: \"b\";\n    /** Why. */\n    \
                        readonly reason: string;\n  }";
        assert_eq!(lay_out(text), expected);
    }
}
