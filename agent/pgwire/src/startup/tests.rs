//! Start-up packets, literally.

use super::*;

#[test]
fn requests_before_the_session_are_recognised() {
    assert_eq!(parse_startup(b"\x04\xd2\x16\x2f"), Ok(Startup::Ssl));
    assert_eq!(parse_startup(b"\x04\xd2\x16\x30"), Ok(Startup::GssEnc));
    assert_eq!(&encode_ssl_request()[..], b"\0\0\0\x08\x04\xd2\x16\x2f");
    assert_eq!(parse_startup(b"\x04\xd2\x16\x2fmore"), Err(StartupError::Malformed(DecodeError::Trailing)));
}

#[test]
fn a_cancel_key_has_four_to_256_bytes() {
    let packet = |secret: &[u8]| [b"\x04\xd2\x16\x2e\0\0\0\x07", secret].concat();
    for length in [4, 32, 256] {
        let key = CancelKey { pid: 7, secret: Bytes::from(vec![9; length]) };
        assert_eq!(parse_startup(&packet(&key.secret)), Ok(Startup::Cancel(key.clone())));
        assert_eq!(parse_startup(&encode_cancel(&key)[4..]), Ok(Startup::Cancel(key)));
    }
    assert!(parse_startup(&packet(&[1; 3])).is_err());
    assert!(parse_startup(&packet(&[1; 257])).is_err());
}

#[test]
fn parameters_come_in_pairs_and_end_with_nul() {
    let Ok(Startup::Session(read)) = parse_startup(b"\0\x03\0\x02user\0jane\0_pq_.x\0y\0\0") else {
        panic!("a session")
    };
    assert_eq!((read.minor, read.user(), read.database()), (2, Some("jane"), Some("jane")));
    assert!(read.needs_negotiation());
    assert_eq!(&encode_session(&read)[4..], b"\0\x03\0\x02user\0jane\0_pq_.x\0y\0\0");
    for broken in [
        &b"\0\x03\0\0user\0jane\0"[..],
        b"\0\x03\0\0user\0jane\0\0x",
        b"\0\x03\0\0user\0",
        b"\0\x03\0\0\xff\0x\0\0",
    ] {
        assert!(parse_startup(broken).is_err(), "{broken:?}");
    }
    assert_eq!(parse_startup(b"\0\x02\0\0"), Err(StartupError::Version { major: 2, minor: 0 }));
}

#[test]
fn options_are_split_as_the_server_splits_them() {
    let options = |text: &str| {
        StartupParameters { minor: 0, parameters: vec![("options".into(), text.into())] }.option_settings()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        options(r"-c search_path=a\ b  --work-mem=4MB -cgeqo=off"),
        Ok(vec![pair("search_path", "a b"), pair("work_mem", "4MB"), pair("geqo", "off")]),
    );
    assert_eq!(options("-d 5"), Err(OptionError::Unknown("-d".to_owned())));
    assert_eq!(options("-c"), Err(OptionError::NoValue("-c".to_owned())));
    assert_eq!(options("--x"), Err(OptionError::NoValue("x".to_owned())));
}
