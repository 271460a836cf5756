//! Who speaks for a session: attached to one connection, detached with an expiry, or gone. Beside that, who observes it.
//!
//! Expiry is decided at the moment of asking, so a resume and a clean-up that meet can't both win.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use codex_exec_server_protocol::ids::SessionId;

/// Names a connection within the server, never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// Who may speak for a session right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attachment {
    Attached(ConnectionId),
    Detached { expires_at: Instant },
}

/// What to do about a session that another connection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAttached {
    /// Leave it alone and refuse.
    Refuse,
    /// Take it.
    TakeOver,
}

/// Why a session can't be resumed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// It never was, or its time has run out.
    #[error("unknown session id {0}")]
    Unknown(SessionId),
    /// Another connection holds it.
    #[error("session {0} is already attached to another connection")]
    InUse(SessionId),
}

/// The server holds as many sessions as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("server holds {0} sessions, its limit; end one or wait for a detached one to expire")]
pub struct TooManySessions(pub usize);

/// Why a session can't be observed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    /// It never was, or its time has run out.
    #[error("unknown session id {0}")]
    Unknown(SessionId),
    /// So many connections observe it.
    #[error("session {session} has {limit} observers, the server's limit; let one of them go first")]
    TooMany {
        /// The session.
        session: SessionId,
        /// The bound.
        limit: usize,
    },
}

/// How long sessions wait for their clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Where the client did not ask for anything else.
    pub default: Duration,
    /// The longest that a client gets.
    pub max: Duration,
}

impl Lifetimes {
    fn grant(self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.default, |asked| asked.min(self.max))
    }
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    attachment: Attachment,
    /// How long it waits whenever it is detached.
    lifetime: Duration,
    /// Connections that watch. No more than the bound.
    observers: Vec<ConnectionId>,
}

/// What came of a resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// The connection that lost the session, if one did.
    pub displaced: Option<ConnectionId>,
    /// How long the session waits whenever it is detached.
    pub lifetime: Duration,
}

/// All sessions of a server.
#[derive(Debug)]
pub struct Sessions {
    lifetimes: Lifetimes,
    limit: usize,
    observers_each: usize,
    sessions: HashMap<SessionId, Held>,
    /// Of the detached ones, the next to expire first: a server that holds thousands looks at those alone whose time is up.
    expiries: BTreeSet<(Instant, SessionId)>,
}

