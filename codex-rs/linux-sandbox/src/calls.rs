//! Which system calls a sandboxed process can't make.
//!
//! A list of what is refused and not of what is allowed: programs of every kind run here, and namespaces, the view of the
//! file system and Landlock hold by themselves. These are calls that reach around them, that reach into the kernel's more
//! fragile parts, or that leave behind what acts with more rights later.

use std::sync::OnceLock;

use codex_exec_server_protocol::sandbox::SandboxNetwork;
use libc::c_long;

use crate::bpf::{Action, Instruction, Line, When, assemble};
use crate::watched::{self, Watch};

const REFUSED: Action = Action::Errno(libc::EPERM);

/// Refused whatever their arguments are.
const ALWAYS: &[c_long] = &[
    // Another view of the file system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Other namespaces, other processes.
    libc::SYS_setns,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Keyrings know neither namespaces nor views.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Much kernel behind little need.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // The machine itself.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Newer calls that hide their flags behind a pointer, where a filter can't look. Programs fall back to the older ones.
const UNKNOWN: &[c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// `CLONE_NEWNS`, `…CGROUP`, `…UTS`, `…IPC`, `…USER`, `…PID` and `…NET`.
const NEW_NAMESPACE: u32 = 0x7e02_0000;
/// Of `unshare` alone; for `clone` the bit belongs to the signal.
const NEW_TIME_NAMESPACE: u32 = 0x80;

const SET_ID_BITS: u32 = libc::S_ISUID | libc::S_ISGID;

/// The filter of a process that may reach the network or not. Made once, as all of them.
pub(crate) fn filter(network: SandboxNetwork) -> &'static [Instruction] {
    static MADE: [OnceLock<Vec<Instruction>>; 2] = [const { OnceLock::new() }; 2];
    MADE[index(network)].get_or_init(|| assemble(&lines(network)))
}

/// What the filter refuses, as a table.
pub(crate) fn table(network: SandboxNetwork) -> &'static [Line] {
    static MADE: [OnceLock<Vec<Line>>; 2] = [const { OnceLock::new() }; 2];
    MADE[index(network)].get_or_init(|| lines(network))
}

/// The same filter, but what it refuses and what is watched is asked of a listener. So is every socket of a private network:
/// whether there was one decides whether that network can be used again.
pub(crate) fn witnessed(network: SandboxNetwork, watch: Watch) -> &'static [Instruction] {
    static MADE: [[OnceLock<Vec<Instruction>>; Watch::KINDS]; 2] =
        [const { [const { OnceLock::new() }; Watch::KINDS] }; 2];
    MADE[index(network)][watch.index()].get_or_init(|| {
        let mut lines = lines(network);
        let is_asked = |line: &Line| match network {
            SandboxNetwork::Restricted => line.action == REFUSED || makes_socket(line.call),
            SandboxNetwork::Enabled => line.action == REFUSED,
        };
        for line in lines.iter_mut().filter(|line| is_asked(line)) {
            line.action = Action::Ask;
        }
        lines.extend(watched::lines(watch));
        assemble(&lines)
    })
}

/// Whether a call makes sockets. All others need one to do anything to a network.
pub(crate) fn makes_socket(call: c_long) -> bool {
    call == libc::SYS_socket || call == libc::SYS_socketpair
}

/// Makes what processes of a closed network need, for those that are copies of this one.
pub(crate) fn make_ahead() {
    filter(SandboxNetwork::Restricted);
    table(SandboxNetwork::Restricted);
    for (changes, reads) in [(true, false), (true, true), (false, false)] {
        witnessed(SandboxNetwork::Restricted, Watch { changes, reads, addresses: true });
    }
}

fn index(network: SandboxNetwork) -> usize {
    match network {
        SandboxNetwork::Restricted => 0,
        SandboxNetwork::Enabled => 1,
    }
}

/// What a refused call is called.
pub(crate) fn name(call: c_long) -> String {
    const NAMES: [(c_long, &str); 18] = [
        (libc::SYS_ptrace, "ptrace"),
        (libc::SYS_process_vm_readv, "process_vm_readv"),
        (libc::SYS_process_vm_writev, "process_vm_writev"),
        (libc::SYS_socket, "socket"),
        (libc::SYS_socketpair, "socketpair"),
        (libc::SYS_mount, "mount"),
        (libc::SYS_umount2, "umount"),
        (libc::SYS_chroot, "chroot"),
        (libc::SYS_pivot_root, "pivot_root"),
        (libc::SYS_setns, "setns"),
        (libc::SYS_unshare, "unshare"),
        (libc::SYS_clone, "clone"),
        (libc::SYS_ioctl, "ioctl"),
        (libc::SYS_fchmod, "fchmod"),
        (libc::SYS_bpf, "bpf"),
        (libc::SYS_perf_event_open, "perf_event_open"),
        (libc::SYS_keyctl, "keyctl"),
        (libc::SYS_io_uring_setup, "io_uring_setup"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == call);
    known.map_or_else(|| format!("system call {call}"), |(_, name)| (*name).to_owned())
}

fn lines(network: SandboxNetwork) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut line = |call, when: &[When], action| lines.push(Line { call, when: when.to_vec(), action });
    for &call in ALWAYS {
        line(call, &[], REFUSED);
    }
    for &call in UNKNOWN {
        line(call, &[], Action::Errno(libc::ENOSYS));
    }
    line(libc::SYS_unshare, &[When::AnyOf(0, NEW_NAMESPACE | NEW_TIME_NAMESPACE)], REFUSED);
    line(libc::SYS_clone, &[When::AnyOf(0, NEW_NAMESPACE)], REFUSED);
    // Typing for somebody else.
    for request in [0x5412, 0x541c] {
        line(libc::SYS_ioctl, &[When::Equals(1, request)], REFUSED);
    }
    sockets(network, &mut line);
    modes(&mut line);
    lines
}

