//! `codex-exec-server fetch`: an HTTP request that leaves from a server's machine, with the answer here.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use codex_exec_server_client::{Client, ClientConfig, HttpAnswer, HttpBody, HttpBodyError, RequestError};

use codex_exec_server_protocol::bytes::Base64Bytes;
use codex_exec_server_protocol::http::{
    HttpFailureCause, HttpHeader, HttpRedirectPolicy, HttpRequestHeader, HttpRequestId, HttpRequestParams,
};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::Failure;
use super::duration::{millis, parse};
use super::exit::{UNDONE, undone, with_codes};
use super::reach::{Goal, ReachArgs, Reached};
use super::stop::Stop;
use super::teller::Teller;

/// How often progress is shown, in bytes.
const SHOW_EVERY_BYTES: u64 = 256 << 10;
/// One MiB, as progress is told.
const MIB: f64 = 1_048_576.0;

/// What `--help` says below the flags.
const HELP: &str = "\
The machine's own resolver, certificates and proxies count, and what it can reach.

Examples:
  codex-exec-server fetch --env box http://127.0.0.1:8080/health
  codex-exec-server fetch --env box -o image.tar https://registry.example.org/image.tar
  codex-exec-server fetch --env box --data 'a=b' http://127.0.0.1:8080/jobs
  codex-exec-server fetch --env box --header-var 'Authorization: Bearer =TOKEN' https://a.example/

The last one sends `Bearer ` and what the variable TOKEN of the machine's server holds; it does not come here.";

/// Flags of `fetch`.
#[derive(Debug, clap::Args)]
#[command(after_help = with_codes(HELP))]
pub(super) struct FetchArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// What to ask for: an http or https URL
    #[arg(value_name = "URL")]
    url: String,
    /// Method [default: GET, or POST with a body]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// Header, as `NAME: VALUE`; any number, in this order
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<HttpRequestHeader>,
    /// Header whose value ends with a variable of the machine's, as `NAME: VALUE=VARIABLE`
    #[arg(long = "header-var", value_name = "HEADER", value_parser = header_with_variable)]
    variables: Vec<HttpRequestHeader>,
    /// Body: this text
    #[arg(long, value_name = "TEXT", conflicts_with = "data_file")]
    data: Option<String>,
    /// Body: what is in this file; `-` is standard input
    #[arg(long, value_name = "PATH")]
    data_file: Option<PathBuf>,
    /// Write the body of the answer into this file, which is there when all of it has come
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Print status and headers before the body
    #[arg(short, long, conflicts_with = "json")]
    include: bool,
    /// Print one JSON document, with the body in it unless it goes to a file
    #[arg(long)]
    json: bool,
    /// Show a redirect instead of following it
    #[arg(long)]
    no_follow: bool,
    /// Give up after this time, the body included
    #[arg(long, value_name = "TIME", value_parser = parse)]
    timeout: Option<Duration>,
    /// Exit with 1 when the status is 400 or more
    #[arg(long)]
    fail: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fetched<'a> {
    server: &'a Goal,
    status: u16,
    headers: &'a [HttpHeader],
    body_bytes: u64,
    /// The body, unless it went to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<Base64Bytes>,
    /// Where the body went.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
}

fn header(text: &str) -> Result<HttpRequestHeader, String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    let (name, value) = (name.trim().to_owned(), value.trim_start().to_owned());
    Ok(HttpRequestHeader { name, value, value_env_var: None })
}

fn header_with_variable(text: &str) -> Result<HttpRequestHeader, String> {
    let (rest, variable) = text.rsplit_once('=').ok_or("write NAME: VALUE=VARIABLE")?;
    let header = header(rest).map_err(|_| "write NAME: VALUE=VARIABLE")?;
    Ok(HttpRequestHeader { value_env_var: Some(variable.to_owned()), ..header })
}

pub(super) fn main(args: FetchArgs) -> Result<ExitCode, Failure> {
    let goal = args.reach.find()?;
    let params = args.request()?;
    super::block_on(async {
        let mut stop = Stop::catch()?;
        // Its session holds nothing.
        let adjust = |config: &mut ClientConfig| config.detached_lifetime = Some(Duration::ZERO);
        let reached = Reached::open(&goal, "fetch", adjust, Teller::default()).await?;
        let fetched = tokio::select! {
            fetched = args.fetch(&reached.client, &goal, params) => fetched,
            // A file that is not whole goes away with the future.
            code = stop.signalled() => Ok(super::exit_code(code)),
        };
        reached.client.close().await;
        reached.close().await;
        fetched
    })
}

