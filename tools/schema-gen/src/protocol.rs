//! The protocol as data: every row of the method table with its types described twice, for JSON Schema and for
//! TypeScript. What the two look like as files is for the modules that write them.

use std::collections::{BTreeMap, HashSet};

use codex_exec_server_protocol::error_code::RpcError;
use codex_exec_server_protocol::fs::FsErrorData;
use codex_exec_server_protocol::methods::{
    ClientNotification, ClientRequest, Method, ServerNotification, ServerRequest,
};
use codex_exec_server_protocol::rpc::{RequestId, TraceContext};
use codex_exec_server_protocol::table::{RowVisitor, Wire};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};
use ts_rs::{Config, TS, TypeVisitor};

/// One type as a row names it.
#[derive(Debug)]
pub(crate) struct Described {
    /// Its name in TypeScript.
    pub(crate) typescript: String,
    /// A JSON Schema that stands on its own.
    pub(crate) standalone: Schema,
    /// A JSON Schema that leans on [`Protocol::definitions`].
    pub(crate) reference: Schema,
}

/// A row with an answer.
#[derive(Debug)]
pub(crate) struct RequestRow {
    /// Method on the wire.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) docs: &'static str,
    /// What is sent.
    pub(crate) params: Described,
    /// What is answered.
    pub(crate) response: Described,
}

/// A row without an answer.
#[derive(Debug)]
pub(crate) struct NotificationRow {
    /// Method on the wire.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) docs: &'static str,
    /// What is sent.
    pub(crate) params: Described,
}

/// What one side may send.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// Requests, in the order of the table.
    pub(crate) requests: Vec<RequestRow>,
    /// Notifications, in the order of the table.
    pub(crate) notifications: Vec<NotificationRow>,
}

/// A TypeScript declaration.
#[derive(Debug)]
pub(crate) struct Declaration {
    /// A block comment, or nothing.
    pub(crate) docs: String,
    /// `type X = …;`
    pub(crate) text: String,
}

/// The whole protocol.
#[derive(Debug)]
pub(crate) struct Protocol {
    /// What a client may send.
    pub(crate) client: Side,
    /// What a server may send.
    pub(crate) server: Side,
    /// JSON Schema of every named type, by name.
    pub(crate) definitions: Map<String, Value>,
    /// TypeScript of every named type, by name.
    pub(crate) declarations: BTreeMap<String, Declaration>,
}

impl Protocol {
    /// Reads the tables.
    #[must_use]
    pub(crate) fn read() -> Self {
        let mut reader = Reader::default();
        ClientRequest::visit(&mut reader);
        ClientNotification::visit(&mut reader);
        let client = std::mem::take(&mut reader.side);
        ServerRequest::visit(&mut reader);
        ServerNotification::visit(&mut reader);
        let server = std::mem::take(&mut reader.side);
        // Parts of the envelope and of errors, which no row names.
        reader.describe::<RequestId>();
        reader.describe::<TraceContext>();
        reader.describe::<RpcError>();
        reader.describe::<FsErrorData>();
        Self {
            client,
            server,
            definitions: reader.schemas.take_definitions(true),
            declarations: reader.types.declarations,
        }
    }
}

fn settings() -> SchemaSettings {
    // As a reader has to understand it: a member that may be absent is not required, whoever leaves it out.
    SchemaSettings::draft2020_12().for_deserialize()
}

struct Reader {
    side: Side,
    schemas: SchemaGenerator,
    types: Types,
}

impl Default for Reader {
    fn default() -> Self {
        Self { side: Side::default(), schemas: settings().into_generator(), types: Types::default() }
    }
}

impl Reader {
    fn describe<T: Wire>(&mut self) -> Described {
        self.types.visit::<T>();
        Described {
            typescript: T::name(&self.types.config),
            standalone: settings().into_generator().into_root_schema_for::<T>(),
            reference: self.schemas.subschema_for::<T>(),
        }
    }
}

impl RowVisitor for Reader {
    fn request<M: Method>(&mut self) {
        let params = self.describe::<M::Params>();
        let response = self.describe::<M::Response>();
        self.side.requests.push(RequestRow { name: M::NAME, docs: M::DOCS, params, response });
    }

    fn notification<P: Wire>(&mut self, name: &'static str, docs: &'static str) {
        let params = self.describe::<P>();
        self.side.notifications.push(NotificationRow { name, docs, params });
    }
}

/// Collects a type and everything it mentions.
#[derive(Default)]
struct Types {
    config: Config,
    seen: HashSet<std::any::TypeId>,
    declarations: BTreeMap<String, Declaration>,
}

impl TypeVisitor for Types {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only types that could have a file of their own have a declaration; the others are built in.
        if T::output_path().is_none() || !self.seen.insert(std::any::TypeId::of::<T>()) {
            return;
        }
        let declaration = Declaration { docs: T::docs().unwrap_or_default(), text: T::decl(&self.config) };
        let name = T::ident(&self.config);
        assert!(self.declarations.insert(name.clone(), declaration).is_none(), "two types are named {name}");
        T::visit_dependencies(self);
    }
}
