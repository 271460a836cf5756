//! Following a process: order, pace, and what a subscriber misses.

use codex_exec_server_core::process_event::{ExecProcessEvent, Proof};
use codex_exec_server_protocol::ids::Seq;
use codex_exec_server_testkit::patiently;

use crate::place::Backend;
use crate::steps::{Seen, fed, next, numbers, shell, start, text};

cases! {
    everywhere {
        events_come_in_order_and_each_once
        a_process_that_says_nothing_exits_and_closes
        a_subscriber_that_comes_late_is_given_the_past_first
        a_subscriber_may_begin_in_the_middle
        a_subscriber_behind_the_end_has_nothing_to_wait_for
        a_subscriber_beyond_the_end_is_told_what_comes_there_or_the_end
        subscribers_at_different_pace_each_have_everything
        a_wait_that_is_given_up_loses_no_event
    }
    not_on_reference {
        output_within_what_is_retained_arrives_whole_however_slow_the_reader: "it retains 1 MiB"
        a_subscriber_that_stalls_has_everything_or_is_told_how_much_is_gone: "it does not count what it drops"
        everything_seen_is_proven_by_a_checksum: "it counts no bytes and has no checksum"
    }
}

async fn events_come_in_order_and_each_once(backend: Backend) {
    let process = start(&backend, shell("p", "echo a; echo b >&2; echo c; exit 3")).await;
    assert_eq!(process.id().as_str(), "p");
    let seen = Seen::all(&process).await;
    assert_eq!((text(&seen.stdout), text(&seen.stderr)), ("a\nc\n".into(), "b\n".into()));
    assert_eq!((seen.code(), seen.gaps), (3, 0));
}

async fn a_process_that_says_nothing_exits_and_closes(backend: Backend) {
    let process = start(&backend, shell("p", "exit 0")).await;
    let mut events = process.subscribe(Seq::START);
    assert!(matches!(next(&mut events).await, ExecProcessEvent::Exited { seq: Seq(1), .. }));
    assert!(matches!(next(&mut events).await, ExecProcessEvent::Closed { seq: Seq(2), .. }));
}

async fn a_subscriber_that_comes_late_is_given_the_past_first(backend: Backend) {
    let process = start(&backend, fed("p", "echo early; read line; echo $line")).await;
    let mut first = Seen::default();
    let mut events = process.subscribe(Seq::START);
    first.until(&mut events, "early\n").await;

    let mut second = Seen::default();
    let mut late = process.subscribe(Seq::START);
    second.until(&mut late, "early\n").await;
    process.write("now\n".into()).await.expect("it reads");
    first.until_closed(&mut events).await;
    second.until_closed(&mut late).await;

    // When all is over, too.
    for seen in [first, second, Seen::all(&process).await] {
        assert_eq!((text(&seen.stdout), seen.code(), seen.gaps), ("early\nnow\n".into(), 0, 0));
    }
}

async fn a_subscriber_may_begin_in_the_middle(backend: Backend) {
    let process = start(&backend, fed("p", "echo a; read line; echo b >&2")).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.until(&mut events, "a\n").await;
    let middle = seen.last();
    process.write("\n".into()).await.expect("it reads");
    seen.until_closed(&mut events).await;
    // Before and after the end it is the same.
    let mut rest = Seen::after(middle);
    rest.until_closed(&mut process.subscribe(middle)).await;
    assert_eq!((text(&rest.stdout), text(&rest.stderr)), (String::new(), "b\n".into()));
    assert_eq!((rest.proof, rest.code()), (Some(Proof::Numbering), 0));
}

async fn a_subscriber_behind_the_end_has_nothing_to_wait_for(backend: Backend) {
    let process = start(&backend, shell("p", "echo a")).await;
    let seen = Seen::all(&process).await;
    // At the close and beyond it, whether there is an event there or never will be.
    for after in [seen.last(), seen.last().next(), Seq(seen.last().0 + 1000)] {
        assert!(patiently("the end", process.subscribe(after).next()).await.is_none(), "{after:?}");
    }
    assert_eq!(text(&Seen::all(&process).await.stdout), "a\n", "the others are told everything");
}

