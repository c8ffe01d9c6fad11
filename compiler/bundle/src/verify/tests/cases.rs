//! Every accept and reject case, generated.

mod accepted;
mod damaged;
mod emergency;
mod freshness;
mod misdirected;
mod rotated;
mod started;
mod unsigned;

use super::*;
use crate::digest::sha256_hex;
use crate::dsse::{Payload, pae};
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
    /// The lowest place accepted, of an agent that holds nothing.
    pub(super) minimum: Option<Minimum>,
    /// The bundle whose policies are in force.
    pub(super) held: Option<Vec<u8>>,
    /// `new`, `same`, `refused:trust` or `refused:<kind>:<reason>`.
    pub(super) expect: &'static str,
}

/// Every vector as it is published, by name.
pub(super) fn all() -> Vec<(String, Value)> {
    let bundles =
        [accepted::cases(), damaged::cases(), emergency::cases(), misdirected::cases(), unsigned::cases()];
    let bundles = bundles.into_iter().flatten().map(|case| case.to_json());
    let others = [freshness::cases(), rotated::cases(), started::cases()].into_iter().flatten();
    bundles.chain(others).map(|vector| (vector["name"].as_str().unwrap().to_owned(), vector)).collect()
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
        minimum: None,
        held: None,
        expect,
    }
}

/// A head, a trust file: as text that is JSON.
fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

impl Case {
    fn to_json(&self) -> Value {
        let mut vector = json!({
            "kind": "bundle",
            "name": self.name,
            "description": self.description,
            "trust": json_of(&self.trust),
            "database": self.database,
            "head": self.head.as_ref().map(|head| json_of(&head.to_json())),
            "now": self.now,
            "bundle": STANDARD.encode(&self.bundle),
            "expect": self.expect,
        });
        if let Some(minimum) = self.minimum {
            vector["minimum"] = json!({ "epoch": minimum.epoch, "serial": minimum.serial });
        }
        if let Some(held) = &self.held {
            vector["held"] = json!(STANDARD.encode(held));
        }
        vector
    }

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
    let sig = STANDARD.encode(key(KEY_A).sign(&pae(Payload::Policy.media_type(), payload)));
    let envelope = json!({
        "payload": STANDARD.encode(payload),
        "payloadType": Payload::Policy.media_type(),
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
