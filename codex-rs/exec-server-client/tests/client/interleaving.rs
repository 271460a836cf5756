//! Whatever breaks, comes twice, comes late or is forgotten, in whatever order: every follower is told each event once, in
//! order, and exactly what is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codex_exec_server_client::{
    Client, ClientConfig, Events, ExecProcessEvent, Follow, Lag, OnGap, ProcessError, Proof, RemoteProcess,
};
use codex_exec_server_protocol::ids::{ProcessId, Seq};
use codex_exec_server_protocol::process::{OutputStream, ProcessStartParams};
use proptest::prelude::*;
use tokio::sync::{Semaphore, SetOnce};
use tokio::task::JoinHandle;

use crate::fake::params;
use crate::model::{Dialect, Event, Log, ModelServer, name};

const PROCESSES: usize = 3;

/// How a case goes.
#[derive(Clone)]
struct Script {
    dialect: Dialect,
    /// Chunks in an answer, where the server gives pages.
    chunks_at_once: usize,
    /// Events that the client keeps for late followers, and as many that may wait for a slow one.
    room: usize,
    /// What each process does, where it comes from, and how its first follower takes events.
    processes: Vec<(Vec<Event>, Origin, Manner)>,
    steps: Vec<Step>,
}

impl fmt::Debug for Script {
    /// In as many lines as there are processes, and one more for the steps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dialect, chunks_at_once, room, processes, steps } = self;
        writeln!(f, "{dialect:?}, {chunks_at_once} chunks at once, room for {room}")?;
        for (process, (events, origin, manner)) in processes.iter().enumerate() {
            writeln!(f, "{process}: {events:?}, {origin:?}, followed as {manner:?}")?;
        }
        write!(f, "steps: {steps:?}")
    }
}

/// Where a process comes from.
#[derive(Debug, Clone, Copy)]
enum Origin {
    /// The client starts it.
    Started,
    /// It was there before: the client adopts it, behind this position.
    Adopted(u64),
}

impl Origin {
    const fn after(self) -> Seq {
        match self {
            Self::Started => Seq::START,
            Self::Adopted(after) => Seq(after),
        }
    }
}

/// How a follower takes events.
#[derive(Debug, Clone, Copy)]
struct Manner {
    on_gap: OnGap,
    /// Only as many as [`Step::Take`] says.
    is_slow: bool,
}

/// What happens next. `p` counts processes.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Processes say something, or end.
    Happen { p: usize, events: usize },
    /// The server drops the oldest that it holds.
    Forget { p: usize, chunks: usize },
    /// Notifications arrive.
    Deliver(usize),
    /// One of the latest arrives again.
    Repeat(usize),
    /// The next one is overtaken by others.
    Delay(usize),
    /// `initialize` is answered.
    Open,
    /// What is asked by now will be answered as of now.
    MakeAnswers,
    /// One of the requests is answered.
    Answer(usize),
    /// The connection breaks.
    Cut,
    /// Nothing happens, for longer than the client waits between two attempts.
    Pause,
    /// One more follower, of what comes behind `after`.
    Follow { p: usize, after: u64, manner: Manner },
    /// Each slow follower takes so many events.
    Take(usize),
}

fn origin(dialect: Dialect) -> impl Strategy<Value = Origin> {
    // Where an exit has no number, one that was before can't be told from the first of what follows.
    let first = if dialect == Dialect::Full { 14_u64 } else { 1 };
    prop_oneof![3 => Just(Origin::Started), 1 => (0..first).prop_map(Origin::Adopted)]
}

fn manner() -> impl Strategy<Value = Manner> {
    (prop_oneof![3 => Just(OnGap::Tell), 1 => Just(OnGap::Fail)], any::<bool>())
        .prop_map(|(on_gap, is_slow)| Manner { on_gap, is_slow })
}

/// Output before the exit and after it, then the close.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let stream = prop_oneof![Just(OutputStream::Stdout), Just(OutputStream::Stderr)];
    let chunk = (stream, 1..3_usize).prop_map(|(stream, len)| Event::Output(stream, len));
    (proptest::collection::vec(chunk, 0..10), any::<prop::sample::Index>()).prop_map(|(mut events, exit)| {
        events.insert(exit.index(events.len() + 1), Event::Exited);
        events.push(Event::Closed);
        events
    })
}

