//! What `/proc` says about this machine and its processes: CPU time, memory, and how busy strangers were
//! meanwhile.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use rustix::process::Pid;

use crate::error::BenchError;

/// Kibibytes of resident memory.
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident_kib: f64,
    /// The most since the start, or since [`reset_peak`].
    pub(crate) peak_kib: f64,
}

/// CPU seconds of a process, all threads, user and system.
pub(crate) struct CpuTime {
    pub(crate) own: f64,
    /// Of children that ended and were waited for, and of theirs.
    pub(crate) reaped: f64,
}

impl CpuTime {
    pub(crate) fn total(&self) -> f64 {
        self.own + self.reaped
    }
}

pub(crate) fn cpu_time(pid: u32) -> Result<CpuTime, BenchError> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    // The program name may hold blanks and brackets; the last bracket ends it. Times are fields 14 to 17 of
    // the line.
    let fields: Vec<f64> = text
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_ascii_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect()
        })
        .unwrap_or_default();
    let &[user, system, reaped_user, reaped_system] = fields.as_slice() else {
        return Err(BenchError::Proc(path, "cpu times"));
    };
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    Ok(CpuTime { own: (user + system) / ticks, reaped: (reaped_user + reaped_system) / ticks })
}

pub(crate) fn memory(pid: u32) -> Result<Memory, BenchError> {
    let path = format!("/proc/{pid}/status");
    let text = read(&path)?;
    let field = |name: &'static str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.parse().ok()
            })
            .ok_or_else(|| BenchError::Proc(path.clone(), name))
    };
    Ok(Memory { resident_kib: field("VmRSS")?, peak_kib: field("VmHWM")? })
}

/// Makes the peak of `pid` start again from what is resident now.
pub(crate) fn reset_peak(pid: u32) -> Result<(), BenchError> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").map_err(|source| BenchError::File { path: PathBuf::from(path), source })
}

/// Processes whose parent is `pid`, as of now.
pub(crate) fn children(pid: u32) -> Vec<Pid> {
    let parent_of = |text: &str| {
        let (_, rest) = text.rsplit_once(')')?;
        rest.split_ascii_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let numbers = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        let number: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        (parent_of(&stat)? == pid).then_some(number)
    });
    numbers.filter_map(Pid::from_raw).collect()
}

/// The threads of a process that there are now.
pub(crate) fn threads(pid: u32) -> Result<Vec<Pid>, BenchError> {
    let path = format!("/proc/{pid}/task");
    let entries =
        fs::read_dir(&path).map_err(|source| BenchError::File { path: PathBuf::from(&path), source })?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(numbers.filter_map(Pid::from_raw).collect())
}

/// Number of processors that this program may use.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// One line for the head of a report: processor, count, kernel.
pub(crate) fn describe() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let kernel = rustix::system::uname();
    format!(
        "{} × {}, {} {}",
        processors(),
        model.as_deref().unwrap_or("unknown processor"),
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy()
    )
}

/// Finds how much of the machine went to programs that are not ours. Ours are this program and everything
/// that it started and waited for, so targets are to be started after the meter and stopped before it is
/// read.
pub(crate) struct NoiseMeter {
    since: Instant,
    busy: f64,
    ours: f64,
}

impl NoiseMeter {
    pub(crate) fn start() -> Result<Self, BenchError> {
        Ok(Self { since: Instant::now(), busy: busy_seconds()?, ours: our_seconds()? })
    }

    /// Share (0 to 1) of all processors that strangers used since the start, time stolen by a hypervisor
    /// included.
    pub(crate) fn strangers(&self) -> Result<f64, BenchError> {
        let total = self.since.elapsed().as_secs_f64() * processors() as f64;
        let strangers = (busy_seconds()? - self.busy) - (our_seconds()? - self.ours);
        Ok((strangers / total).clamp(0.0, 1.0))
    }
}

fn our_seconds() -> Result<f64, BenchError> {
    Ok(cpu_time(std::process::id())?.total())
}

/// CPU seconds that any program, interrupt or hypervisor used since boot. Field order: user, nice, system,
/// idle, iowait, irq, softirq, steal.
fn busy_seconds() -> Result<f64, BenchError> {
    let text = read("/proc/stat")?;
    let ticks: Vec<f64> = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("cpu "))
        .map(|line| line.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect())
        .unwrap_or_default();
    if ticks.len() < 8 {
        return Err(BenchError::Proc("/proc/stat".to_owned(), "cpu line"));
    }
    let busy: f64 = [0, 1, 2, 5, 6, 7].iter().map(|&field: &usize| ticks[field]).sum();
    Ok(busy / rustix::param::clock_ticks_per_second() as f64)
}

fn read(path: &str) -> Result<String, BenchError> {
    fs::read_to_string(path).map_err(|source| BenchError::File { path: PathBuf::from(path), source })
}
