//! Taking turns. Every row has one lane per target and one for the raw limit; a batch of samples is taken
//! from each in turn, so that whatever else the machine does meets all of them alike.

use crate::error::BenchError;
use crate::report::Measure;
use crate::stats::Summary;

/// The name under which the raw limit appears.
pub(crate) const RAW: &str = "raw";
/// The name under which the naive server appears.
pub(crate) const LIMIT: &str = "limit";

/// Takes one measured value, in the unit of its row.
pub(crate) trait Probe {
    /// Before the samples of a turn: whatever has to go on again that stood still while others had theirs.
    fn begin(&mut self) -> Result<(), BenchError> {
        Ok(())
    }

    fn sample(&mut self) -> Result<f64, BenchError>;

    /// After them.
    fn end(&mut self) {}
}

/// One target's way through a row.
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Gone after a failure: a target that failed once takes no further turns.
    probe: Option<Box<dyn Probe>>,
    samples: Vec<f64>,
    failure: Option<Failure>,
}

/// Why a lane takes no further turns.
enum Failure {
    NotOffered,
    Failed(String),
}

impl Failure {
    fn new(error: &BenchError, samples: usize) -> Self {
        match error {
            BenchError::NotOffered => Self::NotOffered,
            error if samples > 0 => Self::Failed(format!("{error}, after {samples} samples")),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl Lane {
    /// A target that cannot even be opened still gets its line in the report.
    pub(crate) fn new<P: Probe + 'static>(name: impl Into<String>, probe: Result<P, BenchError>) -> Self {
        let (probe, failure) = match probe {
            Ok(probe) => (Some(Box::new(probe) as Box<dyn Probe>), None),
            Err(error) => (None, Some(Failure::new(&error, /*samples*/ 0))),
        };
        Self { name: name.into(), probe, samples: Vec::new(), failure }
    }

    /// One turn of `count` samples.
    fn take(&mut self, count: usize, keep: bool) {
        let Some(probe) = &mut self.probe else { return };
        let mut turn = || {
            probe.begin()?;
            for _ in 0..count {
                let value = probe.sample()?;
                if keep {
                    self.samples.push(value);
                }
            }
            probe.end();
            Ok(())
        };
        if let Err(error) = turn() {
            self.failure = Some(Failure::new(&error, self.samples.len()));
            self.probe = None;
        }
    }

    /// A percentile of the samples. Their spread says nothing about how sure their tail is.
    pub(crate) fn percentile(&self, metric: &str, unit: &'static str, percent: f64) -> Measure {
        Measure { spread: None, ..self.measure(metric, unit, |summary| summary.percentile(percent)) }
    }

    /// One line of the report, by `pick` from the samples.
    pub(crate) fn measure(
        &self,
        metric: &str,
        unit: &'static str,
        pick: impl Fn(&Summary) -> f64,
    ) -> Measure {
        let measure = Measure::new(metric, &self.name, unit);
        let measure = match Summary::of(&self.samples) {
            Some(summary) => measure.with_value(pick(&summary), summary.spread(), summary.count()),
            None => measure,
        };
        match &self.failure {
            Some(Failure::NotOffered) => measure.not_offered(),
            Some(Failure::Failed(reason)) => measure.with_failure(reason),
            None => measure,
        }
    }
}

/// How long a row is.
#[derive(Clone, Copy)]
pub(crate) struct Turns {
    /// Samples thrown away at the start of each lane: first page faults, first growth of buffers.
    pub(crate) warm_up: usize,
    pub(crate) rounds: usize,
    /// Samples per lane and round. More than a few, so that each lane mostly meets its own warm caches.
    pub(crate) batch: usize,
}

/// Runs all lanes through all rounds.
pub(crate) fn alternate(lanes: &mut [Lane], turns: Turns) {
    for lane in &mut *lanes {
        lane.take(turns.warm_up, /*keep*/ false);
    }
    for round in 0..turns.rounds {
        for lane in &mut *lanes {
            lane.take(turns.batch, /*keep*/ true);
        }
        if (round + 1) * 4 / turns.rounds > round * 4 / turns.rounds {
            eprintln!("  {} of {} rounds", round + 1, turns.rounds);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    struct Scripted {
        name: char,
        log: Rc<RefCell<String>>,
        values: std::vec::IntoIter<f64>,
    }

    impl Probe for Scripted {
        fn begin(&mut self) -> Result<(), BenchError> {
            self.log.borrow_mut().push('<');
            Ok(())
        }

        fn end(&mut self) {
            self.log.borrow_mut().push('>');
        }

        fn sample(&mut self) -> Result<f64, BenchError> {
            self.log.borrow_mut().push(self.name);
            self.values.next().ok_or(BenchError::Closed)
        }
    }

    #[test]
    fn lanes_take_turns_and_a_failed_one_drops_out_with_what_it_has() {
        let log = Rc::new(RefCell::new(String::new()));
        let lane = |name: char, values: Vec<f64>| {
            Lane::new(name, Ok(Scripted { name, log: Rc::clone(&log), values: values.into_iter() }))
        };
        let mut lanes = [lane('a', vec![9.0; 7]), lane('b', vec![9.0, 1.0, 2.0, 3.0])];
        alternate(&mut lanes, Turns { warm_up: 1, rounds: 3, batch: 2 });
        assert_eq!(*log.borrow(), "<a><b><aa><bb><aa><bb<aa>");
        assert_eq!(lanes[0].measure("m", "µs", Summary::median).samples, 6);
        let failed = lanes[1].measure("m", "µs", Summary::median);
        assert_eq!((failed.value, failed.samples), (Some(2.0), 3));
        assert_eq!(failed.note.as_deref(), Some("failed: the server closed the connection, after 3 samples"));
    }
}
