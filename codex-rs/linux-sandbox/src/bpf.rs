//! Seccomp filters: tables of what happens to which call, as programs for the kernel's packet filter.
//!
//! Owns the form alone; which calls are in the tables stands in `calls`. A filter begins by killing what was made for
//! another architecture, since its numbers mean other calls.

use std::collections::BTreeMap;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is made.
    Allow,
    /// It fails with this error number.
    Errno(i32),
    /// The process ends.
    Kill,
    /// Whoever listens decides; without a listener it fails.
    Ask,
}

impl Action {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Errno(errno) => libc::SECCOMP_RET_ERRNO | (errno.cast_unsigned() & 0xffff),
            Self::Kill => libc::SECCOMP_RET_KILL_PROCESS,
            Self::Ask => libc::SECCOMP_RET_USER_NOTIF,
        }
    }
}

/// A condition on one argument, of which only the lower half is looked at: the kernel takes `int`s and `mode_t`s from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Argument `.0` equals `.1`.
    Equals(u32, u32),
    /// Argument `.0`, masked by `.1`, equals `.2`.
    Masked(u32, u32, u32),
    /// Argument `.0` has some of the bits `.1`.
    AnyOf(u32, u32),
}

/// One line of a table. The first whose call and conditions fit decides; a call without a line is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) call: libc::c_long,
    /// All must hold.
    pub(crate) when: Vec<When>,
    pub(crate) action: Action,
}

/// One instruction, with the kernel's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the sandbox knows the system calls of x86-64 and arm64 only");

// Offsets into `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

#[allow(clippy::cast_possible_truncation, reason = "the constants fit")]
mod op {
    pub(super) const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    pub(super) const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    pub(super) const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    pub(super) const ANY: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    pub(super) const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    pub(super) const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
    pub(super) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
}

fn step(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// Where the lower half of an argument lies; both architectures are little-endian.
fn argument(index: u32) -> u32 {
    ARGUMENTS + index * 8
}

/// The program of a table.
pub(crate) fn assemble(lines: &[Line]) -> Vec<Instruction> {
    let mut program = vec![
        step(op::LOAD, ARCH),
        jump(op::EQUAL, ARCHITECTURE, /*jt*/ 1, /*jf*/ 0),
        step(op::RETURN, Action::Kill.code()),
        step(op::LOAD, NUMBER),
    ];
    if cfg!(target_arch = "x86_64") {
        // The x32 interface: the same architecture by name, with other numbers. -1 is none of them; a tracer uses it
        // to skip a call.
        program.push(jump(op::AT_LEAST, 0x4000_0000, /*jt*/ 0, /*jf*/ 1));
        program.push(step(op::RETURN, Action::Kill.code()));
    }
    let mut backwards = Backwards::default();
    let begin = backwards.search(&stretches(lines));
    if backwards.distance(begin) > 0 {
        let far = u32::try_from(backwards.distance(begin)).expect("a program is short");
        backwards.write(step(op::JUMP, far));
    }
    program.extend(backwards.written.iter().rev());
    program
}

/// Numbers from `first` to the next stretch, of which the same becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    first: u32,
    instructions: Vec<Instruction>,
}

/// All numbers, in order. Calls that stand side by side are one where the same becomes of them: the shorter a program is, the
/// less it costs to translate it, and that is done for every process.
fn stretches(lines: &[Line]) -> Vec<Stretch> {
    let mut calls: BTreeMap<u32, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        let number = u32::try_from(line.call).expect("a call's number is small");
        calls.entry(number).or_default().push(line);
    }
    let allowed = vec![step(op::RETURN, Action::Allow.code())];
    let mut stretches = vec![Stretch { first: 0, instructions: allowed.clone() }];
    let mut add = |first: u32, instructions: Vec<Instruction>| match stretches.last_mut() {
        Some(last) if last.instructions == instructions => {}
        Some(last) if last.first == first => last.instructions = instructions,
        _ => stretches.push(Stretch { first, instructions }),
    };
    for (&number, lines) in &calls {
        let mut instructions = Vec::new();
        let mut is_decided = false;
        for line in lines {
            instructions.extend(body(line));
            is_decided = line.when.is_empty();
            if is_decided {
                break;
            }
        }
        if !is_decided {
            instructions.extend(&allowed);
        }
        add(number, instructions);
        if !calls.contains_key(&(number + 1)) {
            add(number + 1, allowed.clone());
        }
    }
    stretches
}

/// A program that is written from its end: jumps lead forward only, so where they lead to is there already. What ends in the same
/// way shares that end.
#[derive(Default)]
struct Backwards {
    /// The last instruction first.
    written: Vec<Instruction>,
    /// Bodies of stretches, and where they begin.
    bodies: Vec<(Vec<Instruction>, usize)>,
}

