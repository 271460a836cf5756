//! What it costs to be confined: one command, one file that is read, and much writing, each beside the same without a
//! sandbox. Servers that do not say that they can enforce sandboxes take no part.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::one_shot::Commands;
use super::small_file::Request;
use super::{Plan, TRUE};
use crate::error::BenchError;
use crate::lanes::{Lane, Probe, RAW, Turns, alternate};
use crate::raw::RawOneShot;
use crate::report::Measure;
use crate::scratch::{Scratch, url_of};
use crate::stats::Summary;
use crate::target::{Target, TargetSpec};
use crate::wire::Connection;

/// What people confine a command with otherwise, without a server.
const BWRAP: &str = "bwrap";
/// The same for it: the whole tree, read-only, and every namespace. The program is looked for where systems have it.
const BWRAP_ARGV: [&str; 6] = ["/usr/bin/bwrap", "--ro-bind", "/", "/", "--unshare-all", TRUE[0]];
const TAR: &str = "/usr/bin/tar";
const FILE_BYTES: usize = 1024;
/// What is unpacked: a middling project.
const FILES: usize = 5_000;

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let scratch = Scratch::create()?;
    let mut measures = commands(plan);
    measures.extend(reads(plan, &scratch)?);
    measures.extend(unpacking(plan, &scratch)?);
    Ok(measures)
}

/// `true`, by the server and by `bwrap`.
fn commands(plan: &Plan) -> Vec<Measure> {
    let mut lanes = vec![Lane::new(RAW, RawOneShot::open(&TRUE)), Lane::new(BWRAP, bwrap())];
    for spec in &plan.targets {
        for sandbox in [None, Some(read_only())] {
            lanes.push(Lane::new(&spec.name, OneShot::open(spec, &TRUE, sandbox)));
        }
    }
    alternate(&mut lanes, Turns { warm_up: 5, rounds: plan.choose(/*thorough*/ 50, /*quick*/ 5), batch: 10 });
    let median = |lane: &Lane, metric: &str| lane.measure(metric, "µs", Summary::median);
    let [raw, bwrap, targets @ ..] = &lanes[..] else { return Vec::new() };
    let bwrap = median(bwrap, "true p50, confined");
    let mut measures = vec![median(raw, "true p50, free"), bwrap.clone()];
    for pair in targets.chunks_exact(2) {
        let [free, confined] = pair else { continue };
        let (free, confined) = (median(free, "true p50, free"), median(confined, "true p50, confined"));
        let over_free =
            compare("confined over free", "ms", &confined, &free, |confined, free| (confined - free) / 1e3);
        let over_bwrap =
            compare("confined over bwrap", "×", &confined, &bwrap, |confined, bwrap| confined / bwrap);
        measures.extend([free, confined, over_free, over_bwrap]);
    }
    measures
}

/// A kibibyte, by a process in a sandbox that lives on from call to call.
fn reads(plan: &Plan, scratch: &Scratch) -> Result<Vec<Measure>, BenchError> {
    let path = url_of(&scratch.file("read", FILE_BYTES)?);
    let params = json!({ "path": path, "sandbox": read_only() });
    let open = |spec: &TargetSpec| {
        let (target, connection) = dial(spec)?;
        Ok(Request::on(target, connection, "fs/readFile", params.clone()))
    };
    let mut lanes: Vec<_> = plan.targets.iter().map(|spec| Lane::new(&spec.name, open(spec))).collect();
    alternate(
        &mut lanes,
        Turns { warm_up: 50, rounds: plan.choose(/*thorough*/ 40, /*quick*/ 10), batch: 50 },
    );
    let measures = lanes.iter().map(|lane| lane.measure("1 KiB read p50, confined", "µs", Summary::median));
    Ok(measures.collect())
}

/// `tar x` of many small files into a folder that may be written.
fn unpacking(plan: &Plan, scratch: &Scratch) -> Result<Vec<Measure>, BenchError> {
    let archive = pack(scratch)?;
    let project = scratch.folder("project", /*entries*/ 0)?;
    let mut lanes = Vec::new();
    for spec in &plan.targets {
        for sandbox in [None, Some(project_write(&project))] {
            lanes.push(Lane::new(&spec.name, Unpack::open(spec, &archive, &project, sandbox)));
        }
    }
    alternate(&mut lanes, Turns { warm_up: 1, rounds: plan.choose(/*thorough*/ 15, /*quick*/ 3), batch: 1 });
    let mut measures = Vec::new();
    for pair in lanes.chunks_exact(2) {
        let [free, confined] = pair else { continue };
        let free = free.measure("5,000 files unpacked, free", "ms", Summary::median);
        let confined = confined.measure("5,000 files unpacked, confined", "ms", Summary::median);
        let over =
            compare("5,000 files unpacked, confined over free", "×", &confined, &free, |confined, free| {
                confined / free
            });
        measures.extend([free, confined, over]);
    }
    Ok(measures)
}

