//! Relay tickets: who may use a relay, for which agent, until when — signed by the control plane, checked by
//! the relay without asking anybody.
//!
//! What the control plane hands out is a *held* ticket: `payload.signature.secret`. Only `payload.signature`
//! ever crosses the wire; with the secret the holder signs the relay's challenge, so a ticket read off the
//! network is worthless. Each ticket names the one relay it is for, so that a relay in bad hands cannot pass its
//! visitors' proofs on to another and stand there in their place. It also says how much may be sent with it.
//! Refused: unknown fields, unknown versions, other spellings, other relays' and expired tickets.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The ticket format written and read.
pub const VERSION: u32 = 2;
/// Largest ticket read, in bytes.
pub const MAX_TICKET_BYTES: usize = 1000;
const TICKET_CONTEXT: &[u8] = b"daam-relay-ticket-v1\0";
const HOLDER_CONTEXT: &[u8] = b"daam-relay-holder-v1\0";

/// What the holder is to the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketRole {
    /// Waits for clients.
    Agent,
    /// Wants to reach the agent.
    Client,
}

/// How much a ticket's holder may have a relay carry. A relay may allow less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrafficClass {
    /// Bytes per second, both directions and all sessions together.
    pub bytes_per_second: u64,
    /// Sessions at once.
    pub sessions: u32,
}

impl TrafficClass {
    /// Unless an operator says otherwise.
    pub fn usual(role: TicketRole) -> Self {
        match role {
            TicketRole::Agent => Self { bytes_per_second: 1_000_000_000, sessions: 2_048 },
            TicketRole::Client => Self { bytes_per_second: 128_000_000, sessions: 16 },
        }
    }
}

/// What a ticket grants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TicketGrant {
    /// Organization slug.
    pub org: String,
    /// As what.
    pub role: TicketRole,
    /// The agent itself, or the agent to be reached.
    pub agent_id: String,
    /// At which relay, as it announced itself: `host:port`.
    pub relay: String,
    /// How much.
    pub class: TrafficClass,
    /// Last second of validity, Unix time.
    pub expires: i64,
}

/// Why a ticket was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a ticket.
    #[error("not a relay ticket: {0}")]
    Malformed(&'static str),
    /// Not signed by the expected control plane.
    #[error("the relay ticket is not signed by this control plane")]
    Signature,
    /// For another relay.
    #[error("the relay ticket is for another relay, `{0}`")]
    OtherRelay(String),
    /// Too old.
    #[error("the relay ticket expired {0} seconds ago")]
    Expired(i64),
    /// The presenter did not prove that it holds the ticket.
    #[error("the relay ticket was presented by someone who does not hold its key")]
    Holder,
    /// A key could not be read.
    #[error("not a usable ticket key: {0}")]
    Key(&'static str),
    /// The system gave no randomness.
    #[error("no randomness from the operating system")]
    Randomness,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    v: u32,
    org: String,
    role: TicketRole,
    agent: String,
    relay: String,
    rate: u64,
    sessions: u32,
    exp: i64,
    holder: String,
}

/// Signs tickets. The control plane has one.
pub struct TicketSigner {
    key: SigningKey,
}

impl TicketSigner {
    /// A new key.
    pub fn generate() -> Result<Self, TicketError> {
        Ok(Self { key: random_key()? })
    }

    /// From a stored 32-byte seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed) }
    }

    /// From PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, TicketError> {
        let key = SigningKey::from_pkcs8_pem(pem)
            .map_err(|_| TicketError::Key("it is not an Ed25519 private key in PKCS#8 PEM"))?;
        Ok(Self { key })
    }

    /// As PKCS#8 PEM.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, TicketError> {
        let pem = self
            .key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| TicketError::Key("it cannot be written as PKCS#8"))?;
        Ok(Zeroizing::new(pem.to_string()))
    }

    /// The seed, for storage.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public key that relays verify with, standard base64.
    pub fn public_base64(&self) -> String {
        STANDARD.encode(self.key.verifying_key().as_bytes())
    }

    /// Makes a held ticket, with a fresh holder key inside. Give it to the holder only, over TLS.
    pub fn issue(&self, grant: &TicketGrant) -> Result<String, TicketError> {
        let holder = random_key()?;
        let payload = Payload {
            v: VERSION,
            org: grant.org.clone(),
            role: grant.role,
            agent: grant.agent_id.clone(),
            relay: grant.relay.clone(),
            rate: grant.class.bytes_per_second,
            sessions: grant.class.sessions,
            exp: grant.expires,
            holder: URL_SAFE_NO_PAD.encode(holder.verifying_key().as_bytes()),
        };
        let json =
            serde_json::to_vec(&payload).map_err(|_| TicketError::Malformed("it cannot be written"))?;
        let signature = self.key.sign(&signed_bytes(TICKET_CONTEXT, &[&json]));
        let ticket = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(&json),
            URL_SAFE_NO_PAD.encode(signature.to_bytes()),
            URL_SAFE_NO_PAD.encode(holder.as_bytes())
        );
        if ticket.len() > MAX_TICKET_BYTES {
            return Err(TicketError::Malformed("its names are too long"));
        }
        Ok(ticket)
    }
}