impl FetchArgs {
    fn request(&self) -> Result<HttpRequestParams, Failure> {
        let body = match (&self.data, &self.data_file) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(path)) => {
                Some(read(path).map_err(|error| undone(format_args!("{}: {error}", path.display())))?)
            }
            (None, None) => None,
        };
        let method = match (&self.method, &body) {
            (Some(method), _) => method.clone(),
            (None, Some(_)) => "POST".to_owned(),
            (None, None) => "GET".to_owned(),
        };
        let redirect_policy =
            if self.no_follow { HttpRedirectPolicy::Stop } else { HttpRedirectPolicy::Follow };
        Ok(HttpRequestParams {
            method,
            url: self.url.clone(),
            headers: self.headers.iter().chain(&self.variables).cloned().collect(),
            body_base64: body.map(Base64Bytes::from),
            timeout_ms: self.timeout.map(millis),
            redirect_policy,
            request_id: HttpRequestId(String::new()),
            stream_response: true,
            request_key: None,
            credit_bytes: None,
        })
    }

    async fn fetch(
        &self,
        client: &Client,
        goal: &Goal,
        params: HttpRequestParams,
    ) -> Result<ExitCode, Failure> {
        let asking = client.http_stream(params);
        let answer = Teller::default().waiting(format_args!("waiting for {}", self.url), asking).await;
        let answer = answer.map_err(|error| explained(&error))?;
        let HttpAnswer { status, headers, mut body } = answer;
        if self.include {
            let mut head = format!("HTTP {status}\n");
            head.extend(headers.iter().map(|HttpHeader { name, value }| format!("{name}: {value}\n")));
            io::stdout().write_all(format!("{head}\n").as_bytes())?;
        }
        let mut kept = Vec::new();
        let body_bytes = match &self.output {
            Some(path) => save(&mut body, path).await?,
            None if self.json => copy(&mut body, &mut kept).await?,
            None => {
                let copied = copy(&mut body, &mut io::stdout()).await?;
                io::stdout().flush()?;
                copied
            }
        };
        if self.json {
            let base64 = self.output.is_none().then(|| Base64Bytes::from(kept));
            let (headers, output) = (&headers[..], self.output.as_deref());
            super::print_json(&Fetched { server: goal, status, headers, body_bytes, base64, output })?;
        }
        Ok(if self.fail && status >= 400 { ExitCode::from(UNDONE) } else { ExitCode::SUCCESS })
    }
}

/// What went wrong, and what can be done about it.
fn explained(error: &RequestError) -> Failure {
    let RequestError::Refused(refusal) = error else { return error.to_string().into() };
    let cause = refusal.data.as_ref().and_then(|data| data.get("cause"));
    match cause.and_then(|cause| serde_json::from_value(cause.clone()).ok()).and_then(hint) {
        Some(hint) => undone(format_args!("{error}; {hint}")),
        None => undone(error),
    }
}

/// What to look at. The machine that asks may be another one than the one where somebody wonders why.
const fn hint(cause: HttpFailureCause) -> Option<&'static str> {
    match cause {
        HttpFailureCause::Dns => Some("the machine that asks does not know that name: try an address"),
        HttpFailureCause::Connect => Some(
            "nothing answers there, as seen from the machine that asks: is the site up, and its port right?",
        ),
        HttpFailureCause::Tls => {
            Some("the machine that asks does not trust the site, or it speaks no TLS there")
        }
        HttpFailureCause::Timeout => Some("give it longer with --timeout"),
        HttpFailureCause::Redirect => Some("see where it leads with --no-follow -i"),
        HttpFailureCause::Protocol | HttpFailureCause::TooLarge | HttpFailureCause::Cancelled => None,
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut all = Vec::new();
    io::stdin().lock().read_to_end(&mut all)?;
    Ok(all)
}

/// Puts the body into a file beside `path`, and that in its place when it is whole.
async fn save(body: &mut HttpBody, path: &Path) -> Result<u64, Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let told = |error: io::Error| undone(format_args!("{}: {error}", path.display()));
    let mut file = NamedTempFile::new_in(folder).map_err(told)?;
    let bytes = copy(body, file.as_file_mut()).await?;
    file.persist(path).map_err(|error| told(error.error))?;
    Ok(bytes)
}

/// Copies the body to its end, and shows how far it is where nothing else is shown.
async fn copy(body: &mut HttpBody, to: &mut impl Write) -> Result<u64, Failure> {
    let teller = Teller::default();
    let (mut bytes, mut shown) = (0, 0);
    let outcome = loop {
        match body.next().await {
            None => break Ok(bytes),
            Some(Err(error @ HttpBodyError::Failed { .. })) => break Err(undone(error)),
            Some(Err(error)) => break Err(error.into()),
            Some(Ok(piece)) => {
                if let Err(error) = to.write_all(&piece) {
                    break Err(error.into());
                }
                bytes += piece.len() as u64;
                if bytes >= shown + SHOW_EVERY_BYTES && !io::IsTerminal::is_terminal(&io::stdout()) {
                    shown = bytes;
                    #[expect(clippy::cast_precision_loss, reason = "one decimal is told")]
                    teller.show(format_args!("{:.1} MiB", bytes as f64 / MIB));
                }
            }
        }
    };
    if shown > 0 {
        teller.clear();
    }
    outcome
}
