//! Memory that holds the program itself.
#![allow(unsafe_code)]

/// Lets go of the program's code as far as it is in memory; what runs on comes back by itself, from the page cache.
///
/// A start touches most of a program: flags, settings, manuals, trials. Afterwards little of that is needed again, but the
/// kernel counts it as resident for as long as nobody asks for the memory: 6 of the 9 MiB of an idle server. To let go takes
/// some microseconds, and so does what comes back, a few dozen pages of sixteen at a time.
pub fn let_go_of_start() {
    // Without the list nothing is let go.
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for line in maps.lines() {
        if let Some((start, len)) = code(line) {
            // SAFETY: The kernel says that these pages are mapped from a file and can't be written, so what is in them is
            // what is in the file, from which the kernel reads them again when they are next touched. The program's code
            // is never unmapped meanwhile: nothing here loads or unloads libraries.
            unsafe {
                libc::madvise(std::ptr::with_exposed_provenance_mut(start), len, libc::MADV_DONTNEED);
            }
        }
    }
}

/// Start and length of a line of the list that is code from a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let range = fields.next()?;
    let (permissions, _offset, _device, inode) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if permissions != "r-xp" || inode == "0" {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_files_is_told_apart_from_all_other_memory() {
        assert_eq!(
            code("559ce6a29000-559ce6f1c000 r-xp 001f2000 fe:00 2387 /usr/bin/server with blanks"),
            Some((0x559c_e6a2_9000, 0x4f_3000))
        );
        for other in [
            "559ce6837000-559ce6a29000 r--p 00000000 fe:00 2387 /usr/bin/server",
            "559ce6f1c000-559ce6f1d000 rw-p 006e4000 fe:00 2387 /usr/bin/server",
            "559ce6f1c000-559ce6f1d000 rwxp 006e4000 fe:00 2387 /usr/bin/server",
            "7ffd2a9f5000-7ffd2a9f7000 r-xp 00000000 00:00 0 [vdso]",
            "nonsense",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn code_that_was_let_go_of_comes_back_as_it_was() {
        let head = || {
            let code: *const u8 = let_go_of_start as fn() as *const u8;
            // SAFETY: It is the beginning of a function, which is longer than this.
            unsafe {
                std::slice::from_raw_parts(code, /*len*/ 32)
            }
            .to_vec()
        };
        let before = head();
        let_go_of_start();
        assert_eq!(head(), before);
    }
}
