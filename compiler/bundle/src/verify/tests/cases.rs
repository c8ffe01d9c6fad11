//! Every accept and reject case, generated.

mod accepted;
mod damaged;
mod misdirected;
mod unsigned;

use super::*;
use crate::digest::sha256_hex;
use crate::dsse::{PAYLOAD_TYPE, pae};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use serde_json::{Value, json};

/// One vector.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// As text: it may be one that is refused.
    pub(super) trust: String,
    pub(super) database: &'static str,
    pub(super) head: Option<Head>,
    pub(super) now: i64,
    pub(super) bundle: Vec<u8>,
    /// `new`, `same`, `refused:trust` or `refused:<kind>:<reason>`.
    pub(super) expect: &'static str,
}

pub(super) fn all() -> Vec<Case> {
    [accepted::cases(), damaged::cases(), misdirected::cases(), unsigned::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// A case with the default trust, time and no head.
fn case(name: &'static str, description: &'static str, bundle: Vec<u8>, expect: &'static str) -> Case {
    Case {
        name,
        description,
        trust: trust().to_json(),
        database: "shop",
        head: None,
        now: NOW,
        bundle,
        expect,
    }
}

impl Case {
    fn with_trust(self, trust: &TrustFile) -> Self {
        Self { trust: trust.to_json(), ..self }
    }

    fn with_head(self, head: Head) -> Self {
        Self { head: Some(head), ..self }
    }
}

/// The head after accepting the plain bundle of that serial.
fn head(serial: u64) -> Head {
    accept(&signed(input(serial), &[KEY_A]), None)
}

/// The default input with changes.
fn changed(change: impl FnOnce(&mut StatementInput)) -> Vec<u8> {
    let mut input = input(5);
    change(&mut input);
    signed(input, &[KEY_A])
}

/// The envelope and content of the plain bundle.
fn plain() -> (Value, Vec<u8>) {
    let bytes = signed(input(5), &[KEY_A]);
    let parts = file::split(&bytes).unwrap();
    (serde_json::from_slice(parts.envelope).unwrap(), parts.content.to_vec())
}

/// The plain bundle with a changed envelope.
fn with_envelope(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (mut envelope, content) = plain();
    change(&mut envelope);
    file::join(envelope.to_string().as_bytes(), &content).unwrap()
}

/// The plain bundle with another text as its envelope.
fn with_envelope_text(change: impl FnOnce(String) -> String) -> Vec<u8> {
    let (envelope, content) = plain();
    file::join(change(envelope.to_string()).as_bytes(), &content).unwrap()
}

/// A well-signed bundle around any payload and content.
fn forged(payload: &[u8], content: &[u8]) -> Vec<u8> {
    let sig = STANDARD.encode(key(KEY_A).sign(&pae(PAYLOAD_TYPE, payload)));
    let envelope = json!({
        "payload": STANDARD.encode(payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{ "keyid": key(KEY_A).public().keyid(), "sig": sig }],
    });
    file::join(envelope.to_string().as_bytes(), content).unwrap()
}

/// A well-signed bundle whose statement text was changed before signing.
fn with_statement(change: impl FnOnce(String) -> String) -> Vec<u8> {
    let (envelope, content) = plain();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let text = change(String::from_utf8(payload).unwrap());
    forged(text.as_bytes(), &content)
}

/// A well-signed bundle around other content.
fn with_content(content: &[u8]) -> Vec<u8> {
    with_statement_and_content(content, |text| text)
}

fn with_statement_and_content(content: &[u8], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let (envelope, _) = plain();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let mut statement: Statement = serde_json::from_slice(&payload).unwrap();
    statement.content.sha256 = sha256_hex(content);
    statement.content.size = u64::try_from(content.len()).unwrap();
    let text = change(String::from_utf8(statement.to_bytes()).unwrap());
    forged(text.as_bytes(), content)
}
