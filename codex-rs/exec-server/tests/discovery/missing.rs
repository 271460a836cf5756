//! `fs/watchMissing`

use std::fs;

use serde_json::{Value, json};

use crate::machine::Machine;

machine_cases! {
    everywhere {
        what_comes_into_existence_is_told_once
        a_parent_that_comes_or_goes_is_told
        what_is_elsewhere_is_not_told
        the_newest_takes_the_place_of_the_one_before
        names_count_upwards_from_one
        nothing_is_watched_where_nothing_would_be_told
        of_a_path_that_exists_every_change_is_told
        each_connection_has_its_own
    }
    not_on_reference {
        a_parent_far_above_that_goes_is_told: "it looks at the nearest one alone"
        one_that_is_ended_tells_nothing: "it has no fs/unwatch"
    }
}

async fn watch(machine: &mut Machine, id: u64, missing: &[String]) -> bool {
    set(machine, json!({"watchId": id, "missing": missing})).await
}

async fn set(machine: &mut Machine, params: Value) -> bool {
    let answer = machine.client.done("fs/watchMissing", params).await;
    answer["watching"].as_bool().expect("a flag")
}

/// The next word is about the watch with this name.
async fn told(machine: &mut Machine, id: u64) {
    let notification = machine.client.next_notification().await;
    assert_eq!(notification, ("fs/missingChanged".to_owned(), json!({"watchId": id})));
}

async fn what_comes_into_existence_is_told_once(machine: &mut Machine) {
    let paths = [machine.uri("a"), machine.uri("b")];
    assert!(watch(machine, /*id*/ 1, &paths).await);
    machine.file("b", "");
    told(machine, /*id*/ 1).await;
    machine.file("a", "");
    // Also a link that leads nowhere, and what is moved here.
    let link = machine.uri("link");
    assert!(watch(machine, /*id*/ 2, &[link]).await);
    machine.link("nowhere", "link");
    told(machine, /*id*/ 2).await;
    let moved = machine.uri("moved");
    assert!(watch(machine, /*id*/ 3, &[moved]).await);
    fs::rename(machine.path("a"), machine.path("moved")).expect("it can be moved");
    told(machine, /*id*/ 3).await;
}

async fn a_parent_that_comes_or_goes_is_told(machine: &mut Machine) {
    let deep = machine.uri("a/b/c/d");
    assert!(watch(machine, /*id*/ 1, std::slice::from_ref(&deep)).await);
    machine.folder("a");
    told(machine, /*id*/ 1).await;
    assert!(watch(machine, /*id*/ 2, std::slice::from_ref(&deep)).await);
    machine.folder("a/b");
    told(machine, /*id*/ 2).await;
    assert!(watch(machine, /*id*/ 3, std::slice::from_ref(&deep)).await);
    fs::remove_dir(machine.path("a/b")).expect("it is empty");
    told(machine, /*id*/ 3).await;
    assert!(watch(machine, /*id*/ 4, &[deep]).await);
    fs::rename(machine.path("a"), machine.path("elsewhere")).expect("it can be moved");
    told(machine, /*id*/ 4).await;
}

async fn a_parent_far_above_that_goes_is_told(machine: &mut Machine) {
    machine.folder("a/b/c");
    let deep = machine.uri("a/b/c/d");
    assert!(watch(machine, /*id*/ 1, &[deep]).await);
    fs::rename(machine.path("a"), machine.path("elsewhere")).expect("it can be moved");
    told(machine, /*id*/ 1).await;
}

async fn what_is_elsewhere_is_not_told(machine: &mut Machine) {
    machine.folder("d");
    let (missing, other) = (machine.uri("d/x/y"), machine.uri("z"));
    assert!(watch(machine, /*id*/ 1, &[missing]).await);
    machine.file("d/xy", "");
    machine.file("y", "");
    fs::remove_file(machine.path("d/xy")).expect("it is there");
    // Were it told, it would be told before this.
    assert!(watch(machine, /*id*/ 2, &[other]).await);
    machine.file("z", "");
    told(machine, /*id*/ 2).await;
}

async fn the_newest_takes_the_place_of_the_one_before(machine: &mut Machine) {
    let (a, b) = (machine.uri("a"), machine.uri("b"));
    assert!(watch(machine, /*id*/ 1, &[a]).await);
    assert!(watch(machine, /*id*/ 2, &[b]).await);
    machine.file("a", "");
    machine.file("b", "");
    told(machine, /*id*/ 2).await;
}