fn step(dialect: Dialect) -> impl Strategy<Value = Step> {
    let p = 0..PROCESSES;
    // Where nothing tells what was dropped, an exit can't be told from a chunk: there, all is kept.
    let forgotten = if dialect == Dialect::Full { 1..4_usize } else { 0..1 };
    prop_oneof![
        12 => (p.clone(), 1..4_usize).prop_map(|(p, events)| Step::Happen { p, events }),
        4 => (p.clone(), forgotten).prop_map(|(p, chunks)| Step::Forget { p, chunks }),
        8 => (1..6_usize).prop_map(Step::Deliver),
        2 => (0..8_usize).prop_map(Step::Repeat),
        2 => (1..4_usize).prop_map(Step::Delay),
        5 => Just(Step::Open),
        2 => Just(Step::MakeAnswers),
        8 => (0..4_usize).prop_map(Step::Answer),
        4 => Just(Step::Cut),
        2 => Just(Step::Pause),
        2 => (p, 0..14_u64, manner()).prop_map(|(p, after, manner)| Step::Follow { p, after, manner }),
        3 => (1..4_usize).prop_map(Step::Take),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    prop_oneof![3 => Just(Dialect::Full), 1 => Just(Dialect::Plain)].prop_flat_map(|dialect| {
        (
            1..4_usize,
            1..6_usize,
            proptest::collection::vec((events(), origin(dialect), manner()), PROCESSES),
            proptest::collection::vec(step(dialect), 0..50),
        )
            .prop_map(move |(chunks_at_once, room, processes, steps)| Script {
                dialect,
                chunks_at_once,
                room,
                processes,
                steps,
            })
    })
}

/// A follower, and what it was told.
struct Follower {
    process: usize,
    after: Seq,
    on_gap: OnGap,
    told: JoinHandle<Vec<Result<ExecProcessEvent, ProcessError>>>,
}

/// How many events slow followers may take; quick ones don't ask.
type Leave = Option<Arc<Semaphore>>;

async fn follow(mut events: Events, leave: Leave) -> Vec<Result<ExecProcessEvent, ProcessError>> {
    let mut told = Vec::new();
    loop {
        if let Some(leave) = &leave {
            leave.acquire().await.expect("it is not closed").forget();
        }
        match events.next().await {
            Some(event) => told.push(event),
            None => return told,
        }
    }
}

/// One case under way.
struct Play {
    server: ModelServer,
    client: Client,
    handles: Vec<Arc<SetOnce<RemoteProcess>>>,
    followers: Vec<Follower>,
    leaves: Vec<Arc<Semaphore>>,
}

/// Until the client has nothing to say for now.
const MOMENT: Duration = Duration::from_millis(1);

impl Play {
    async fn begin(script: &Script) -> Self {
        let logs = script.processes.iter().enumerate();
        let logs = logs.map(|(process, (events, origin, _))| {
            let log = Log::new(process, events.clone());
            if matches!(origin, Origin::Started) { log } else { log.started() }
        });
        let logs = logs.collect();
        let (mut server, dialer) = ModelServer::new(logs, script.dialect, script.chunks_at_once);
        let mut config = ClientConfig::default();
        config.process.history_events = script.room;
        config.process.ready_events = 2 * script.room;
        config.process.parked_events = 2 * script.room;
        let connecting = tokio::spawn(Client::connect(dialer, config));
        while !connecting.is_finished() {
            server.listen(MOMENT).await;
            server.open().await;
        }
        let client = connecting.await.expect("no panic").expect("it was answered");
        let (handles, followers, leaves) = (Vec::new(), Vec::new(), Vec::new());
        let mut play = Self { server, client, handles, followers, leaves };
        for (process, (_, origin, manner)) in script.processes.iter().enumerate() {
            play.start(process, *origin, *manner);
        }
        if script.dialect == Dialect::Plain {
            // A start that is cut would be given up.
            while play.handles.iter().any(|handle| handle.get().is_none()) {
                play.server.listen(MOMENT).await;
                play.server.calm_down().await;
            }
        }
        play
    }

    fn start(&mut self, process: usize, origin: Origin, manner: Manner) {
        let handle = Arc::new(SetOnce::new());
        self.handles.push(Arc::clone(&handle));
        let (client, leave) = (self.client.clone(), self.leave(manner));
        let told = tokio::spawn(async move {
            let process_id: ProcessId = name(process).as_str().into();
            let follow_as = Follow { lag: Lag::ReadLater, on_gap: manner.on_gap };
            let (process, events) = match origin {
                Origin::Started => {
                    let params = ProcessStartParams { process_id, ..params() };
                    client.start(params, follow_as).await.expect("it starts")
                }
                Origin::Adopted(after) => {
                    client.adopt(process_id, Seq(after), follow_as).await.expect("it is there")
                }
            };
            handle.set(process).expect("once");
            follow(events, leave).await
        });
        self.followers.push(Follower { process, after: origin.after(), on_gap: manner.on_gap, told });
    }

    fn follow(&mut self, process: usize, after: Seq, manner: Manner) {
        let (handle, leave) = (Arc::clone(&self.handles[process]), self.leave(manner));
        let told = tokio::spawn(async move {
            let follow_as = Follow { lag: Lag::ReadLater, on_gap: manner.on_gap };
            let events = handle.wait().await.subscribe(after, follow_as);
            follow(events, leave).await
        });
        self.followers.push(Follower { process, after, on_gap: manner.on_gap, told });
    }

    fn leave(&mut self, manner: Manner) -> Leave {
        manner.is_slow.then(|| {
            let leave = Arc::new(Semaphore::new(0));
            self.leaves.push(Arc::clone(&leave));
            leave
        })
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Happen { p, events } => self.server.happen(p, events),
            Step::Forget { p, chunks } => self.server.forget(p, chunks),
            Step::Deliver(count) => self.server.deliver(count).await,
            Step::Repeat(back) => self.server.repeat(back).await,
            Step::Delay(by) => self.server.delay(by),
            Step::Open => self.server.open().await,
            Step::MakeAnswers => self.server.make_answers(),
            Step::Answer(which) => self.server.answer(which).await,
            Step::Cut => self.server.cut(),
            Step::Pause => self.server.listen(Duration::from_millis(150)).await,
            Step::Follow { p, after, manner } => self.follow(p, Seq(after), manner),
            Step::Take(count) => self.leaves.iter().for_each(|leave| leave.add_permits(count)),
        }
        self.server.listen(MOMENT).await;
    }

    /// From here on the server does what it should, one event at a time, until all followers have come to their end.
    async fn end(&mut self) -> Result<(), String> {
        /// Enough for every event and every attempt.
        const STEPS: usize = 500;
        self.leaves.iter().for_each(|leave| leave.add_permits(1000));
        for _ in 0..STEPS {
            if self.followers.iter().all(|follower| follower.told.is_finished()) {
                return Ok(());
            }
            self.server.listen(Duration::from_millis(10)).await;
            self.server.calm_down().await;
            (0..PROCESSES).for_each(|p| self.server.happen(p, /*events*/ 1));
        }
        let waiting = self.followers.iter().filter(|follower| !follower.told.is_finished());
        let waiting: Vec<_> = waiting.map(|follower| (follower.process, follower.after)).collect();
        Err(format!("followers never come to an end: {waiting:?}, {:?}", self.client.status().now()))
    }
}

