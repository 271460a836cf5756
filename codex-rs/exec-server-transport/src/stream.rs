//! The byte streams under a WebSocket, as one type, and what the kernel is told and asked about them.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

/// The most that a client lets a server have under way: 4 MiB, which as base64 is 3 MiB of output, well below the 5 MiB
/// that a server keeps of what it has sent. At 80 ms of round trip it still carries 50 MB a second.
#[cfg(target_os = "linux")]
const WINDOW_BYTES: u32 = 4 << 20;

/// How much the kernel may hold that it has not sent yet. Anything more would only make a keystroke wait
/// behind bulk output; at 10 Gbit/s this is still 100 µs of data, ample time to refill it.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 128 * 1024;

/// Upper bound of the kernel's retransmission interval. It also spaces the probes of a closed receive window,
/// whose answers tell a stopped peer from a vanished one, so it has to stay below the time in which that is
/// decided.
#[cfg(target_os = "linux")]
const RETRANSMIT_MAX_MS: u32 = 5_000;

/// Any other stream: a pipe in memory, or TLS around a socket.
pub(crate) trait AnyStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> AnyStream for S {}

/// A byte stream in both directions.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Any(Box<dyn AnyStream>),
}

/// The inbound half of a [`Stream`].
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
    Any(tokio::io::ReadHalf<Box<dyn AnyStream>>),
}

/// The outbound half of a [`Stream`].
pub(crate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
    Any(tokio::io::WriteHalf<Box<dyn AnyStream>>),
}

/// How sending is held back where both ends are on this machine. Every Linux has it and gives it to everybody, and unlike BBR,
/// which many systems use by default, it does not pace: a timer for every few packets, of which each costs as much as copying
/// what it holds back. There is no line between the ends that anything could pile up before.
#[cfg(target_os = "linux")]
const CONGESTION_ON_THIS_MACHINE: &str = "reno";

/// What the kernel knows about a peer that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The peer's kernel has lately acknowledged what it was sent.
    Alive,
    /// It has not.
    Silent,
    /// This kind of stream cannot tell.
    Unknown,
}

/// No Nagle delay, little unsent data in the kernel, frequent probes. Sockets that a tuned listener accepts are
/// tuned as well, which spares each of them the calls.
pub(crate) fn tune(socket: &impl AsFd) {
    // A socket that refuses an option still works, only with more delay; one that is already reset
    // refuses them all.
    if let Err(error) = setsockopt(socket, sockopt::TcpNoDelay, &true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    #[cfg(target_os = "linux")]
    {
        if let Err(error) = setsockopt(socket, linux::NotSentLowWater, &UNSENT_BYTES) {
            tracing::debug!(%error, "cannot set TCP_NOTSENT_LOWAT");
        }
        // Kernels before 6.15 do not have this one.
        if let Err(error) = setsockopt(socket, linux::RetransmitMax, &RETRANSMIT_MAX_MS) {
            tracing::trace!(%error, "cannot set TCP_RTO_MAX_MS");
        }
    }
}

/// Has the kernel pace nothing on a socket of which both ends are on this machine, or that a listener of such accepts.
pub(crate) fn do_not_pace(socket: &impl AsFd) {
    #[cfg(target_os = "linux")]
    if let Err(error) = setsockopt(socket, sockopt::TcpCongestion, &CONGESTION_ON_THIS_MACHINE.into()) {
        tracing::debug!(%error, "cannot set TCP_CONGESTION");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

impl Stream {
    /// Takes over a TCP socket that was dialled at `peer`, and tunes it.
    pub(crate) fn from_tcp(stream: TcpStream, peer: IpAddr) -> Self {
        tune(&stream);
        if peer.to_canonical().is_loopback() {
            do_not_pace(&stream);
        }
        Self::Tcp(stream)
    }

    /// Bounds what the kernel holds of a connection for a reader that is behind: what it holds is lost if the connection
    /// breaks, and a server keeps only so much for those who come back. Unlike a receive buffer of fixed size this leaves
    /// the kernel's own tuning alone below the bound.
    pub(crate) fn bound_window(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(stream) = self
            && let Err(error) = setsockopt(stream, linux::WindowClamp, &WINDOW_BYTES)
        {
            tracing::debug!(%error, "cannot set TCP_WINDOW_CLAMP");
        }
    }

    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
            }
            Self::Unix(stream) => {
                let (read, write) = stream.into_split();
                (ReadHalf::Unix(read), WriteHalf::Unix(write))
            }
            Self::Any(stream) => {
                let (read, write) = tokio::io::split(stream);
                (ReadHalf::Any(read), WriteHalf::Any(write))
            }
        }
    }
}

