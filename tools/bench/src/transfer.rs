//! Bulk output through servers: how fast, at what cost in the server's CPU time, in how much memory. Every transfer proves
//! that each byte was counted and no sequence number was missing. Used by the rows about output.

use std::time::{Duration, Instant};

use crate::error::BenchError;
use crate::machine;
use crate::report::Measure;
use crate::target::TargetSpec;
use crate::wire::{Connection, Continuity, Message, StartParams, scan_output};

pub(crate) const GIB: u64 = 1 << 30;
/// After a start, so that the allocations of starting are over before "idle" is read.
const SETTLE: Duration = Duration::from_millis(200);

/// A command that writes a known number of bytes.
pub(crate) struct Producer {
    pub(crate) argv: Vec<String>,
    pub(crate) bytes: u64,
    /// Whether it runs on a terminal.
    pub(crate) tty: bool,
}

/// How output is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Binary,
}

/// What one transfer through a server showed.
pub(crate) struct Transfer {
    pub(crate) megabytes_per_second: f64,
    pub(crate) cpu_seconds_per_gib: f64,
    pub(crate) peak_mib: f64,
    pub(crate) client_cpu_seconds_per_gib: f64,
    /// Events that came before their turn.
    out_of_order: u64,
}

/// One target's transfers, all of one producer.
pub(crate) struct Contender {
    name: String,
    spec: TargetSpec,
    form: Form,
    done: Vec<Transfer>,
    failure: Option<BenchError>,
}

/// What a metric is, by what a transfer showed.
pub(crate) type Pick = fn(&Transfer) -> f64;

impl Contender {
    pub(crate) fn new(spec: &TargetSpec, form: Form) -> Self {
        Self { name: spec.name.clone(), spec: spec.clone(), form, done: Vec::new(), failure: None }
    }

    /// One more transfer, unless one has failed.
    pub(crate) fn take_turn(&mut self, producer: &Producer) {
        if self.failure.is_none() {
            match transfer(&self.spec, self.form, producer) {
                Ok(transfer) => self.done.push(transfer),
                Err(error) => self.failure = Some(error),
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The median of what `pick` picks, if there is any.
    pub(crate) fn median(&self, pick: Pick) -> Option<f64> {
        self.measure("", "", pick).value
    }

    /// One line of the report.
    pub(crate) fn measure(&self, metric: &str, unit: &'static str, pick: Pick) -> Measure {
        let samples: Vec<f64> = self.done.iter().map(pick).collect();
        let measure = Measure::of(metric, &self.name, unit, &samples);
        let out_of_order: u64 = self.done.iter().map(|transfer| transfer.out_of_order).sum();
        match &self.failure {
            Some(BenchError::NotOffered) => measure.not_offered(),
            Some(error) => measure.with_failure(&format!("{error}, after {} transfers", self.done.len())),
            None if out_of_order > 0 => {
                measure.with_note(format!("complete, but {out_of_order} events came out of order"))
            }
            None => measure,
        }
    }
}

/// One transfer through a fresh server, so that its memory peak is its own.
fn transfer(spec: &TargetSpec, form: Form, producer: &Producer) -> Result<Transfer, BenchError> {
    let target = spec.start()?;
    std::thread::sleep(SETTLE);
    let idle_kib = machine::memory(target.pid())?.resident_kib;
    machine::reset_peak(target.pid())?;
    let mut connection = match form {
        Form::Json => Connection::open(&target.url)?,
        Form::Binary => Connection::open_binary(&target.url)?,
    };
    let server_before = machine::cpu_time(target.pid())?.own;
    let client_before = machine::cpu_time(std::process::id())?.own;
    let started = Instant::now();
    let out_of_order = receive(&mut connection, producer)?;
    let seconds = started.elapsed().as_secs_f64();
    let server_after = machine::cpu_time(target.pid())?.own;
    let client_after = machine::cpu_time(std::process::id())?.own;
    let gib = producer.bytes as f64 / GIB as f64;
    Ok(Transfer {
        megabytes_per_second: producer.bytes as f64 / 1e6 / seconds,
        cpu_seconds_per_gib: (server_after - server_before) / gib,
        peak_mib: (machine::memory(target.pid())?.peak_kib - idle_kib) / 1024.0,
        client_cpu_seconds_per_gib: (client_after - client_before) / gib,
        out_of_order,
    })
}

/// Runs the producer and counts what arrives until it is closed. Returns how many events came before their
/// turn.
fn receive(connection: &mut Connection, producer: &Producer) -> Result<u64, BenchError> {
    let argv: Vec<&str> = producer.argv.iter().map(String::as_str).collect();
    let start = StartParams::new("producer", &argv);
    connection.request("process/start", if producer.tty { start.with_tty() } else { start })?;
    let expected = producer.bytes;
    let (mut bytes, mut events) = (0, Continuity::default());
    loop {
        let payload = connection.next_payload()?;
        if let Some(chunk) = scan_output(payload) {
            events.accept(chunk.seq)?;
            bytes += chunk.bytes;
            continue;
        }
        match Message::parse(payload)? {
            Message::Output { seq, bytes: chunk, .. } => {
                events.accept(seq)?;
                bytes += chunk.len() as u64;
            }
            Message::Exited { seq, exit_code, .. } => {
                events.accept(seq)?;
                if exit_code != 0 {
                    return Err(BenchError::Protocol(format!("the producer exited with {exit_code}")));
                }
            }
            Message::Closed { seq, .. } => {
                events.accept(seq)?;
                break;
            }
            Message::Refused { code, message, .. } => {
                return Err(BenchError::Refused { code, message });
            }
            Message::Reply { .. } | Message::Other => {}
        }
    }
    if let Some(missing) = events.missing() {
        return Err(BenchError::Protocol(format!("event {missing} never came")));
    }
    if bytes != expected {
        return Err(BenchError::Protocol(format!("{bytes} of {expected} bytes arrived")));
    }
    Ok(events.out_of_order())
}
