//! The same gigabyte as binary messages, from servers that offer them, in turn with the same as JSON text.

use super::Plan;
use super::output_json::{TextFile, alternate, producers};
use crate::error::BenchError;
use crate::report::Measure;
use crate::transfer::{Contender, Form};

pub(super) fn run(plan: &Plan) -> Result<Vec<Measure>, BenchError> {
    let file = TextFile::create()?;
    let rounds = plan.choose(/*thorough*/ 5, /*quick*/ 2);
    let mut measures = Vec::new();
    for (name, producer) in producers(plan, &file) {
        // In pairs: the two forms of one server meet the same disturbances.
        let forms = [Form::Json, Form::Binary];
        let pairs = plan.targets.iter().flat_map(|spec| forms.map(|form| Contender::new(spec, form)));
        let mut contenders: Vec<_> = pairs.collect();
        measures.push(alternate(name, &producer, &mut contenders, rounds));
        for pair in contenders.chunks_exact(forms.len()) {
            let [json, binary] = pair else { continue };
            let rate =
                binary.measure(&format!("{name} rate"), "MB/s", |transfer| transfer.megabytes_per_second);
            let note = rate.note.clone();
            let failed = rate.met;
            measures.push(rate);
            let over = Measure::new(&format!("{name} rate over JSON"), binary.name(), "×");
            let medians = [json, binary].map(|form| form.median(|transfer| transfer.megabytes_per_second));
            measures.push(match medians {
                [Some(json), Some(binary)] => {
                    over.with_value(binary / json, (0.0, 0.0), /*samples*/ 1)
                }
                _ => Measure { note, met: failed, ..over },
            });
            let cpu = format!("{name} server cpu");
            measures.push(binary.measure(&cpu, "s/GiB", |transfer| transfer.cpu_seconds_per_gib));
            let peak = format!("{name} peak above idle");
            measures.push(binary.measure(&peak, "MiB", |transfer| transfer.peak_mib));
        }
    }
    Ok(measures)
}