impl ReadHalf {
    /// What reads at most `most` bytes that have come by now. Of streams that only the runtime can read, none have.
    pub(crate) const fn unannounced(&self, most: usize) -> Unannounced<'_> {
        Unannounced { half: self, most }
    }

    /// Asks the kernel whether the peer acknowledged anything within `recent`, or at least owes no
    /// acknowledgement.
    pub(crate) fn evidence(&self, recent: Duration) -> Evidence {
        match self {
            #[cfg(target_os = "linux")]
            Self::Tcp(half) => linux::evidence(half.as_ref(), recent),
            _ => {
                let _ = recent;
                Evidence::Unknown
            }
        }
    }

    /// Makes the kernel forget the connection at once when it is dropped, instead of retransmitting into the
    /// void for many minutes. Nobody is left to miss the orderly end.
    pub(crate) fn abandon(&self) {
        if let Self::Tcp(half) = self
            && let Err(error) = half.as_ref().set_zero_linger()
        {
            tracing::debug!(%error, "cannot abandon the connection");
        }
    }
}

/// Reads what has come by now, whether or not the kernel has told of it: the runtime is not asked. When nothing has, it is
/// pending, and nobody will be woken.
pub(crate) struct Unannounced<'a> {
    half: &'a ReadHalf,
    most: usize,
}

impl AsyncRead for Unannounced<'_> {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = match self.half {
            ReadHalf::Tcp(half) => half.as_ref().as_raw_fd(),
            ReadHalf::Unix(half) => half.as_ref().as_raw_fd(),
            ReadHalf::Any(_) => return Poll::Pending,
        };
        let most = self.most.min(buf.remaining());
        match recv(socket, buf.initialize_unfilled_to(most), MsgFlags::MSG_DONTWAIT) {
            Ok(len) => {
                buf.advance(len);
                Poll::Ready(Ok(()))
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Poll::Pending,
            // It is told once.
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }
}

impl WriteHalf {
    /// Whether the peer's kernel has said that nothing more will come. Does not wait.
    pub(crate) fn peer_has_hung_up(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Tcp(half) => linux::has_hung_up(half.as_ref()),
            #[cfg(target_os = "linux")]
            Self::Unix(half) => linux::has_hung_up(half.as_ref()),
            _ => false,
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::getsockopt;
    use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
    use tokio::net::TcpStream;

    use super::Evidence;

    pub(super) fn has_hung_up(socket: &impl AsFd) -> bool {
        // An error and a hang-up are told whether or not they are asked for.
        let hung_up = PollFlags::from_bits_retain(libc::POLLRDHUP);
        let mut asked = [PollFd::new(socket.as_fd(), hung_up)];
        poll(&mut asked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// `TCP_RTO_MAX_MS` of `linux/tcp.h`, since kernel 6.15.
    const TCP_RTO_MAX_MS: i32 = 44;

    /// Unanswered window probes that still count as bad luck.
    const PROBES_FORGIVEN: u8 = 2;

    /// The start of the kernel's `struct tcp_info`. The kernel fills as much as it is asked for, so leaving
    /// out the fields that were appended later makes this fit every kernel.
    #[expect(unreachable_pub, reason = "the macro below makes the option public, and with it its value")]
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct TcpInfo {
        state: u8,
        ca_state: u8,
        retransmits: u8,
        probes: u8,
        backoff: u8,
        options: u8,
        window_scales: u8,
        flags: u8,
        rto: u32,
        ato: u32,
        snd_mss: u32,
        rcv_mss: u32,
        unacked: u32,
        sacked: u32,
        lost: u32,
        retrans: u32,
        fackets: u32,
        last_data_sent_ms: u32,
        last_ack_sent_ms: u32,
        last_data_recv_ms: u32,
        last_ack_recv_ms: u32,
    }

    sockopt_impl!(
        /// `TCP_NOTSENT_LOWAT`, in bytes.
        NotSentLowWater,
        Both,
        libc::IPPROTO_TCP,
        libc::TCP_NOTSENT_LOWAT,
        u32
    );
    sockopt_impl!(
        /// `TCP_WINDOW_CLAMP`, in bytes.
        WindowClamp,
        SetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_WINDOW_CLAMP,
        u32
    );
    sockopt_impl!(
        /// `TCP_RTO_MAX_MS`, in milliseconds.
        RetransmitMax,
        Both,
        libc::IPPROTO_TCP,
        TCP_RTO_MAX_MS,
        u32
    );
    sockopt_impl!(
        /// `TCP_INFO`.
        TcpInfoOption,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        TcpInfo
    );

    pub(super) fn evidence(stream: &TcpStream, recent: Duration) -> Evidence {
        let Ok(info) = getsockopt(stream, TcpInfoOption) else { return Evidence::Silent };
        // A recent acknowledgement is proof. Without one, nothing speaks against the peer as long as it owes
        // none and answers the probes of its closed window: those may lie far apart on kernels without
        // TCP_RTO_MAX_MS.
        let acknowledged_lately = Duration::from_millis(info.last_ack_recv_ms.into()) <= recent;
        let owes_nothing = info.unacked == 0 && info.probes <= PROBES_FORGIVEN;
        if acknowledged_lately || owes_nothing { Evidence::Alive } else { Evidence::Silent }
    }
}

/// Hands a poll on to whichever stream is there.
macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Unix($stream) => $call,
            Self::Any($stream) => $call,
        }
    };
}

