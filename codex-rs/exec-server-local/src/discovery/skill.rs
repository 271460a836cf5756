//! What a skill says of itself: the front matter of its instructions, and what it tells clients beside them. Pure.

use codex_exec_server_protocol::capabilities::{SkillDependencies, SkillPolicy, SkillTool};

use super::yaml::{self, Node};

/// The longest name of a skill, in characters.
const NAME_CHARS: usize = 64;

/// The longest front matter.
const FRONT_BYTES: usize = 64 << 10;

/// What YAML takes for something else than text, at its beginning.
const NOT_TEXT: [char; 9] = ['\'', '"', '[', '{', '|', '>', '&', '*', '!'];

/// Products that a policy may name.
const PRODUCTS: [&str; 3] = ["codex", "chatgpt", "atlas"];

/// The front matter of instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Front {
    /// `None` if the folder's name is to be taken.
    pub(super) name: Option<String>,
    pub(super) description: String,
    pub(super) short_description: Option<String>,
}

/// Reads it; an error says what it lacks.
pub(super) fn front(instructions: &str) -> Result<Front, String> {
    let text = between_lines(instructions).ok_or("there is no front matter between two lines of `---`")?;
    if text.len() > FRONT_BYTES {
        return Err(format!("its front matter is longer than {FRONT_BYTES} bytes, the limit"));
    }
    // People write colons into what they mean as text.
    let front = yaml::parse(text).or_else(|error| yaml::parse(&quoted(text)).map_err(|_| error))?;
    if !front.is_map() {
        return Err("its front matter is no mapping".to_owned());
    }
    let name = line(front.get("name"), "name")?;
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS) {
        return Err(format!("its name is longer than {NAME_CHARS} characters, the limit"));
    }
    let description = line(front.get("description"), "description")?;
    let short_description = match front.get("metadata") {
        None => None,
        Some(more) if more.is_map() => line(more.get("short-description"), "short description")?,
        Some(_) => return Err("its metadata is no mapping".to_owned()),
    };
    Ok(Front { name, description: description.ok_or("it has no description")?, short_description })
}

/// The text of `node`, on one line; none if it is empty.
fn line(node: Option<&Node>, what: &str) -> Result<Option<String>, String> {
    let Some(node) = node else { return Ok(None) };
    let text = node.text().ok_or_else(|| format!("its {what} is no text"))?;
    Ok(Some(one_line(text)).filter(|text| !text.is_empty()))
}

/// What stands between a first line of `---` and the next one.
fn between_lines(text: &str) -> Option<&str> {
    let mut lines = text.split_inclusive('\n');
    let begin = lines.next().filter(|line| line.trim_end() == "---")?.len();
    let mut end = begin;
    for line in lines {
        if line.trim_end() == "---" {
            return Some(&text[begin..end]);
        }
        end += line.len();
    }
    None
}

/// The same with each plain text that stands behind a key, on its line, in quotation marks.
fn quoted(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        let pair = line.split_once(": ").map(|(key, value)| (key, value.trim()));
        match pair {
            Some((key, value)) if is_key(key) && !value.starts_with(NOT_TEXT) && !value.starts_with('#') => {
                let value = value.split(" #").next().unwrap_or_default().trim_end();
                lines.push_str(key);
                lines.push_str(": '");
                lines.push_str(&value.replace('\'', "''"));
                lines.push('\'');
            }
            _ => lines.push_str(line),
        }
        lines.push('\n');
    }
    lines
}

fn is_key(text: &str) -> bool {
    let name = text.trim_start_matches(' ');
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a skill needs, and when it may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) dependencies: Option<SkillDependencies>,
    pub(super) policy: Option<SkillPolicy>,
}

/// Reads it; an error says what is wrong.
pub(super) fn metadata(text: &str) -> Result<Metadata, String> {
    let metadata = yaml::parse(text)?;
    let tools: Vec<SkillTool> = match metadata.get("dependencies").and_then(|all| all.get("tools")) {
        None => Vec::new(),
        Some(tools) => tools.items().ok_or("its tools are no list")?.iter().filter_map(tool).collect(),
    };
    let dependencies = (!tools.is_empty()).then_some(SkillDependencies { tools });
    let policy = metadata.get("policy").map(policy).transpose()?;
    Ok(Metadata { dependencies, policy })
}

/// `None` for one that does not say what it is.
fn tool(node: &Node) -> Option<SkillTool> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(one_line).filter(|text| !text.is_empty());
    Some(SkillTool {
        kind: text("type")?,
        value: text("value")?,
        description: text("description"),
        transport: text("transport"),
        command: text("command"),
        url: text("url"),
        oauth_callback_port: None,
    })
}

fn policy(node: &Node) -> Result<SkillPolicy, String> {
    let allow_implicit_invocation = match node.get("allow_implicit_invocation") {
        None => None,
        Some(flag) => Some(flag.flag().ok_or("its allow_implicit_invocation is neither true nor false")?),
    };
    let products = match node.get("products") {
        None => Vec::new(),
        Some(products) => {
            let products = products.items().ok_or("its products are no list")?;
            products.iter().map(product).collect::<Result<_, _>>()?
        }
    };
    Ok(SkillPolicy { allow_implicit_invocation, products })
}

