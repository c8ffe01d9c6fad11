//! What helps when an agent could not be reached, by what either side said.
//!
//! One table for `daam psql` and its like and for `daam doctor`. Only for causes that have one remedy: anything else
//! is looked into by the doctor.

/// The words to look for, and what helps.
const KNOWN: [(&[&str], &str); 8] = [
    (
        &["its certificate has expired"],
        "the agent renews its certificate by itself: ask whoever runs it why it does not reach the control plane",
    ),
    (
        &["certificate expired", "certificate has expired", "log in again"],
        "sign in again with `daam login`; if it stays, check this computer's clock",
    ),
    (&["not valid yet"], "set this computer's clock, or the agent's"),
    (
        &["was revoked"],
        "your sign-in was taken away: sign in again with `daam login`, or ask your administrator",
    ),
    (
        &["organization `", "not from the organization's CA", "not from this organization"],
        "sign in to the control plane this agent belongs to, with `daam login`",
    ),
    (
        &[
            "certificate for database `",
            "certificate for agent `",
            "for another name",
            "is an agent's",
            "is not an agent's",
            "not acceptable",
        ],
        "what answers there is another agent: ask whoever runs it to check `agent.advertise`",
    ),
    (&["proxy"], "check the address and password in HTTPS_PROXY"),
    (
        &["the agent is not connected to this relay"],
        "the agent cannot reach this relay: let it out to the relay's UDP and TCP port",
    ),
];

/// What helps, if it is known.
pub fn of(said: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(words, _)| words.iter().any(|word| said.contains(word))).map(|(_, helps)| *helps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_certificate_has_its_remedy() {
        for (said, helps) in [
            ("our certificate expired 3 seconds ago; log in again", "daam login"),
            ("direct 192.0.2.1:5: handshake: its certificate has expired", "whoever runs it"),
            ("its certificate is not valid yet; is this computer's clock right?", "clock"),
            ("its certificate is not from the organization's CA", "control plane this agent belongs to"),
            ("our certificate is for organization `a`, the agent belongs to `b`", "control plane this agent"),
            (
                "it showed a certificate for organization `a`, but `b` was asked for",
                "control plane this agent",
            ),
            ("it showed a certificate for database `a`, but `b` was asked for", "another agent"),
            ("it showed the certificate of ada, which is not an agent's", "another agent"),
            ("your certificate was revoked", "administrator"),
            ("the HTTP proxy `p:1` did not let us through", "HTTPS_PROXY"),
            ("the agent is not connected to this relay", "relay"),
        ] {
            assert!(of(said).unwrap_or_default().contains(helps), "{said}: {:?}", of(said));
        }
        assert_eq!(of("no answer"), None);
    }
}
