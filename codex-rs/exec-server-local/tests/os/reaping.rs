//! How an end is reported, and to whom signals go.

use std::time::Duration;

use codex_exec_server_local::os::{Signal, Status, spawn};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::support::{read_line, read_to_end, readable, run, shell, shell_on_terminal, stdout_of, wait};

#[test]
fn a_code_is_a_code_and_a_signal_is_128_more() {
    for command in [shell, shell_on_terminal] {
        let exit = run(&command("exit 7")).exit;
        assert_eq!((exit.status, exit.code()), (Status::Exited(7), 7));
        let exit = run(&command("kill -9 $$")).exit;
        assert_eq!((exit.status, exit.code()), (Status::Signalled(9), 137));
    }
}

#[test]
fn a_child_that_is_alive_has_no_exit_and_a_dead_one_keeps_it() {
    let spawned = spawn(&crate::support::shell_with_stdin("read line; exit 3")).expect("starts");
    assert_eq!(spawned.child.try_wait().expect("it is ours"), None);
    drop(spawned.stdin);
    let exit = wait(&spawned.child);
    assert_eq!(exit.code(), 3);
    assert_eq!(spawned.child.try_wait().expect("it was ours"), Some(exit));
    assert!(!spawned.child.signal(Signal::KILL).expect("nobody is there"));
}

#[test]
fn usage_counts_time_and_memory() {
    let busy = run(&shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")).exit.usage;
    assert!(busy.user + busy.system > Duration::from_millis(5), "{busy:?}");
    let megabytes_300 = "exec dd if=/dev/zero of=/dev/null bs=300M count=1";
    let large = run(&shell(megabytes_300)).exit.usage.max_rss_bytes;
    assert!(large.is_some_and(|bytes| (300 << 20..400 << 20).contains(&bytes)), "{large:?}");
}

#[test]
fn memory_below_the_servers_own_is_not_claimed_to_be_known() {
    let own = vec![1_u8; 64 << 20];
    let small = run(&shell("exit 0")).exit.usage.max_rss_bytes;
    drop(std::hint::black_box(own));
    assert_eq!(small, None);
}

#[test]
fn a_group_can_be_signalled_after_its_leader_is_reaped_and_only_while_somebody_is_in_it() {
    let spawned = spawn(&shell("echo $$; sleep 1000 & echo $!; exec >&-")).expect("starts");
    wait(&spawned.child);
    let output = stdout_of(&spawned);
    let mut numbers = read_line(output);
    while numbers.lines().count() < 2 {
        numbers += &read_line(output);
    }
    let sleeper: i32 = numbers.lines().nth(1).expect("two lines").parse().expect("a number");
    let sleeper = Pid::from_raw(sleeper).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let sleeper = sleeper.expect("it is alive");
    if spawned.child.signal_group(Signal::TERM).expect("may be signalled") {
        readable(&sleeper);
        // It held the pipe.
        assert_eq!(read_to_end(output), "");
    } else {
        // Before Linux 6.9 the group cannot be named safely any more, so the sleeper is left alone.
        codex_exec_server_local::os::kill_tree(&spawned.child, crate::support::soon())
            .expect("/proc is mounted");
    }
}