macro_rules! impl_read {
    ($name:ty) => {
        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                each!(self, stream => Pin::new(stream).poll_read(cx, buf))
            }
        }
    };
}

macro_rules! impl_write {
    ($name:ty) => {
        impl AsyncWrite for $name {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                each!(self, stream => Pin::new(stream).poll_write(cx, buf))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                each!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    Self::Tcp(stream) => stream.is_write_vectored(),
                    Self::Unix(stream) => stream.is_write_vectored(),
                    Self::Any(stream) => stream.is_write_vectored(),
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                each!(self, stream => Pin::new(stream).poll_flush(cx))
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                each!(self, stream => Pin::new(stream).poll_shutdown(cx))
            }
        }
    };
}

impl_read!(Stream);
impl_read!(ReadHalf);
impl_write!(Stream);
impl_write!(WriteHalf);

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use nix::sys::socket::getsockopt;
    use tokio::net::TcpListener;

    use super::*;

    /// A socket that was dialled, the one that was accepted for it, and their listener, which `prepare` has had before.
    async fn connected(prepare: impl FnOnce(&TcpListener)) -> (TcpStream, TcpStream, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        prepare(&listener);
        let address = listener.local_addr().expect("it is bound");
        let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        (dialled.expect("it listens"), accepted.expect("somebody dialled").0, listener)
    }

    #[tokio::test]
    async fn what_is_accepted_by_a_tuned_listener_is_tuned() {
        let (_dialled, accepted, listener) = connected(tune).await;
        assert_eq!(getsockopt(&accepted, sockopt::TcpNoDelay), Ok(true));
        assert_eq!(getsockopt(&accepted, linux::NotSentLowWater), Ok(UNSENT_BYTES));
        if let Ok(interval) = getsockopt(&listener, linux::RetransmitMax) {
            assert_eq!(interval, RETRANSMIT_MAX_MS);
            assert_eq!(getsockopt(&accepted, linux::RetransmitMax), Ok(interval));
        }
    }

    fn congestion(socket: &impl AsFd) -> String {
        let name = getsockopt(socket, sockopt::TcpCongestion).expect("every kernel tells");
        name.to_string_lossy().trim_end_matches('\0').to_owned()
    }

    #[tokio::test]
    async fn nothing_is_paced_where_both_ends_are_on_this_machine() {
        let (dialled, accepted, _listener) = connected(do_not_pace).await;
        assert_eq!(congestion(&accepted), CONGESTION_ON_THIS_MACHINE);
        let peer = dialled.peer_addr().expect("it is connected").ip();
        let Stream::Tcp(dialled) = Stream::from_tcp(dialled, peer) else {
            unreachable!("it was one of TCP");
        };
        assert_eq!(congestion(&dialled), CONGESTION_ON_THIS_MACHINE);
    }

    #[tokio::test]
    async fn to_other_machines_the_system_sends_as_it_does() {
        let (dialled, _accepted, _listener) = connected(|_| {}).await;
        let before = congestion(&dialled);
        let Stream::Tcp(dialled) = Stream::from_tcp(dialled, IpAddr::from([192, 0, 2, 1])) else {
            unreachable!("it was one of TCP");
        };
        assert_eq!(congestion(&dialled), before);
    }
}