/// What `measure` is beside `base`, of the same run. What either of them lacks, the comparison lacks.
fn compare(
    metric: &str,
    unit: &'static str,
    measure: &Measure,
    base: &Measure,
    value: impl Fn(f64, f64) -> f64,
) -> Measure {
    let compared = Measure::new(metric, &measure.target, unit);
    if let Some(lacking) = [measure, base].into_iter().find(|side| side.note.is_some()) {
        return Measure { note: lacking.note.clone(), met: lacking.met, ..compared };
    }
    match (measure.value, base.value) {
        (Some(measure), Some(base)) => {
            compared.with_value(value(measure, base), (0.0, 0.0), /*samples*/ 1)
        }
        _ => compared,
    }
}

/// Everything may be read and nothing written; no network.
fn read_only() -> Value {
    context(
        &json!([{ "path": { "type": "special", "value": { "kind": "root" } }, "access": "read" }]),
        /*project*/ None,
    )
}

/// The same, but for `project`.
fn project_write(project: &Path) -> Value {
    let special =
        |kind, access| json!({ "path": { "type": "special", "value": { "kind": kind } }, "access": access });
    context(&json!([special("root", "read"), special("project_roots", "write")]), Some(project))
}

fn context(entries: &Value, project: Option<&Path>) -> Value {
    let files = json!({ "type": "restricted", "entries": entries });
    json!({
        "permissions": { "type": "managed", "file_system": files, "network": "restricted" },
        "windowsSandboxLevel": "disabled",
        "workspaceRoots": project.map(url_of).into_iter().collect::<Vec<_>>(),
    })
}

/// A fresh server that can enforce sandboxes, and a connection to it.
fn dial(spec: &TargetSpec) -> Result<(Target, Connection), BenchError> {
    let target = spec.start()?;
    let connection = Connection::open(&target.url)?;
    if connection.confines() { Ok((target, connection)) } else { Err(BenchError::NotOffered) }
}

/// `bwrap` as often as it is asked; [`BenchError::NotOffered`] where it is not installed.
fn bwrap() -> Result<RawOneShot, BenchError> {
    if !Path::new(BWRAP_ARGV[0]).exists() {
        return Err(BenchError::NotOffered);
    }
    // Whether it works here is told only by its status, at which nobody looks while clocks run.
    succeed(Command::new(BWRAP_ARGV[0]).args(&BWRAP_ARGV[1..]))?;
    RawOneShot::open(&BWRAP_ARGV)
}

/// An archive of what is to be unpacked.
fn pack(scratch: &Scratch) -> Result<PathBuf, BenchError> {
    let folder = scratch.folder("packed", /*entries*/ 0)?;
    for number in 0..FILES {
        scratch.file(&format!("packed/file-{number:04}"), FILE_BYTES)?;
    }
    let archive = scratch.file("archive.tar", /*bytes*/ 0)?;
    succeed(Command::new(TAR).arg("-cf").arg(&archive).arg("-C").arg(&folder).arg("."))?;
    Ok(archive)
}

fn succeed(command: &mut Command) -> Result<(), BenchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match quiet.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(BenchError::Protocol(format!("{program} ended with {status}"))),
        Err(source) => Err(BenchError::Start { program, source }),
    }
}

/// One command in a server; microseconds.
struct OneShot {
    commands: Commands,
    /// Stopped after the connection is gone.
    _target: Target,
}

impl OneShot {
    fn open(spec: &TargetSpec, argv: &[&str], sandbox: Option<Value>) -> Result<Self, BenchError> {
        let (target, connection) = dial(spec)?;
        Ok(Self { commands: Commands::on(connection, argv, sandbox), _target: target })
    }
}

impl Probe for OneShot {
    fn sample(&mut self) -> Result<f64, BenchError> {
        self.commands.run()
    }
}

/// `tar x` into an empty folder; milliseconds.
struct Unpack {
    tar: OneShot,
    folder: PathBuf,
}

impl Unpack {
    fn open(
        spec: &TargetSpec,
        archive: &Path,
        project: &Path,
        sandbox: Option<Value>,
    ) -> Result<Self, BenchError> {
        let folder = project.join("unpacked");
        let (archive, into) = (archive.to_string_lossy(), folder.to_string_lossy());
        let argv = [TAR, "-xf", &*archive, "-C", &*into];
        Ok(Self { tar: OneShot::open(spec, &argv, sandbox)?, folder })
    }
}

impl Probe for Unpack {
    fn sample(&mut self) -> Result<f64, BenchError> {
        let fail = |source| BenchError::File { path: self.folder.clone(), source };
        std::fs::create_dir(&self.folder).map_err(fail)?;
        let taken = self.tar.sample();
        // Also after a failure: the next lane wants it empty.
        std::fs::remove_dir_all(&self.folder).map_err(fail)?;
        Ok(taken? / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_lacks_what_either_side_lacks() {
        let measure = |value| {
            Measure::new("p50", "server", "µs").with_value(value, (value, value), /*samples*/ 1)
        };
        let minus = |measure: &Measure, base: &Measure| compare("over", "µs", measure, base, |a, b| a - b);
        assert_eq!(minus(&measure(5.0), &measure(3.0)).value, Some(2.0));
        let missing = minus(&measure(5.0), &Measure::new("p50", BWRAP, "µs").not_offered());
        assert_eq!((missing.value, missing.met), (None, None));
        assert_eq!(missing.note.as_deref(), Some("not offered by this server"));
        let failed = minus(&measure(5.0).with_failure("gone"), &measure(3.0));
        assert_eq!((failed.value, failed.met), (None, Some(false)));
    }
}
