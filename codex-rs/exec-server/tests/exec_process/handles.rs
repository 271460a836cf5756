//! What becomes of a process when those who hold it let go.

use std::future::poll_fn;
use std::task::Poll;

use codex_exec_server_protocol::ids::Seq;

use crate::place::Backend;
use crate::steps::{Fifo, Seen, next, shell, start, text};

cases! {
    everywhere {
        a_subscription_that_is_dropped_ends_alone
        a_subscription_outlives_the_handle
        a_process_outlives_its_handles_and_whatever_it_still_says
        many_processes_run_side_by_side_and_are_not_mixed_up
        a_start_that_is_given_up_ends_the_process
    }
    not_on_reference {
        a_start_with_the_same_key_is_the_same_start: "it has no keys"
    }
}

async fn a_subscription_that_is_dropped_ends_alone(backend: Backend) {
    let process = start(&backend, shell("p", "echo a; echo b; exit 4")).await;
    let mut dropped = process.subscribe(Seq::START);
    next(&mut dropped).await;
    drop(dropped);
    let seen = Seen::all(&process).await;
    assert_eq!((text(&seen.stdout), seen.code()), ("a\nb\n".into(), 4));
}

async fn a_subscription_outlives_the_handle(backend: Backend) {
    let process = start(&backend, shell("p", "seq 5000; exit 4")).await;
    let mut events = process.subscribe(Seq::START);
    drop(process);
    let mut seen = Seen::default();
    seen.until_closed(&mut events).await;
    assert_eq!((seen.code(), seen.gaps), (4, 0));
}

async fn a_process_outlives_its_handles_and_whatever_it_still_says(backend: Backend) {
    let fifo = Fifo::new();
    // More than anything holds for a reader.
    let script = format!("head -c 20000000 /dev/zero; echo done > {}", fifo.path().display());
    let process = start(&backend, shell("p", &script)).await;
    let mut events = process.subscribe(Seq::START);
    next(&mut events).await;
    drop(events);
    drop(process);
    assert_eq!(fifo.open().await.rest().await, "done\n");
}

async fn many_processes_run_side_by_side_and_are_not_mixed_up(backend: Backend) {
    let mut running = Vec::new();
    for n in 0..40 {
        running.push(start(&backend, shell(&format!("p{n}"), &format!("echo {n}; exit {n}"))).await);
    }
    for (n, process) in (0..).zip(&running) {
        let seen = Seen::all(process).await;
        assert_eq!((text(&seen.stdout), seen.code()), (format!("{n}\n"), n));
    }
}

async fn a_start_that_is_given_up_ends_the_process(backend: Backend) {
    let mut number = 0;
    let (given_up, mut pipe) = loop {
        number += 1;
        let fifo = Fifo::new();
        let script = format!("exec 3>{}; echo started >&3; exec sleep 1000", fifo.path().display());
        let mut start = backend.start(shell(&format!("p{number}"), &script));
        // It is under way now, and goes on by itself. Where this thread stood still meanwhile it may be over as well, and
        // then there is nothing to give up.
        match poll_fn(|cx| Poll::Ready(start.as_mut().poll(cx))).await {
            Poll::Pending => {
                let mut pipe = fifo.open().await;
                assert_eq!(pipe.line().await, "started\n");
                break (start, pipe);
            }
            Poll::Ready(over) => drop(over.expect("it starts").terminate(/*grace*/ None).await),
        }
    };
    drop(given_up);
    // The process holds the other end for as long as it lives.
    assert_eq!(pipe.rest().await, "");
}

async fn a_start_with_the_same_key_is_the_same_start(backend: Backend) {
    let fifo = Fifo::new();
    let mut params = shell("p", &format!("echo ran >> {}", fifo.path().display()));
    params.request_key = Some("key".into());
    let first = start(&backend, params.clone()).await;
    drop(first);
    let again = start(&backend, params).await;
    // Both would block until the pipe is read, and each would write.
    assert_eq!(fifo.open().await.rest().await, "ran\n");
    assert_eq!(Seen::all(&again).await.code(), 0);
}
