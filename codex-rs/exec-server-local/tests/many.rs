//! A process that is prepared for thousands of children, with thousands of descriptors.
//!
//! A program of its own, because it changes the limit of open files and what the low numbers are for the whole process.

use std::os::fd::OwnedFd;

use codex_exec_server_local::os::{
    Command, Output, Size, Spawned, Stdin, Stdio, expect_many, read_output, spawn,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a script says, told by whoever reads `output` until it ends.
fn read_to_end(output: &OwnedFd) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        poll(&mut [PollFd::new(output, PollFlags::IN)], None).expect("poll works");
        match read_output(output, &mut buffer) {
            Ok(0) => return String::from_utf8(text).expect("it is text"),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("cannot read: {error}"),
        }
    }
}

fn run(script: &str, stdio: Stdio) -> String {
    let mut command = Command::new(["/bin/sh", "-c", script], "/");
    command.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    let Spawned { stdin, output, .. } = spawn(&Command { stdio, ..command }).expect("it starts");
    drop(stdin);
    match output {
        Output::Pipes { stdout, .. } => read_to_end(&stdout),
        Output::Pty { master } => read_to_end(&master).replace("\r\n", "\n"),
    }
}

#[test]
fn children_of_a_process_with_thousands_of_descriptors_have_three_and_the_limit_it_was_started_with() {
    let before = getrlimit(Resource::Nofile);
    let lower = Rlimit { current: Some(777), maximum: before.maximum };
    setrlimit(Resource::Nofile, lower).expect("a limit can be lowered");
    expect_many().expect("descriptors can be had");
    expect_many().expect("once is enough, twice does no harm");
    assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);

    // What the server holds of thousands of processes. Their ends are beyond every low number.
    let some = std::fs::File::open("/dev/null").expect("it is there");
    let held: Vec<OwnedFd> =
        (0..3_000).map(|_| fcntl_dupfd_cloexec(&some, 3).expect("the limit was raised")).collect();

    let pipes = Stdio::Pipes { stdin: Stdin::Null };
    // One of its own is the directory that `ls` reads.
    assert_eq!(run("exec ls -1 /proc/self/fd", pipes), "0\n1\n2\n3\n");
    assert_eq!(run("exec ls -1 /proc/self/fd", Stdio::Pipes { stdin: Stdin::Pipe }), "0\n1\n2\n3\n");
    assert_eq!(run("exec ls -1 /proc/self/fd", Stdio::Pty(Size::default())), "0\n1\n2\n3\n");
    assert_eq!(run("ulimit -n", pipes), "777\n");
    // More at a time than there are low numbers for, each with its own ends.
    std::thread::scope(|scope| {
        let together: Vec<_> =
            (0..100).map(|n| (n, scope.spawn(move || run(&format!("cat; echo {n}"), pipes)))).collect();
        for (n, one) in together {
            assert_eq!(one.join().expect("it runs"), format!("{n}\n"));
        }
    });
    drop(held);
}
