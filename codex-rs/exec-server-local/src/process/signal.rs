//! Which of the operating system's signals a signal of the protocol is.

use codex_exec_server_protocol::process::ProcessSignal;

use crate::os;

pub(crate) const fn os_signal(signal: ProcessSignal) -> os::Signal {
    match signal {
        ProcessSignal::Interrupt => os::Signal::INT,
        ProcessSignal::Terminate => os::Signal::TERM,
        ProcessSignal::Kill => os::Signal::KILL,
        ProcessSignal::Hangup => os::Signal::HUP,
        ProcessSignal::Quit => os::Signal::QUIT,
        ProcessSignal::Stop => os::Signal::STOP,
        ProcessSignal::Continue => os::Signal::CONT,
        ProcessSignal::Usr1 => os::Signal::USR1,
        ProcessSignal::Usr2 => os::Signal::USR2,
    }
}