impl std::fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketSigner").field("public", &self.public_base64()).finish()
    }
}

/// A ticket together with the secret that proves who holds it.
#[derive(Clone)]
pub struct HeldTicket {
    presented: String,
    holder: SigningKey,
}

impl HeldTicket {
    /// Reads what [`TicketSigner::issue`] made. The signature is the relay's to check.
    pub fn parse(text: &str) -> Result<Self, TicketError> {
        if text.len() > MAX_TICKET_BYTES {
            return Err(TicketError::Malformed("it is too long"));
        }
        let (presented, secret) =
            text.rsplit_once('.').ok_or(TicketError::Malformed("it has no holder secret"))?;
        if presented.split('.').count() != 2 {
            return Err(TicketError::Malformed("it does not have three parts"));
        }
        let secret = Zeroizing::new(decode::<32>(secret, "its holder secret is not 32 bytes")?);
        Ok(Self { presented: presented.to_owned(), holder: SigningKey::from_bytes(&secret) })
    }

    /// The part that is shown to the relay.
    pub fn presented(&self) -> &str {
        &self.presented
    }

    /// Answers a relay's challenge.
    pub fn prove(&self, challenge: &[u8]) -> [u8; 64] {
        self.holder.sign(&signed_bytes(HOLDER_CONTEXT, &[self.presented.as_bytes(), challenge])).to_bytes()
    }
}

impl std::fmt::Debug for HeldTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldTicket").finish_non_exhaustive()
    }
}

/// Checks tickets. A relay has one.
#[derive(Debug, Clone)]
pub struct TicketVerifier {
    key: VerifyingKey,
    relay: String,
}

impl TicketVerifier {
    /// From the public key, standard base64, for the relay that announced itself as `relay`.
    pub fn from_base64(public: &str, relay: &str) -> Result<Self, TicketError> {
        let bytes = STANDARD
            .decode(public.trim())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(TicketError::Key("it is not 32 bytes of base64"))?;
        let key = VerifyingKey::from_bytes(&bytes)
            .map_err(|_| TicketError::Key("it is not an Ed25519 public key"))?;
        if key.is_weak() {
            return Err(TicketError::Key("it is a weak Ed25519 public key"));
        }
        Ok(Self { key, relay: relay.to_owned() })
    }

