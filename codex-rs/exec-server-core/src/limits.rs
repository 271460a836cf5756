//! Every bound of the rules in one place. Bounds of frames and messages belong to the transport.

use std::time::Duration;

/// Bounds on what a client can make the server hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests of one connection that may be waiting for their answers. Room for twice the 4,096 writes that a client
    /// may pipeline; beyond it a request that would have to wait is refused.
    pub requests_in_flight: usize,
    /// Bytes of such waiting requests. A request is admitted while less than this is waiting, so one message of the
    /// transport's full size always fits.
    pub request_bytes_in_flight: usize,
    /// How long, at that bound, the next message is left in the socket for some of them to be done. When none is, what
    /// would have to wait is refused.
    pub request_room: Duration,
    /// Bytes of finished answers that a connection may owe a client that does not read; beyond it no further
    /// request is taken from the socket until the client reads.
    pub owed_reply_bytes: usize,
    /// How long a connection that ends may take to send the answers it owes and to say good-bye.
    pub farewell: Duration,
    /// Sessions, attached and detached.
    pub sessions: usize,
    /// Connections that may observe one session at a time. Each costs a cursor per process.
    pub observers_per_session: usize,
    /// How long a session waits for its client to come back, unless the client asked for another time. The reference
    /// peer's 80 s.
    pub detached_session: Duration,
    /// The longest that a client may ask for: a day, so that work started in the evening is still there in the morning.
    pub detached_session_max: Duration,
    /// Processes of one session, closed ones included. At the bound the oldest closed one that was wholly delivered
    /// makes room.
    pub processes_per_session: usize,
    /// How long a closed process stays readable: the reference peer's 80 s, or the time for which its session waits for
    /// its client, if that is longer.
    pub closed_process_retention: Duration,
    /// Write ids remembered for each process. The reference peer's 4,096.
    pub remembered_write_ids: usize,
    /// Answers remembered for each session, by request key.
    pub remembered_request_keys: usize,
    /// Bytes accepted for a process's stdin and not yet taken by it; a write is accepted while less than this waits,
    /// so a single write of any size always is.
    pub queued_stdin_bytes: usize,
    /// What one process's log holds.
    pub log: LogLimits,
    /// Output that all logs together hold in memory before each is cut down to `log.crowded_memory_bytes`.
    pub output_memory_total_bytes: usize,
    /// What the files of all logs together may take before none of them grows any more.
    pub retained_output_total_bytes: u64,
    /// Bytes of all patterns of one `envPolicy` together: far more than anybody means, and a few milliseconds of work.
    pub env_pattern_bytes: usize,
    /// What may be kept of login shells.
    pub shell: ShellLimits,
    /// What may be held of HTTP exchanges.
    pub http: HttpLimits,
    /// What file operations may use.
    pub files: FileLimits,
    /// How long descendants get to die from SIGKILL before they are reported as survivors.
    pub kill_wait: Duration,
    /// How long, after a process and its descendants were killed, an open stream may still hold back `closed`.
    pub close_grace: Duration,
}

/// Bounds of shell snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShellLimits {
    /// Snapshots of one session: the reference peer's 16. The one that was not needed for longest goes; with 0 there are none,
    /// and login files are read at each start.
    pub snapshots_per_session: usize,
    /// What one may hold. Login files with many functions leave a tenth of it.
    pub snapshot_bytes: usize,
    /// How long taking one may hold up the start that needs it: the reference peer's 10 s. What takes longer is ended, and login
    /// files are read at each start.
    pub snapshot_wait: Duration,
}

impl Default for ShellLimits {
    fn default() -> Self {
        Self { snapshots_per_session: 16, snapshot_bytes: 1 << 20, snapshot_wait: Duration::from_secs(10) }
    }
}

