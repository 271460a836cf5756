//! Who speaks for a session: attached to one connection, detached with an expiry, or gone.
//!
//! Expiry is decided at the moment of asking, so a resume and a clean-up that meet can't both win.

use std::collections::HashMap;
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

/// All sessions of a server.
#[derive(Debug)]
pub struct Sessions {
    ttl: Duration,
    limit: usize,
    sessions: HashMap<SessionId, Attachment>,
}

impl Sessions {
    /// No sessions yet. A detached one lives for `ttl`; there are at most `limit`.
    #[must_use]
    pub fn new(ttl: Duration, limit: usize) -> Self {
        Self { ttl, limit, sessions: HashMap::new() }
    }

    /// Adds a session that `by` holds. The id is fresh by its making.
    pub fn open(&mut self, id: SessionId, by: ConnectionId) -> Result<(), TooManySessions> {
        if self.sessions.len() >= self.limit {
            return Err(TooManySessions(self.limit));
        }
        self.sessions.insert(id, Attachment::Attached(by));
        Ok(())
    }

    /// Attaches an existing session to `by`. Returns the connection that lost it, if one did.
    pub fn resume(
        &mut self,
        now: Instant,
        id: &SessionId,
        by: ConnectionId,
        if_attached: IfAttached,
    ) -> Result<Option<ConnectionId>, ResumeError> {
        let displaced = match self.sessions.get(id) {
            Some(Attachment::Detached { expires_at }) if now < *expires_at => None,
            Some(Attachment::Attached(holder)) if if_attached == IfAttached::TakeOver => Some(*holder),
            Some(Attachment::Attached(_)) => return Err(ResumeError::InUse(id.clone())),
            Some(Attachment::Detached { .. }) | None => return Err(ResumeError::Unknown(id.clone())),
        };
        self.sessions.insert(id.clone(), Attachment::Attached(by));
        Ok(displaced)
    }

    /// `by` is gone. Returns whether it still held the session, which now waits for somebody to resume it.
    pub fn detach(&mut self, now: Instant, id: &SessionId, by: ConnectionId) -> bool {
        match self.sessions.get_mut(id) {
            Some(attachment) if *attachment == Attachment::Attached(by) => {
                *attachment = Attachment::Detached { expires_at: now + self.ttl };
                true
            }
            _ => false,
        }
    }

    /// Removes and returns the sessions whose time has run out.
    pub fn expire(&mut self, now: Instant) -> Vec<SessionId> {
        let gone = |attachment: &Attachment| matches!(attachment, Attachment::Detached { expires_at } if *expires_at <= now);
        self.sessions.extract_if(|_, attachment| gone(attachment)).map(|(id, _)| id).collect()
    }

    /// When [`Self::expire`] next has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let expiry = |attachment: &Attachment| match attachment {
            Attachment::Detached { expires_at } => Some(*expires_at),
            Attachment::Attached(_) => None,
        };
        self.sessions.values().filter_map(expiry).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(80);
    const ONE: ConnectionId = ConnectionId(1);
    const TWO: ConnectionId = ConnectionId(2);

    fn held_by_one() -> (Sessions, SessionId, Instant) {
        let mut sessions = Sessions::new(TTL, 10);
        let id = SessionId::from("s");
        sessions.open(id.clone(), ONE).unwrap();
        (sessions, id, Instant::now())
    }

    #[test]
    fn a_detached_session_waits_for_its_time_and_not_longer() {
        for (waited, outcome) in [
            (TTL - Duration::from_millis(1), Ok(None)),
            (TTL, Err(ResumeError::Unknown(SessionId::from("s")))),
        ] {
            let (mut sessions, id, now) = held_by_one();
            assert!(sessions.detach(now, &id, ONE));
            assert_eq!(sessions.resume(now + waited, &id, TWO, IfAttached::Refuse), outcome);
        }
    }

    #[test]
    fn an_attached_session_is_refused_or_taken_over_as_the_client_asks() {
        let (mut sessions, id, now) = held_by_one();
        assert_eq!(sessions.resume(now, &id, TWO, IfAttached::Refuse), Err(ResumeError::InUse(id.clone())));
        assert_eq!(sessions.resume(now, &id, TWO, IfAttached::TakeOver), Ok(Some(ONE)));
        assert!(!sessions.detach(now, &id, ONE), "the old holder has nothing left to detach");
        assert_eq!(sessions.poll_timeout(), None);
    }

    #[test]
    fn there_are_never_more_sessions_than_the_limit() {
        let mut sessions = Sessions::new(TTL, 1);
        sessions.open(SessionId::from("a"), ONE).unwrap();
        assert_eq!(sessions.open(SessionId::from("b"), TWO), Err(TooManySessions(1)));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Resume { session: u8, by: u64, take_over: bool },
        Detach { session: u8, by: u64 },
        Wait(u64),
        Expire,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_u8, 0..4_u64, any::<bool>()).prop_map(|(session, by, take_over)| Step::Resume {
                session,
                by,
                take_over
            }),
            (0..3_u8, 0..4_u64).prop_map(|(session, by)| Step::Detach { session, by }),
            (0..100_u64).prop_map(Step::Wait),
            Just(Step::Expire),
        ]
    }

    proptest! {
        /// The model holds, for each session, its holder or the time at which it was let go.
        #[test]
        fn it_agrees_with_a_plain_model(steps in proptest::collection::vec(step(), 0..60)) {
            let name = |session: u8| SessionId::from(session.to_string());
            let mut sessions = Sessions::new(TTL, 10);
            let mut model: HashMap<u8, Result<u64, Instant>> = HashMap::new();
            for session in 0..3 {
                sessions.open(name(session), ConnectionId(session.into())).unwrap();
                model.insert(session, Ok(session.into()));
            }
            let mut now = Instant::now();
            for step in steps {
                match step {
                    Step::Resume { session, by, take_over } => {
                        let choice = if take_over { IfAttached::TakeOver } else { IfAttached::Refuse };
                        let outcome = sessions.resume(now, &name(session), ConnectionId(by), choice);
                        let expected = match model.get(&session) {
                            Some(Err(since)) if now < *since + TTL => Ok(None),
                            Some(Ok(holder)) if take_over => Ok(Some(ConnectionId(*holder))),
                            Some(Ok(_)) => Err(ResumeError::InUse(name(session))),
                            _ => Err(ResumeError::Unknown(name(session))),
                        };
                        if expected.is_ok() { model.insert(session, Ok(by)); }
                        prop_assert_eq!(outcome, expected);
                    }
                    Step::Detach { session, by } => {
                        let held = model.get(&session) == Some(&Ok(by));
                        prop_assert_eq!(sessions.detach(now, &name(session), ConnectionId(by)), held);
                        if held { model.insert(session, Err(now)); }
                    }
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Expire => {
                        let due = sessions.poll_timeout().is_some_and(|at| at <= now);
                        let mut gone = sessions.expire(now);
                        gone.sort();
                        let mut expected: Vec<SessionId> = model
                            .extract_if(|_, state| matches!(state, Err(since) if *since + TTL <= now))
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
