//! JSON Schema (2020-12): a file for each type that a row names, and one bundle that describes every message.
//!
//! Schemas say what a reader has to understand; looser spellings that are accepted for old peers' sake are not in
//! them. Keys are put in a fixed order here, so that the files do not depend on how the JSON library was built.

use codex_exec_server_protocol::rpc::{RequestId, TraceContext};
use schemars::{JsonSchema, Schema};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

use crate::docs::with_numbers;
use crate::protocol::{NotificationRow, Protocol, RequestRow, Side};
use crate::tree::Tree;

/// Where the files go, below the checkout.
pub(crate) const DIRECTORY: &str = "schema/json";
/// The file that holds everything.
const BUNDLE: &str = "codex-exec-server.schema.json";
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const COMMENT: &str = "Generated from codex-rs/exec-server-protocol; run `just gen`.";
/// These open an object, in this order; the others follow by name, and `$defs` comes last.
const FIRST: [&str; 6] = ["$schema", "$comment", "$ref", "title", "description", "type"];

/// Adds all files.
pub(crate) fn add(protocol: &Protocol, tree: &mut Tree) {
    for (folder, side) in [("client", &protocol.client), ("server", &protocol.server)] {
        for row in &side.requests {
            let stem = format!("{DIRECTORY}/{folder}/{}", file_stem(row.name));
            tree.add(format!("{stem}.params.json"), standalone(&row.params.standalone));
            tree.add(format!("{stem}.response.json"), standalone(&row.response.standalone));
        }
        for row in &side.notifications {
            let stem = format!("{DIRECTORY}/{folder}/{}", file_stem(row.name));
            tree.add(format!("{stem}.notification.json"), standalone(&row.params.standalone));
        }
    }
    tree.add(format!("{DIRECTORY}/{BUNDLE}"), text(bundle(protocol)));
}

/// `process/start` as `process.start`, `$/cancel` as `cancel`.
fn file_stem(method: &str) -> String {
    method.trim_start_matches("$/").replace('/', ".")
}

fn standalone(schema: &Schema) -> String {
    let mut schema = schema.clone();
    schema.insert("$comment".to_owned(), COMMENT.into());
    text(schema.to_value())
}

fn text(mut schema: Value) -> String {
    rewrite_descriptions(&mut schema);
    let mut text = serde_json::to_string_pretty(&Ordered(&schema)).expect("a JSON value always serializes");
    text.push('\n');
    text
}

/// The bundle: whole messages at the top, named types below.
fn bundle(protocol: &Protocol) -> Value {
    let mut definitions = protocol.definitions.clone();
    let mut alternatives = Vec::new();
    let messages = [
        ("ClientRequest", "A request that a client may send.", requests(&protocol.client)),
        ("ClientNotification", "A notification that a client may send.", notifications(&protocol.client)),
        ("ServerRequest", "A request that a server may send.", requests(&protocol.server)),
        ("ServerNotification", "A notification that a server may send.", notifications(&protocol.server)),
        ("Answer", "The answer to a request; what `result` holds depends on its method.", vec![answer()]),
    ];
    for (name, description, variants) in messages {
        let message = json!({ "description": description, "oneOf": variants });
        let twin = definitions.insert(name.to_owned(), message);
        assert!(twin.is_none(), "a type of the protocol is named {name}");
        alternatives.push(json!({ "$ref": format!("#/$defs/{name}") }));
    }
    json!({
        "$schema": DIALECT,
        "$comment": COMMENT,
        "title": "codex-exec-server",
        "description": "Any message of the protocol. Unknown members are ignored everywhere.",
        "anyOf": alternatives,
        "$defs": definitions,
    })
}

fn requests(side: &Side) -> Vec<Value> {
    let request =
        |row: &RequestRow| message(row.name, row.docs, &row.params.reference, /*wants_answer*/ true);
    side.requests.iter().map(request).collect()
}

fn notifications(side: &Side) -> Vec<Value> {
    let notification = |row: &NotificationRow| {
        message(row.name, row.docs, &row.params.reference, /*wants_answer*/ false)
    };
    side.notifications.iter().map(notification).collect()
}

fn message(method: &str, docs: &str, params: &Schema, wants_answer: bool) -> Value {
    let mut properties = Map::new();
    properties.insert("method".to_owned(), json!({ "const": method }));
    properties.insert("params".to_owned(), params.clone().to_value());
    let mut required = vec!["method"];
    let mut schema = json!({ "type": "object", "description": docs });
    if wants_answer {
        properties.insert("id".to_owned(), reference::<RequestId>());
        let trace = json!({ "anyOf": [reference::<TraceContext>(), { "type": "null" }] });
        properties.insert("trace".to_owned(), trace);
        required.push("id");
    } else {
        schema["not"] = json!({ "required": ["id"] });
    }
    // Absent parameters are `null`, which only some methods take.
    let nothing_will_do = ["NoParams", "AnyParams"].map(definition);
    if !nothing_will_do.contains(&params.clone().to_value()) {
        required.push("params");
    }
    schema["properties"] = properties.into();
    schema["required"] = required.into();
    schema
}

fn answer() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": reference::<RequestId>(),
            "result": true,
            "error": reference::<codex_exec_server_protocol::error_code::RpcError>(),
        },
        "required": ["id"],
        "not": { "required": ["method"] },
        "anyOf": [{ "required": ["result"] }, { "required": ["error"] }],
    })
}

fn reference<T: JsonSchema>() -> Value {
    definition(&T::schema_name())
}

fn definition(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn rewrite_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key == "description" => *text = with_numbers(text),
                    value => rewrite_descriptions(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite_descriptions),
        _ => {}
    }
}

/// A value whose objects serialize in a fixed order.
struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => {
                let mut keys: Vec<&String> = members.keys().collect();
                keys.sort_by_key(|key| {
                    let first = FIRST.iter().position(|first| first == key);
                    (*key == "$defs", first.unwrap_or(FIRST.len()), *key)
                });
                let mut map = serializer.serialize_map(Some(keys.len()))?;
                for key in keys {
                    map.serialize_entry(key, &Ordered(&members[key]))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Ordered(item))?;
                }
                list.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}
