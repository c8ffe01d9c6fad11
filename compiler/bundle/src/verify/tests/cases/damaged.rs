//! What is not a bundle, or no longer one.

use super::*;
use crate::content::encode_content;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = files();
    cases.extend(envelopes());
    cases.extend(statements());
    cases.extend(contents());
    cases
}

fn files() -> Vec<Case> {
    let good = changed(|_| {});
    let long = [b"DAAMBNDL1\n".as_slice(), &65_537_u32.to_be_bytes(), &[b' '; 16]].concat();
    vec![
        case("reject-empty", "no bytes at all", vec![], "refused:malformed:not-a-bundle"),
        case("reject-magic", "another magic", good.replace_first(b'X'), "refused:malformed:not-a-bundle"),
        case(
            "reject-cut-in-length",
            "ends inside the length",
            good[..12].to_vec(),
            "refused:malformed:truncated",
        ),
        case(
            "reject-cut-in-envelope",
            "ends inside the envelope",
            good[..200].to_vec(),
            "refused:malformed:truncated",
        ),
        case("reject-long-envelope", "says its envelope is over 64 KiB", long, "refused:malformed:too-large"),
    ]
}

trait ReplaceFirst {
    fn replace_first(&self, byte: u8) -> Vec<u8>;
}

impl ReplaceFirst for Vec<u8> {
    fn replace_first(&self, byte: u8) -> Vec<u8> {
        let mut copy = self.clone();
        copy[0] = byte;
        copy
    }
}

fn envelopes() -> Vec<Case> {
    let unpadded = |pointer: &'static str| {
        with_envelope(|envelope| {
            let value = envelope.pointer_mut(pointer).unwrap();
            let mut bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
            if bytes.len() % 3 == 0 {
                bytes.push(b' ');
            }
            *value = json!(STANDARD_NO_PAD.encode(bytes));
        })
    };
    vec![
        case(
            "reject-not-json",
            "an envelope that is not JSON",
            with_envelope_text(|_| "daam".into()),
            "refused:malformed:envelope",
        ),
        case(
            "reject-unpadded-payload",
            "a payload without padding",
            unpadded("/payload"),
            "refused:malformed:base64",
        ),
        case(
            "reject-unpadded-signature",
            "a signature without padding",
            unpadded("/signatures/0/sig"),
            "refused:malformed:base64",
        ),
        case(
            "reject-payload-twice",
            "a second member `payload`",
            with_envelope_text(|text| text.replacen('{', "{\"payload\":\"e30=\",", 1)),
            "refused:malformed:envelope",
        ),
        case(
            "reject-no-payload-type",
            "no payload type",
            with_envelope(|envelope| {
                envelope.as_object_mut().unwrap().remove("payloadType");
            }),
            "refused:malformed:envelope",
        ),
    ]
}

fn statements() -> Vec<Case> {
    let changed = |name, description, from: &'static str, to: &'static str| {
        let bundle = with_statement(|text| {
            assert!(text.contains(from), "`{from}` not in {text}");
            text.replacen(from, to, 1)
        });
        case(name, description, bundle, "refused:malformed:statement")
    };
    let large = with_statement(|text| text + &" ".repeat(4096));
    vec![
        case("reject-large-statement", "a statement over 4 KiB", large, "refused:malformed:too-large"),
        changed("reject-unknown-field", "a field nobody knows", "{", "{\"grace\":1,"),
        changed("reject-field-twice", "a field twice", "\"serial\":5", "\"serial\":5,\"serial\":5"),
        changed("reject-missing-field", "a field left out", "\"rollback_of\":null,", ""),
        changed(
            "reject-statement-type",
            "a statement of another type",
            "policy-statement.v1",
            "policy-statement.v2",
        ),
        changed("reject-large-serial", "a serial of 2^53", "\"serial\":5", "\"serial\":9007199254740992"),
        changed(
            "reject-fractional-serial",
            "a serial that is no whole number",
            "\"serial\":5",
            "\"serial\":5.0",
        ),
        changed("reject-negative-time", "a time before 1970", "\"not_before\":1", "\"not_before\":-1"),
        changed(
            "reject-bad-digest",
            "a digest in capitals",
            "\"effects_sha256\":\"e",
            "\"effects_sha256\":\"E",
        ),
        changed("reject-media-type", "content of another type", "policy-content.v1", "policy-content.v2"),
        changed(
            "reject-trailing-text",
            "text after the statement",
            "\"trust_version\":1}",
            "\"trust_version\":1}{}",
        ),
    ]
}

fn contents() -> Vec<Case> {
    let (envelope, content) = plain();
    let around = |content: &[u8]| file::join(envelope.to_string().as_bytes(), content).unwrap();
    let mut off = content.clone();
    *off.last_mut().unwrap() ^= 1;
    let spaced = [content.as_slice(), b" "].concat();
    let elsewhere = encode_content(&policies("hr"));
    vec![
        case(
            "reject-content-one-byte-off",
            "content with one bit flipped",
            around(&off),
            "refused:malformed:content-digest",
        ),
        case(
            "reject-content-longer",
            "content with one byte more",
            around(&spaced),
            "refused:malformed:content-digest",
        ),
        case(
            "reject-content-shorter",
            "content with one byte less",
            around(&content[..content.len() - 1]),
            "refused:malformed:content-digest",
        ),
        case(
            "reject-content-not-policies",
            "signed content that is no policy set",
            with_content(b"{}"),
            "refused:malformed:content",
        ),
        case(
            "reject-content-not-canonical",
            "signed content in another form",
            with_content(&spaced),
            "refused:malformed:content",
        ),
        case(
            "reject-content-of-another-database",
            "the statement names one database, the content another",
            with_content(&elsewhere),
            "refused:malformed:content-database",
        ),
    ]
}
