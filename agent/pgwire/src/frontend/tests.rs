//! Client messages, literally.

use super::*;
use crate::FrameBuffer;

fn frame(tag: u8, body: &[u8]) -> Frame {
    let bytes = message(tag, |buffer| buffer.put_slice(body));
    FrameBuffer::with_bytes(&bytes).take().unwrap().unwrap()
}

fn check(tag: u8, body: &[u8], expected: &Result<Message<'_>, DecodeError>) {
    let frame = frame(tag, body);
    assert_eq!(&parse(&frame), expected, "{body:?}");
}

#[test]
fn messages_read_as_they_are_written() {
    check(b'Q', b"SELECT \xe9\0", &Ok(Message::Query(b"SELECT \xe9")));
    let sql = Parse { name: b"s", sql: b"SELECT 1", types: b"\0\x01\0\0\0\x17" };
    check(b'P', b"s\0SELECT 1\0\0\x01\0\0\0\x17", &Ok(Message::Parse(sql)));
    let bound = Bind { portal: b"p", statement: b"s", parameters: 2 };
    check(b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0", &Ok(Message::Bind(bound)));
    check(b'E', b"p\0\0\0\0\x05", &Ok(Message::Execute(Execute { portal: b"p", rows: 5 })));
    check(b'D', b"Ss\0", &Ok(Message::Describe(Target::Statement(b"s"))));
    check(b'C', b"Pp\0", &Ok(Message::Close(Target::Portal(b"p"))));
    check(b'F', b"\0\0\0\x2a\0\0\0\x01\0\0\0\x01x\0\0", &Ok(Message::FunctionCall { function: 42 }));
    check(b'X', b"", &Ok(Message::Terminate));
}

#[test]
fn what_is_cut_short_or_goes_on_is_refused() {
    check(b'Q', b"SELECT 1", &Err(DecodeError::Unterminated));
    check(b'Q', b"SELECT 1\0DROP", &Err(DecodeError::Trailing));
    check(b'P', b"\0\0\0\x02\0\0\0\x17", &Err(DecodeError::Short));
    check(b'B', b"\0\0\0\0\0\x01\0\0\0\x09x", &Err(DecodeError::Short));
    check(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0", &Err(DecodeError::Negative));
    check(b'B', b"\0\0\xff\xff", &Err(DecodeError::Short));
    check(b'D', b"Xs\0", &Err(DecodeError::UnknownValue));
    check(b'S', b"x", &Err(DecodeError::Trailing));
    check(b'?', b"", &Err(DecodeError::UnknownType));
}

#[test]
fn built_messages_are_what_the_protocol_says() {
    assert_eq!(&query("SELECT 1")[..], b"Q\0\0\0\x0dSELECT 1\0");
    assert_eq!(&parse_statement(b"s", "X", b"")[..], b"P\0\0\0\x0as\0X\0\0\0");
    assert_eq!(&bind(b"p", b"s")[..], b"B\0\0\0\x0ep\0s\0\0\0\0\0\0\0");
    assert_eq!(&execute(b"")[..], b"E\0\0\0\x09\0\0\0\0\0");
    assert_eq!(&close(Target::Portal(b"p"))[..], b"C\0\0\0\x07Pp\0");
    assert_eq!(&[sync(), flush(), terminate()].concat()[..], b"S\0\0\0\x04H\0\0\0\x04X\0\0\0\x04");
    assert_eq!(&query("a\0b")[..], b"Q\0\0\0\x06a\0");
    let sasl = sasl_initial("SCRAM-SHA-256", b"n,,");
    assert_eq!(parse_sasl_initial(&sasl[5..]), Ok(("SCRAM-SHA-256", &b"n,,"[..])));
}
