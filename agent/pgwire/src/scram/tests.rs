//! Our server against somebody else's client.

use super::*;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

fn exchange(given: &str, known: &str) -> Result<(), String> {
    let verifier = Verifier::new(known.as_bytes(), b"0123456789abcdef", ITERATIONS);
    let mut server = ServerExchange::new(verifier, &[7; 18]);
    let mut client = ScramSha256::new(given.as_bytes(), ChannelBinding::unsupported());
    let first = server.first(client.message()).map_err(|error| error.to_string())?;
    client.update(first.as_bytes()).map_err(|error| error.to_string())?;
    let last = server.finish(client.message()).map_err(|error| error.to_string())?;
    client.finish(last.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn the_right_password_convinces_both_sides() {
    assert_eq!(exchange("correct horse", "correct horse"), Ok(()));
}

#[test]
fn a_wrong_password_convinces_nobody() {
    assert_eq!(exchange("wrong", "right"), Err("password authentication failed".to_owned()));
}

#[test]
fn messages_out_of_turn_or_shape_are_refused() {
    let fresh = || ServerExchange::new(Verifier::new(b"x", b"salt", 1), &[0; 18]);
    assert_eq!(fresh().finish(b"c=biws,r=x,p="), Err(ScramError::Malformed));
    assert_eq!(fresh().first(b"p=tls-server-end-point,,n=,r=abc"), Err(ScramError::ChannelBinding));
    for broken in [&b"n,,"[..], b"n,,n=", b"n,,n=,r=", b"n,a=x,n=,r=abc", b"\xff", b"n,,m=ext,n=,r=abc"] {
        assert_eq!(fresh().first(broken), Err(ScramError::Malformed), "{broken:?}");
    }
    let mut server = fresh();
    server.first(b"n,,n=,r=abc").unwrap();
    assert_eq!(server.first(b"n,,n=,r=abc"), Err(ScramError::Malformed), "a second first message");
    let proof = STANDARD.encode([0; 32]);
    let mut server = fresh();
    server.first(b"n,,n=,r=abc").unwrap();
    assert_eq!(server.finish(format!("c=biws,r=abc,p={proof}").as_bytes()), Err(ScramError::Nonce));
    let mut server = fresh();
    server.first(b"n,,n=,r=abc").unwrap();
    assert_eq!(server.finish(format!("c=eSws,r=abc,p={proof}").as_bytes()), Err(ScramError::ChannelBinding));
}
