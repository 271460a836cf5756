//! Checking signed bearer tokens: JSON Web Tokens with HS256, and no other algorithm.

use std::time::SystemTime;

use base64_simd::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

/// What a signed token must say beyond being signed and not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTokenRules {
    /// If set, what `iss` must be.
    pub issuer: Option<String>,
    /// If set, what `aud` must be or contain.
    pub audience: Option<String>,
    /// How far the clocks of issuer and server may disagree, in seconds. Default 30.
    pub max_clock_skew_seconds: u64,
}

impl Default for SignedTokenRules {
    fn default() -> Self {
        Self { issuer: None, audience: None, max_clock_skew_seconds: 30 }
    }
}

pub(crate) struct JwtVerifier {
    /// Keyed and ready to be cloned for each token.
    mac: Hmac<Sha256>,
    rules: SignedTokenRules,
}

/// Why a signed token is refused. Displays as the body of the 401 response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtRefusal {
    /// It cannot be decoded, is not signed with HS256 and our secret, or lacks `exp`.
    #[error("invalid websocket jwt")]
    Invalid,
    /// `exp` lies further back than the clock skew.
    #[error("expired websocket jwt")]
    Expired,
    /// `nbf` lies further ahead than the clock skew.
    #[error("websocket jwt is not valid yet")]
    NotYetValid,
    /// `iss` is not the configured issuer.
    #[error("websocket jwt issuer mismatch")]
    IssuerMismatch,
    /// `aud` neither is nor contains the configured audience.
    #[error("websocket jwt audience mismatch")]
    AudienceMismatch,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that the reader must understand (RFC 7515 §4.1.11). We understand none.
    crit: Option<Value>,
}

/// The claims that matter. Times are seconds since 1970 and may have a fraction (RFC 7519 §2).
#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    iss: Option<Value>,
    aud: Option<Value>,
}

impl JwtVerifier {
    pub(crate) fn new(secret: &[u8], rules: SignedTokenRules) -> Self {
        let mac = Hmac::new_from_slice(secret).expect("HMAC takes keys of any length");
        Self { mac, rules }
    }

    pub(crate) fn verify(&self, token: &str, now: SystemTime) -> Result<(), JwtRefusal> {
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtRefusal::Invalid)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtRefusal::Invalid)?;
        // The signature first: nothing that is not signed gets near a JSON parser.
        let signature = URL_SAFE_NO_PAD.decode_to_vec(signature).map_err(|_| JwtRefusal::Invalid)?;
        let mut mac = self.mac.clone();
        mac.update(signed.as_bytes());
        mac.verify_slice(&signature).map_err(|_| JwtRefusal::Invalid)?;

        let header: Header = decode(header)?;
        if header.alg != "HS256" || header.crit.is_some() {
            return Err(JwtRefusal::Invalid);
        }
        self.check_claims(&decode(claims)?, now)
    }

    fn check_claims(&self, claims: &Claims, now: SystemTime) -> Result<(), JwtRefusal> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let skew = self.rules.max_clock_skew_seconds as f64;
        if claims.exp + skew < now {
            return Err(JwtRefusal::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf - skew > now) {
            return Err(JwtRefusal::NotYetValid);
        }
        if let Some(issuer) = &self.rules.issuer
            && claims.iss.as_ref().and_then(Value::as_str) != Some(issuer)
        {
            return Err(JwtRefusal::IssuerMismatch);
        }
        if let Some(audience) = &self.rules.audience {
            let named = match &claims.aud {
                Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(audience)),
                Some(one) => one.as_str() == Some(audience),
                None => false,
            };
            if !named {
                return Err(JwtRefusal::AudienceMismatch);
            }
        }
        Ok(())
    }
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, JwtRefusal> {
    let json = URL_SAFE_NO_PAD.decode_to_vec(part).map_err(|_| JwtRefusal::Invalid)?;
    serde_json::from_slice(&json).map_err(|_| JwtRefusal::Invalid)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