/// Bounds of HTTP requests that leave from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Body of a buffered answer. It is held twice for a moment, so this is well below what a machine has; larger bodies
    /// are asked for as streams.
    pub buffered_body_bytes: usize,
    /// Streamed bodies of one connection.
    pub streams_per_connection: usize,
    /// What is read ahead of each streamed body while the connection, or its client, does not take more.
    pub stream_ahead_bytes: usize,
    /// Bodies of answers that one session remembers by request key, all together. Of older ones only the status is
    /// remembered.
    pub remembered_body_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            buffered_body_bytes: 256 << 20,
            streams_per_connection: 256,
            stream_ahead_bytes: 256 << 10,
            remembered_body_bytes: 16 << 20,
        }
    }
}

/// Bounds of file operations, of all connections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// Operations that may be waiting for a disk at once, each on a thread of its own; more wait for their turn. Enough
    /// to keep several disks busy, and few enough to leave threads for processes when a network's disks hang.
    pub threads: usize,
    /// Bytes of whole files that are on their way into answers at once. Room for one file of the greatest length that is
    /// read as a whole, in base64; others wait.
    pub whole_file_bytes: usize,
    /// Bytes of long blocks and ranges that one connection may have on their way into the socket at once; others wait. While one
    /// leaves, one is read and one may be next. More only leave the processor's cache before they leave for the socket: 16 MiB is
    /// a fifth slower.
    pub block_bytes_ahead: usize,
    /// Entries that one listing may hold: the reference peer's 50,000.
    pub listed_entries: usize,
    /// Processes that do operations under policies, one for each policy. The one that was not needed for longest goes.
    pub helpers: usize,
    /// How long such a process waits for more to do.
    pub helper_idle: Duration,
    /// The same while it has something stand on the machine where nothing may be made, such as an empty `.git`: others would
    /// stumble over it.
    pub helper_idle_with_placeholders: Duration,
    /// Searches that may be running at once, each on a thread of its own. One more is refused: those that run may wait for
    /// readers who are slow.
    pub searches: usize,
    /// Of these, those of one connection.
    pub searches_per_connection: usize,
    /// What a search finds ahead of its reader before it waits.
    pub search_ahead_bytes: usize,
    /// Watches that may stand at once, each with a thread and one of the system's inotify instances, of which it gives a user
    /// 128 unless told otherwise. One more is refused.
    pub watches: usize,
    /// Of these, those of one connection.
    pub watches_per_connection: usize,
    /// Directories of one watch: each costs the kernel about 1 KiB.
    pub watched_directories: usize,
    /// How far plugins and skills are looked for.
    pub discovery: DiscoveryLimits,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            threads: 32,
            whole_file_bytes: 768 << 20,
            block_bytes_ahead: 3 << 20,
            listed_entries: 50_000,
            helpers: 16,
            helper_idle: Duration::from_secs(30),
            helper_idle_with_placeholders: Duration::from_secs(1),
            searches: 64,
            searches_per_connection: 16,
            search_ahead_bytes: 256 << 10,
            watches: 64,
            watches_per_connection: 32,
            watched_directories: 65_536,
            discovery: DiscoveryLimits::default(),
        }
    }
}

/// Bounds of looking for plugins and skills. What goes beyond is left out, and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiscoveryLimits {
    /// All files that one answer holds.
    pub answer_bytes: usize,
    /// Of these, those of one root.
    pub root_bytes: usize,
    /// Levels below a root.
    pub depth: u64,
    /// Directories of a root.
    pub directories: u64,
    /// Entries of a root.
    pub entries: u64,
    /// Installed plugins.
    pub plugins: usize,
}

impl Default for DiscoveryLimits {
    fn default() -> Self {
        Self {
            answer_bytes: 64 << 20,
            root_bytes: 16 << 20,
            depth: 6,
            directories: 2_000,
            entries: 20_000,
            plugins: 256,
        }
    }
}

