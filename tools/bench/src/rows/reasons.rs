//! Why goals are missed where they are, as far as that was found out by profiles (`perf record`) and by counting system calls
//! (`strace -f`). Shown only when a goal is missed.
//!
//! `{raw}` and `{limit}` stand for what those showed in the same metric of the same run, `{row: metric}` for what the same
//! target showed in another, or what was measured there without any server.

/// A row, a metric of it that has a goal, and the reason as a sentence that begins with a small letter.
pub(super) const REASONS: &[(&str, &str, &str)] = &[
    (
        "connect",
        "p50",
        "the server makes 11 system calls until it has answered, `limit` makes 9; both sleep and wake twice. It uses 104 µs of \
         CPU for a connection, `limit` 49. 58 % of that is the kernel's: two `writev` 20 %, `epoll_wait` 11, two `accept4` 8 \
         (one only to hear that nobody else dials), `shutdown` 7, `recvfrom` 4, `close` 3, `epoll_ctl` 2. The rest is spread \
         thin: the upgrade 9 %, memory 8 %, two messages taken apart 4 %, and the tasks that carry a connection.",
    ),
    (
        "in-flight",
        "cpu per command",
        "the program that is run is most of it: `raw`, which does nothing but spawn and wait, takes {raw} of it in this run. \
         67 % of the CPU is the program's (its loader, page faults, `execve`, exit), 26 % the kernel's on behalf of the server \
         (`clone`, pipes, `epoll`), 7 % the server's own code.",
    ),
    ("output-json", "zeros rate", KEEPING),
    ("output-json", "text rate", KEEPING),
    ("output-json", "zeros server cpu", JSON_CPU),
    ("output-json", "text server cpu", JSON_CPU),
    ("output-binary", "zeros rate", THREE_COPIES),
    ("output-binary", "text rate", THREE_COPIES),
    (
        "output-binary",
        "zeros rate over JSON",
        "encoding is a tenth of what the server does in the JSON form ({output-json: zeros rate}). The rest, copying out of \
         the pipe and into the socket, is the same in both, and the two processors are shared with the program that writes.",
    ),
    (
        "output-binary",
        "text rate over JSON",
        "encoding is a tenth of what the server does in the JSON form ({output-json: text rate}). The rest, copying out of \
         the pipe and into the socket, is the same in both, and the two processors are shared with the program that writes.",
    ),
    ("output-binary", "zeros server cpu", BINARY_CPU),
    ("output-binary", "text server cpu", BINARY_CPU),
    (
        "echo",
        "p50",
        "`limit` takes {limit} with one system call less between the keystroke's echo and its message: a terminal has to be \
         read until it has nothing more before it can be waited for again. The rest is two tasks that wake each other on one \
         thread, the log, and the scheduler of what leaves.",
    ),
    (
        "echo-flooded",
        "p50",
        "a keystroke takes {echo: p50} on this machine when nothing else runs, `raw`, which has a terminal and a flood but no server, \
         {raw} here, and `limit` {limit}. Most of it is waking processors and waiting for one: four programs take part (the one \
         that floods, the one that echoes, the server, the client), and the echo waits four times; with busy loops beside it, \
         which keep both processors awake, the keystroke of a quiet connection falls from 124 to 83 µs. While somebody types, \
         the server reads 64 KiB of the flood at a time, after everything else, and rests for 150 µs. A shorter time slice for \
         its threads changes nothing: 127 µs without, 128 with it.",
    ),
    (
        "echo-flooded",
        "p99",
        "`limit`, which holds nobody up, has {limit} here: a program that wakes while both processors are taken waits until one of \
         the others has used up its time slice, which is milliseconds.",
    ),
    (
        "sandbox",
        "confined over free",
        "back to back, the launcher of the next command is made while this one runs, so that all it costs counts: 1.4 ms of CPU beside \
         the 0.5 ms of the command. Of the launcher its memory is 0.38 ms (the copy of the zygote, 81 page faults and its \
         end), the seccomp filter, which the kernel translates for each process, 0.08, namespaces 0.08, the bounding set, one \
         call for each capability, 0.04, and mounts and devices most of the rest. A private network that nobody used costs \
         nothing any more (0.8 ms to make and to take apart). With 20 ms between starts a launcher is ready.",
    ),
    (
        "sandbox",
        "confined over bwrap",
        "bwrap makes the same namespaces and mounts without a filter, Landlock, an init of its own, or anybody who tells what was \
         denied. What a start here still waits for in turn is the command (0.5 ms of CPU), its filter (0.08 ms), and at its end \
         the launcher's own memory (0.09 ms); the next launcher is made beside it, on two processors that server, client and \
         command need, too.",
    ),
    (
        "sandbox",
        "5,000 files unpacked, confined over free",
        "each call that makes a file is shown to the launcher before the kernel decides, so that a denial can be told: two \
         switches between processes and seven system calls. In a file system in memory that is 44 % of the CPU of unpacking \
         (being woken 13 %, asking and answering 9 %, the folder 9 %, waiting 8 %, the path 7 %), against 3 % in Landlock \
         and 1 % in the filter; on a disk, where making a file costs more, it weighs less.",
    ),
    (
        "small-request",
        "environment/status p50",
        "the server makes the same three system calls as `limit` (`epoll_wait`, `recvfrom`, one to send), which takes {limit}. The \
         difference is its own code, flat: no function takes more than 1.4 % of the time; decoding and the runtime's own \
         book-keeping are most of it.",
    ),
    (
        "small-request",
        "process/read p50",
        "the server makes the same three system calls as `limit` (`epoll_wait`, `recvfrom`, one to send), which takes {limit} and \
         answers with a constant. The difference is looking into the log, and decoding.",
    ),
    (
        "small-request",
        "fs/getMetadata p50",
        "to ask without ever waiting takes three calls (`openat2` with `RESOLVE_CACHED`, `statx`, `close`), 2.3 µs, where the one \
         `statx` of `limit` ({limit}), which may wait for a disk, takes 1.0. A request that asks for nothing costs 1.2 µs more here \
         than there. The rest is taking the parameters apart, checking them, and an answer that has an owner, an inode and an etag \
         as well.",
    ),
    (
        "small-file",
        "1 KiB read p50",
        "reading the file takes {raw} without any protocol, and a request that asks for nothing \
         {small-request: environment/status p50}. The file's own calls take 6.7 µs: it is opened without being touched (`O_PATH`), \
         looked at, and opened again by that descriptor, so that nothing that takes its place is ever opened. Opened at once it \
         would be 3.4, but the kernel has no way to open ordinary files only, and to open a pipe wakes its writer, and then breaks \
         it.",
    ),
    (
        "small-file",
        "10,000-entry listing p50",
        "reading the names takes {raw} without any protocol, nearly all of it the kernel's, which sorts them by their hashes. The \
         server reads both halves of them at once, which takes two thirds of that, since this machine's two processors hinder each \
         other; 650 KB of text through a socket take 0.3 ms, and the client takes 1.1 ms to take them apart.",
    ),
    (
        "large-file",
        "64 blocks of 1 MiB",
        "`raw` ({raw}) copies each byte once, out of the page cache. Here it is encoded as well, and what is a third longer \
         then is copied into a socket and out of it, by two programs on two processors.",
    ),
    (
        "large-file",
        "64 MiB write",
        "it is one message of 89.5 MB, which is all there before its JSON can be understood: memory for it has to be cleared, it is \
         copied out of the socket, unmasked, searched for its end, checked, and decoded a piece at a time into the file. Written \
         in blocks a file needs neither the memory nor the wait.",
    ),
    (
        "small-file",
        "1 KiB write p50",
        "a file that is there is emptied and written anew, which takes {raw} without any protocol. It may wait for a disk, so it is \
         done on a thread that may: counted system calls show three for waking that and being woken, beside ten about the \
         file.",
    ),
    (
        "stalled",
        "server growth",
        "while its reader is behind, 512 KiB of a log stay in memory and 1 MiB is on its way to the file; two blocks of 88 KiB stand \
         before the socket. The rest is the allocator's: what it had handed out before the reader fell behind is given back \
         once, where whole pages of it are free.",
    ),
    (
        "stalled",
        "other connection's one-shot, over alone",
        "until its file is full, which takes one to two seconds for 256 MiB, the process that floods, the server and the thread that \
         writes the file have two processors together with the commands; from then on all three stand still, as their CPU time \
         shows, and what is left is how much two servers differ that take turns.",
    ),
    (
        "cuts",
        "catch-up p50",
        "to catch up is to dial, to resume and to read: where nothing was cut, an ordinary connection takes {connect: p50} in this \
         run, and a read on an open one {small-request: process/read p50}.",
    ),
    (
        "distant",
        "open connection",
        "the command itself takes {one-shot: p50} where nothing is in between; `raw` ({raw}) runs none.",
    ),
    (
        "distant",
        "cold, dial included",
        "an ordinary connection takes {connect: p50} and the command {one-shot: p50} where nothing is in between; `raw` ({raw}) is \
         one way there and back.",
    ),
];