async fn play(script: Script) -> Result<(), String> {
    let mut play = Play::begin(&script).await;
    for step in &script.steps {
        play.step(*step).await;
    }
    play.end().await?;
    for follower in play.followers {
        let told = follower.told.await.map_err(|error| error.to_string())?;
        let log = play.server.log(follower.process);
        let check = Check::new(log, script.dialect, follower.after);
        check.all(&told, follower.on_gap).map_err(|wrong| {
            format!(
                "process {} behind {}: {wrong}\ntold: {told:?}\ndropped: {}",
                follower.process, follower.after, log.dropped
            )
        })?;
    }
    play.client.close().await;
    Ok(())
}

/// Compares what a follower was told with what happened.
struct Check<'a> {
    log: &'a Log,
    dialect: Dialect,
    after: Seq,
    /// The last position that was accounted for.
    last: u64,
    /// Whether it is known how much output there was through `last`.
    is_counted: bool,
    has_gaps: bool,
    has_exited: bool,
}

impl<'a> Check<'a> {
    fn new(log: &'a Log, dialect: Dialect, after: Seq) -> Self {
        // A follower who begins in the middle has not counted what came before.
        let is_counted = after == Seq::START;
        Self { log, dialect, after, last: after.0, is_counted, has_gaps: false, has_exited: false }
    }