/// Bounds of one process's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Output kept, in memory and in the file.
    pub retain_bytes: usize,
    /// Output kept in memory: 6 MiB, of which `in_flight_bytes` for what a reader that keeps up has had already.
    pub memory_bytes: usize,
    /// Chunks kept in memory, however small.
    pub memory_chunks: usize,
    /// What replaces `memory_bytes` while somebody has still to read what is in the file: the rest goes there as well, so
    /// that a reader that stands still costs little.
    pub spooled_memory_bytes: usize,
    /// What replaces `memory_bytes` while the server as a whole holds too much in memory.
    pub crowded_memory_bytes: usize,
    /// Adjacent output of one stream is merged up to this size.
    pub chunk_bytes: usize,
    /// Output that waits for a reader which keeps up before the process waits for that reader.
    pub unread_bytes: usize,
    /// How long such a reader may take for `unread_bytes`. One that takes longer does not keep up, and is not waited for:
    /// with 1 MiB and 25 ms that is one that takes less than 40 MB/s.
    pub pace: Duration,
    /// What a connection that breaks may have swallowed, and is kept although it was sent. More than what the kernels hold:
    /// our own client allows 4 MiB, which as base64 is 3 MiB of output; Linux' default for others is 6 MiB. With
    /// `unread_bytes`, and a few reads more, it is less than `memory_bytes`: then no file is needed for it.
    pub in_flight_bytes: usize,
    /// Output in the answer to one read. As one base64 message it is less than the 16 MiB frame that ordinary clients take.
    pub read_bytes: usize,
    /// Chunks in the answer to one read; with each of them five JSON values, of which ordinary peers take 262,144.
    pub read_chunks: usize,
}

impl LogLimits {
    /// What may be in the file. A budget that fits into memory needs none.
    #[must_use]
    pub const fn filed_bytes(&self) -> usize {
        if self.retain_bytes > self.memory_bytes { self.retain_bytes } else { 0 }
    }

    /// How much output may be taken before the log is asked again whether it has room: less than half of what may wait for a
    /// reader, so that this goes little beyond any bound, and no more than memory has room for with that and with what a
    /// connection may have swallowed; so no file is needed for it.
    #[must_use]
    pub const fn taken_bytes(&self) -> usize {
        let others = self.in_flight_bytes.saturating_add(self.unread_bytes).saturating_add(self.chunk_bytes);
        let fits = self.memory_bytes.saturating_sub(others);
        if fits < self.unread_bytes / 2 { fits } else { self.unread_bytes / 2 }
    }
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            retain_bytes: 256 << 20,
            memory_bytes: 6 << 20,
            memory_chunks: 8_192,
            spooled_memory_bytes: 512 << 10,
            crowded_memory_bytes: 256 << 10,
            chunk_bytes: 64 << 10,
            unread_bytes: 1 << 20,
            pace: Duration::from_millis(25),
            in_flight_bytes: 9 << 19,
            read_bytes: 8 << 20,
            read_chunks: 32_768,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_in_flight: 8_192,
            request_bytes_in_flight: 64 << 20,
            request_room: Duration::from_millis(500),
            owed_reply_bytes: 32 << 20,
            farewell: Duration::from_secs(3),
            sessions: 10_000,
            observers_per_session: 64,
            detached_session: Duration::from_secs(80),
            detached_session_max: Duration::from_hours(24),
            processes_per_session: 16_384,
            closed_process_retention: Duration::from_secs(80),
            remembered_write_ids: 4_096,
            remembered_request_keys: 4_096,
            queued_stdin_bytes: 1 << 20,
            log: LogLimits::default(),
            output_memory_total_bytes: 256 << 20,
            retained_output_total_bytes: 8 << 30,
            env_pattern_bytes: 64 << 10,
            shell: ShellLimits::default(),
            http: HttpLimits::default(),
            files: FileLimits::default(),
            kill_wait: Duration::from_secs(2),
            close_grace: Duration::from_millis(500),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_at_once_fits_into_memory_with_what_waits_and_what_may_be_lost() {
        let limits = LogLimits::default();
        assert_eq!(limits.taken_bytes(), 448 << 10);
        let most = limits.in_flight_bytes + limits.chunk_bytes + limits.unread_bytes + limits.taken_bytes();
        assert!(most <= limits.memory_bytes);

        let roomy = LogLimits { memory_bytes: 64 << 20, ..limits };
        assert_eq!(roomy.taken_bytes(), roomy.unread_bytes / 2);
        let narrow = LogLimits { memory_bytes: 1 << 20, ..limits };
        assert_eq!(narrow.taken_bytes(), 0);
    }
}