impl Backwards {
    /// Finds a call by halves, and says where that begins. The kernel runs a new filter once for every call that there is, so a
    /// search that looks at one after the other is what installing it would cost most.
    fn search(&mut self, stretches: &[Stretch]) -> usize {
        match stretches {
            [] => self.stretch(&[step(op::RETURN, Action::Allow.code())]),
            [stretch] => self.stretch(&stretch.instructions),
            _ => {
                let (lower, upper) = stretches.split_at(stretches.len() / 2);
                let (middle, upper) = (upper[0].first, self.search(upper));
                let lower = self.search(lower);
                // What is written for the other must not take the first out of reach.
                let (upper, lower) = (self.in_reach(upper), self.in_reach(lower));
                let (jt, jf) = (self.distance(upper), self.distance(lower));
                let [jt, jf] = [jt, jf].map(|far| u8::try_from(far).expect("it is in reach"));
                self.write(jump(op::AT_LEAST, middle, jt, jf))
            }
        }
    }

    fn stretch(&mut self, instructions: &[Instruction]) -> usize {
        if let Some((_, begin)) = self.bodies.iter().find(|(body, _)| body == instructions) {
            return *begin;
        }
        self.written.extend(instructions.iter().rev());
        let begin = self.written.len() - 1;
        self.bodies.push((instructions.to_vec(), begin));
        begin
    }

    /// A place, or one from which that is reached.
    fn in_reach(&mut self, place: usize) -> usize {
        // One more may be written before the jump is.
        if self.distance(place) < usize::from(u8::MAX) {
            return place;
        }
        let far = u32::try_from(self.distance(place)).expect("a program is short");
        self.write(step(op::JUMP, far))
    }

    /// How many instructions lie between a place and what is written next.
    fn distance(&self, place: usize) -> usize {
        self.written.len() - 1 - place
    }

    fn write(&mut self, instruction: Instruction) -> usize {
        self.written.push(instruction);
        self.written.len() - 1
    }
}

/// What happens to the call of `line` if its conditions hold; otherwise what comes behind this.
fn body(line: &Line) -> Vec<Instruction> {
    let mut body = Vec::new();
    for when in &line.when {
        match *when {
            When::Equals(index, value) => {
                body.push(step(op::LOAD, argument(index)));
                body.push(jump(op::EQUAL, value, /*jt*/ 0, JUMP_OUT));
            }
            When::Masked(index, mask, value) => {
                body.push(step(op::LOAD, argument(index)));
                body.push(step(op::AND, mask));
                body.push(jump(op::EQUAL, value, /*jt*/ 0, JUMP_OUT));
            }
            When::AnyOf(index, bits) => {
                body.push(step(op::LOAD, argument(index)));
                body.push(jump(op::ANY, bits, /*jt*/ 0, JUMP_OUT));
            }
        }
    }
    body.push(step(op::RETURN, line.action.code()));
    let length = body.len();
    for (at, instruction) in body.iter_mut().enumerate() {
        let out = u8::try_from(length - at - 1).expect("a line has a few conditions");
        if [op::EQUAL, op::ANY].contains(&instruction.code) && instruction.jf == JUMP_OUT {
            instruction.jf = out;
        }
    }
    body
}

/// What a table says about one call: the same as its program.
pub(crate) fn decide(lines: &[Line], call: libc::c_long, arguments: [u64; 6]) -> Action {
    let lower = |index: u32| {
        let argument = usize::try_from(index).ok().and_then(|index| arguments.get(index)).copied();
        u32::try_from(argument.unwrap_or(0) & u64::from(u32::MAX)).unwrap_or(0)
    };
    let holds = |when: &When| match *when {
        When::Equals(index, value) => lower(index) == value,
        When::Masked(index, mask, value) => lower(index) & mask == value,
        When::AnyOf(index, bits) => lower(index) & bits != 0,
    };
    let decides = |line: &&Line| line.call == call && line.when.iter().all(holds);
    lines.iter().find(decides).map_or(Action::Allow, |line| line.action)
}

