//! The shared examples of `schema/vectors/ordering.json`: what a sequencer delivers, for every order of arrival.

use codex_exec_server_core::sequencer::Sequencer;
use codex_exec_server_protocol::ids::Seq;
use serde_json::Value;

fn number(value: &Value) -> Seq {
    Seq(value.as_u64().unwrap_or_else(|| panic!("{value} is no number")))
}

fn numbers(value: &Value) -> Vec<Seq> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().map(number).collect()
}

#[test]
fn every_order_of_arrival_is_delivered_as_its_example_says() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../../schema/vectors/ordering.json")).unwrap();
    assert!(!cases.is_empty());
    for case in &cases {
        let name = &case["name"];
        let mut sequencer = Sequencer::new(usize::try_from(number(&case["limit"]).0).unwrap());
        for step in case["steps"].as_array().unwrap() {
            if let Some(seq) = step.get("skipThrough") {
                assert_eq!(sequencer.skip_through(number(seq)), numbers(&step["deliver"]), "{name}: {step}");
                continue;
            }
            let seq = number(&step["arrive"]);
            match (sequencer.accept(seq, seq), step.get("missing")) {
                (Ok(delivered), None) => assert_eq!(delivered, numbers(&step["deliver"]), "{name}: {step}"),
                (Err(error), Some(missing)) => assert_eq!(error.missing, number(missing), "{name}: {step}"),
                (outcome, _) => panic!("{name}: {step} gave {outcome:?}"),
            }
        }
        assert_eq!(sequencer.delivered(), number(&case["delivered"]), "{name}");
        assert_eq!(Some(sequencer.has_gap()), case["gap"].as_bool(), "{name}");
    }
}
