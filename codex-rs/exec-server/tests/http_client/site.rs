//! The other side of an exchange: sites on loopback that speak HTTP, or something like it, and tell what they were asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use codex_exec_server_core::service::http::{HttpBodyError, HttpError, HttpStream};
use codex_exec_server_protocol::http::{HttpFailureCause, HttpHeader, HttpRequestParams};
use codex_exec_server_testkit::patiently;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::place::Machine;

/// A request as a site got it, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) line: String,
    /// In the order and spelling in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A site. Ends when it is dropped.
pub(crate) struct Site {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    accepting: JoinHandle<()>,
}

impl Site {
    /// Answers each request, on a connection of its own, with the bytes that `answer` makes of it; then closes. An answer
    /// after which another one follows says `Connection: close`: the next request may come on the same one otherwise.
    pub(crate) async fn raw(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::talking(move |asked, mut stream| {
            let answer = answer(&asked);
            async move {
                // Whoever asked may be gone, or have heard enough.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Hands each request and its connection to `talk`.
    pub(crate) async fn talking<T>(talk: impl Fn(Asked, TcpStream) -> T + Send + Sync + 'static) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (listener, address) = listen().await;
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        let talk = Arc::new(talk);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (log, talk) = (Arc::clone(&log), Arc::clone(&talk));
                connections.spawn(async move {
                    let mut stream = BufReader::new(stream);
                    // A connection may be made and not be used.
                    let Some(asked) = read(&mut stream).await else { return };
                    log.lock().expect("no panic").push(asked.clone());
                    talk(asked, stream.into_inner()).await;
                });
            }
        });
        Self { address, asked, accepting }
    }

    /// Answers over HTTP/1.1 or HTTP/2 with the version, the method, the path and the body. With TLS if `tls` is given.
    pub(crate) async fn real(tls: Option<TlsAcceptor>) -> Self {
        let (listener, address) = listen().await;
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                connections.spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away in the middle is no failure of the site.
                    match tls {
                        None => {
                            let _ = server.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
                        }
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let _ = server.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
                        }
                    }
                });
            }
        });
        Self { address, asked: Arc::default(), accepting }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// As the sites' certificates name this machine.
    pub(crate) fn https_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// What was asked so far, except by way of [`Self::real`].
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut lines = lines.into_iter();
    let line = lines.next()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        })
        .collect();
    let mut asked = Asked { line, headers, body: Vec::new() };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    asked.body.resize(length, 0);
    stream.read_exact(&mut asked.body).await.ok()?;
    Some(asked)
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let line = format!("{:?} {} {}\n", request.version(), request.method(), request.uri().path());
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => error.to_string().into(),
    };
    Ok(Response::new(Full::new([line.as_bytes(), &body].concat().into())))
}

/// An answer with a length, and these headers before it.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A request for `url`, changed by `more`.
pub(crate) fn request(method: &str, url: &str, more: Value) -> HttpRequestParams {
    let mut params = json!({"method": method, "url": url, "requestId": "r"});
    for (name, value) in more.as_object().expect("changes are an object") {
        params[name] = value.clone();
    }
    serde_json::from_value(params).expect("these are parameters")
}

pub(crate) fn get(url: &str) -> HttpRequestParams {
    request("GET", url, json!({}))
}

/// The status and the whole body.
pub(crate) async fn whole(machine: &Machine, params: HttpRequestParams) -> (u16, Vec<u8>) {
    let answer = patiently("an answer", machine.request(params)).await.expect("it is answered");
    (answer.status, answer.body_base64.to_vec())
}

pub(crate) async fn failure(machine: &Machine, params: HttpRequestParams) -> HttpError {
    patiently("a failure", machine.request(params)).await.expect_err("it fails")
}

/// Fails with the code and the beginning of the words; the cause is known everywhere but from the reference.
#[track_caller]
pub(crate) fn assert_failure(error: &HttpError, code: i64, words: &str, cause: Option<HttpFailureCause>) {
    let HttpError::Refused(refused) = error else { panic!("{error:?}") };
    assert!(refused.code == code && refused.message.starts_with(words), "{refused:?}");
    if refused.data.is_some() {
        assert_eq!(error.cause(), cause, "{refused:?}");
    }
}

pub(crate) async fn stream(machine: &Machine, params: HttpRequestParams) -> HttpStream {
    patiently("the headers of an answer", machine.stream(params)).await.expect("it is answered")
}

/// The body, and why it broke off.
pub(crate) async fn rest(mut stream: HttpStream) -> (Vec<u8>, Option<HttpBodyError>) {
    let mut all = Vec::new();
    while let Some(piece) = patiently("a piece of a body", stream.body.next()).await {
        match piece {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

/// Headers as pairs.
pub(crate) fn pairs(headers: &[HttpHeader]) -> Vec<(&str, &str)> {
    headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect()
}
