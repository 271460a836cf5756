//! TypeScript: the wire types, the method map, and the constants, one file each.
//!
//! ts-rs knows how a Rust type looks in TypeScript; [`layout`] makes its one-line output readable and read-only. Files
//! import each other as `./x.js`, the name that both compiled output and bundlers resolve.

mod layout;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::constants::{BOUNDS, error_codes};
use crate::docs::without_links;
use crate::protocol::{Protocol, Side};
use crate::tree::Tree;

/// Where the files go, below the checkout.
pub(crate) const DIRECTORY: &str = "sdk-ts/src/generated";
const HEADER: &str = "// Generated from codex-rs/exec-server-protocol; run `just gen`.\n";

/// Adds all files.
pub(crate) fn add(protocol: &Protocol, tree: &mut Tree) {
    tree.add(format!("{DIRECTORY}/types.ts"), types(protocol));
    tree.add(format!("{DIRECTORY}/methods.ts"), methods(protocol));
    tree.add(format!("{DIRECTORY}/constants.ts"), constants(protocol));
}

fn types(protocol: &Protocol) -> String {
    let mut out = String::from(HEADER);
    out.push_str("//\n// The types on the wire. 64-bit counters are `number`: a peer keeps them within 2^53 - 1, up to\n");
    out.push_str("// which a `number` is exact. An optional member is left out when there is nothing to say; `null` is\n");
    out.push_str("// sent only where a type says so.\n");
    for (name, declaration) in &protocol.declarations {
        out.push('\n');
        out.push_str(&layout::comment(
            &without_links(&layout::comment_text(&declaration.docs)),
            /*indent*/ 0,
        ));
        let body = declaration.text.split_once(" = ").map_or("", |(_, body)| body);
        let body = layout::lay_out(body.trim_end_matches(';'));
        let gap = if body.starts_with('\n') { "" } else { " " };
        out.push_str(&format!("export type {name} ={gap}{body};\n"));
    }
    out
}

fn methods(protocol: &Protocol) -> String {
    let mut out = String::from(HEADER);
    out.push_str("//\n// What may be sent, by method: the map that typed calls and handlers hang on.\n\n");
    let sides = [&protocol.client, &protocol.server];
    let types: BTreeSet<&str> = sides
        .iter()
        .flat_map(|side| {
            let answered = side.requests.iter().flat_map(|row| [&row.params, &row.response]);
            answered.chain(side.notifications.iter().map(|row| &row.params))
        })
        .map(|described| described.typescript.as_str())
        .collect();
    out.push_str("import type {\n");
    for name in types {
        out.push_str(&format!("  {name},\n"));
    }
    out.push_str("} from \"./types.js\";\n");
    side(&mut out, "Client", "client", &protocol.client);
    side(&mut out, "Server", "server", &protocol.server);
    out
}

fn side(out: &mut String, prefix: &str, who: &str, side: &Side) {
    let requests = side.requests.iter().map(|row| {
        let (params, response) = (&row.params.typescript, &row.response.typescript);
        (row.name, row.docs, format!("{{ readonly params: {params}; readonly response: {response} }}"))
    });
    map(out, &format!("{prefix}Requests"), &format!("Every request that a {who} may send."), requests);
    let notifications = side
        .notifications
        .iter()
        .map(|row| (row.name, row.docs, format!("{{ readonly params: {} }}", row.params.typescript)));
    let docs = format!("Every notification that a {who} may send.");
    map(out, &format!("{prefix}Notifications"), &docs, notifications);
}

/// One table: its types by method, and its methods as a list to look into at run time.
fn map<'a>(
    out: &mut String,
    name: &str,
    docs: &str,
    rows: impl Iterator<Item = (&'a str, &'a str, String)> + Clone,
) {
    out.push_str(&format!("\n/** {docs} */\nexport interface {name} {{\n"));
    for (method, docs, types) in rows.clone() {
        out.push_str(&layout::comment(&without_links(docs), /*indent*/ 2));
        out.push_str(&format!("  readonly {}: {types};\n", quoted(method)));
    }
    let singular = name.trim_end_matches('s');
    out.push_str(&format!("}}\n\n/** The methods of {{@link {name}}}. */\n"));
    out.push_str(&format!("export type {singular}Method = keyof {name};\n\n"));
    out.push_str(&format!("/** The methods of {{@link {name}}}, as a list. */\n"));
    let methods = rows.map(|(method, ..)| method.to_owned());
    list(out, &format!("{}_METHODS", screaming(singular)), &format!("{singular}Method"), methods);
}

fn constants(protocol: &Protocol) -> String {
    let mut out = String::from(HEADER);
    out.push_str("//\n// Capability flags, error codes and the protocol's own bounds.\n\n");
    out.push_str("import type { EnvironmentCapabilities } from \"./types.js\";\n\n");
    out.push_str("/** A flag of what a server can do; absent means no. */\n");
    out.push_str("export type CapabilityFlag = keyof EnvironmentCapabilities;\n\n");
    out.push_str("/** Every flag that this version knows. */\n");
    let flags = protocol.definitions["EnvironmentCapabilities"]["properties"].as_object();
    let flags: BTreeSet<String> = flags.into_iter().flat_map(|flags| flags.keys().cloned()).collect();
    list(&mut out, "CAPABILITY_FLAGS", "CapabilityFlag", flags.into_iter());
    out.push_str("\n/** Error codes of the protocol, by name. */\nexport const ERROR_CODES = {\n");
    for (name, code) in error_codes() {
        out.push_str(&format!("  {name}: {code},\n"));
    }
    out.push_str("} as const;\n\n");
    out.push_str("// Bounds that documentation refers to by name. What a server chooses itself is in `ServerLimits`.\n");
    for (name, value) in BOUNDS {
        out.push_str(&format!("export const {name} = {value};\n"));
    }
    out
}

/// A constant list that the compiler holds against its type.
fn list(out: &mut String, name: &str, item: &str, items: impl Iterator<Item = String>) {
    out.push_str(&format!("export const {name} = [\n"));
    for text in items {
        out.push_str(&format!("  {},\n", quoted(&text)));
    }
    out.push_str(&format!("] as const satisfies readonly {item}[];\n"));
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// `ClientRequest` as `CLIENT_REQUEST`.
fn screaming(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}
