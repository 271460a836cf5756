//! YAML of a skill, within bounds: text, lists and mappings. Pure.
//!
//! Only what is short and shallow is taken, and an alias stands for text alone: so no document grows when it is read.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Values of one document.
const NODES: usize = 10_000;

/// Lists and mappings within one another.
const DEPTH: usize = 32;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Anything that is written as text, whatever it may mean.
    Text {
        text: String,
        is_plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What a mapping has for `key`; `None` also for nothing, however that is written.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| name == key).map(|(_, node)| node).filter(|node| !node.is_nothing())
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Text { text, is_plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text { text, .. } = self { Some(text) } else { None }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self {
            Self::Text { text, is_plain: true } => match &**text {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn items(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    pub(super) const fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }
}

/// The first document of `text`; an error says what is wrong.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut building = Building::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let text = Node::Text { text: text.into_owned(), is_plain: style == ScalarStyle::Plain };
                if anchor > 0 {
                    building.anchors.insert(anchor, text.clone());
                }
                building.place(text)?;
            }
            Event::Alias(anchor) => {
                let text = building.anchors.get(&anchor).cloned();
                building.place(text.ok_or("an alias may stand for text alone")?)?;
            }
            Event::SequenceStart(..) => building.open(Open::List(Vec::new()))?,
            Event::MappingStart(..) => building.open(Open::Map(Vec::new(), None))?,
            Event::SequenceEnd | Event::MappingEnd => building.close()?,
            Event::DocumentEnd => break,
            Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::Nothing => {}
        }
    }
    building.root.ok_or_else(|| "nothing is in it".to_owned())
}

/// A list or mapping that is not at its end.
enum Open {
    List(Vec<Node>),
    /// With the key whose value is to come.
    Map(Vec<(String, Node)>, Option<String>),
}

#[derive(Default)]
struct Building {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

impl Building {
    fn open(&mut self, open: Open) -> Result<(), String> {
        if self.open.len() >= DEPTH {
            return Err(format!("nested deeper than {DEPTH}, the limit"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        match self.open.pop() {
            Some(Open::List(items)) => self.place(Node::List(items)),
            Some(Open::Map(pairs, _)) => self.place(Node::Map(pairs)),
            None => Err("an end without a beginning".to_owned()),
        }
    }

    fn place(&mut self, node: Node) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(format!("more than {NODES} values, the limit"));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(pairs, key)) => match key.take() {
                Some(name) => pairs.push((name, node)),
                None => {
                    let Node::Text { text, .. } = node else {
                        return Err("a key that is no text".to_owned());
                    };
                    if pairs.iter().any(|(name, _)| *name == text) {
                        return Err(format!("key {text} stands twice"));
                    }
                    *key = Some(text);
                }
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text { text: text.to_owned(), is_plain: true }
    }

    #[test]
    fn a_document_is_text_lists_and_mappings() {
        let parsed = parse("a: &x 1\nb: [~, \"~\", *x]\nc:\n  d: |\n    l\n").expect("it is YAML");
        assert_eq!(parsed.get("a"), Some(&text("1")));
        let quoted = Node::Text { text: "~".to_owned(), is_plain: false };
        assert_eq!(parsed.get("b").and_then(Node::items), Some(&[text("~"), quoted, text("1")][..]));
        assert_eq!(parsed.get("c").and_then(|c| c.get("d")).and_then(Node::text), Some("l\n"));
        let nothing = parse("a: ~\nb:\nc: null\nd: 'null'").expect("it is YAML");
        let found = ["a", "b", "c", "d", "e"].map(|key| nothing.get(key).is_some());
        assert_eq!(found, [false, false, false, true, false]);
        let flags = parse("[true, False, 'true', yes]").expect("it is YAML");
        let flags: Vec<_> = flags.items().expect("a list").iter().map(Node::flag).collect();
        assert_eq!(flags, [Some(true), Some(false), None, None]);
    }

    #[test]
    fn what_is_wrong_or_too_much_is_refused() {
        let deep = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
        let many = format!("[{}]", "a,".repeat(NODES));
        for (document, why) in [
            ("", "nothing is in it"),
            ("a: 1\na: 2", "key a stands twice"),
            ("[a]: 1", "a key that is no text"),
            ("a: &x [1]\nb: *x", "an alias may stand for text alone"),
            (&deep, "nested deeper than 32, the limit"),
            (&many, "more than 10000 values, the limit"),
        ] {
            assert_eq!(parse(document), Err(why.to_owned()), "{document:.40}");
        }
        for document in ["a: [", "a: b: c", "a: *none"] {
            assert!(parse(document).is_err(), "{document}");
        }
        let endless = "[".repeat(1 << 20);
        assert!(parse(&endless).is_err());
    }
}
