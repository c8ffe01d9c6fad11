//! An authenticator in memory that can be told to answer wrongly, which no real one does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(crate) const PRESENT: u8 = 0x01;
pub(crate) const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// How it answers.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) origin: String,
    pub(crate) rp: String,
    pub(crate) flags: u8,
    pub(crate) challenge: Option<String>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) client: Value,
    pub(crate) handle: Option<Vec<u8>>,
    pub(crate) tamper: bool,
}

impl Way {
    /// As it should.
    pub(crate) fn right(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            rp: "localhost".to_owned(),
            flags: PRESENT | VERIFIED,
            challenge: None,
            kind: None,
            client: json!({ "crossOrigin": false }),
            handle: None,
            tamper: false,
        }
    }
}

/// One passkey.
pub(crate) struct SoftKey {
    pair: EcdsaKeyPair,
    pub(crate) id: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) handle: Vec<u8>,
}

impl SoftKey {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let alg = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(alg, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(alg, document.as_ref(), &random).unwrap();
        let id = digest(&SHA256, document.as_ref()).as_ref().to_vec();
        Self { pair, id, counter: 0, handle: Vec::new() }
    }

    /// The same passkey's id with another key behind it.
    pub(crate) fn imposter(&self) -> Self {
        Self { id: self.id.clone(), handle: self.handle.clone(), counter: self.counter, ..Self::new() }
    }

    /// A passkey nobody registered, which says it is that person's.
    pub(crate) fn unknown(whose: &Self) -> Self {
        Self { handle: whose.handle.clone(), ..Self::new() }
    }

    /// Registers: keeps whose it is, and answers.
    pub(crate) fn register(&mut self, options: &Value, way: &Way) -> Value {
        let asked = &options["publicKey"];
        self.handle = URL_SAFE_NO_PAD.decode(asked["user"]["id"].as_str().unwrap()).unwrap();
        let client = client_data(way, "webauthn.create", asked);
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.split_at(1).1.split_at(32);
        let mut data = self.data(way, ATTESTED);
        data.extend([0_u8; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(x);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(y);
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "rawId": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "transports": ["internal"],
            },
        })
    }

    /// Signs in.
    pub(crate) fn sign(&mut self, options: &Value, way: &Way) -> Value {
        let client = client_data(way, "webauthn.get", &options["publicKey"]);
        self.counter += 1;
        let data = self.data(way, 0);
        let signed = [data.as_slice(), digest(&SHA256, client.as_bytes()).as_ref()].concat();
        let mut signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec();
        if way.tamper {
            let last = signature.len() - 1;
            signature[last] ^= 1;
        }
        let handle = way.handle.as_ref().unwrap_or(&self.handle);
        let handle = (!handle.is_empty()).then(|| URL_SAFE_NO_PAD.encode(handle));
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "rawId": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": handle,
            },
        })
    }

    fn data(&self, way: &Way, more: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, way.rp.as_bytes()).as_ref().to_vec();
        data.push(way.flags | more);
        data.extend(self.counter.to_be_bytes());
        data
    }
}

fn client_data(way: &Way, kind: &str, asked: &Value) -> String {
    let mut said = way.client.clone();
    said["type"] = json!(way.kind.unwrap_or(kind));
    said["challenge"] =
        way.challenge.as_ref().map_or_else(|| asked["challenge"].clone(), |other| json!(other));
    said["origin"] = json!(way.origin);
    said.to_string()
}
