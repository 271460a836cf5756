//! What a measure is to reach, and whether it has.

use serde::{Serialize, Serializer};

use super::Measure;

/// A goal. Nothing fails when it is missed: clocks depend on the machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    AtMost(f64, Of),
    Below(f64, Of),
    AtLeast(f64, Of),
    /// What no number says; the row itself judges it.
    Words(&'static str),
}

/// Which number the goal is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Of {
    /// The ratio to the raw limit.
    Raw,
    /// The ratio to the naive server.
    Limit,
    /// The value, in its unit.
    Unit(&'static str),
}

impl Goal {
    /// Whether `measure` reaches it. `None` where the number is missing.
    pub(super) fn is_met(self, measure: &Measure) -> Option<bool> {
        let number = |of| match of {
            Of::Raw => measure.ratio_to_raw,
            Of::Limit => measure.ratio_to_limit,
            Of::Unit(_) => measure.value,
        };
        match self {
            Self::AtMost(most, of) => Some(number(of)? <= most),
            Self::Below(bound, of) => Some(number(of)? < bound),
            Self::AtLeast(least, of) => Some(number(of)? >= least),
            Self::Words(_) => None,
        }
    }
}

impl Goal {
    /// The value with which `measure` would just reach it.
    pub(super) fn in_units_of(self, measure: &Measure) -> Option<f64> {
        let (Self::AtMost(number, of) | Self::Below(number, of) | Self::AtLeast(number, of)) = self else {
            return None;
        };
        match of {
            Of::Unit(_) => Some(number),
            Of::Raw => Some(measure.value? / measure.ratio_to_raw? * number),
            Of::Limit => Some(measure.value? / measure.ratio_to_limit? * number),
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sign, number, of) = match *self {
            Self::AtMost(number, of) => ("≤", number, of),
            Self::Below(number, of) => ("<", number, of),
            Self::AtLeast(number, of) => ("≥", number, of),
            Self::Words(words) => return f.pad(words),
        };
        let of = match of {
            Of::Raw => "× raw",
            Of::Limit => "× limit",
            Of::Unit(unit) => unit,
        };
        write!(f, "{sign} {number} {of}")
    }
}

impl Serialize for Goal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_of_a_ratio_is_a_value_of_the_same_run() {
        let mut measure = Measure::new("p50", "server", "ms").with_value(6.0, (6.0, 6.0), /*samples*/ 1);
        measure.ratio_to_limit = Some(2.0);
        assert_eq!(Goal::AtMost(1.5, Of::Limit).in_units_of(&measure), Some(4.5));
        assert_eq!(Goal::AtMost(1.5, Of::Raw).in_units_of(&measure), None);
        assert_eq!(Goal::AtLeast(3.0, Of::Unit("ms")).in_units_of(&measure), Some(3.0));
    }

    #[test]
    fn a_goal_judges_the_number_that_it_names_and_only_that() {
        let mut measure = Measure::new("p50", "server", "ms").with_value(4.0, (4.0, 4.0), /*samples*/ 1);
        measure.ratio_to_raw = Some(1.5);
        for (goal, words, met) in [
            (Goal::AtMost(1.5, Of::Raw), "≤ 1.5 × raw", Some(true)),
            (Goal::Below(1.5, Of::Raw), "< 1.5 × raw", Some(false)),
            (Goal::AtLeast(2.0, Of::Limit), "≥ 2 × limit", None),
            (Goal::Below(4.5, Of::Unit("ms")), "< 4.5 ms", Some(true)),
            (Goal::Words("all answered"), "all answered", None),
        ] {
            assert_eq!((goal.to_string().as_str(), goal.is_met(&measure)), (words, met));
        }
    }
}