/// Why a rate of output is less than that of the naive server.
const KEEPING: &str = "the program, the server and the client have two processors between them, and the server does more for each \
                       byte than `limit` ({limit}): it keeps what it sends, so that a lost connection costs nothing, and adds \
                       it to the checksum that the end states, which alone is 8 % of its time.";

/// Why it takes more CPU than it should.
const JSON_CPU: &str = "`limit` takes {limit} in this run. What has to be done with each byte costs this machine {passes: out of a pipe} to \
                        read, {passes: base64} to encode, {passes: into a socket} and a third more to send, and {passes: CRC-32C} \
                        for the checksum, if nothing else is done at all. Of the server's time 73 % is the kernel's.";

/// The same of binary messages.
const BINARY_CPU: &str = "what has to be done with each byte costs this machine {passes: out of a pipe} to read, {passes: into a socket} to \
                          send, and {passes: CRC-32C} for the checksum, if nothing else is done at all; in between nothing is \
                          copied. 88 % of the server's time is the kernel's, a sixth of that waiting for the program that writes \
                          to let go of the pipe.";

/// Why raw reading is faster.
const THREE_COPIES: &str = "`raw` copies each byte once, out of the pipe. Here it is copied out of the pipe, into a socket and out of \
                            that, by two programs beside the one that writes, on two processors: the one that writes has 34 % \
                            of the time, the server 64 %, of which 88 % is the kernel's copying.";