async fn a_subscriber_beyond_the_end_is_told_what_comes_there_or_the_end(backend: Backend) {
    let process = start(&backend, fed("p", "read line; echo a; read line")).await;
    // The output is the first event, and nothing comes behind the thousandth.
    let (mut near, mut far) = (process.subscribe(Seq(1)), process.subscribe(Seq(1000)));
    process.write("\n".into()).await.expect("it reads");
    process.write("\n".into()).await.expect("it reads");
    assert!(matches!(next(&mut near).await, ExecProcessEvent::Exited { seq: Seq(2), .. }));
    assert!(matches!(next(&mut near).await, ExecProcessEvent::Closed { seq: Seq(3), .. }));
    assert!(patiently("the end", far.next()).await.is_none());
}

async fn subscribers_at_different_pace_each_have_everything(backend: Backend) {
    // Well below what the reference retains.
    let process = start(&backend, shell("p", "seq 50000; exit 1")).await;
    let (mut quick, mut slow) = (process.subscribe(Seq::START), process.subscribe(Seq::START));
    let mut behind = Seen::default();
    behind.take(next(&mut slow).await);
    let mut ahead = Seen::default();
    ahead.until_closed(&mut quick).await;
    assert!(ahead.stdout == numbers(50_000));
    behind.until_closed(&mut slow).await;
    assert!(behind.stdout == numbers(50_000));
    assert_eq!((ahead.gaps, behind.gaps, behind.code()), (0, 0, 1));
}

async fn a_wait_that_is_given_up_loses_no_event(backend: Backend) {
    let process = start(&backend, fed("p", "while read line; do echo $line; done")).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    for n in 0..50 {
        // Given up before, while, or after the answer comes.
        tokio::select! {
            biased;
            written = process.write(format!("{n}\n").into()) => written.expect("it reads"),
            event = events.next() => seen.take(event.expect("it runs").expect("it adds up")),
        }
        let mut waiting = events.next();
        if let std::task::Poll::Ready(Some(event)) =
            std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx))).await
        {
            drop(waiting);
            seen.take(event.expect("it adds up"));
        }
    }
    process.terminate(/*grace*/ None).await.expect("it runs");
    seen.until_closed(&mut events).await;
    assert_eq!(seen.gaps, 0);
}

async fn output_within_what_is_retained_arrives_whole_however_slow_the_reader(backend: Backend) {
    let process = start(&backend, shell("p", "seq 750000; seq 3 >&2")).await;
    let mut seen = Seen::default();
    let mut events = process.subscribe(Seq::START);
    seen.take(next(&mut events).await);
    // It stops until the process has ended, or waits for it.
    let mut other = Seen::default();
    other.until_closed(&mut process.subscribe(Seq::START)).await;
    seen.until_closed(&mut events).await;
    for seen in [seen, other] {
        assert_eq!(seen.gaps, 0);
        assert!(seen.stdout == numbers(750_000));
        assert_eq!(seen.stderr, numbers(3));
    }
}

async fn a_subscriber_that_stalls_has_everything_or_is_told_how_much_is_gone(backend: Backend) {
    const BYTES: usize = 16 << 20;
    let script = format!("yes 0123456789abcde | head -c {BYTES}; exit 2");
    let process = start(&backend, shell("p", &script)).await;
    let (mut quick, mut stalled) = (process.subscribe(Seq::START), process.subscribe(Seq::START));
    // The stalled one holds up neither the process nor the other, which may fall behind as well when it has to come
    // over a connection: then it is told just as exactly.
    let mut ahead = Seen::default();
    ahead.until_closed(&mut quick).await;
    assert_eq!(ahead.lost + ahead.stdout.len() as u64, BYTES as u64);
    let mut behind = Seen::default();
    behind.until_closed(&mut stalled).await;
    assert_eq!(behind.lost + behind.stdout.len() as u64, BYTES as u64);
    let proof = if behind.gaps > 0 { Proof::Gap } else { Proof::Checksum };
    assert_eq!((behind.code(), behind.proof, behind.gaps > 0), (2, Some(proof), behind.lost > 0));
    assert!(behind.stdout.ends_with(b"0123456789abcde\n"));
}

async fn everything_seen_is_proven_by_a_checksum(backend: Backend) {
    let process = start(&backend, shell("p", "seq 20000; seq 9 >&2")).await;
    let seen = Seen::all(&process).await;
    assert_eq!(seen.proof, Some(Proof::Checksum));
}
