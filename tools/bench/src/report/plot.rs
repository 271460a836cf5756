//! A row as a picture: one group of bars per metric, one bar per target, with its spread and its goal.

use std::fmt::Write as _;

use super::render::number;
use super::{Measure, RowReport};
use crate::lanes::{LIMIT, RAW};

const WIDTH: f64 = 760.0;
/// Where bars begin; names stand left of it.
const LEFT: f64 = 230.0;
/// Right of the longest bar, for its value.
const RIGHT: f64 = 110.0;
const BAR: f64 = 16.0;
const GAP: f64 = 5.0;
const TITLE: f64 = 26.0;
/// Beyond this ratio of the largest to the smallest value a scale is logarithmic.
const LINEAR_UP_TO: f64 = 40.0;

/// Colours that stay apart for the colour-blind, on light and on dark ground.
const STYLE: &str = "text{font:12px sans-serif;fill:#24292f}.t{font-weight:bold}.n{text-anchor:end}\
.raw{fill:#8c959f}.limit{fill:#56b4e9}.own{fill:#0072b2}.peer{fill:#e69f00}\
.s{stroke:#24292f;stroke-width:1}.g{stroke:#009e73;stroke-width:2}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{stroke:#e6edf3}}";

/// The picture as SVG; `None` when the row has no numbers. `is_peer` tells which targets are compared with.
pub(super) fn svg(row: &RowReport, is_peer: impl Fn(&str) -> bool) -> Option<String> {
    let mut body = String::new();
    let mut y = 0.0;
    let mut metrics: Vec<&str> = row.measures.iter().map(|measure| measure.metric.as_str()).collect();
    metrics.dedup();
    for metric in metrics {
        let group: Vec<&Measure> =
            row.measures.iter().filter(|one| one.metric == metric && one.value.is_some()).collect();
        let Some(scale) = Scale::of(&group) else { continue };
        let unit = group.first().map_or("", |one| one.unit);
        let kind = if scale.logarithmic { ", logarithmic" } else { "" };
        y += TITLE;
        let _ = write!(
            body,
            r#"<text class="t" x="4" y="{:.1}">{} ({unit}{kind})</text>"#,
            y - 8.0,
            escape(metric)
        );
        for one in group {
            bar(&mut body, y, one, &scale, class(&one.target, &is_peer));
            y += BAR + GAP;
        }
    }
    if body.is_empty() {
        return None;
    }
    let height = y + GAP;
    let title = escape(row.row);
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\"><style>{STYLE}</style>{body}</svg>\n"
    ))
}

fn class(target: &str, is_peer: &impl Fn(&str) -> bool) -> &'static str {
    match target {
        RAW => "raw",
        LIMIT => "limit",
        target if is_peer(target) => "peer",
        _ => "own",
    }
}

fn bar(body: &mut String, y: f64, one: &Measure, scale: &Scale, class: &str) {
    let value = one.value.unwrap_or_default();
    let (middle, text) = (y + BAR / 2.0, y + BAR - 4.0);
    let end = scale.x(value);
    let _ = write!(
        body,
        r#"<text class="n" x="{:.1}" y="{text:.1}">{}</text><rect class="{class}" x="{LEFT}" y="{y:.1}" width="{:.1}" height="{BAR}"/>"#,
        LEFT - 8.0,
        escape(&one.target),
        (end - LEFT).max(1.0),
    );
    let mut right = end;
    if let Some((low, high)) = one.spread {
        let (from, to) = (scale.x(low), scale.x(high));
        right = right.max(to);
        let _ = write!(body, r#"<path class="s" d="M{from:.1} {middle:.1}H{to:.1}"/>"#);
    }
    if let Some(goal) = one.goal.and_then(|goal| goal.in_units_of(one)) {
        let x = scale.x(goal);
        let _ = write!(body, r#"<path class="g" d="M{x:.1} {y:.1}v{BAR}"/>"#);
    }
    let _ = write!(body, r#"<text x="{:.1}" y="{text:.1}">{}</text>"#, right + 6.0, number(value));
}

/// From values to places.
struct Scale {
    logarithmic: bool,
    /// The value at the left edge of a logarithmic scale.
    least: f64,
    most: f64,
}

impl Scale {
    fn of(group: &[&Measure]) -> Option<Self> {
        let values = group.iter().filter_map(|one| one.value);
        let least = values.clone().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        // Spreads are cut off where they would make every bar short.
        let most = values.fold(0.0, f64::max) * 1.15;
        if group.is_empty() {
            return None;
        }
        let logarithmic = least.is_finite() && most / least > LINEAR_UP_TO;
        Some(Self { logarithmic, least: least / 2.0, most })
    }

    fn x(&self, value: f64) -> f64 {
        let share = match (self.logarithmic, self.most > 0.0) {
            (_, false) => 0.0,
            (false, true) => value / self.most,
            (true, true) => (value / self.least).ln() / (self.most / self.least).ln(),
        };
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Goal, Of};

    fn row(values: &[(&str, f64)]) -> RowReport {
        let measures = values.iter().map(|(target, value)| {
            Measure::new("p50", target, "µs").with_value(
                *value,
                (value * 0.9, value * 1.1),
                /*samples*/ 2,
            )
        });
        RowReport { row: "echo", measures: measures.collect(), strangers_cpu: 0.0 }
    }

    #[test]
    fn every_target_has_a_bar_in_its_colour_and_markup_is_escaped() {
        let picture =
            svg(&row(&[(RAW, 10.0), (LIMIT, 12.0), ("a<b", 15.0), ("codex", 20.0)]), |name| name == "codex");
        let picture = picture.expect("there are numbers");
        for part in ["class=\"raw\"", "class=\"limit\"", "class=\"own\"", "class=\"peer\"", "a&lt;b", "15.0"]
        {
            assert!(picture.contains(part), "{part} in {picture}");
        }
        assert!(!picture.contains("logarithmic"));
    }

    #[test]
    fn values_far_apart_get_a_logarithmic_scale() {
        let picture = svg(&row(&[(RAW, 10.0), ("codex", 44_000.0)]), |_| false).expect("there are numbers");
        assert!(picture.contains("(µs, logarithmic)"), "{picture}");
    }

    #[test]
    fn longer_is_more_and_nothing_leaves_the_picture() {
        let group = row(&[(RAW, 10.0), ("codex", 20.0)]);
        let scale = Scale::of(&group.measures.iter().collect::<Vec<_>>()).expect("there are numbers");
        assert!(scale.x(10.0) < scale.x(20.0));
        assert_eq!((scale.x(-1.0), scale.x(1e9)), (LEFT, WIDTH - RIGHT));
    }

    #[test]
    fn a_goal_is_drawn_where_its_value_would_be() {
        let mut row = row(&[("own", 10.0)]);
        row.measures[0].goal = Some(Goal::AtMost(5.0, Of::Unit("µs")));
        assert!(svg(&row, |_| false).expect("there are numbers").contains("class=\"g\""));
    }

    #[test]
    fn a_row_without_numbers_has_no_picture() {
        let row =
            RowReport { row: "echo", measures: vec![Measure::new("p50", "a", "µs")], strangers_cpu: 0.0 };
        assert_eq!(svg(&row, |_| false), None);
    }
}
