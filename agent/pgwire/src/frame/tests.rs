//! Frames from bytes in any pieces.

use super::*;
use proptest::prelude::*;

fn bulk(tag: u8) -> bool {
    tag == b'D'
}

#[test]
fn a_message_is_taken_only_when_all_of_it_is_here() {
    let mut buffer = FrameBuffer::new();
    buffer.extend(b"Q\0\0\0\x09SEL");
    assert_eq!(buffer.take(), Ok(None));
    buffer.extend(b"E\0X");
    let frame = buffer.take().unwrap().unwrap();
    assert_eq!((frame.tag(), frame.body()), (b'Q', &b"SELE\0"[..]));
    assert_eq!((buffer.next_tag(), buffer.len()), (Some(b'X'), 1));
}

#[test]
fn impossible_lengths_are_errors_as_soon_as_they_are_seen() {
    for (bytes, error) in [
        (&b"Q\0\0\0\x03"[..], FrameError::Invalid),
        (b"Q\xff\xff\xff\xff", FrameError::Invalid),
        (b"Q\x7f\xff\xff\xff", FrameError::TooLong { length: 0x7fff_ffff, limit: MESSAGE_LIMIT }),
    ] {
        assert_eq!(FrameBuffer::with_bytes(bytes).take(), Err(error));
    }
    let mut startup = FrameBuffer::with_bytes(b"\0\0\x27\x11");
    assert_eq!(startup.take_startup(), Err(FrameError::TooLong { length: 10_001, limit: STARTUP_LIMIT }));
    let mut small = FrameBuffer::with_bytes(b"Q\0\0\0\x09");
    small.limit_messages(8);
    assert_eq!(small.take().unwrap_err().sqlstate(), "54000");
}

#[test]
fn bulk_may_begin_and_end_anywhere() {
    let mut buffer = FrameBuffer::with_bytes(b"D\0\0\0\x06abD\0\0\0\x08ef");
    let mut open = 0;
    assert_eq!(
        buffer.take_piece(&mut open, bulk),
        Ok(Some(Piece::Bulk(Bytes::from_static(b"D\0\0\0\x06abD\0\0\0\x08ef"))))
    );
    assert_eq!(open, 2);
    buffer.extend(b"ghC\0\0\0\x04");
    assert_eq!(buffer.take_piece(&mut open, bulk), Ok(Some(Piece::Bulk(Bytes::from_static(b"gh")))));
    let Ok(Some(Piece::Message(frame))) = buffer.take_piece(&mut open, bulk) else { panic!("a message") };
    assert_eq!(frame.tag(), b'C');
    assert_eq!(buffer.take_piece(&mut open, bulk), Ok(None));
}

proptest! {
    /// Cutting the stream differently changes neither the messages nor the bulk bytes.
    #[test]
    fn pieces_do_not_depend_on_how_bytes_arrive(
        messages in prop::collection::vec((prop::sample::select(&b"DCZ"[..]), prop::collection::vec(any::<u8>(), 0..20)), 0..20),
        cuts in prop::collection::vec(1_usize..15, 1..80),
    ) {
        let mut stream = Vec::new();
        for (tag, body) in &messages {
            stream.extend_from_slice(&crate::frontend::message(*tag, |buffer| buffer.extend_from_slice(body)));
        }
        let mut seen = Vec::new();
        let (mut buffer, mut open, mut rest) = (FrameBuffer::new(), 0, stream.as_slice());
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            buffer.extend(head);
            rest = tail;
            while let Some(piece) = buffer.take_piece(&mut open, bulk).unwrap() {
                match piece {
                    Piece::Bulk(bytes) => seen.extend_from_slice(&bytes),
                    Piece::Message(frame) => {
                        prop_assert_eq!(open, 0);
                        prop_assert!(!bulk(frame.tag()));
                        seen.extend_from_slice(frame.as_bytes());
                    }
                }
            }
        }
        prop_assert_eq!(seen, stream);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut buffer = FrameBuffer::with_bytes(&bytes);
        let mut open = 0;
        while let Ok(Some(_)) = buffer.take_piece(&mut open, bulk) {}
        let mut buffer = FrameBuffer::with_bytes(&bytes);
        while let Ok(Some(frame)) = buffer.take() {
            let _ = crate::frontend::parse(&frame);
            let _ = Report::parse(frame.body());
            let _ = crate::backend::parse_data_row(frame.body());
            let _ = crate::backend::parse_authentication(frame.body());
        }
        let mut buffer = FrameBuffer::with_bytes(&bytes);
        prop_assert!(buffer.take_startup().map_or(true, |packet| packet.is_none_or(|packet| packet.len() <= bytes.len())));
        let _ = crate::startup::parse_startup(&bytes);
    }
}

use crate::Report;
