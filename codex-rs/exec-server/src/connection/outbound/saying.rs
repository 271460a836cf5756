//! What each source has to say, in the form that the client takes.

use codex_exec_server_core::event_log::Event;
use codex_exec_server_local::process::FollowId;
use codex_exec_server_protocol::binary::Head;
use codex_exec_server_protocol::ids::ProcessId;
use codex_exec_server_protocol::methods::ServerNotification;
use codex_exec_server_protocol::process::{ProcessClosedNotification, ProcessExitedNotification};
use codex_exec_server_protocol::rpc::OutputText;
use codex_exec_server_transport::{Message, MessageWriter, WriteError};

use super::{Outbound, Said, Source, now};
use crate::connection::form::{Form, feed_piece, feed_reply};
use crate::connection::packing::{Packing, Put};

impl Outbound {
    /// Lets `source` say about `share` bytes.
    pub(super) async fn say(
        &self,
        writer: &mut MessageWriter,
        packing: &mut Packing,
        source: Source,
        share: u64,
        follow: FollowId,
        form: Form,
    ) -> Result<Said, WriteError> {
        let share = usize::try_from(share).unwrap_or(usize::MAX);
        match source {
            Source::Reply(owed) => {
                let bytes = owed.reply.len();
                self.lock().reply_bytes -= bytes;
                self.sent.notify_waiters();
                feed_reply(writer, owed.reply).await?;
                Ok(Said { bytes: bytes as u64, goes_on: None, is_over: false })
            }
            Source::Search(batch) => {
                let mut bytes = 0;
                if batch.is_wanted() {
                    bytes = batch.json.len();
                    writer.feed(Message::text(batch.json)).await?;
                }
                Ok(Said { bytes: bytes as u64, goes_on: None, is_over: false })
            }
            Source::Process(process) => {
                let draw = process.draw(follow, share);
                let (mut bytes, mut is_over) = (0, false);
                for event in draw.events {
                    match &event {
                        Event::Output(chunk) => bytes += chunk.bytes.len() as u64,
                        Event::Exited(..) => {}
                        Event::Closed(..) => is_over = true,
                    }
                    self.feed(writer, packing, form, &process.id, event).await?;
                }
                Ok(Said { bytes, goes_on: draw.more.then_some(Source::Process(process)), is_over })
            }
            Source::Body(body) => {
                let drawn = body.draw(share);
                let mut bytes = 0;
                if let Some((piece, offset)) = drawn.piece {
                    bytes = piece.delta_base64.len() as u64;
                    feed_piece(writer, form, piece, offset).await?;
                }
                Ok(Said { bytes, goes_on: drawn.more.then_some(Source::Body(body)), is_over: false })
            }
        }
    }

    /// Says an event, or lets it wait for others.
    async fn feed(
        &self,
        writer: &mut MessageWriter,
        packing: &mut Packing,
        form: Form,
        process_id: &ProcessId,
        event: Event,
    ) -> Result<(), WriteError> {
        let notification = match event {
            Event::Output(chunk) => {
                let (seq, stream, offset) = (chunk.seq, chunk.stream, chunk.offset);
                if form == Form::Binary
                    && let Some(head) =
                        (Head::Output { process_id, seq, stream, offset }).encode(chunk.bytes.len())
                {
                    let interval = self.packing.get().copied();
                    return match packing.put(now(), interval, process_id, &head, &chunk.bytes) {
                        Put::Gathered => Ok(()),
                        Put::Full => packing.send(now(), writer).await,
                        Put::Alone => {
                            packing.send(now(), writer).await?;
                            writer.feed_binary(&head, chunk.bytes).await
                        }
                    };
                }
                let text = OutputText::new(process_id, seq, stream, Some(offset), &chunk.bytes);
                return writer.feed_text(text.encoded_len(), |out| text.write_to(out)).await;
            }
            Event::Exited(seq, exit) => ServerNotification::ProcessExited(ProcessExitedNotification {
                process_id: process_id.clone(),
                seq,
                exit_code: exit.code,
                sandbox_denied: Some(exit.sandbox_denied),
                reason: Some(exit.reason),
                signal: exit.signal,
                usage: Some(exit.usage),
                denials: exit.denials.map(|denials| denials.to_vec()),
            }),
            Event::Closed(seq, totals) => ServerNotification::ProcessClosed(ProcessClosedNotification {
                process_id: process_id.clone(),
                seq,
                output_bytes: Some(totals.output_bytes),
                crc32c: Some(format!("{:08x}", totals.crc32c)),
            }),
        };
        packing.send(now(), writer).await?;
        writer.feed(Message::text(notification.encode())).await
    }
}
