//! What a row of the method table is, and how to walk the table with its types in hand: so generators of schemas, of
//! other languages' types and of test cases see every row without a list of their own.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ts_rs::TS;

/// A group of methods that a server implements, and a client must be allowed to use, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// The handshake itself.
    Session,
    /// `process/*`
    Process,
    /// `fs/*`
    Filesystem,
    /// `http/*`
    Http,
    /// `environment/info`
    EnvironmentInfo,
    /// `environment/status`
    EnvironmentStatus,
    /// `environmentConfig/*`
    EnvironmentConfig,
    /// `capabilities/*` and `capabilityRoots/*`
    CapabilityDiscovery,
    /// `net/*` and `network/*`
    Network,
}

/// What a request does to what it is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It only looks: nothing is different afterwards for anybody else. Observers of a session may ask it.
    Reads,
    /// Something may be different, or something leaves the machine.
    Changes,
}

/// A request and its answer.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// What it does, in a sentence.
    const DOCS: &'static str;
    /// The group it belongs to.
    const FAMILY: Family;
    /// What it does to what it is asked of.
    const EFFECT: Effect;
    /// What is sent.
    type Params: Wire;
    /// What is answered.
    type Response: Wire;
}

/// What every type on the wire can do: travel, and describe itself to readers of other languages.
pub trait Wire: Serialize + DeserializeOwned + JsonSchema + TS + 'static {}

impl<T: Serialize + DeserializeOwned + JsonSchema + TS + 'static> Wire for T {}

/// Is shown the rows of one table, in its order. Passed to `visit` of a table's enum, such as
/// [`ClientRequest::visit`](crate::methods::ClientRequest::visit).
pub trait RowVisitor {
    /// A request.
    fn request<M: Method>(&mut self);

    /// A notification with parameters `P`: its name on the wire and what it says.
    fn notification<P: Wire>(&mut self, name: &'static str, docs: &'static str);
}
