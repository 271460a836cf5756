//! The limit: a naive server on the same wire, to compare with. It shows what the wire itself costs when everything
//! that a server is for is left out.
//!
//! One thread, one `epoll`, blocking writes. No sessions, no log, no credentials, no bounds, nothing is checked and
//! nobody is kept from hurting anybody: a client that does not read, or a process that does not, stops everything.

mod exchange;
mod wire;

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use self::exchange::Request;
use self::wire::Client;
use crate::error::BenchError;
use crate::raw::{Piped, Program, Stdin, open_terminal};

/// Read of a process's output at a time. As much as a pipe holds by default.
const OUTPUT_BYTES: usize = 64 << 10;
/// Read from a client at a time.
const INPUT_BYTES: usize = 256 << 10;

/// What a descriptor in the epoll set is.
enum Source {
    Listener(TcpListener),
    Client(Client),
    /// An output stream of a process, by the process's key.
    Output {
        fd: OwnedFd,
        process: Key,
        stream: &'static str,
    },
    /// The process itself.
    End {
        _pidfd: OwnedFd,
        process: Key,
    },
}

/// A process's client and name.
type Key = (RawFd, String);

struct Process {
    pid: Pid,
    stdin: Option<OwnedFd>,
    last_seq: u64,
    /// Streams that are open, and the process itself.
    open: usize,
}

/// See the module.
struct Server {
    epoll: OwnedFd,
    /// By descriptor.
    sources: HashMap<RawFd, Source>,
    processes: HashMap<Key, Process>,
    buffer: Vec<u8>,
}

/// Prints the URL and serves until it is killed.
pub(crate) fn serve() -> Result<(), BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("ws://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut server =
        Server { epoll, sources: HashMap::new(), processes: HashMap::new(), buffer: vec![0; INPUT_BYTES] };
    server.watch(listener.as_raw_fd(), Source::Listener(listener))?;
    let mut events = [const { Event { flags: EventFlags::empty(), data: EventData::new_u64(0) } }; 256];
    loop {
        let ready = match epoll::wait(&server.epoll, &mut events, None) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            server.advance(event.data.u64() as RawFd)?;
        }
    }
}

impl Server {
    fn watch(&mut self, fd: RawFd, source: Source) -> Result<(), BenchError> {
        let borrowed = match &source {
            Source::Listener(listener) => listener.as_fd(),
            Source::Client(client) => client.stream.as_fd(),
            Source::Output { fd, .. } | Source::End { _pidfd: fd, .. } => fd.as_fd(),
        };
        epoll::add(&self.epoll, borrowed, EventData::new_u64(fd as u64), EventFlags::IN)?;
        self.sources.insert(fd, source);
        Ok(())
    }

    /// Takes the news of one descriptor. It may be gone already, by an event before it.
    fn advance(&mut self, fd: RawFd) -> Result<(), BenchError> {
        let stay = match self.sources.get_mut(&fd) {
            None => true,
            Some(Source::Listener(listener)) => {
                let (stream, _) = listener.accept()?;
                if let Some(client) = Client::upgrade(stream) {
                    self.watch(client.stream.as_raw_fd(), Source::Client(client))?;
                }
                true
            }
            Some(Source::Client(_)) => self.read_client(fd)?,
            Some(Source::Output { .. }) => self.read_output(fd)?,
            Some(Source::End { .. }) => self.read_end(fd)?,
        };
        if !stay {
            // Closing takes it out of the epoll set too.
            self.sources.remove(&fd);
        }
        Ok(())
    }

    fn client(&mut self, fd: RawFd) -> Option<&mut TcpStream> {
        match self.sources.get_mut(&fd)? {
            Source::Client(client) => Some(&mut client.stream),
            _ => None,
        }
    }

    fn send(&mut self, client: RawFd, text: &[u8]) {
        if let Some(stream) = self.client(client) {
            // One that is gone is noticed when it is read from.
            let _ = wire::send(stream, text);
        }
    }