fn product(node: &Node) -> Result<String, String> {
    let name = node.text().unwrap_or_default().to_ascii_lowercase();
    if PRODUCTS.contains(&&*name) {
        Ok(name)
    } else {
        Err(format!("product {name:?} is none of {PRODUCTS:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, description: &str, short: &str) -> Front {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Front { name: some(name), description: description.to_owned(), short_description: some(short) }
    }

    #[test]
    fn front_matter_is_read_as_people_write_it() {
        for (text, expected) in [
            ("---\nname: a\ndescription: d\n---\nbody", told("a", "d", "")),
            ("---\r\nname: a\r\ndescription: d\r\n---\r\n", told("a", "d", "")),
            ("--- \ndescription: d\n---", told("", "d", "")),
            ("---\nname: ' a  b '\ndescription: |\n  l1\n  l2\n---\n", told("a b", "l1 l2", "")),
            ("---\nname: 3\ndescription: true\n---\n", told("3", "true", "")),
            ("---\nname: ~\ndescription: >\n  f\n  g\n---\n", told("", "f g", "")),
            (
                "---\nname: a: b\ndescription: it's: `x` # y\nmetadata:\n  short-description: s: t\n---\n",
                told("a: b", "it's: `x`", "s: t"),
            ),
            (
                "---\nname: a\nshort-description: no\ndescription: &x d\nmetadata: {short-description: *x}\n---\n",
                told("a", "d", "d"),
            ),
        ] {
            assert_eq!(front(text), Ok(expected), "{text}");
        }
        let longest = format!("---\nname: {}\ndescription: d\n---\n", "é".repeat(64));
        assert!(front(&longest).is_ok());
    }

    #[test]
    fn a_skill_that_does_not_say_what_it_is_is_none() {
        let long = format!("---\nname: {}\ndescription: d\n---\n", "é".repeat(65));
        let huge = format!("---\nname: a\ndescription: d\n# {}\n---\n", "x".repeat(FRONT_BYTES));
        let between = "there is no front matter between two lines of `---`";
        for (text, why) in [
            ("", between),
            ("body", between),
            ("\n---\nname: a\ndescription: d\n---\n", between),
            ("---\nname: a\ndescription: d\n", between),
            ("---\nname: a\ndescription: d\n...\n", between),
            ("---\nname: a\n---\n", "it has no description"),
            ("---\nname: a\ndescription: ''\n---\n", "it has no description"),
            ("---\n- a\n---\n", "its front matter is no mapping"),
            ("---\nname: [a]\ndescription: d\n---\n", "its name is no text"),
            ("---\nname: a\ndescription: d\nmetadata: 3\n---\n", "its metadata is no mapping"),
            ("---\nname: a\nname: b\ndescription: d\n---\n", "key name stands twice"),
            ("---\n---\n", "nothing is in it"),
            (&long, "its name is longer than 64 characters, the limit"),
            (&huge, "its front matter is longer than 65536 bytes, the limit"),
        ] {
            assert_eq!(front(text), Err(why.to_owned()), "{text:.60}");
        }
        for text in
            ["---\nname: a\n  description: d\n---\n", "---\nname: a\ndescription: d\nlist:\n\t- x\n---\n"]
        {
            assert!(front(text).is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_tells_what_a_skill_needs_and_when_it_may_be_used() {
        let tool = |value: &str| SkillTool {
            kind: "mcp".into(),
            value: value.into(),
            description: None,
            transport: None,
            command: None,
            url: None,
            oauth_callback_port: None,
        };
        let policy = |allow_implicit_invocation, products: &[&str]| {
            let products = products.iter().map(|&product| product.to_owned()).collect();
            Some(SkillPolicy { allow_implicit_invocation, products })
        };
        let needs = |tools: Vec<SkillTool>| Some(SkillDependencies { tools });
        let text = "interface:\n  display_name: x\ndependencies:\n  tools:\n  - {type: mcp, value: v}\n  - {type: mcp}\n  \
                    - {type: '', value: v}\n  - {type: mcp, value: w, url: u, description: ''}\npolicy:\n  \
                    allow_implicit_invocation: false\n  products: [codex, CHATGPT]\n";
        let expected = Metadata {
            dependencies: needs(vec![tool("v"), SkillTool { url: Some("u".into()), ..tool("w") }]),
            policy: policy(Some(false), &["codex", "chatgpt"]),
        };
        assert_eq!(metadata(text), Ok(expected));
        let empty = Metadata { dependencies: None, policy: policy(/*allow_implicit_invocation*/ None, &[]) };
        assert_eq!(metadata("policy: {}\ndependencies: {tools: []}\n"), Ok(empty));
        assert_eq!(metadata("interface: {}\n"), Ok(Metadata::default()));
        for (text, why) in [
            (
                "policy: {allow_implicit_invocation: 'no'}",
                "its allow_implicit_invocation is neither true nor false",
            ),
            ("policy: {products: [zzz]}", "product \"zzz\" is none of [\"codex\", \"chatgpt\", \"atlas\"]"),
            ("dependencies: {tools: 3}", "its tools are no list"),
        ] {
            assert_eq!(metadata(text), Err(why.to_owned()), "{text}");
        }
    }
}