fn sockets(network: SandboxNetwork, line: &mut impl FnMut(c_long, &[When], Action)) {
    let families: &[i32] = match network {
        // A socket of the file system leads to whoever listens there, in whichever network namespace. So such sockets
        // exist only in pairs.
        SandboxNetwork::Restricted => &[libc::AF_INET, libc::AF_INET6],
        SandboxNetwork::Enabled => &[libc::AF_INET, libc::AF_INET6, libc::AF_UNIX],
    };
    /// The kind of a socket without its flags.
    const KIND: u32 = 0xf;
    for family in families {
        // Raw sockets need a capability that nobody has; they are refused by name all the same.
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
            let when = [When::Equals(0, family.cast_unsigned()), When::Masked(1, KIND, kind.cast_unsigned())];
            line(libc::SYS_socket, &when, Action::Allow);
        }
    }
    if network == SandboxNetwork::Restricted {
        // How programs list the interfaces; in a namespace of its own there is little to tell or to change.
        let route = [
            When::Equals(0, libc::AF_NETLINK.cast_unsigned()),
            When::Equals(2, libc::NETLINK_ROUTE.cast_unsigned()),
        ];
        line(libc::SYS_socket, &route, Action::Allow);
    }
    line(libc::SYS_socket, &[], REFUSED);
    line(libc::SYS_socketpair, &[When::Equals(0, libc::AF_UNIX.cast_unsigned())], Action::Allow);
    line(libc::SYS_socketpair, &[], REFUSED);
}

/// Files that run with the rights of their owner, and devices, would outlive the sandbox.
fn modes(line: &mut impl FnMut(c_long, &[When], Action)) {
    #[cfg(target_arch = "x86_64")]
    {
        line(libc::SYS_chmod, &[When::AnyOf(1, SET_ID_BITS)], REFUSED);
        line(libc::SYS_creat, &[When::AnyOf(1, SET_ID_BITS)], REFUSED);
        let create = [When::AnyOf(1, libc::O_CREAT.cast_unsigned()), When::AnyOf(2, SET_ID_BITS)];
        line(libc::SYS_open, &create, REFUSED);
        line(libc::SYS_mknod, &[When::AnyOf(1, SET_ID_BITS)], REFUSED);
        for kind in [libc::S_IFCHR, libc::S_IFBLK] {
            line(libc::SYS_mknod, &[When::Masked(1, libc::S_IFMT, kind)], REFUSED);
        }
    }
    line(libc::SYS_fchmod, &[When::AnyOf(1, SET_ID_BITS)], REFUSED);
    line(libc::SYS_fchmodat, &[When::AnyOf(2, SET_ID_BITS)], REFUSED);
    line(FCHMODAT2, &[When::AnyOf(2, SET_ID_BITS)], REFUSED);
    // `O_CREAT` and the file that has no name yet.
    let made = libc::O_CREAT.cast_unsigned() | (libc::O_TMPFILE & !libc::O_DIRECTORY).cast_unsigned();
    line(libc::SYS_openat, &[When::AnyOf(2, made), When::AnyOf(3, SET_ID_BITS)], REFUSED);
    line(libc::SYS_mknodat, &[When::AnyOf(2, SET_ID_BITS)], REFUSED);
    for kind in [libc::S_IFCHR, libc::S_IFBLK] {
        line(libc::SYS_mknodat, &[When::Masked(2, libc::S_IFMT, kind)], REFUSED);
    }
}

/// Linux 6.6; the same number everywhere.
const FCHMODAT2: c_long = 452;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::decide;
    use crate::bpf::tests::{HERE, run};

    #[test]
    fn every_filter_does_what_its_table_says() {
        let watches = (0..Watch::KINDS).map(|kind| Watch {
            changes: kind & 1 != 0,
            reads: kind & 2 != 0,
            addresses: kind & 4 != 0,
        });
        let watches: Vec<Watch> = watches.collect();
        let values = [0, 1, 2, 3, 16, 0o4755, libc::O_CREAT as u64, 0x5412, 0x1000_0000, u64::MAX];
        for network in [SandboxNetwork::Restricted, SandboxNetwork::Enabled] {
            let table = table(network);
            for number in 0..600_u32 {
                for (at, value) in values.iter().enumerate() {
                    let arguments = std::array::from_fn(|index| {
                        if index == 0 { *value } else { values[(at + index) % values.len()] }
                    });
                    let says = decide(table, number.into(), arguments);
                    assert_eq!(run(filter(network), HERE, number, arguments), says.code(), "{number}");
                    for watch in &watches {
                        let ran = run(witnessed(network, *watch), HERE, number, arguments);
                        let asked = ran == Action::Ask.code();
                        // Whoever is asked refuses what the table refuses; nothing else is let through unasked.
                        assert!(asked || (says != REFUSED && ran == says.code()), "{number} {watch:?}");
                        let has_socket = network == SandboxNetwork::Restricted && makes_socket(number.into());
                        assert!(asked || !has_socket, "a socket is always asked about");
                    }
                }
            }
        }
    }

    #[test]
    fn filters_are_short_since_each_process_has_its_own_translated() {
        for watch in [
            Watch { changes: true, reads: false, addresses: true },
            Watch { changes: true, reads: true, addresses: true },
        ] {
            let length = witnessed(SandboxNetwork::Restricted, watch).len();
            println!("{length} instructions");
            assert!(length < 250, "{length}");
        }
    }
}
