//! Server messages, literally.

use super::*;

#[test]
fn built_messages_are_what_the_protocol_says() {
    assert_eq!(&authentication_ok()[..], b"R\0\0\0\x08\0\0\0\0");
    assert_eq!(&authentication_sasl(&["X"])[..], b"R\0\0\0\x0b\0\0\0\x0aX\0\0");
    assert_eq!(&parameter_status("a", "b")[..], b"S\0\0\0\x08a\0b\0");
    assert_eq!(&ready_for_query(TransactionStatus::Failed)[..], b"Z\0\0\0\x05E");
    assert_eq!(&command_complete("SELECT 1")[..], b"C\0\0\0\x0dSELECT 1\0");
    let negotiated = negotiate_protocol_version(2, ["_pq_.x"].into_iter());
    assert_eq!(&negotiated[..], b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
    let key = CancelKey { pid: 1, secret: Bytes::from_static(b"abcd") };
    assert_eq!(parse_backend_key_data(&backend_key_data(&key)[5..]), Ok(key));
}

#[test]
fn read_messages_are_read_to_their_end() {
    assert_eq!(TransactionStatus::parse(b"T"), Ok(TransactionStatus::Open));
    assert_eq!(TransactionStatus::parse(b"TT"), Err(DecodeError::Trailing));
    assert_eq!(parse_parameter_status(b"a\0b\0"), Ok(("a", "b")));
    assert_eq!(parse_data_row(b"\0\x02\0\0\0\x01x\xff\xff\xff\xff"), Ok(vec![Some(&b"x"[..]), None]));
    assert_eq!(parse_data_row(b"\0\x02\0\0\0\x01x"), Err(DecodeError::Short));
    assert_eq!(parse_authentication(b"\0\0\0\x05salt"), Ok(Authentication::Other(5)));
    assert_eq!(parse_authentication(b"\0\0\0\0x"), Err(DecodeError::Trailing));
    assert_eq!(parse_backend_key_data(b"\0\0\0\x01abc"), Err(DecodeError::Short));
}
