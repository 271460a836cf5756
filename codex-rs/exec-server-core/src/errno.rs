//! Names of the system's errors, which mean the same on every Linux machine and tell programs what happened.

/// The name of Linux's error `number`, such as `ENOENT`; `E` and the number for one without a name here.
///
/// Only those that calls on files and directories can have.
#[must_use]
pub fn name(number: i32) -> String {
    let known = match number {
        1 => "EPERM",
        2 => "ENOENT",
        4 => "EINTR",
        5 => "EIO",
        6 => "ENXIO",
        9 => "EBADF",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        15 => "ENOTBLK",
        16 => "EBUSY",
        17 => "EEXIST",
        18 => "EXDEV",
        19 => "ENODEV",
        20 => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        23 => "ENFILE",
        24 => "EMFILE",
        25 => "ENOTTY",
        26 => "ETXTBSY",
        27 => "EFBIG",
        28 => "ENOSPC",
        29 => "ESPIPE",
        30 => "EROFS",
        31 => "EMLINK",
        32 => "EPIPE",
        36 => "ENAMETOOLONG",
        38 => "ENOSYS",
        39 => "ENOTEMPTY",
        40 => "ELOOP",
        61 => "ENODATA",
        75 => "EOVERFLOW",
        95 => "EOPNOTSUPP",
        107 => "ENOTCONN",
        110 => "ETIMEDOUT",
        116 => "ESTALE",
        117 => "EUCLEAN",
        121 => "EREMOTEIO",
        122 => "EDQUOT",
        126 => "ENOKEY",
        _ => return format!("E{number}"),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn an_error_without_a_name_is_told_by_its_number() {
        assert_eq!(
            [name(/*number*/ 2), name(/*number*/ 40), name(/*number*/ 999)],
            ["ENOENT", "ELOOP", "E999"]
        );
    }
}
