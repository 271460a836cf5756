//! Methods that so many types of other libraries have that a call on an unknown receiver says nothing.

/// Sorted, so that it can be searched.
#[rustfmt::skip]
const COMMON: &[&str] = &[
    "abs", "accept", "add", "add_assign", "advance", "all", "and", "and_then", "any", "append", "arg",
    "args", "as_bytes", "as_mut", "as_ref", "as_str", "at", "await", "bind", "bit", "bits", "build",
    "by_ref", "capacity", "cast", "ceil", "chain", "chars", "checked_add", "checked_div", "checked_mul",
    "checked_sub", "chunk", "chunks", "chunks_exact", "clamp", "clear", "clone", "close", "cmp", "collect",
    "compare_exchange", "concat", "connect", "contains", "contains_key", "copy_from_slice", "copy_to_slice",
    "copy_within", "count", "cycle", "dedup", "deref", "div", "div_ceil", "drain", "drop", "elapsed", "end",
    "ends_with", "entry", "enumerate", "env", "eq", "err", "every", "exit", "expect", "expire", "extend",
    "extend_from_slice", "fail", "fetch_add", "fetch_and", "fetch_max", "fetch_min", "fetch_or", "fetch_sub",
    "fetch_xor", "fields", "fill", "fill_buf", "filter", "filter_map", "find", "find_map", "finish", "first",
    "flat_map", "flatten", "flush", "fold", "for_each", "format", "from", "get", "get_mut", "get_or_insert",
    "get_or_insert_with", "get_u16", "get_u32", "get_u8", "hash", "id", "index", "insert", "insert_str",
    "into", "into_iter", "is_char_boundary", "is_multiple_of", "is_none", "is_ok", "is_some", "iter", "join",
    "keep", "keys", "kill", "last", "len", "limit", "lines", "listen", "load", "lock", "log", "map",
    "map_err", "map_or", "map_or_else", "max", "max_by_key", "merge", "min", "mode", "mul", "name", "ne",
    "new", "next", "next_back", "nth", "ok", "ok_or", "open", "or", "or_else", "or_insert", "or_insert_with",
    "output", "parse", "partial_cmp", "partition", "path", "peek", "peek_nth", "permits", "poll", "pop",
    "pop_front", "position", "post", "pow", "powf", "powi", "predict", "prop_flat_map", "prop_map", "push",
    "push_back", "push_front", "push_str", "put", "put_bytes", "put_i32", "put_i64", "put_u16", "put_u32",
    "put_u64", "put_u8", "query", "range", "read", "read_exact", "read_to_end", "read_to_string",
    "read_until", "record", "recv", "reduce", "rem", "remove", "render", "repeat", "replace",
    "replace_range", "replacen", "request", "reserve", "resize", "resize_with", "response", "rev", "rfind",
    "rotate_left", "rotate_right", "round", "rposition", "rsplit", "rsplitn", "run", "saturating_add",
    "saturating_div", "saturating_mul", "saturating_pow", "saturating_sub", "scan", "seek", "send",
    "send_to", "set", "set_len", "set_nodelay", "set_nonblocking", "set_permissions", "set_read_timeout",
    "set_reads", "set_size", "set_ttl", "shift", "shl", "shr", "shuffle", "shutdown", "signal", "size",
    "skip", "skip_while", "sleep", "sort", "sort_by", "sort_by_key", "spawn", "spawn_blocking", "splice",
    "split", "split_at", "split_first", "split_off", "split_once", "split_to", "splitn", "start",
    "starts_with", "status", "step_by", "stop", "store", "strip_prefix", "sub", "subscribe", "sum", "swap",
    "swap_remove", "sync", "take", "take_while", "test", "then", "then_some", "timeout", "to_owned",
    "to_string", "trim", "truncate", "try_acquire", "try_from", "try_into", "try_recv", "try_reserve",
    "try_send", "unwrap", "unwrap_or", "unwrap_or_default", "unwrap_or_else", "update", "values", "wait",
    "wait_for", "windows", "with", "with_capacity", "wrapping_add", "wrapping_mul", "wrapping_shl",
    "wrapping_shr", "wrapping_sub", "write", "write_all", "write_str", "write_u16", "write_u32", "write_u64",
    "write_u8", "zip",
];

/// Whether a method of this name is too common to be told by its name.
pub(crate) fn contains(name: &str) -> bool {
    COMMON.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_names_nothing_twice() {
        assert!(COMMON.is_sorted_by(|one, next| one < next));
        assert!(contains("push") && contains("abs") && contains("zip"));
        assert!(!contains("read_page"));
    }
}
