//! Output beyond what is asked for or held: what is shown, what is left out, and reading that.

use codex_exec_server_unified_exec::{OutputLimit, UnifiedExec, UnifiedExecError};

use crate::support::{ALL, shell, started, tests_near_and_far, until};

tests_near_and_far! {
    output_beyond_the_limit_loses_its_middle_which_can_be_read
    output_beyond_what_is_held_can_be_read
    output_that_is_gone_from_the_log_is_counted
    characters_stay_whole_wherever_output_is_cut
    bytes_that_are_no_text_are_shown_as_such_and_keep_their_places
    reading_beyond_what_was_said_is_refused
}

/// The numbers up to `n`, as `seq` writes them.
fn numbers(n: u32) -> String {
    (1..=n).map(|n| format!("{n}\n")).collect()
}

/// Everything from `offset` on, in steps; with how much was gone.
async fn read_on(
    exec: &UnifiedExec,
    process: codex_exec_server_unified_exec::ProcessNumber,
    mut offset: u64,
    limit: usize,
) -> (String, u64) {
    let (mut text, mut lost) = (String::new(), 0);
    loop {
        let report = exec.read(process, offset, OutputLimit::Bytes(limit)).await.expect("it is held");
        assert!(report.text.len() <= limit);
        assert_eq!(report.offset, offset + report.lost_bytes);
        text.push_str(&report.text);
        lost += report.lost_bytes;
        offset = report.next_offset;
        if report.is_end {
            return (text, lost);
        }
        assert!(!report.text.is_empty() || report.lost_bytes > 0, "there is progress");
    }
}

async fn output_beyond_the_limit_loses_its_middle_which_can_be_read(exec: UnifiedExec) {
    let mut command = shell("seq 2000");
    command.collect.max_output = OutputLimit::Bytes(1_000);
    let report = exec.exec_command(command).await.expect("it runs");
    let all = numbers(2_000);
    let omitted = report.output.omitted.expect("it is too much");
    let mark = format!(
        "\n[... {} bytes left out; read process {} from offset {} for them ...]\n",
        omitted.bytes, report.process, omitted.offset
    );
    let (head, tail) = report.output.text.split_once(&mark).expect("a mark");
    assert!(all.starts_with(head) && all.ends_with(tail) && report.output.text.len() <= 1_000);
    let begin = usize::try_from(omitted.offset).expect("small");
    let end = begin + usize::try_from(omitted.bytes).expect("small");
    assert_eq!((head.len(), all.len() - tail.len()), (begin, end));

    let read = exec.read(report.process, omitted.offset, ALL).await.expect("it is held");
    assert_eq!((read.text.as_str(), read.lost_bytes, read.is_end), (&all[begin..], 0, true));
    assert_eq!(read_on(&exec, report.process, /*offset*/ 0, /*limit*/ 700).await, (all, 0));
}

async fn output_beyond_what_is_held_can_be_read(exec: UnifiedExec) {
    let report = exec.exec_command(shell("seq 200000")).await.expect("it runs");
    let all = numbers(200_000);
    let omitted = report.output.omitted.expect("more than is held");
    assert_eq!(report.output.end_offset, all.len() as u64);
    assert!(report.output.text.starts_with("1\n2\n") && report.output.text.ends_with("\n200000\n"));
    let begin = usize::try_from(omitted.offset).expect("small");
    let read =
        exec.read(report.process, omitted.offset, OutputLimit::Bytes(5_000)).await.expect("it is held");
    assert!(all[begin..].starts_with(&read.text) && read.text.len() == 5_000 && !read.is_end);
    assert!(read_on(&exec, report.process, /*offset*/ 0, /*limit*/ 300_000).await == (all, 0));
}

async fn output_that_is_gone_from_the_log_is_counted(exec: UnifiedExec) {
    // 16 MiB: more than a log retains.
    let script = "yes 0123456789abcde | head -c 16777216";
    let report = exec.exec_command(shell(script)).await.expect("it runs");
    let (text, lost) = read_on(&exec, report.process, /*offset*/ 0, 1 << 20).await;
    assert!(lost > 0 && lost + text.len() as u64 == 16 << 20, "{lost} and {}", text.len());
    let line = usize::try_from(lost % 16).expect("small");
    assert!(text.starts_with(&"0123456789abcde\n"[line..]) && text.ends_with("0123456789abcde\n"));
}

async fn characters_stay_whole_wherever_output_is_cut(exec: UnifiedExec) {
    // One byte of three, and the rest only when it is asked for; the other stream in between.
    let script = "printf 'a\\342'; echo x >&2; read line; printf '\\202\\254b'; read line; printf '\\342'";
    let report = exec.exec_command(started(script)).await.expect("it runs");
    let number = report.process;
    let (text, _) = until(&exec, report, "x\n").await;
    let mut parts: Vec<char> = text.chars().collect();
    parts.sort_unstable();
    assert_eq!(parts, ['\n', 'a', 'x'], "half a character is not shown");
    let mut poke = crate::support::input("\n");
    poke.collect = crate::support::for_ms(0);
    let report = exec.write_stdin(number, poke).await.expect("it reads");
    let (text, _) = until(&exec, report, "b").await;
    assert_eq!(text, "€b");
    // What never becomes one is shown as such in the end.
    let report = exec.write_stdin(number, crate::support::input("\n")).await.expect("it reads");
    assert_eq!(report.output.text, "\u{fffd}");
    let (text, lost) = read_on(&exec, number, /*offset*/ 0, /*limit*/ 512).await;
    assert!(text.ends_with("€b\u{fffd}") && lost == 0, "{text:?}");
}

async fn bytes_that_are_no_text_are_shown_as_such_and_keep_their_places(exec: UnifiedExec) {
    let script = "head -c 3000 /dev/zero | tr '\\0' '\\377'; printf end";
    let mut command = shell(script);
    command.collect.max_output = OutputLimit::Bytes(900);
    let report = exec.exec_command(command).await.expect("it runs");
    assert!(report.output.text.len() <= 900 && report.output.text.ends_with("end"));
    assert_eq!(report.output.end_offset, 3_003);
    let read =
        exec.read(report.process, /*offset*/ 2_999, OutputLimit::Bytes(512)).await.expect("it is held");
    assert_eq!((read.text.as_str(), read.next_offset), ("\u{fffd}end", 3_003));
}

async fn reading_beyond_what_was_said_is_refused(exec: UnifiedExec) {
    let report = exec.exec_command(shell("printf abc")).await.expect("it runs");
    let read = exec.read(report.process, /*offset*/ 3, ALL).await.expect("the end is a place");
    assert_eq!((read.text.as_str(), read.is_end), ("", true));
    let refused = exec.read(report.process, /*offset*/ 4, ALL).await.expect_err("nothing is there");
    assert!(matches!(refused, UnifiedExecError::InvalidArgument(_)));
    assert_eq!(
        refused.to_string(),
        format!("offset 4 is beyond the 3 bytes that process {} has said so far", report.process)
    );
}