impl Sessions {
    /// No sessions yet; there are at most `limit`, each with as many observers as `observers_each`.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, limit: usize, observers_each: usize) -> Self {
        Self { lifetimes, limit, observers_each, sessions: HashMap::new(), expiries: BTreeSet::new() }
    }

    /// Adds a session that `by` holds. The id is fresh by its making. Returns how long it waits whenever it is detached:
    /// as long as was asked for, within the bound.
    pub fn open(
        &mut self,
        id: SessionId,
        by: ConnectionId,
        asked: Option<Duration>,
    ) -> Result<Duration, TooManySessions> {
        if self.sessions.len() >= self.limit {
            return Err(TooManySessions(self.limit));
        }
        let lifetime = self.lifetimes.grant(asked);
        let attachment = Attachment::Attached(by);
        self.sessions.insert(id, Held { attachment, lifetime, observers: Vec::new() });
        Ok(lifetime)
    }

    /// The connection that a session is attached to.
    #[must_use]
    pub fn holder(&self, id: &SessionId) -> Option<ConnectionId> {
        match self.sessions.get(id)?.attachment {
            Attachment::Attached(by) => Some(by),
            Attachment::Detached { .. } => None,
        }
    }

    /// Attaches an existing session to `by`. Its lifetime changes only if one is asked for.
    pub fn resume(
        &mut self,
        now: Instant,
        id: &SessionId,
        by: ConnectionId,
        if_attached: IfAttached,
        asked: Option<Duration>,
    ) -> Result<Resumed, ResumeError> {
        let unknown = || ResumeError::Unknown(id.clone());
        let held = self.sessions.get_mut(id).ok_or_else(unknown)?;
        let displaced = match held.attachment {
            Attachment::Detached { expires_at } if now < expires_at => {
                self.expiries.remove(&(expires_at, id.clone()));
                None
            }
            Attachment::Detached { .. } => return Err(unknown()),
            Attachment::Attached(holder) if if_attached == IfAttached::TakeOver => Some(holder),
            Attachment::Attached(_) => return Err(ResumeError::InUse(id.clone())),
        };
        if asked.is_some() {
            held.lifetime = self.lifetimes.grant(asked);
        }
        held.attachment = Attachment::Attached(by);
        Ok(Resumed { displaced, lifetime: held.lifetime })
    }

    /// `by` observes an existing session, attached or not. That changes nothing of who holds it, or until when.
    pub fn observe(&mut self, now: Instant, id: &SessionId, by: ConnectionId) -> Result<(), ObserveError> {
        let held = self.sessions.get_mut(id).filter(|held| match held.attachment {
            Attachment::Attached(_) => true,
            Attachment::Detached { expires_at } => now < expires_at,
        });
        let held = held.ok_or_else(|| ObserveError::Unknown(id.clone()))?;
        if held.observers.len() >= self.observers_each {
            return Err(ObserveError::TooMany { session: id.clone(), limit: self.observers_each });
        }
        held.observers.push(by);
        Ok(())
    }

    /// `by` observes it no more.
    pub fn stop_observing(&mut self, id: &SessionId, by: ConnectionId) {
        if let Some(held) = self.sessions.get_mut(id) {
            held.observers.retain(|observer| *observer != by);
        }
    }

    /// `by` is gone. Returns whether it still held the session, which now waits for somebody to resume it.
    pub fn detach(&mut self, now: Instant, id: &SessionId, by: ConnectionId) -> bool {
        match self.sessions.get_mut(id) {
            Some(held) if held.attachment == Attachment::Attached(by) => {
                let expires_at = now + held.lifetime;
                held.attachment = Attachment::Detached { expires_at };
                self.expiries.insert((expires_at, id.clone()));
                true
            }
            _ => false,
        }
    }

    /// Removes and returns the sessions whose time has run out, with those who observed them.
    pub fn expire(&mut self, now: Instant) -> Vec<(SessionId, Vec<ConnectionId>)> {
        let mut gone = Vec::new();
        while let Some(next) = self.expiries.first()
            && next.0 <= now
            && let Some((_, id)) = self.expiries.pop_first()
        {
            if let Some(held) = self.sessions.remove(&id) {
                gone.push((id, held.observers));
            }
        }
        gone
    }

    /// When [`Self::expire`] next has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.expiries.first().map(|(expires_at, _)| *expires_at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(80);
    const MAX: Duration = Duration::from_secs(200);
    const LIFETIMES: Lifetimes = Lifetimes { default: TTL, max: MAX };
    const ONE: ConnectionId = ConnectionId(1);
    const TWO: ConnectionId = ConnectionId(2);

    fn held_by_one() -> (Sessions, SessionId, Instant) {
        let mut sessions = Sessions::new(LIFETIMES, /*limit*/ 10, /*observers_each*/ 2);
        let id = SessionId::from("s");
        sessions.open(id.clone(), ONE, /*asked*/ None).unwrap();
        (sessions, id, Instant::now())
    }

    #[test]
    fn a_detached_session_waits_for_its_time_and_not_longer() {
        for (waited, outcome) in [
            (TTL - Duration::from_millis(1), Ok(Resumed { displaced: None, lifetime: TTL })),
            (TTL, Err(ResumeError::Unknown(SessionId::from("s")))),
        ] {
            let (mut sessions, id, now) = held_by_one();
            assert!(sessions.detach(now, &id, ONE));
            assert_eq!(sessions.resume(now + waited, &id, TWO, IfAttached::Refuse, /*asked*/ None), outcome);
        }
    }

    #[test]
    fn a_client_may_ask_for_another_time_within_the_bound_and_whoever_resumes_without_asking_keeps_it() {
        let mut sessions = Sessions::new(LIFETIMES, /*limit*/ 10, /*observers_each*/ 2);
        let (id, now) = (SessionId::from("s"), Instant::now());
        assert_eq!(sessions.open(id.clone(), ONE, Some(Duration::MAX)), Ok(MAX));
        sessions.detach(now, &id, ONE);
        let later = now + MAX - Duration::from_millis(1);
        let resumed = sessions.resume(later, &id, TWO, IfAttached::Refuse, /*asked*/ None);
        assert_eq!(resumed, Ok(Resumed { displaced: None, lifetime: MAX }));
        sessions.detach(later, &id, TWO);
        assert_eq!(sessions.poll_timeout(), Some(later + MAX));
    }

    #[test]
    fn observers_come_up_to_a_bound_change_nothing_and_are_told_of_the_end() {
        const THREE: ConnectionId = ConnectionId(3);
        let (mut sessions, id, now) = held_by_one();
        assert_eq!(sessions.observe(now, &id, TWO), Ok(()));
        assert_eq!(sessions.observe(now, &id, THREE), Ok(()));
        let limit = 2;
        let refusal = ObserveError::TooMany { session: id.clone(), limit };
        assert_eq!(sessions.observe(now, &id, ConnectionId(4)), Err(refusal));
        sessions.stop_observing(&id, THREE);
        assert_eq!(sessions.observe(now, &id, ConnectionId(4)), Ok(()));
        sessions.stop_observing(&id, ConnectionId(4));
        // Nobody holds it, and it goes when it would have gone.
        assert!(!sessions.detach(now, &id, TWO));
        assert!(sessions.detach(now, &id, ONE));
        assert_eq!(sessions.observe(now + TTL - Duration::from_millis(1), &id, THREE), Ok(()));
        let unknown = ObserveError::Unknown(id.clone());
        assert_eq!(sessions.observe(now + TTL, &id, ConnectionId(4)), Err(unknown));
        assert_eq!(sessions.expire(now + TTL), [(id, vec![TWO, THREE])]);
    }

    #[test]
    fn a_lifetime_of_nothing_ends_a_session_as_soon_as_it_is_detached() {
        let (mut sessions, id, now) = held_by_one();
        sessions.resume(now, &id, TWO, IfAttached::TakeOver, Some(Duration::ZERO)).unwrap();
        assert!(sessions.detach(now, &id, TWO));
        assert_eq!(
            sessions.resume(now, &id, ONE, IfAttached::Refuse, /*asked*/ None),
            Err(ResumeError::Unknown(id.clone()))
        );
        assert_eq!(sessions.expire(now), [(id, Vec::new())]);
    }

    #[test]
    fn an_attached_session_is_refused_or_taken_over_as_the_client_asks() {
        let (mut sessions, id, now) = held_by_one();
        let refused = sessions.resume(now, &id, TWO, IfAttached::Refuse, /*asked*/ None);
        assert_eq!(refused, Err(ResumeError::InUse(id.clone())));
        let taken = sessions.resume(now, &id, TWO, IfAttached::TakeOver, /*asked*/ None);
        assert_eq!(taken, Ok(Resumed { displaced: Some(ONE), lifetime: TTL }));
        assert!(!sessions.detach(now, &id, ONE), "the old holder has nothing left to detach");
        assert_eq!(sessions.poll_timeout(), None);
    }

    #[test]
    fn there_are_never_more_sessions_than_the_limit() {
        let mut sessions = Sessions::new(LIFETIMES, /*limit*/ 1, /*observers_each*/ 2);
        sessions.open(SessionId::from("a"), ONE, /*asked*/ None).unwrap();
        assert_eq!(sessions.open(SessionId::from("b"), TWO, /*asked*/ None), Err(TooManySessions(1)));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Resume { session: u8, by: u64, take_over: bool, asked: Option<u64> },
        Detach { session: u8, by: u64 },
        Wait(u64),
        Expire,
    }

    /// Seconds that a client asks for, some of them more than it gets.
    fn asked() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(0..2 * MAX.as_secs())
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_u8, 0..4_u64, any::<bool>(), asked()).prop_map(|(session, by, take_over, asked)| {
                Step::Resume { session, by, take_over, asked }
            }),
            (0..3_u8, 0..4_u64).prop_map(|(session, by)| Step::Detach { session, by }),
            (0..100_u64).prop_map(Step::Wait),
            Just(Step::Expire),
        ]
    }

    /// Seconds that a client gets.
    fn granted(asked: Option<u64>) -> Duration {
        Duration::from_secs(asked.unwrap_or(TTL.as_secs()).min(MAX.as_secs()))
    }

    proptest! {
        /// The model holds, for each session, its holder or the time at which it was let go; and its lifetime.
        #[test]
        fn it_agrees_with_a_plain_model(
            first in proptest::array::uniform3(asked()),
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let name = |session: u8| SessionId::from(session.to_string());
            let mut sessions = Sessions::new(LIFETIMES, /*limit*/ 10, /*observers_each*/ 2);
            let mut model: HashMap<u8, (Result<u64, Instant>, Duration)> = HashMap::new();
            for (session, asked) in (0..3).zip(first) {
                let lifetime = sessions
                    .open(name(session), ConnectionId(session.into()), asked.map(Duration::from_secs))
                    .unwrap();
                prop_assert_eq!(lifetime, granted(asked));
                model.insert(session, (Ok(session.into()), lifetime));
            }
            let mut now = Instant::now();
            for step in steps {
                match step {
                    Step::Resume { session, by, take_over, asked } => {
                        let choice = if take_over { IfAttached::TakeOver } else { IfAttached::Refuse };
                        let lifetime = asked.map(Duration::from_secs);
                        let outcome =
                            sessions.resume(now, &name(session), ConnectionId(by), choice, lifetime);
                        let after = |before: Duration| asked.map_or(before, |_| granted(asked));
                        let expected = match model.get(&session) {
                            Some((Err(since), lifetime)) if now < *since + *lifetime => {
                                Ok(Resumed { displaced: None, lifetime: after(*lifetime) })
                            }
                            Some((Ok(holder), lifetime)) if take_over => {
                                let displaced = Some(ConnectionId(*holder));
                                Ok(Resumed { displaced, lifetime: after(*lifetime) })
                            }
                            Some((Ok(_), _)) => Err(ResumeError::InUse(name(session))),
                            _ => Err(ResumeError::Unknown(name(session))),
                        };
                        if let Ok(resumed) = &expected {
                            model.insert(session, (Ok(by), resumed.lifetime));
                        }
                        prop_assert_eq!(outcome, expected);
                    }
                    Step::Detach { session, by } => {
                        let held = model.get_mut(&session).filter(|(state, _)| *state == Ok(by));
                        prop_assert_eq!(sessions.detach(now, &name(session), ConnectionId(by)), held.is_some());
                        if let Some((state, _)) = held { *state = Err(now); }
                    }
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Expire => {
                        let due = sessions.poll_timeout().is_some_and(|at| at <= now);
                        let mut gone: Vec<SessionId> =
                            sessions.expire(now).into_iter().map(|(id, _)| id).collect();
                        gone.sort();
                        let over = |state: &Result<u64, Instant>, lifetime: Duration| {
                            matches!(state, Err(since) if *since + lifetime <= now)
                        };
                        let mut expected: Vec<SessionId> = model
                            .extract_if(|_, (state, lifetime)| over(state, *lifetime))
                            .map(|(session, _)| name(session))
                            .collect();
                        expected.sort();
                        prop_assert_eq!(due, !expected.is_empty());
                        prop_assert_eq!(gone, expected);
                    }
                }
            }
        }
    }
}
