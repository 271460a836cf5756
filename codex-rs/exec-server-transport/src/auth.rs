//! Who may connect: the check of the `Authorization` header, or of what a browser shows in its place.
//!
//! The bodies of the refusals are part of the wire: clients of the reference server know them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::digest::{CtOutput, Output};
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};

use crate::jwt::{JwtRefusal, JwtVerifier, SignedTokenRules};
use crate::subprotocol::Bearer;

/// Shortest secret that may sign tokens, in bytes: as long as the hash that it keys.
pub const MIN_SECRET_BYTES: usize = 32;

/// Decides whether a client's bearer token is good.
#[derive(Debug)]
pub struct Authenticator(Scheme);

enum Scheme {
    /// One token that everybody shares. Only its digest is kept: comparing digests takes the same time for
    /// every wrong token, whatever it has in common with the right one.
    Capability(Box<CtOutput<Sha256>>),
    /// Tokens that somebody signed with a secret that we share.
    Signed(JwtVerifier),
}

impl Authenticator {
    /// Accepts one token, given itself; whitespace around it is ignored.
    pub fn capability_token(token: &str) -> Result<Self, AuthConfigError> {
        match token.trim() {
            "" => Err(AuthConfigError::EmptyToken),
            token => Ok(Self(Scheme::Capability(Box::new(digest(token))))),
        }
    }

    /// Accepts one token, read from a file now; whitespace around it is ignored.
    pub async fn capability_token_file(path: &Path) -> Result<Self, AuthConfigError> {
        Self::capability_token(&read_secret(path).await?)
    }

    /// Accepts one token, given by its SHA-256 in 64 hexadecimal digits.
    pub fn capability_token_sha256(hex: &str) -> Result<Self, AuthConfigError> {
        let hex = hex.trim();
        let mut bytes = Output::<Sha256>::default();
        if hex.len() != 2 * bytes.len() || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(AuthConfigError::NotSha256);
        }
        for (byte, at) in bytes.iter_mut().zip((0..hex.len()).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| AuthConfigError::NotSha256)?;
        }
        Ok(Self(Scheme::Capability(Box::new(CtOutput::new(bytes)))))
    }

    /// Accepts JSON Web Tokens that are signed with HS256; whitespace around the secret is ignored.
    pub fn signed_bearer_token(secret: &str, rules: SignedTokenRules) -> Result<Self, AuthConfigError> {
        let secret = secret.trim();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(AuthConfigError::ShortSecret { bytes: secret.len() });
        }
        Ok(Self(Scheme::Signed(JwtVerifier::new(secret.as_bytes(), rules))))
    }

    /// As [`Authenticator::signed_bearer_token`], with the secret read from a file now.
    pub async fn signed_bearer_token_file(
        path: &Path,
        rules: SignedTokenRules,
    ) -> Result<Self, AuthConfigError> {
        Self::signed_bearer_token(&read_secret(path).await?, rules)
    }

    /// Checks the `Authorization` header of a request that arrived at `now`.
    pub fn check(&self, authorization: Option<&HeaderValue>, now: SystemTime) -> Result<(), AuthRefusal> {
        self.check_token(bearer_token(authorization.ok_or(AuthRefusal::MissingToken)?)?, now)
    }

    /// As [`Authenticator::check`], for an upgrade: where there is no header, a token among the subprotocols takes its place.
    pub(crate) fn check_upgrade(
        &self,
        authorization: Option<&HeaderValue>,
        bearer: &Bearer,
        now: SystemTime,
    ) -> Result<(), AuthRefusal> {
        match (authorization, bearer) {
            (Some(_), _) | (None, Bearer::Absent) => self.check(authorization, now),
            (None, Bearer::Token(token)) => self.check_token(token, now),
            (None, Bearer::Unreadable) => Err(AuthRefusal::InvalidSubprotocol),
        }
    }

    /// The one comparison, however a token came.
    fn check_token(&self, token: &str, now: SystemTime) -> Result<(), AuthRefusal> {
        match &self.0 {
            Scheme::Capability(expected) if **expected == digest(token) => Ok(()),
            Scheme::Capability(_) => Err(AuthRefusal::WrongToken),
            Scheme::Signed(verifier) => verifier.verify(token, now).map_err(AuthRefusal::Jwt),
        }
    }
}

impl std::fmt::Debug for Scheme {
    /// Says which scheme it is and nothing of the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Capability(_) => "Capability",
            Self::Signed(_) => "Signed",
        })
    }
}

/// Why an [`Authenticator`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthConfigError {
    /// The file with the token or the secret cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said, or that the content is not UTF-8.
        source: io::Error,
    },
    /// A token of nothing but whitespace.
    #[error("capability token is empty")]
    EmptyToken,
    /// The digest is something else than 64 hexadecimal digits.
    #[error("token digest is not 64 hexadecimal digits")]
    NotSha256,
    /// The secret is easier to guess than the signature.
    #[error("secret of {bytes} bytes is shorter than {MIN_SECRET_BYTES} bytes")]
    ShortSecret {
        /// Its length.
        bytes: usize,
    },
}

/// Why a request is refused. Displays as the body of the 401 response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthRefusal {
    /// There is no `Authorization` header.
    #[error("missing websocket bearer token")]
    MissingToken,
    /// The header holds no scheme, another scheme, or no token.
    #[error("invalid authorization header")]
    InvalidHeader,
    /// There is no header, and what stands among the subprotocols is no token: see [`SUBPROTOCOL`](crate::SUBPROTOCOL).
    #[error("invalid bearer subprotocol: it must be there once, with the token in base64url without padding")]
    InvalidSubprotocol,
    /// It is not the capability token.
    #[error("invalid websocket bearer token")]
    WrongToken,
    /// The signed token is no good.
    #[error(transparent)]
    Jwt(JwtRefusal),
}

fn bearer_token(header: &HeaderValue) -> Result<&str, AuthRefusal> {
    let header = header.to_str().map_err(|_| AuthRefusal::InvalidHeader)?;
    let (scheme, token) = header.trim().split_once([' ', '\t']).ok_or(AuthRefusal::InvalidHeader)?;
    match token.trim() {
        token if !token.is_empty() && scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(AuthRefusal::InvalidHeader),
    }
}

fn digest(token: &str) -> CtOutput<Sha256> {
    CtOutput::new(Sha256::digest(token.as_bytes()))
}

async fn read_secret(path: &Path) -> Result<String, AuthConfigError> {
    tokio::fs::read_to_string(path)
        .await
        .map_err(|source| AuthConfigError::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
