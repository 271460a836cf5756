//! Signed tokens: what is accepted and what each refusal says.

use std::time::Duration;

use serde_json::json;

use super::*;

const SECRET: &[u8] = b"an example secret of 32 bytes ..";
/// When the tests happen, in seconds since 1970.
const NOW: u64 = 1_700_000_000;

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode_to_string(value.to_string())
}

fn sign(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let mut mac: Hmac<Sha256> = Hmac::new_from_slice(secret).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode_to_string(mac.finalize().into_bytes()))
}

fn token(claims: &Value) -> String {
    sign(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET)
}

fn check(rules: SignedTokenRules, token: &str) -> Result<(), String> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    JwtVerifier::new(SECRET, rules).verify(token, now).map_err(|refusal| refusal.to_string())
}

fn check_plain(claims: &Value) -> Result<(), String> {
    check(SignedTokenRules::default(), &token(claims))
}

#[test]
fn a_token_of_another_implementation_is_accepted() {
    // The example of RFC 7515 §A.1, whose claims expired in 2011.
    let secret = URL_SAFE_NO_PAD
        .decode_to_vec(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        )
        .unwrap();
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
                 .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
                 .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let verifier = JwtVerifier::new(&secret, SignedTokenRules::default());
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(verifier.verify(token, at(/*seconds*/ 1_300_819_380)), Ok(()));
    assert_eq!(verifier.verify(token, at(1_300_819_380 + 31)), Err(JwtRefusal::Expired));
}

#[test]
fn expiry_is_mandatory_and_honoured_within_the_skew() {
    assert_eq!(check_plain(&json!({"exp": NOW + 60})), Ok(()));
    assert_eq!(check_plain(&json!({"exp": NOW as f64 + 0.5})), Ok(()));
    assert_eq!(check_plain(&json!({"exp": NOW - 20})), Ok(()));
    assert_eq!(check_plain(&json!({"exp": NOW - 40})), Err("expired websocket jwt".to_owned()));
    for claims in [json!({}), json!({"exp": "soon"}), json!({"exp": null}), json!(["exp"]), json!(7)] {
        assert_eq!(check_plain(&claims), Err("invalid websocket jwt".to_owned()), "{claims}");
    }
    let strict = SignedTokenRules { max_clock_skew_seconds: 0, ..SignedTokenRules::default() };
    assert_eq!(check(strict, &token(&json!({"exp": NOW - 1}))), Err("expired websocket jwt".to_owned()));
}

#[test]
fn not_before_is_honoured_within_the_skew_and_issued_at_is_ignored() {
    let claims = |nbf: u64| json!({"exp": NOW + 600, "nbf": nbf, "iat": NOW + 500});
    assert_eq!(check_plain(&claims(NOW + 20)), Ok(()));
    assert_eq!(check_plain(&claims(NOW + 40)), Err("websocket jwt is not valid yet".to_owned()));
    assert_eq!(check_plain(&json!({"exp": NOW, "nbf": "x"})), Err("invalid websocket jwt".to_owned()));
}

#[test]
fn issuer_and_audience_matter_only_when_they_are_configured() {
    let rules = || SignedTokenRules {
        issuer: Some("us".to_owned()),
        audience: Some("exec".to_owned()),
        ..SignedTokenRules::default()
    };
    let issuer = Err("websocket jwt issuer mismatch".to_owned());
    let audience = Err("websocket jwt audience mismatch".to_owned());
    for (claims, expected) in [
        (json!({"iss": "us", "aud": "exec"}), Ok(())),
        (json!({"iss": "us", "aud": ["other", "exec"]}), Ok(())),
        (json!({"iss": "them", "aud": "exec"}), issuer.clone()),
        (json!({"iss": ["us"], "aud": "exec"}), issuer.clone()),
        (json!({"aud": "exec"}), issuer),
        (json!({"iss": "us", "aud": "other"}), audience.clone()),
        (json!({"iss": "us", "aud": []}), audience.clone()),
        (json!({"iss": "us"}), audience),
    ] {
        let mut claims = claims;
        claims["exp"] = json!(NOW);
        assert_eq!(check(rules(), &token(&claims)), expected, "{claims}");
        assert_eq!(check_plain(&claims), Ok(()), "{claims}");
    }
}

#[test]
fn only_our_signature_over_an_hs256_header_counts() {
    let claims = json!({"exp": NOW});
    let good = token(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let tampered =
        format!("{}.{}.{signature}", encode(&json!({"alg": "HS256"})), encode(&json!({"exp": NOW + 1})));
    for token in [
        sign(&json!({"alg": "HS256"}), &claims, b"another secret of 32 bytes ....."),
        sign(&json!({"alg": "none"}), &claims, SECRET),
        sign(&json!({"alg": "HS512"}), &claims, SECRET),
        sign(&json!({"alg": "RS256"}), &claims, SECRET),
        sign(&json!({"typ": "JWT"}), &claims, SECRET),
        sign(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims, SECRET),
        format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&claims)),
        format!("{signed}."),
        format!("{signed}.{}", &signature[..20]),
        format!("{good}="),
        format!("{good}.x"),
        tampered,
        signed.to_owned(),
        "plain".to_owned(),
        "..".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            check(SignedTokenRules::default(), &token),
            Err("invalid websocket jwt".to_owned()),
            "{token}"
        );
    }
    assert_eq!(check(SignedTokenRules::default(), &good), Ok(()));
}
