//! Walking the method table with its types in hand: how generators of schemas, of other languages' types and of test
//! cases see every row without a list of their own.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ts_rs::TS;

use crate::methods::Method;

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
