//! A stream of any content: however the network cuts it, the same messages come out, and every byte exactly once.

use daam_pgwire::frame::Piece;
use daam_pgwire::{FrameBuffer, FrameError, backend};

pub(crate) fn holds(bytes: &[u8]) {
    let Some((&step, stream)) = bytes.split_first() else { return };
    let step = usize::from(step).max(1);
    let (whole, end) = messages(stream, stream.len().max(1));
    let (cut, cut_end) = messages(stream, step);
    assert_eq!(cut, whole, "the cut decides what is read");
    assert_eq!(cut_end, end);
    let joined: Vec<u8> = whole.concat();
    assert!(stream.starts_with(&joined), "bytes are lost or invented");
    for frame in &whole {
        assert!(frame.len() >= 5);
    }
    assert_eq!(pieces(stream, step), pieces(stream, stream.len().max(1)), "bulk messages depend on the cut");
}

fn messages(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut buffer = FrameBuffer::new();
    let mut found = Vec::new();
    for part in stream.chunks(step) {
        buffer.extend(part);
        loop {
            match buffer.take() {
                Ok(Some(frame)) => found.push(frame.as_bytes().to_vec()),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// Bulk bytes, and messages with how many of those came before.
type Pieces = (Vec<u8>, Vec<(usize, Vec<u8>)>);

/// Bulk bytes joined, and the messages between them by their place; nothing after the first error, whose place depends
/// on what was there.
fn pieces(stream: &[u8], step: usize) -> Result<Pieces, FrameError> {
    let mut buffer = FrameBuffer::new();
    let (mut bulk, mut between, mut open) = (Vec::new(), Vec::new(), 0);
    for part in stream.chunks(step) {
        buffer.extend(part);
        while let Some(piece) = buffer.take_piece(&mut open, backend::is_bulk)? {
            match piece {
                Piece::Bulk(bytes) => bulk.extend_from_slice(&bytes),
                Piece::Message(frame) => between.push((bulk.len(), frame.as_bytes().to_vec())),
            }
        }
    }
    Ok((bulk, between))
}
