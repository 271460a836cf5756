//! Parts of files that come as binary messages: whether a call asked for one, and whether what came is that one.

use std::any::Any;

use codex_exec_server_protocol::fs::{FsReadBlockParams, FsReadRangeParams};
use codex_exec_server_protocol::methods::Method;

/// The position in bytes of the block or range that is asked for, if it is one.
pub(crate) fn asked_at<P: 'static>(params: &P) -> Option<u64> {
    let params: &dyn Any = params;
    let block = params.downcast_ref::<FsReadBlockParams>().map(|params| params.offset);
    block.or_else(|| params.downcast_ref::<FsReadRangeParams>().map(|params| params.offset))
}

/// The `response` from `offset` on as the answer to a call of `M` that asked for the part at `asked`, or why it is none.
pub(crate) fn answer<M: Method>(
    asked: Option<u64>,
    offset: u64,
    response: Box<dyn Any + Send>,
) -> Result<M::Response, String>
where
    M::Response: 'static,
{
    match (response.downcast::<M::Response>(), asked) {
        (Ok(response), Some(asked)) if asked == offset => Ok(*response),
        (Ok(_), Some(asked)) => {
            Err(format!("block from offset {offset} came in answer to the request for offset {asked}"))
        }
        _ => Err(format!("block of a file came in answer to {}", M::NAME)),
    }
}
