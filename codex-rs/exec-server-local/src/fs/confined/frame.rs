//! What goes over a connection to a helper: a head with two lengths, a text in JSON, plain bytes; perhaps a descriptor.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recv, recvmsg, send, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest text: answers are bounded by what they list, and this is far beyond.
const MAX_TEXT_BYTES: u64 = 256 << 20;
/// The most plain bytes: no request and no answer holds more than a whole file.
const MAX_DATA_BYTES: u64 = 1 << 30;

/// Two lengths of eight bytes, little end first.
const HEAD_BYTES: usize = 16;

/// One message.
#[derive(Debug)]
pub(super) struct Frame<T> {
    pub(super) text: T,
    pub(super) data: Bytes,
    pub(super) file: Option<OwnedFd>,
}

/// Sends one; `data` goes as it is. Waits for room.
pub(super) fn write<T: Serialize>(
    socket: impl AsFd,
    text: &T,
    data: &[u8],
    file: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let text = serde_json::to_vec(text)?;
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&(text.len() as u64).to_le_bytes());
    head[8..].copy_from_slice(&(data.len() as u64).to_le_bytes());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&files));
    }
    let parts = [&head[..], &text, data];
    let slices = parts.map(IoSlice::new);
    // The descriptor goes with the first bytes, whatever else goes with them.
    let sent = rustix::io::retry_on_intr(|| sendmsg(&socket, &slices, &mut control, SendFlags::NOSIGNAL))?;
    let mut done = sent;
    for part in parts {
        let skipped = done.min(part.len());
        done -= skipped;
        write_all(&socket, &part[skipped..])?;
    }
    Ok(())
}

fn write_all(socket: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = rustix::io::retry_on_intr(|| send(&socket, bytes, SendFlags::NOSIGNAL))?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Receives one; `None` where the other side has closed the connection between two.
pub(super) fn read<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<Frame<T>>> {
    let mut head = [0; HEAD_BYTES];
    let (received, file) = receive_first(&socket, &mut head)?;
    if received == 0 {
        return Ok(None);
    }
    read_exact(&socket, &mut head[received..])?;
    let length = |bytes: &[u8], limit: u64| -> io::Result<usize> {
        let length = u64::from_le_bytes(bytes.try_into().map_err(io::Error::other)?);
        if length > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is too long"));
        }
        usize::try_from(length).map_err(io::Error::other)
    };
    let mut text = vec![0; length(&head[..8], MAX_TEXT_BYTES)?];
    let mut data = vec![0; length(&head[8..], MAX_DATA_BYTES)?];
    read_exact(&socket, &mut text)?;
    read_exact(&socket, &mut data)?;
    // As a text, as requests from the wire are: every decoder of theirs would otherwise be in the program twice.
    let text = str::from_utf8(&text).map_err(io::Error::other)?;
    Ok(Some(Frame { text: serde_json::from_str(text)?, data: data.into(), file }))
}

fn receive_first(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(&socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
    });
    let received = match received {
        Ok(received) => received.bytes,
        Err(Errno::CONNRESET) => 0,
        Err(error) => return Err(error.into()),
    };
    let file = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    Ok((received, file))
}

fn read_exact(socket: impl AsFd, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let (count, _) = rustix::io::retry_on_intr(|| recv(&socket, &mut *bytes, RecvFlags::empty()))?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[count..];
    }
    Ok(())
}

/// Gives a descriptor to whoever reads the other end of a socket of whole messages.
pub(super) fn give(socket: impl AsFd, file: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file];
    control.push(SendAncillaryMessage::ScmRights(&files));
    rustix::io::retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// The other side of [`give`]; `None` at the socket's end.
pub(super) fn take(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    match receive_first(socket, &mut byte)? {
        (0, _) => Ok(None),
        (_, Some(file)) => Ok(Some(file)),
        (_, None) => Err(io::Error::new(io::ErrorKind::InvalidData, "a message without a descriptor")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a pair")
    }

    #[test]
    fn text_bytes_and_a_descriptor_arrive_together_however_long_they_are() {
        let (here, there) = pair(SocketType::STREAM);
        let data = vec![7; 3 << 20];
        let sent = data.clone();
        let file = std::fs::File::open("/dev/null").expect("it is there");
        let sender = std::thread::spawn(move || {
            write(&here, &"a", b"", /*file*/ None).expect("sent");
            write(&here, &"b", &sent, Some(file.as_fd())).expect("sent");
        });
        let first = read::<String>(&there).expect("whole").expect("there is one");
        assert_eq!((first.text.as_str(), first.data.len(), first.file.is_some()), ("a", 0, false));
        let second = read::<String>(&there).expect("whole").expect("there is one");
        assert_eq!((second.text.as_str(), second.file.is_some()), ("b", true));
        assert_eq!(second.data, data);
        sender.join().expect("it has sent");
        assert!(read::<String>(&there).expect("an end between two").is_none());
    }

    #[test]
    fn one_that_is_cut_short_or_too_long_is_an_error() {
        let (here, there) = pair(SocketType::STREAM);
        send(&here, &[1, 0, 0], SendFlags::NOSIGNAL).expect("sent");
        drop(here);
        let cut = read::<String>(&there).expect_err("cut short");
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);

        let (here, there) = pair(SocketType::STREAM);
        send(&here, &[0xff; HEAD_BYTES], SendFlags::NOSIGNAL).expect("sent");
        let long = read::<String>(&there).expect_err("too long");
        assert_eq!(long.kind(), io::ErrorKind::InvalidData);
    }
}