    fn all(mut self, told: &[Result<ExecProcessEvent, ProcessError>], on_gap: OnGap) -> Result<(), String> {
        for event in told {
            match event {
                Ok(event) => self.event(event, on_gap)?,
                Err(ProcessError::Gap { through, bytes, .. }) if on_gap == OnGap::Fail => {
                    return self.gap(through.0, *bytes);
                }
                Err(error) => return Err(format!("it fails: {error}")),
            }
        }
        // Whatever comes after the end would have made the last position wrong.
        if self.last == self.log.last().max(self.after.0) {
            Ok(())
        } else {
            Err(format!("it ends behind {} of {}", self.last, self.log.last()))
        }
    }

    fn event(&mut self, event: &ExecProcessEvent, on_gap: OnGap) -> Result<(), String> {
        match event {
            ExecProcessEvent::Output { seq, stream, bytes } => {
                self.next(*seq)?;
                let is_right =
                    matches!(self.log.event(seq.0), Some(Event::Output(said, _)) if said == *stream);
                if !is_right || *bytes != self.log.text(seq.0) {
                    return Err(format!("output {seq} is another one"));
                }
                Ok(())
            }
            ExecProcessEvent::Gap { .. } if on_gap == OnGap::Fail => Err("a gap is told".into()),
            ExecProcessEvent::Gap { through, bytes } => self.gap(through.0, *bytes),
            ExecProcessEvent::Exited { seq, exit } => {
                let place = self.log.exit();
                // What may have happened within a gap is told behind it.
                let is_behind_gap = self.has_gaps && seq.0 == self.last && place <= self.last;
                let is_before = place <= self.after.0 && !is_behind_gap;
                if self.has_exited || is_before || exit.code != 7 {
                    return Err("there is no such exit".into());
                }
                self.has_exited = true;
                if is_behind_gap { Ok(()) } else { self.next(*seq).and(self.expect(seq.0 == place, "exit")) }
            }
            ExecProcessEvent::Closed { seq, proof } => {
                self.next(*seq)?;
                self.expect(seq.0 == self.log.last(), "close")?;
                self.expect(self.has_exited || self.log.exit() <= self.after.0, "close without exit")?;
                let fits = match proof {
                    Proof::Gap => self.has_gaps,
                    Proof::Numbering => {
                        !self.has_gaps && (self.dialect == Dialect::Plain || self.after > Seq::START)
                    }
                    Proof::Length | Proof::Checksum => {
                        !self.has_gaps && self.dialect == Dialect::Full && self.after == Seq::START
                    }
                };
                self.expect(fits, "proof")
            }
        }
    }

    fn gap(&mut self, through: u64, bytes: Option<u64>) -> Result<(), String> {
        self.expect(through > self.last, "gap that covers nothing")?;
        let gone = self.last + 1..=through;
        let is_gone = |seq: u64| match self.log.event(seq) {
            Some(Event::Output(..)) => seq <= self.log.dropped,
            Some(Event::Exited) => true,
            Some(Event::Closed) | None => false,
        };
        self.expect(gone.clone().all(is_gone), "gap over what is still there")?;
        let expected: usize = gone.map(|seq| self.log.text(seq).len()).sum();
        match bytes {
            Some(bytes) => self.expect(bytes == expected as u64, "size of a gap")?,
            // Nobody says how much there was before an exit when what is dropped goes on behind it.
            None => {
                let ends_before_exit = through + 1 == self.log.exit() && self.log.dropped > through;
                self.expect(!self.is_counted || ends_before_exit, "gap without its size")?;
            }
        }
        (self.last, self.has_gaps) = (through, true);
        self.is_counted &= bytes.is_some();
        Ok(())
    }

    fn next(&mut self, seq: Seq) -> Result<(), String> {
        self.expect(seq.0 == self.last + 1, &format!("event {seq} behind {}", self.last))?;
        self.last = seq.0;
        Ok(())
    }

    fn expect(&self, is_right: bool, what: &str) -> Result<(), String> {
        if is_right { Ok(()) } else { Err(format!("wrong {what}")) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_of_cuts_duplicates_and_delays_delivers_each_event_once_in_order(script in script()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        if let Err(wrong) = runtime.block_on(play(script)) {
            return Err(TestCaseError::fail(wrong));
        }
    }
}
