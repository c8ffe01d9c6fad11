//! Freshness statements: `fresh` if the bundle held is the latest, `behind` if a later one exists.

use super::*;
use crate::freshness::Freshness;
use crate::statement::MAX_EXACT;

pub(super) fn cases() -> Vec<Value> {
    let mut cases = about();
    cases.extend(more());
    cases.extend(envelopes());
    cases
}

fn trust_fresh() -> TrustFile {
    trust_with(&trust(), |draft| {
        draft.roles.insert(Role::Freshness, role(&[KEY_B], 1));
    })
}

fn plain_freshness() -> Freshness {
    Freshness::about("acme", "shop", &head(5), NOW - 60, 3600)
}

fn vector(name: &str, description: &str, envelope: &str, expect: &str) -> Value {
    json!({
        "kind": "freshness",
        "name": name,
        "description": description,
        "trust": json_of(&trust_fresh().to_json()),
        "database": "shop",
        "head": json_of(&head(5).to_json()),
        "now": NOW,
        "envelope": STANDARD.encode(envelope),
        "expect": expect,
    })
}

/// A well-signed envelope around any text.
fn forged(text: &str, kind: Payload) -> String {
    let mut envelope = Envelope::new(kind, text.as_bytes().to_vec());
    let signature = key(KEY_B).sign(&envelope.pae());
    envelope.attach(&key(KEY_B).public(), &signature).unwrap();
    envelope.to_json()
}

fn changed_freshness(change: impl FnOnce(&mut Freshness)) -> String {
    let mut statement = plain_freshness();
    change(&mut statement);
    forged(&serde_json::to_string(&statement).unwrap(), Payload::Freshness)
}

fn about() -> Vec<Value> {
    let case = |name, description, change: &dyn Fn(&mut Freshness), expect| {
        vector(name, description, &changed_freshness(change), expect)
    };
    vec![
        case("freshness-accept", "the bundle held is the latest", &|_| {}, "fresh"),
        case(
            "freshness-accept-behind",
            "a later bundle exists and did not arrive",
            &|said| said.serial = 6,
            "behind",
        ),
        case(
            "freshness-accept-later-epoch",
            "a later epoch began",
            &|said| (said.epoch, said.serial) = (2, 1),
            "behind",
        ),
        case(
            "freshness-reject-other-digest",
            "another bundle under the serial held",
            &|said| said.statement_sha256 = "a".repeat(64),
            "refused:fork",
        ),
        case(
            "freshness-reject-earlier-serial",
            "a bundle before the one held",
            &|said| said.serial = 4,
            "refused:behind",
        ),
        case(
            "freshness-reject-other-database",
            "another database's",
            &|said| said.database = "hr".into(),
            "refused:target",
        ),
    ]
}

fn more() -> Vec<Value> {
    let case = |name, description, change: &dyn Fn(&mut Freshness), expect| {
        vector(name, description, &changed_freshness(change), expect)
    };
    vec![
        case(
            "freshness-reject-other-organization",
            "another organization's",
            &|said| said.org = "evil".into(),
            "refused:target",
        ),
        case(
            "freshness-reject-long-life",
            "good for more than an hour",
            &|said| said.expires_at += 1,
            "refused:statement",
        ),
        case(
            "freshness-reject-ended",
            "its hour is over",
            &|said| (said.issued_at, said.expires_at) = (NOW - 3600, NOW),
            "refused:window",
        ),
        case(
            "freshness-reject-future",
            "said ten minutes ahead",
            &|said| (said.issued_at, said.expires_at) = (NOW + 600, NOW + 900),
            "refused:window",
        ),
        case(
            "freshness-reject-large-serial",
            "a serial of 2^53",
            &|said| said.serial = MAX_EXACT + 1,
            "refused:statement",
        ),
    ]
}

fn envelopes() -> Vec<Value> {
    let plain = serde_json::to_string(&plain_freshness()).unwrap();
    let with = |mut vector: Value, field: &str, value: Value| {
        vector[field] = value;
        vector
    };
    let stranger = plain_freshness().sign(&key(KEY_A)).unwrap();
    let good = forged(&plain, Payload::Freshness);
    vec![
        vector("freshness-reject-policy-key", "signed by a policy key", &stranger, "refused:threshold"),
        vector(
            "freshness-reject-other-type",
            "signed as a policy statement",
            &forged(&plain, Payload::Policy),
            "refused:envelope",
        ),
        vector(
            "freshness-reject-unknown-field",
            "a field nobody knows",
            &forged(&plain.replacen('{', "{\"grace\":1,", 1), Payload::Freshness),
            "refused:statement",
        ),
        with(
            vector(
                "freshness-reject-no-role",
                "the trust file has no freshness role",
                &good,
                "refused:no-role",
            ),
            "trust",
            json_of(&trust().to_json()),
        ),
        with(
            vector("freshness-reject-nothing-held", "no bundle is held", &good, "refused:nothing-held"),
            "head",
            Value::Null,
        ),
        with(
            vector(
                "freshness-reject-clock-set-back",
                "over by the proven time, whatever the clock says",
                &good,
                "refused:window",
            ),
            "head",
            json_of(&Head { time_floor: NOW + 7200, ..head(5) }.to_json()),
        ),
    ]
}
