use super::*;

const KIB: u64 = 1 << 10;

const LIMITS: BacklogLimits = BacklogLimits {
    least_bytes: 128 * KIB,
    most_bytes: 64 << 20,
    mark_bytes: 64 * KIB,
    slack: Duration::from_micros(500),
    attention: Duration::from_secs(5),
    patience: Duration::from_secs(2),
    memory: Duration::from_secs(10),
};
/// What is said in a turn.
const TURN: u64 = 64 * KIB;

/// A line with a reader at its end: `delay` there and back, and so many bytes per second that are read.
struct Line {
    backlog: Backlog,
    now: Instant,
    delay: Duration,
    bytes_per_second: u64,
    /// When the reader will be done with what was sent so far.
    busy_until: Instant,
    /// Marks on their way back, and when they will be here.
    coming: VecDeque<(u64, Instant)>,
}

impl Line {
    fn new(delay: Duration, bytes_per_second: u64) -> Self {
        let now = Instant::now();
        let backlog = Backlog::new(LIMITS);
        Self { backlog, now, delay, bytes_per_second, busy_until: now, coming: VecDeque::new() }
    }

    /// Sends bulk for so long, as much as may go; how much was sent.
    fn flood(&mut self, time: Duration) -> u64 {
        let (end, before) = (self.now + time, self.backlog.sent);
        while self.now < end {
            while let Some((mark, _)) = self.coming.front().copied().filter(|(_, at)| *at <= self.now) {
                self.coming.pop_front();
                self.backlog.came_back(mark, self.now);
            }
            match self.backlog.clearance(self.now) {
                Clearance::Go => {
                    self.backlog.sent(TURN);
                    let reading = Duration::from_nanos(TURN * 1_000_000_000 / self.bytes_per_second);
                    self.busy_until = self.busy_until.max(self.now) + reading;
                    if let Some(mark) = self.backlog.mark(self.now) {
                        self.coming.push_back((mark, self.busy_until + self.delay));
                    }
                    // The sender is faster than any reader.
                    self.now += Duration::from_micros(10);
                }
                Clearance::WaitUntil(until) => {
                    if let Some(mark) = self.backlog.mark(self.now) {
                        self.coming.push_back((mark, self.busy_until + self.delay));
                    }
                    let next = self.coming.front().map_or(until, |(_, at)| *at);
                    self.now = next.min(until).max(self.now + Duration::from_nanos(1));
                }
            }
        }
        self.backlog.sent - before
    }

    /// How long what is sent now waits for the reader.
    fn queue(&self) -> Duration {
        self.busy_until.saturating_duration_since(self.now)
    }
}

#[test]
fn a_flood_alone_is_neither_marked_nor_bounded() {
    let mut line = Line::new(Duration::from_micros(50), /*bytes_per_second*/ 20_000_000);
    line.flood(Duration::from_millis(100));
    assert!(line.coming.is_empty() && line.queue() > Duration::from_secs(1), "{:?}", line.queue());
}

#[test]
fn beside_a_flood_to_a_slow_reader_something_little_waits_for_a_few_pieces_at_most() {
    let mut line = Line::new(Duration::from_micros(50), /*bytes_per_second*/ 20_000_000);
    let start = line.now;
    for _ in 0..400 {
        line.backlog.spoke_beside_bulk(line.now);
        line.flood(Duration::from_millis(10));
        // Two pieces, and the one that goes beyond the window, at 3.3 ms each.
        assert!(line.queue() <= Duration::from_millis(15), "{:?}", line.queue());
    }
    // The reader hardly ever had to wait for its bytes.
    let could_read = (line.now - start).as_secs_f64() * 20e6;
    assert!(line.backlog.sent as f64 >= 0.95 * could_read, "{} of {could_read}", line.backlog.sent);
}

#[test]
fn a_backlog_that_is_there_already_is_waited_for_once() {
    let mut line = Line::new(Duration::from_micros(50), /*bytes_per_second*/ 100_000_000);
    line.flood(Duration::from_millis(2));
    let there = line.queue();
    assert!(there > Duration::from_millis(100), "{there:?}");
    line.backlog.spoke_beside_bulk(line.now);
    line.flood(there + Duration::from_millis(20));
    assert!(line.queue() <= Duration::from_millis(5), "{:?}", line.queue());
}

#[test]
fn a_long_fast_line_is_made_use_of() {
    let mut line = Line::new(Duration::from_millis(80), /*bytes_per_second*/ 100_000_000);
    line.backlog.spoke_beside_bulk(line.now);
    line.flood(Duration::from_secs(3));
    let sent = line.flood(Duration::from_secs(1));
    assert!(sent >= 90_000_000, "{sent}");
    assert!(line.queue() <= Duration::from_millis(120), "{:?}", line.queue());
}

#[test]
fn a_reader_that_sends_no_mark_back_is_waited_for_once() {
    let mut backlog = Backlog::new(LIMITS);
    let start = Instant::now();
    backlog.sent(1 << 20);
    backlog.spoke_beside_bulk(start);
    assert_eq!(backlog.mark(start), Some(1 << 20));
    assert_eq!(backlog.clearance(start), Clearance::WaitUntil(start + LIMITS.patience));
    let later = start + LIMITS.patience;
    assert_eq!(backlog.clearance(later), Clearance::Go);
    backlog.sent(1 << 20);
    backlog.spoke_beside_bulk(later);
    assert_eq!((backlog.mark(later), backlog.clearance(later)), (None, Clearance::Go));
    // Whoever was only slow is understood after all.
    backlog.came_back(1 << 20, later);
    assert_eq!(backlog.mark(later), Some(2 << 20));
    assert_eq!(backlog.clearance(later), Clearance::WaitUntil(later + LIMITS.attention));
}

#[test]
fn bulk_goes_free_again_when_nothing_little_was_said_for_a_while() {
    let mut backlog = Backlog::new(LIMITS);
    let start = Instant::now();
    backlog.sent(LIMITS.least_bytes);
    backlog.spoke_beside_bulk(start);
    let mark = backlog.mark(start).expect("it is due");
    backlog.came_back(mark, start);
    backlog.sent(LIMITS.least_bytes);
    assert_eq!(backlog.clearance(start), Clearance::WaitUntil(start + LIMITS.attention));
    assert_eq!(backlog.clearance(start + LIMITS.attention), Clearance::Go);
}

#[test]
fn marks_that_were_never_sent_mean_nothing() {
    let mut backlog = Backlog::new(LIMITS);
    let now = Instant::now();
    backlog.sent(1 << 20);
    backlog.came_back(u64::MAX, now);
    backlog.spoke_beside_bulk(now);
    assert_eq!(backlog.mark(now), Some(1 << 20));
    backlog.came_back(/*mark*/ 7, now);
    assert!(matches!(backlog.clearance(now), Clearance::WaitUntil(_)));
    // One stands for all before it.
    backlog.came_back(u64::MAX, now);
    assert_eq!(backlog.clearance(now), Clearance::Go);
}