    /// Checks a presented ticket (`payload.signature`) at `now`.
    pub fn verify(&self, presented: &str, now_unix: i64) -> Result<VerifiedTicket, TicketError> {
        if presented.len() > MAX_TICKET_BYTES {
            return Err(TicketError::Malformed("it is too long"));
        }
        let (payload, signature) =
            presented.split_once('.').ok_or(TicketError::Malformed("it has no signature"))?;
        let signature = Signature::from_bytes(&decode::<64>(signature, "its signature is not 64 bytes")?);
        let json = URL_SAFE_NO_PAD
            .decode(payload)
            .map_err(|_| TicketError::Malformed("its payload is not base64url"))?;
        self.key
            .verify_strict(&signed_bytes(TICKET_CONTEXT, &[&json]), &signature)
            .map_err(|_| TicketError::Signature)?;
        let payload: Payload =
            serde_json::from_slice(&json).map_err(|_| TicketError::Malformed("its payload is not known"))?;
        if payload.v != VERSION {
            return Err(TicketError::Malformed("its version is not known"));
        }
        if payload.relay != self.relay {
            return Err(TicketError::OtherRelay(payload.relay));
        }
        if now_unix > payload.exp {
            return Err(TicketError::Expired(now_unix.saturating_sub(payload.exp)));
        }
        let holder = decode::<32>(&payload.holder, "its holder key is not 32 bytes")?;
        let holder = VerifyingKey::from_bytes(&holder)
            .map_err(|_| TicketError::Malformed("its holder key is not an Ed25519 key"))?;
        let grant = TicketGrant {
            org: payload.org,
            role: payload.role,
            agent_id: payload.agent,
            relay: payload.relay,
            class: TrafficClass { bytes_per_second: payload.rate, sessions: payload.sessions },
            expires: payload.exp,
        };
        Ok(VerifiedTicket { grant, holder, presented: presented.to_owned() })
    }
}

/// A ticket whose signature and expiry were checked. Who presents it is not proven yet.
#[derive(Debug, Clone)]
pub struct VerifiedTicket {
    grant: TicketGrant,
    holder: VerifyingKey,
    presented: String,
}

impl VerifiedTicket {
    /// Checks the holder's answer to `challenge`.
    pub fn proven_by(self, challenge: &[u8], proof: &[u8; 64]) -> Result<HeldGrant, TicketError> {
        let message = signed_bytes(HOLDER_CONTEXT, &[self.presented.as_bytes(), challenge]);
        self.holder
            .verify_strict(&message, &Signature::from_bytes(proof))
            .map_err(|_| TicketError::Holder)?;
        Ok(HeldGrant { grant: self.grant, holder: self.holder.to_bytes() })
    }
}

/// A grant whose presenter proved to hold it; only [`VerifiedTicket::proven_by`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldGrant {
    grant: TicketGrant,
    holder: [u8; 32],
}

impl HeldGrant {
    /// What is granted.
    pub fn grant(&self) -> &TicketGrant {
        &self.grant
    }

    /// The holder's public key: the same ticket has the same.
    pub fn holder(&self) -> &[u8; 32] {
        &self.holder
    }
}

