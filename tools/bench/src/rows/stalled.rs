//! A client that stops reading while its process floods: what the server holds for it, and whether anybody else notices.

use std::time::{Duration, Instant};

use super::Plan;
use super::one_shot::Commands;
use crate::error::BenchError;
use crate::machine;
use crate::report::Measure;
use crate::stats::Summary;
use crate::target::TargetSpec;
use crate::wire::{Connection, StartParams};

const FLOOD: [&str; 2] = ["/bin/cat", "/dev/zero"];
/// Before memory is read the first time.
const SETTLE: Duration = Duration::from_millis(300);
/// Commands that are thrown away first.
const WARM_UP: usize = 50;
/// Commands at a time: those beside the client that stalls and those at a server without one take turns, so that whatever else
/// the machine does meets both alike.
const BATCH: usize = 20;

/// What one target showed.
struct Shown {
    growth_mib: f64,
    alone: Summary,
    beside: Summary,
}

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let duration = Duration::from_secs(plan.choose(/*thorough*/ 10, /*quick*/ 3));
    let mut measures = Vec::new();
    for spec in &plan.targets {
        eprintln!("  {}", spec.name);
        let shown = observe(spec, duration);
        for metric in Metric::ALL {
            let measure = Measure::new(metric.name(), &spec.name, metric.unit());
            measures.push(match &shown {
                Ok(shown) => metric.fill(measure, shown),
                Err(error) => measure.with_failure(&error.to_string()),
            });
        }
    }
    Ok(measures)
}

#[derive(Clone, Copy)]
enum Metric {
    Growth,
    Alone,
    Beside,
    Over,
}

impl Metric {
    const ALL: [Self; 4] = [Self::Growth, Self::Alone, Self::Beside, Self::Over];

    fn name(self) -> &'static str {
        match self {
            Self::Growth => "server growth",
            Self::Alone => "one-shot p50 alone",
            Self::Beside => "other connection's one-shot p50",
            Self::Over => "other connection's one-shot, over alone",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Growth => "MiB",
            Self::Alone | Self::Beside => "µs",
            Self::Over => "×",
        }
    }

    fn fill(self, measure: Measure, shown: &Shown) -> Measure {
        let one = |value| (value, (value, value), 1);
        let of = |summary: &Summary| (summary.median(), summary.spread(), summary.count());
        let (value, spread, samples) = match self {
            Self::Growth => one(shown.growth_mib),
            Self::Alone => of(&shown.alone),
            Self::Beside => of(&shown.beside),
            Self::Over => one(shown.beside.median() / shown.alone.median()),
        };
        measure.with_value(value, spread, samples)
    }
}

fn observe(spec: &TargetSpec, duration: Duration) -> Result<Shown, BenchError> {
    let target = spec.start()?;
    // The same server again, where nobody stands still.
    let twin = spec.start()?;
    let mut stalled = Connection::open(&target.url)?;
    let (mut beside, mut alone) = (Commands::open(&target.url)?, Commands::open(&twin.url)?);
    for commands in [&mut beside, &mut alone] {
        for _ in 0..WARM_UP {
            commands.run()?;
        }
    }
    std::thread::sleep(SETTLE);
    let before = machine::memory(target.pid())?.resident_kib;
    stalled.call("process/start", StartParams::new("flood", &FLOOD))?;
    // Nothing is run beside it here: what commands leave to be remembered would be taken for growth.
    std::thread::sleep(duration / 2);
    let growth_mib = (machine::memory(target.pid())?.resident_kib - before) / 1024.0;
    let (started, mut samples) = (Instant::now(), [Vec::new(), Vec::new()]);
    while started.elapsed() < duration / 2 {
        for (commands, samples) in [&mut beside, &mut alone].into_iter().zip(&mut samples) {
            for _ in 0..BATCH {
                samples.push(commands.run()?);
            }
        }
    }
    let [beside, alone] = samples.map(|samples| Summary::of(&samples).ok_or(BenchError::Closed));
    Ok(Shown { growth_mib, alone: alone?, beside: beside? })
}
