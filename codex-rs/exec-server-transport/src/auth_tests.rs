//! Credentials: how they are configured and how each kind of header is answered.

use super::*;

fn check(auth: &Authenticator, header: &str) -> Result<(), &'static str> {
    let header = HeaderValue::from_bytes(header.as_bytes()).unwrap();
    auth.check(Some(&header), SystemTime::now()).map_err(body)
}

fn body(refusal: AuthRefusal) -> &'static str {
    match refusal {
        AuthRefusal::MissingToken => "missing",
        AuthRefusal::InvalidHeader => "invalid header",
        AuthRefusal::InvalidSubprotocol => "invalid subprotocol",
        AuthRefusal::WrongToken => "wrong token",
        AuthRefusal::Jwt(_) => "jwt",
    }
}

/// SHA-256 of `secret`.
const SECRET_SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

#[test]
fn a_capability_token_is_accepted_in_every_way_a_header_may_write_it() {
    for auth in [
        Authenticator::capability_token(" secret\n").unwrap(),
        Authenticator::capability_token_sha256(SECRET_SHA256).unwrap(),
        Authenticator::capability_token_sha256(&SECRET_SHA256.to_uppercase()).unwrap(),
    ] {
        for header in ["Bearer secret", "bearer secret", "BEARER   secret  ", "Bearer \tsecret"] {
            assert_eq!(check(&auth, header), Ok(()), "{header:?}");
        }
    }
}

#[test]
fn every_other_header_is_refused_with_its_own_words() {
    let auth = Authenticator::capability_token("secret").unwrap();
    for header in ["", "Bearer", "Bearer ", "secret", "Basic secret", "Bearersecret x", "Bearer \u{e9}"] {
        assert_eq!(check(&auth, header), Err("invalid header"), "{header:?}");
    }
    for header in ["Bearer Secret", "Bearer secret2", "Bearer s", "Bearer secret secret"] {
        assert_eq!(check(&auth, header), Err("wrong token"), "{header:?}");
    }
    assert_eq!(auth.check(/*authorization*/ None, SystemTime::now()).map_err(body), Err("missing"));
    assert_eq!(AuthRefusal::MissingToken.to_string(), "missing websocket bearer token");
    assert_eq!(AuthRefusal::InvalidHeader.to_string(), "invalid authorization header");
    assert_eq!(AuthRefusal::WrongToken.to_string(), "invalid websocket bearer token");
    assert_eq!(AuthRefusal::Jwt(JwtRefusal::Invalid).to_string(), "invalid websocket jwt");
}

#[test]
fn a_subprotocol_counts_where_there_is_no_header_and_only_there() {
    let auth = Authenticator::capability_token("secret").unwrap();
    let token = |token: &str| Bearer::Token(token.to_owned());
    let [good, bad] = ["Bearer secret", "Bearer wrong"].map(|header| Some(HeaderValue::from_static(header)));
    for (header, bearer, outcome) in [
        (None, Bearer::Absent, Err("missing")),
        (None, Bearer::Unreadable, Err("invalid subprotocol")),
        (None, token("secret"), Ok(())),
        (None, token("wrong"), Err("wrong token")),
        // Blanks around a token in a header are no part of it; here they would be.
        (None, token(" secret"), Err("wrong token")),
        (good.clone(), token("wrong"), Ok(())),
        (good, Bearer::Unreadable, Ok(())),
        (bad, token("secret"), Err("wrong token")),
    ] {
        let checked = auth.check_upgrade(header.as_ref(), &bearer, SystemTime::now()).map_err(body);
        assert_eq!(checked, outcome, "{header:?} {bearer:?}");
    }
}

#[test]
fn what_is_no_credential_is_refused_when_it_is_configured() {
    let text = |result: Result<Authenticator, AuthConfigError>| result.unwrap_err().to_string();
    assert_eq!(text(Authenticator::capability_token(" \n")), "capability token is empty");
    for digest in
        ["", "abc", &SECRET_SHA256[1..], &format!("{SECRET_SHA256}0"), &"g".repeat(64), &"é".repeat(32)]
    {
        assert_eq!(
            text(Authenticator::capability_token_sha256(digest)),
            "token digest is not 64 hexadecimal digits"
        );
    }
    let short = format!(" {}\n", "s".repeat(31));
    assert_eq!(
        text(Authenticator::signed_bearer_token(&short, SignedTokenRules::default())),
        "secret of 31 bytes is shorter than 32 bytes"
    );
    assert!(Authenticator::signed_bearer_token(&"s".repeat(32), SignedTokenRules::default()).is_ok());
}

#[tokio::test]
async fn secrets_come_from_files_and_a_missing_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "\n  secret  \n").unwrap();
    let auth = Authenticator::capability_token_file(&path).await.unwrap();
    assert_eq!(check(&auth, "Bearer secret"), Ok(()));

    let missing = directory.path().join("missing");
    let error =
        Authenticator::signed_bearer_token_file(&missing, SignedTokenRules::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot read {}: ", missing.display())), "{error}");
}

#[test]
fn nothing_of_a_secret_shows_in_debug_output() {
    let auth = Authenticator::capability_token("secret").unwrap();
    assert_eq!(format!("{auth:?}"), "Authenticator(Capability)");
}
