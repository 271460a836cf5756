//! Order statistics over samples. Medians and percentiles only: latencies have no useful mean.

/// The samples of one metric of one target, in rising order. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    sorted: Vec<f64>,
}

impl Summary {
    /// `None` without samples. Not-a-number sorts last, so that it shows in the upper percentiles instead of
    /// hiding.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        (!sorted.is_empty()).then_some(Self { sorted })
    }

    /// The value below which `percent` (0 to 100) of the samples lie, interpolated between neighbours.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let last = self.sorted.len() - 1;
        let place = (percent.clamp(0.0, 100.0) / 100.0) * last as f64;
        let below = place.floor() as usize;
        let above = (below + 1).min(last);
        let share = place - below as f64;
        self.sorted[below] + (self.sorted[above] - self.sorted[below]) * share
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// The tenth and the ninetieth percentile.
    pub(crate) fn spread(&self) -> (f64, f64) {
        (self.percentile(10.0), self.percentile(90.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(samples: &[f64]) -> Summary {
        Summary::of(samples).expect("there are samples")
    }

    #[test]
    fn no_samples_have_no_summary() {
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn one_sample_is_every_percentile() {
        let one = summary(&[7.0]);
        assert_eq!(
            (one.percentile(0.0), one.median(), one.percentile(100.0), one.spread()),
            (7.0, 7.0, 7.0, (7.0, 7.0))
        );
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        assert_eq!(summary(&[3.0, 1.0, 2.0]), summary(&[1.0, 2.0, 3.0]));
    }

    #[test]
    fn an_even_count_puts_the_median_between_the_middle_two() {
        assert_eq!(summary(&[4.0, 1.0, 3.0, 2.0]).median(), 2.5);
    }

    #[test]
    fn percentiles_are_interpolated_between_neighbours() {
        let hundred_and_one: Vec<f64> = (0..=100).map(f64::from).collect();
        let all = summary(&hundred_and_one);
        assert_eq!((all.spread(), all.percentile(99.0), all.percentile(99.5)), ((10.0, 90.0), 99.0, 99.5));
    }

    #[test]
    fn a_percentile_outside_the_scale_is_the_nearest_end() {
        let two = summary(&[1.0, 2.0]);
        assert_eq!((two.percentile(-5.0), two.percentile(500.0)), (1.0, 2.0));
    }

    #[test]
    fn not_a_number_shows_at_the_top() {
        assert!(summary(&[f64::NAN, 1.0, 2.0]).percentile(100.0).is_nan());
    }
}