/// Stands for "behind this line" until the line's length is known.
const JUMP_OUT: u8 = u8::MAX;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const HERE: u32 = ARCHITECTURE;

    /// What the kernel's interpreter would do.
    pub(crate) fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number.to_le_bytes());
        data.extend(arch.to_le_bytes());
        data.extend(0_u64.to_le_bytes());
        for argument in arguments {
            data.extend(argument.to_le_bytes());
        }
        let (mut at, mut a) = (0, 0_u32);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            match code {
                op::LOAD => {
                    let offset = k as usize;
                    a = u32::from_le_bytes(data[offset..offset + 4].try_into().expect("four bytes"));
                }
                op::AND => a &= k,
                op::EQUAL => at += usize::from(if a == k { jt } else { jf }),
                op::ANY => at += usize::from(if a & k != 0 { jt } else { jf }),
                op::AT_LEAST => at += usize::from(if a >= k { jt } else { jf }),
                op::JUMP => at += k as usize,
                op::RETURN => return k,
                other => panic!("unknown instruction {other}"),
            }
        }
    }

    #[test]
    fn the_first_line_that_fits_decides_and_other_calls_are_allowed() {
        let table = [
            Line { call: 41, when: vec![When::Equals(0, 2)], action: Action::Allow },
            Line { call: 41, when: vec![When::Masked(1, 0xf, 3)], action: Action::Errno(3) },
            Line { call: 41, when: vec![], action: Action::Errno(1) },
            Line { call: 56, when: vec![When::AnyOf(0, 0x30), When::Equals(1, 7)], action: Action::Errno(2) },
        ];
        let program = assemble(&table);
        let run = |number: u32, a0, a1| {
            let ran = run(&program, ARCHITECTURE, number, [a0, a1, 0, 0, 0, 0]);
            // The table alone comes to the same.
            assert_eq!(decide(&table, number.into(), [a0, a1, 0, 0, 0, 0]).code(), ran);
            ran
        };
        assert_eq!(run(/*number*/ 41, /*a0*/ 2, /*a1*/ 3), libc::SECCOMP_RET_ALLOW);
        assert_eq!(run(/*number*/ 41, /*a0*/ 1, /*a1*/ 0xf3), libc::SECCOMP_RET_ERRNO | 3);
        assert_eq!(run(/*number*/ 41, /*a0*/ 1, /*a1*/ 4), libc::SECCOMP_RET_ERRNO | 1);
        assert_eq!(run(/*number*/ 56, /*a0*/ 0x10, /*a1*/ 7), libc::SECCOMP_RET_ERRNO | 2);
        assert_eq!(run(/*number*/ 56, /*a0*/ 0x40, /*a1*/ 7), libc::SECCOMP_RET_ALLOW);
        assert_eq!(run(/*number*/ 56, /*a0*/ 0x20, /*a1*/ 8), libc::SECCOMP_RET_ALLOW);
        assert_eq!(run(/*number*/ 57, /*a0*/ 0, /*a1*/ 0), libc::SECCOMP_RET_ALLOW);
        // The upper half does not matter, as the kernel ignores it too.
        assert_eq!(run(/*number*/ 41, 2 | (1 << 32), /*a1*/ 0), libc::SECCOMP_RET_ALLOW);
    }

    #[test]
    fn every_call_is_found_in_a_long_table_and_none_that_is_not_in_it() {
        // So long that some jumps do not fit into their byte.
        let line = |call: u32| {
            let when = vec![When::Equals(0, call), When::AnyOf(1, 1)];
            [
                Line { call: (3 * call).into(), when, action: Action::Errno(call.cast_signed()) },
                Line { call: (3 * call).into(), when: vec![When::AnyOf(2, 2)], action: Action::Errno(1000) },
            ]
        };
        let table: Vec<Line> = (1..=150).flat_map(line).collect();
        let program = assemble(&table);
        for number in 0..500 {
            for arguments in [[0; 6], [u64::from(number / 3), 1, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0]] {
                let ran = run(&program, ARCHITECTURE, number, arguments);
                assert_eq!(decide(&table, number.into(), arguments).code(), ran, "{number} {arguments:?}");
            }
        }
    }

    #[test]
    fn calls_side_by_side_of_which_the_same_becomes_are_looked_for_once() {
        let refused = |call| Line { call, when: Vec::new(), action: Action::Errno(1) };
        let lines = [
            refused(/*call*/ 0),
            refused(/*call*/ 7),
            refused(/*call*/ 8),
            refused(/*call*/ 9),
            refused(/*call*/ 11),
        ];
        let firsts: Vec<_> = stretches(&lines).into_iter().map(|stretch| stretch.first).collect();
        assert_eq!(firsts, [0, 1, 7, 10, 11, 12]);
        let program = assemble(&lines);
        for number in 0..20 {
            let ran = run(&program, ARCHITECTURE, number, [0; 6]);
            assert_eq!(decide(&lines, number.into(), [0; 6]).code(), ran, "{number}");
        }
    }

    #[test]
    fn calls_of_other_architectures_end_the_process() {
        let program = assemble(&[]);
        assert_eq!(
            run(&program, /*arch*/ 0x4000_0003, /*number*/ 11, [0; 6]),
            libc::SECCOMP_RET_KILL_PROCESS
        );
        #[cfg(target_arch = "x86_64")]
        assert_eq!(run(&program, ARCHITECTURE, 0x4000_0000 | 59, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