/// Lengths are part of what is signed, so no two lists of parts read the same.
fn signed_bytes(context: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut out = context.to_vec();
    for part in parts {
        out.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn random_key() -> Result<SigningKey, TicketError> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(|_| TicketError::Randomness)?;
    Ok(SigningKey::from_bytes(&seed))
}

fn decode<const N: usize>(text: &str, why: &'static str) -> Result<[u8; N], TicketError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TicketError::Malformed(why))?;
    <[u8; N]>::try_from(bytes).map_err(|_| TicketError::Malformed(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_790_000_000;
    const RELAY: &str = "relay-1.example:443";

    fn grant() -> TicketGrant {
        TicketGrant {
            org: "acme".into(),
            role: TicketRole::Client,
            agent_id: "shop-1".into(),
            relay: RELAY.into(),
            class: TrafficClass { bytes_per_second: 5_000_000, sessions: 3 },
            expires: NOW + 300,
        }
    }

    fn pair() -> (TicketSigner, TicketVerifier) {
        let signer = TicketSigner::generate().unwrap();
        let verifier = TicketVerifier::from_base64(&signer.public_base64(), RELAY).unwrap();
        (signer, verifier)
    }

    #[test]
    fn a_ticket_says_what_was_granted_to_who_proves_to_hold_it() {
        let (signer, verifier) = pair();
        let held = HeldTicket::parse(&signer.issue(&grant()).unwrap()).unwrap();
        let shown = verifier.verify(held.presented(), NOW).unwrap();
        let proven = shown.clone().proven_by(b"nonce", &held.prove(b"nonce")).unwrap();
        assert_eq!(proven.grant(), &grant());
        let thief = HeldTicket::parse(&signer.issue(&grant()).unwrap()).unwrap();
        assert_eq!(shown.clone().proven_by(b"nonce", &thief.prove(b"nonce")), Err(TicketError::Holder));
        assert_eq!(shown.proven_by(b"other", &held.prove(b"nonce")), Err(TicketError::Holder));
    }

    #[test]
    fn the_secret_is_not_in_what_is_presented() {
        let (signer, _) = pair();
        let text = signer.issue(&grant()).unwrap();
        let secret = text.rsplit('.').next().unwrap();
        assert!(!HeldTicket::parse(&text).unwrap().presented().contains(secret));
    }

    #[test]
    fn an_expired_ticket_is_refused() {
        let (signer, verifier) = pair();
        let held = HeldTicket::parse(&signer.issue(&grant()).unwrap()).unwrap();
        assert!(verifier.verify(held.presented(), NOW + 300).is_ok());
        let refused = verifier.verify(held.presented(), NOW + 301);
        assert_eq!(refused.unwrap_err(), TicketError::Expired(1));
    }

    #[test]
    fn another_relays_ticket_is_refused() {
        let (signer, verifier) = pair();
        let other = TicketGrant { relay: "relay-2.example:443".into(), ..grant() };
        let held = HeldTicket::parse(&signer.issue(&other).unwrap()).unwrap();
        let refused = verifier.verify(held.presented(), NOW).unwrap_err();
        assert_eq!(refused, TicketError::OtherRelay("relay-2.example:443".into()));
    }

    #[test]
    fn another_control_planes_ticket_is_refused() {
        let (signer, _) = pair();
        let (_, verifier) = pair();
        let held = HeldTicket::parse(&signer.issue(&grant()).unwrap()).unwrap();
        assert_eq!(verifier.verify(held.presented(), NOW).unwrap_err(), TicketError::Signature);
    }

    #[test]
    fn unknown_fields_are_refused_even_when_signed() {
        let (signer, verifier) = pair();
        for payload in [
            r#"{"v":2,"org":"a","role":"agent","agent":"x","relay":"relay-1.example:443","rate":1,"sessions":1,"exp":9999999999,"holder":"","more":1}"#,
            r#"{"v":1,"org":"a","role":"agent","agent":"x","relay":"relay-1.example:443","rate":1,"sessions":1,"exp":9999999999,"holder":""}"#,
            r#"{"v":2,"org":"a","role":"root","agent":"x","relay":"relay-1.example:443","rate":1,"sessions":1,"exp":9999999999,"holder":""}"#,
            r#"{"v":2,"org":"a","role":"agent","agent":"x","exp":9999999999,"holder":""}"#,
        ] {
            let signature = signer.key.sign(&signed_bytes(TICKET_CONTEXT, &[payload.as_bytes()]));
            let text = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(payload),
                URL_SAFE_NO_PAD.encode(signature.to_bytes())
            );
            assert!(matches!(verifier.verify(&text, NOW), Err(TicketError::Malformed(_))), "{payload}");
        }
    }

    #[test]
    fn a_signer_survives_storage() {
        let (signer, _) = pair();
        let from_seed = TicketSigner::from_seed(&signer.seed());
        let from_pem = TicketSigner::from_pem(&signer.to_pem().unwrap()).unwrap();
        assert_eq!(from_seed.public_base64(), signer.public_base64());
        assert_eq!(from_pem.public_base64(), signer.public_base64());
        assert!(TicketSigner::from_pem("nothing").is_err());
        assert!(TicketVerifier::from_base64("AAAA", RELAY).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_ticket_is_never_accepted(at in 0usize..1000, with in "[A-Za-z0-9_.-]") {
            let (signer, verifier) = pair();
            let held = HeldTicket::parse(&signer.issue(&grant()).unwrap()).unwrap();
            let mut text: Vec<char> = held.presented().chars().collect();
            let index = at % text.len();
            text[index] = with.chars().next().unwrap();
            let changed: String = text.into_iter().collect();
            prop_assume!(changed != held.presented());
            prop_assert!(verifier.verify(&changed, NOW).is_err());
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".*") {
            let (_, verifier) = pair();
            prop_assert!(verifier.verify(&text, NOW).is_err());
            prop_assert!(HeldTicket::parse(&text).is_err());
        }
    }
}
