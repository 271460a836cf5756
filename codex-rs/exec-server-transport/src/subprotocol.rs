//! WebSocket subprotocols: how a browser, whose WebSocket takes no headers, shows a credential.
//!
//! Two are offered, `codex-exec-server` and `codex-exec-server.bearer.` with the token behind it, in base64url without
//! padding, since a subprotocol's name holds neither `/` nor `=`. The first alone is ever answered: browsers insist on an
//! answer, and the token has no business in one.

use base64_simd::URL_SAFE_NO_PAD;
use hyper::header::{self, HeaderMap, HeaderValue};

/// The subprotocol that is answered to whoever offers it. Everything else is as without one.
pub const SUBPROTOCOL: &str = "codex-exec-server";

/// What stands before a token.
const BEARER: &str = "codex-exec-server.bearer.";

/// What an upgrade request offers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Whether [`SUBPROTOCOL`] is among it.
    pub(crate) is_ours: bool,
    pub(crate) bearer: Bearer,
}

/// The token among what is offered.
#[derive(PartialEq, Eq)]
pub(crate) enum Bearer {
    Absent,
    Token(String),
    /// There are two, or it is no base64url of a text.
    Unreadable,
}

impl std::fmt::Debug for Bearer {
    /// Says nothing of the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Token(_) => "Token",
            Self::Unreadable => "Unreadable",
        })
    }
}

impl Offer {
    /// What the headers of a request offer. Others' subprotocols are passed over.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut offer = Self { is_ours: false, bearer: Bearer::Absent };
        let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let names = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        for name in names.map(str::trim) {
            offer.is_ours |= name == SUBPROTOCOL;
            if let Some(encoded) = name.strip_prefix(BEARER) {
                offer.bearer = match (offer.bearer, decode(encoded)) {
                    (Bearer::Absent, Some(token)) => Bearer::Token(token),
                    _ => Bearer::Unreadable,
                };
            }
        }
        offer
    }

    /// What is answered, if anything is.
    pub(crate) fn answer(&self) -> Option<HeaderValue> {
        self.is_ours.then(|| HeaderValue::from_static(SUBPROTOCOL))
    }
}

fn decode(encoded: &str) -> Option<String> {
    let token = URL_SAFE_NO_PAD.decode_to_vec(encoded).ok()?;
    String::from_utf8(token).ok().filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(values: &[&str]) -> Offer {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(value).unwrap());
        }
        Offer::of(&headers)
    }

    #[test]
    fn a_token_is_found_among_other_offers_in_one_header_or_several() {
        let token = || Bearer::Token("a+b/c==".to_owned());
        let encoded = "codex-exec-server.bearer.YStiL2M9PQ";
        let both = format!("chat, codex-exec-server ,{encoded}");
        assert_eq!(offer(&[&both]), Offer { is_ours: true, bearer: token() });
        assert_eq!(offer(&[encoded, "codex-exec-server"]), Offer { is_ours: true, bearer: token() });
        assert_eq!(offer(&[encoded]), Offer { is_ours: false, bearer: token() });
        for none in [&[][..], &["chat, superchat"], &["codex-exec-server.bear", "Codex-Exec-Server"]] {
            assert_eq!(offer(none), Offer { is_ours: false, bearer: Bearer::Absent });
        }
    }

    #[test]
    fn what_is_no_single_token_in_base64url_can_not_be_read() {
        for bearers in [
            &["codex-exec-server.bearer."][..],
            &["codex-exec-server.bearer.a+b"],
            &["codex-exec-server.bearer.YQ=="],
            // Not UTF-8.
            &["codex-exec-server.bearer._w"],
            &["codex-exec-server.bearer.YQ, codex-exec-server.bearer.YQ"],
            &["codex-exec-server.bearer.YQ", "codex-exec-server.bearer.YQ", "codex-exec-server.bearer.YQ"],
        ] {
            assert_eq!(offer(bearers), Offer { is_ours: false, bearer: Bearer::Unreadable }, "{bearers:?}");
        }
    }

    #[test]
    fn an_offer_shows_nothing_of_its_token() {
        let shown = format!("{:?}", offer(&["codex-exec-server.bearer.c2VjcmV0"]));
        assert_eq!(shown, "Offer { is_ours: false, bearer: Token }");
    }
}