async fn names_count_upwards_from_one(machine: &mut Machine) {
    let (missing, there) = (machine.uri("missing"), machine.folder("there"));
    for (id, path, watching) in [
        (0, &missing, false),
        (1, &missing, true),
        (1, &missing, false),
        (7, &missing, true),
        (6, &missing, false),
        (8, &there, false),
        // It was used, though for nothing.
        (8, &missing, false),
        (9, &missing, true),
        (u64::MAX, &missing, true),
        (u64::MAX, &missing, false),
    ] {
        assert_eq!(watch(machine, id, std::slice::from_ref(path)).await, watching, "{id}");
    }
    machine.file("missing", "");
    told(machine, u64::MAX).await;
}

async fn nothing_is_watched_where_nothing_would_be_told(machine: &mut Machine) {
    machine.folder("real");
    machine.file("file", "");
    let (link, below_link) = (machine.link("nowhere", "broken"), machine.link("real", "link") + "/x");
    let many = |count: usize| (0..count).map(|number| machine.uri(&format!("m{number}"))).collect::<Vec<_>>();
    let long = machine.uri(&"n".repeat(300));
    let (missing, below_file) = (machine.uri("missing"), machine.uri("file/x"));
    let cases: Vec<(Vec<String>, bool)> = vec![
        (vec![], false),
        (vec![missing.clone()], true),
        (vec![missing.clone(), machine.uri("real")], false),
        (vec![link], false),
        (vec![below_link], false),
        (vec![below_file], false),
        (vec![long], false),
        (vec!["file:///C:/x".into()], false),
        (vec!["file://host/x".into()], false),
        (vec!["file:///proc/no-such-thing".into()], false),
        (many(/*count*/ 64), true),
        (many(/*count*/ 65), false),
    ];
    let mut id = 0;
    for (missing, watching) in cases {
        id += 1;
        assert_eq!(watch(machine, id, &missing).await, watching, "{missing:?}");
    }
    for params in [
        json!({"watchId": 100, "missing": [missing], "present": machine.uri("none")}),
        json!({"watchId": 101, "missing": [missing], "present": machine.uri("link")}),
        json!({"watchId": 102, "missing": [], "present": machine.uri("file")}),
    ] {
        assert!(!set(machine, params.clone()).await, "{params}");
    }
    for params in [
        json!({"watchId": -1, "missing": [missing]}),
        json!({"watchId": 103, "missing": ["relative"]}),
        json!({"watchId": 103}),
        json!({"watchId": 103, "missing": [missing], "present": ["file:///"]}),
    ] {
        assert_eq!(machine.client.refused("fs/watchMissing", params).await.code, -32602);
    }
}

async fn of_a_path_that_exists_every_change_is_told(machine: &mut Machine) {
    type Change = fn(&Machine);
    let changes: [(&str, Change); 4] = [
        ("file", |machine| drop(machine.file("file", "more"))),
        ("file", |machine| fs::remove_file(machine.path("file")).expect("it is there")),
        ("file", |machine| {
            machine.file("new", "");
            fs::rename(machine.path("new"), machine.path("file")).expect("it can be moved");
        }),
        ("folder", |machine| fs::remove_dir(machine.path("folder")).expect("it is empty")),
    ];
    for (id, (name, change)) in (1..).zip(changes) {
        machine.file("file", "");
        machine.folder("folder");
        let params = json!({"watchId": id, "missing": [machine.uri("x")], "present": machine.uri(name)});
        assert!(set(machine, params).await, "{id}");
        change(machine);
        told(machine, id).await;
    }
}

async fn each_connection_has_its_own(machine: &mut Machine) {
    let mut other = machine.another().await;
    let missing = machine.uri("x");
    assert!(watch(machine, /*id*/ 1, std::slice::from_ref(&missing)).await);
    let params = json!({"watchId": 1, "missing": [missing]});
    assert_eq!(other.done("fs/watchMissing", params).await, json!({"watching": true}));
    machine.file("x", "");
    told(machine, /*id*/ 1).await;
    assert_eq!(other.next_notification().await.0, "fs/missingChanged");
}

async fn one_that_is_ended_tells_nothing(machine: &mut Machine) {
    let (x, y) = (machine.uri("x"), machine.uri("y"));
    assert!(watch(machine, /*id*/ 1, &[x]).await);
    machine.client.done("fs/unwatch", json!({"watchId": 1})).await;
    machine.file("x", "");
    assert!(watch(machine, /*id*/ 2, &[y]).await);
    machine.file("y", "");
    told(machine, /*id*/ 2).await;
}