    /// Reads and answers; false when the client is gone.
    fn read_client(&mut self, fd: RawFd) -> Result<bool, BenchError> {
        let Some(Source::Client(client)) = self.sources.get_mut(&fd) else { return Ok(false) };
        let Some(messages) = client.read(&mut self.buffer) else { return Ok(false) };
        for message in messages {
            let Ok(request) = serde_json::from_slice::<Request<'_>>(&message) else { return Ok(false) };
            let Some(id) = request.id else { continue };
            let result = match request.method {
                "process/start" => self.start(fd, &request)?,
                "process/write" => self.write(fd, &request),
                "process/terminate" => self.terminate(fd, &request),
                _ => request.answer(),
            };
            self.send(fd, format!(r#"{{"id":{id},"result":{result}}}"#).as_bytes());
        }
        Ok(true)
    }

    fn start(&mut self, client: RawFd, request: &Request<'_>) -> Result<String, BenchError> {
        let params = request.start_params()?;
        let program = Program::new(&params.argv)?.with_path();
        let key: Key = (client, params.process_id.to_owned());
        let (pid, stdin, outputs) = if params.tty {
            let (terminal, child_side) = open_terminal()?;
            let pid = program.spawn_on(&child_side)?;
            (pid, Some(terminal.try_clone()?), vec![(terminal, "pty")])
        } else {
            let Piped { pid, stdin, stdout, stderr } =
                program.spawn_piped(if params.pipe_stdin { Stdin::Pipe } else { Stdin::Null })?;
            (pid, stdin, vec![(stdout, "stdout"), (stderr, "stderr")])
        };
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let open = outputs.len() + 1;
        self.processes.insert(key.clone(), Process { pid, stdin, last_seq: 0, open });
        for (fd, stream) in outputs {
            self.watch(fd.as_raw_fd(), Source::Output { fd, process: key.clone(), stream })?;
        }
        self.watch(pidfd.as_raw_fd(), Source::End { _pidfd: pidfd, process: key })?;
        Ok(format!(r#"{{"processId":"{}"}}"#, params.process_id))
    }

    fn write(&mut self, client: RawFd, request: &Request<'_>) -> String {
        let written = request.write_params().and_then(|(process_id, bytes)| {
            let process = self.processes.get_mut(&(client, process_id.to_owned()))?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let count = rustix::io::write(process.stdin.as_ref()?, rest).ok()?;
                rest = &rest[count..];
            }
            Some(())
        });
        let status = if written.is_some() { "accepted" } else { "stdinClosed" };
        format!(r#"{{"status":"{status}"}}"#)
    }

    fn terminate(&mut self, client: RawFd, request: &Request<'_>) -> String {
        let process = request.process_id().and_then(|id| self.processes.get(&(client, id.to_owned())));
        let running = process.is_some_and(|process| kill_process(process.pid, Signal::KILL).is_ok());
        format!(r#"{{"running":{running}}}"#)
    }

    /// Sends one read's worth; false at the end of the stream.
    fn read_output(&mut self, fd: RawFd) -> Result<bool, BenchError> {
        let Some(Source::Output { fd, process: key, stream }) = self.sources.get(&fd) else {
            return Ok(false);
        };
        // A terminal whose last program is gone says EIO.
        let count = rustix::io::read(fd, &mut self.buffer[..OUTPUT_BYTES]).unwrap_or(0);
        let (key, stream) = (key.clone(), *stream);
        let Some(process) = self.processes.get_mut(&key) else { return Ok(false) };
        if count == 0 {
            self.ended(&key);
            return Ok(false);
        }
        process.last_seq += 1;
        let text = exchange::output(&key.1, process.last_seq, stream, &self.buffer[..count]);
        self.send(key.0, &text);
        Ok(true)
    }

    /// The process has ended; always false.
    fn read_end(&mut self, fd: RawFd) -> Result<bool, BenchError> {
        let Some(Source::End { process: key, .. }) = self.sources.get(&fd) else { return Ok(false) };
        let key = key.clone();
        let Some(process) = self.processes.get_mut(&key) else { return Ok(false) };
        let status = waitpid(Some(process.pid), WaitOptions::empty())?.map(|(_, status)| status);
        let code = status.and_then(|status| status.exit_status()).unwrap_or(1);
        process.last_seq += 1;
        let text = exchange::ending("exited", &key.1, process.last_seq, &format!(r#","exitCode":{code}"#));
        self.send(key.0, text.as_bytes());
        self.ended(&key);
        Ok(false)
    }

    /// One of a process's streams, or the process itself, has ended.
    fn ended(&mut self, key: &Key) {
        let Some(process) = self.processes.get_mut(key) else { return };
        process.open -= 1;
        if process.open == 0 {
            let text = exchange::ending("closed", &key.1, process.last_seq + 1, "");
            self.processes.remove(key);
            self.send(key.0, text.as_bytes());
        }
    }
}
