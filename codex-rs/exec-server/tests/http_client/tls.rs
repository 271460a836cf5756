//! Encrypted exchanges, and what keeps them from being trusted.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use codex_exec_server_protocol::http::HttpFailureCause;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::place::Machine;
use crate::site::{Site, assert_failure, failure, get, request, whole};

/// Who certifies the sites of these tests.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: NamedTempFile,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).expect("there are no names to refuse");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("keys can be made");
    let certificate = params.self_signed(&key).expect("it can be signed");
    let file = NamedTempFile::new().expect("there is room for a file");
    std::fs::write(file.path(), pem(certificate.der())).expect("it can be written");
    Authority { issuer: Issuer::new(params, key), file }
});

fn pem(der: &[u8]) -> String {
    let text = codex_exec_server_protocol::bytes::Base64Bytes::from(der.to_vec()).encode();
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is text")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Where the authority's own certificate is.
pub(crate) fn authority_file() -> &'static Path {
    AUTHORITY.file.path()
}

/// How a site at `name` proves that it is that; `protocols` is what it speaks.
fn certified(name: &str, trusted: bool, protocols: &[&str]) -> TlsAcceptor {
    let params = CertificateParams::new(vec![name.to_owned()]).expect("it is a name");
    let key = KeyPair::generate().expect("keys can be made");
    let certificate =
        if trusted { params.signed_by(&key, &AUTHORITY.issuer) } else { params.self_signed(&key) };
    let certificate = certificate.expect("it can be signed").der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("it is a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("they are known")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key fits");
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

cases! {
    everywhere {
        a_trusted_site_is_asked_in_the_newest_protocol_that_it_speaks
        a_site_that_nobody_vouches_for_is_not_asked
        a_site_of_another_name_is_not_asked
        a_site_without_encryption_is_not_asked_over_https
    }
    not_on_reference {}
}

async fn a_trusted_site_is_asked_in_the_newest_protocol_that_it_speaks(machine: Machine) {
    for (protocols, told) in
        [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let site = Site::real(Some(certified("localhost", /*trusted*/ true, protocols))).await;
        let body = vec![b'x'; 300_000];
        let bytes = codex_exec_server_protocol::bytes::Base64Bytes::from(body.clone());
        let post = request("POST", &site.https_url("/a"), json!({"bodyBase64": bytes}));
        let expected = [format!("{told} POST /a\n").into_bytes(), body].concat();
        assert!(whole(&machine, post).await == (200, expected), "{told}");
    }
}

async fn a_site_that_nobody_vouches_for_is_not_asked(machine: Machine) {
    let site = Site::real(Some(certified("localhost", /*trusted*/ false, &[]))).await;
    let error = failure(&machine, get(&site.https_url("/"))).await;
    assert_failure(&error, /*code*/ -32603, "http/request failed: ", Some(HttpFailureCause::Tls));
}

async fn a_site_of_another_name_is_not_asked(machine: Machine) {
    let site = Site::real(Some(certified("example.test", /*trusted*/ true, &[]))).await;
    let error = failure(&machine, get(&site.https_url("/"))).await;
    assert_failure(&error, /*code*/ -32603, "http/request failed: ", Some(HttpFailureCause::Tls));
}

async fn a_site_without_encryption_is_not_asked_over_https(machine: Machine) {
    // One that talks of something else, and one that hangs up.
    for says in [&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
        let url = format!("https://{}/", listener.local_addr().expect("it is bound"));
        let site = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // Its first words are read, so that they don't reset what is said.
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(says).await;
            }
        });
        let error = failure(&machine, get(&url)).await;
        assert_failure(&error, /*code*/ -32603, "http/request failed: ", Some(HttpFailureCause::Tls));
        site.abort();
    }
}
