//! The client against the real server, through a network that breaks again and again: nothing is lost, doubled or out of
//! order, whichever way it breaks.
//!
//! The short form runs with the other tests. The long one is `just soak`: a thousand faults over hundreds of MiB.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use codex_exec_server_client::{
    Client, ClientConfig, Dialer, Events, ExecProcessEvent, Follow, Lag, OnGap, Proof, RemoteProcess,
    StartError,
};
use codex_exec_server_protocol::path_uri::PathUri;
use codex_exec_server_protocol::process::ProcessStartParams;
use codex_exec_server_testkit::Program;
use codex_exec_server_testkit::storm::{Dice, FAULTS, Storm};
use codex_exec_server_transport::client::ConnectOptions;
use tokio::sync::watch;

/// The real program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-exec-server");
/// Names the seed of the storm, to have one again that found something.
const SEED: &str = "SOAK_SEED";
/// Names how many faults the long form waits for.
const FAULT_COUNT: &str = "SOAK_FAULTS";
/// Nothing may be gone, and nothing may wait for the slow.
const FOLLOW: Follow = Follow { lag: Lag::ReadLater, on_gap: OnGap::Fail };
/// What a server that counts lets its clients prove.
const COUNTED: [Proof; 2] = [Proof::Checksum, Proof::Length];
/// Bytes that the echo carries between two of the commands beside it.
const BETWEEN_COMMANDS: u64 = 4 << 20;
/// Lines that each of the commands beside the echo writes.
const LINES: u64 = 300_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_a_byte_is_lost_doubled_or_reordered_in_a_storm() {
    weather(seed(/*otherwise*/ 0x5707), /*faults*/ 40, 512 << 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `just soak`"]
async fn soak() {
    let faults = std::env::var(FAULT_COUNT).ok().and_then(|faults| faults.parse().ok()).unwrap_or(1000);
    weather(seed(/*otherwise*/ 0x50a6), faults, 1 << 20).await;
}

/// It retains 1 MiB of what nobody was there to take, counts nothing, and can't be asked again for a start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_a_byte_is_lost_in_a_storm_before_the_reference_server() {
    const FAULTS_TO_SEE: u64 = 40;
    const LINES_RETAINED: u64 = 100_000;
    let Some(path) = std::env::var_os("CODEX_REFERENCE_BIN") else {
        println!("skipped: CODEX_REFERENCE_BIN is not set");
        return;
    };
    let server = Program::start_with(Path::new(&path), &["exec-server"]).await;
    let seed = seed(/*otherwise*/ 0x5707);
    let storm = Storm::before(server.url(), seed, 256 << 10).await;
    let client = connect(&storm).await;
    let (mut tries, mut runs, mut written) = (0, 0, 0);
    while storm.faults() < FAULTS_TO_SEE {
        tries += 1;
        let lines = LINES_RETAINED.to_string();
        let argv = ["seq", "1", &lines];
        match client.start(params(format!("count-{tries}"), &argv, /*pipe_stdin*/ false), FOLLOW).await {
            Ok((_seq, mut events)) => {
                written += compare_count(&mut events, LINES_RETAINED, &[Proof::Numbering]).await;
                runs += 1;
            }
            // It was ended then.
            Err(StartError::Ambiguous { .. }) => {}
            Err(error) => panic!("it does not start: {error}"),
        }
    }
    storm.abate();
    println!(
        "seed {seed}: {} faults, {} KiB written by {runs} commands, {} starts in doubt: \
         0 bytes lost, doubled or reordered",
        storm.faults(),
        written >> 10,
        tries - runs,
    );
    assert!(runs > 0);
    client.close().await;
}

fn seed(otherwise: u64) -> u64 {
    std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(otherwise)
}

/// A client at work until there were so many faults, and some of each kind.
async fn weather(seed: u64, faults: u64, mean_bytes: u64) {
    let server = Program::start(Path::new(PROGRAM)).await;
    let storm = Storm::before(server.url(), seed, mean_bytes).await;
    let began = Instant::now();
    let client = connect(&storm).await;
    let goes_on = || storm.faults() < faults || FAULTS.into_iter().any(|fault| storm.count(fault) == 0);
    let carried = watch::Sender::new(0);
    let mut carrying = carried.subscribe();
    let commands = async {
        let (mut runs, mut written) = (0, 0);
        while goes_on() {
            written += count(&client, runs).await;
            runs += 1;
            let next = *carrying.borrow() + BETWEEN_COMMANDS;
            // An error says that the echo has ended.
            let _ = carrying.wait_for(|carried| *carried >= next).await;
            let counts = FAULTS.map(|fault| format!("{fault:?} {}", storm.count(fault)));
            println!("{:4} faults ({}), {runs} commands", storm.faults(), counts.join(", "));
        }
        // What is under way comes to its end in peace.
        storm.abate();
        (runs, written)
    };
    let (echoed, (runs, written)) = tokio::join!(echo(&client, seed, &goes_on, carried), commands);
    println!(
        "seed {seed}: {} faults in {:.1} s; {} MiB in and out again, {} MiB written by {runs} commands: \
         0 bytes lost, doubled or reordered",
        storm.faults(),
        began.elapsed().as_secs_f64(),
        echoed >> 20,
        written >> 20,
    );
    assert!(storm.faults() >= faults);
    client.close().await;
    server.stop().await;
}

/// The first connection is tried once only, and may meet a fault as any other.
async fn connect(storm: &Storm) -> Client {
    loop {
        let dialer = Dialer::url(storm.url().to_owned(), ConnectOptions::default());
        match Client::connect(dialer, ClientConfig::default()).await {
            Ok(client) => return client,
            Err(error) => println!("tries again: {error}"),
        }
    }
}

fn params(id: String, argv: &[&str], pipe_stdin: bool) -> ProcessStartParams {
    let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
    let cwd = PathUri::try_from(Path::new("/")).expect("an absolute path");
    serde_json::from_value(serde_json::json!({
        "processId": id, "argv": argv, "cwd": cwd, "env": {"PATH": "/usr/bin:/bin"}, "tty": false,
        "pipeStdin": pipe_stdin,
    }))
    .expect("these are parameters")
}

async fn start(client: &Client, params: ProcessStartParams) -> (RemoteProcess, Events) {
    client.start(params, FOLLOW).await.expect("it starts, whatever breaks")
}

/// Sends noise through `cat` and compares what comes back; returns how much.
async fn echo(client: &Client, seed: u64, goes_on: &impl Fn() -> bool, carried: watch::Sender<u64>) -> u64 {
    let (cat, mut events) = start(client, params("echo".into(), &["cat"], /*pipe_stdin*/ true)).await;
    let writing = async {
        let (mut noise, mut sizes) = (Noise::new(seed), Dice::new(!seed));
        let mut sent = 0;
        while goes_on() {
            let chunk = noise.take(1 + sizes.below(128 << 10) as usize);
            sent += chunk.len() as u64;
            cat.write(chunk).await.expect("it is taken, whatever breaks");
            carried.send_replace(sent);
        }
        drop(carried);
        cat.close_stdin().await.expect("it is taken, whatever breaks");
        sent
    };
    let reading = async {
        let mut expected = Noise::new(seed);
        compare(&mut events, |bytes| *bytes == expected.take(bytes.len()), &COUNTED).await
    };
    let (sent, came_back) = tokio::join!(writing, reading);
    assert_eq!(sent, came_back);
    sent
}

/// Runs a command that counts and compares its output; returns how much.
async fn count(client: &Client, run: u64) -> u64 {
    let lines = LINES.to_string();
    let (_seq, mut events) =
        start(client, params(format!("count-{run}"), &["seq", "1", &lines], /*pipe_stdin*/ false)).await;
    compare_count(&mut events, LINES, &COUNTED).await
}

/// Follows a command that counts to its end; returns how many bytes it wrote.
async fn compare_count(events: &mut Events, lines: u64, proofs: &[Proof]) -> u64 {
    let mut numbers = (1..=lines).flat_map(|number| format!("{number}\n").into_bytes());
    let is_right = |bytes: &Bytes| bytes.iter().all(|byte| numbers.next() == Some(*byte));
    let written = compare(events, is_right, proofs).await;
    assert_eq!(numbers.next(), None);
    written
}

/// Follows a process to its end, which has to be proven in one of these ways; returns how many bytes it wrote.
async fn compare(events: &mut Events, mut is_right: impl FnMut(&Bytes) -> bool, proofs: &[Proof]) -> u64 {
    let (mut bytes_seen, mut exit) = (0, None);
    while let Some(event) = events.next().await {
        match event.expect("nothing is gone") {
            ExecProcessEvent::Output { seq, bytes, .. } => {
                assert!(is_right(&bytes), "event {seq} is wrong, behind {bytes_seen} right bytes");
                bytes_seen += bytes.len() as u64;
            }
            ExecProcessEvent::Exited { exit: how, .. } => exit = Some(how.code),
            ExecProcessEvent::Closed { proof, .. } => {
                assert!(proofs.contains(&proof), "{proof:?}");
            }
            ExecProcessEvent::Gap { .. } => unreachable!("gaps are failures here"),
        }
    }
    assert_eq!(exit, Some(0));
    bytes_seen
}

/// Bytes that look random and are the same again for the same seed.
struct Noise {
    dice: Dice,
    left: Vec<u8>,
}

impl Noise {
    const fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), left: Vec::new() }
    }

    fn take(&mut self, len: usize) -> Bytes {
        while self.left.len() < len {
            self.left.extend(self.dice.roll().to_le_bytes());
        }
        self.left.drain(..len).collect()
    }
}
