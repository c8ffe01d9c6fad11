//! What is asked of an authenticator and whether its answer holds, as functions over values; the store keeps what was
//! asked, once and for a short time.
//!
//! The library verifies challenge, origin, RP id, presence, user verification and signature. Besides, here: that an answer
//! was not given to a page in somebody's frame, and that the passkey is of the person who was named and of the one its
//! authenticator names. Which authenticators there are is nothing we ask (no attestation). Refused: a public address
//! without a name, because browsers know no passkeys there.

use crate::base::Base;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daam_store::StoredPasskey;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;
use webauthn_rs::fake::{FakePasskeyDistribution, WebauthnFakeCredentialGenerator};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

/// What was asked is answered within this time.
pub(crate) const ANSWER_SECONDS: i64 = 300;
const PATIENCE: Duration = Duration::from_secs(300);

/// Why there is no passkey, or its answer does not hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyError {
    #[error("the public address has no name that passkeys could belong to")]
    Address,
    #[error("what was kept cannot be read")]
    Kept(#[source] serde_json::Error),
    #[error("the answer is not one of an authenticator")]
    Malformed(#[source] serde_json::Error),
    #[error("the answer was given to a page in a frame of another")]
    Framed,
    #[error("the passkey is somebody else's")]
    Holder,
    #[error("the passkey's counter went back")]
    Cloned,
    #[error("the answer does not hold")]
    Refused(#[source] WebauthnError),
}

impl From<WebauthnError> for PasskeyError {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::CredentialPossibleCompromise => Self::Cloned,
            error => Self::Refused(error),
        }
    }
}

/// Who gets a passkey.
#[derive(Debug)]
pub(crate) struct Holder<'a> {
    pub(crate) person: &'a str,
    pub(crate) email: &'a str,
}

/// A passkey that answered rightly for the first time.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) credential_id: String,
    pub(crate) credential: String,
}

/// Whom a sign-in is for.
#[derive(Debug)]
pub(crate) enum Named<'a> {
    /// Whoever the authenticator says.
    Nobody,
    /// This person, with these passkeys.
    Person(&'a str, &'a [StoredPasskey]),
    /// Somebody who is not here, by what they are called. Strangers must not find out that they are not.
    Stranger(&'a str),
}

#[derive(Serialize, Deserialize)]
struct SignIn {
    asked: DiscoverableAuthentication,
    /// The person it is for; nobody if that is empty.
    named: Option<String>,
}

/// An authenticator's answer to a sign-in, not verified yet.
#[derive(Debug)]
pub(crate) struct Answer(PublicKeyCredential);

/// Our part: the name passkeys belong to, and the one origin they are used at.
pub(crate) fn party(base: &Base) -> Result<Webauthn, PasskeyError> {
    let origin = Url::parse(base.origin()).map_err(|_| PasskeyError::Address)?;
    let id = origin.domain().ok_or(PasskeyError::Address)?;
    let party = WebauthnBuilder::new(id, &origin)?.rp_name("daam").timeout(PATIENCE).build()?;
    Ok(party)
}

/// What to ask for a new passkey: the options for the browser, and what to keep.
pub(crate) fn begin_registration(
    party: &Webauthn,
    holder: &Holder<'_>,
    known: &[StoredPasskey],
) -> Result<(Value, String), PasskeyError> {
    let person = Uuid::parse_str(holder.person).map_err(|_| PasskeyError::Holder)?;
    let ids = known.iter().filter_map(|key| URL_SAFE_NO_PAD.decode(&key.credential_id).ok());
    let ids = ids.collect();
    let (asked, kept) = party.start_passkey_registration(person, holder.email, holder.email, Some(ids))?;
    let mut options = serde_json::to_value(&asked).map_err(PasskeyError::Kept)?;
    // Found without a name, where the authenticator can keep that.
    if let Some(wanted) = options.pointer_mut("/publicKey/authenticatorSelection/residentKey") {
        *wanted = json!("preferred");
    }
    Ok((options, serde_json::to_string(&kept).map_err(PasskeyError::Kept)?))
}

/// Whether the answer is one to what was asked.
pub(crate) fn finish_registration(
    party: &Webauthn,
    kept: &str,
    answer: &str,
) -> Result<Registered, PasskeyError> {
    let kept: PasskeyRegistration = serde_json::from_str(kept).map_err(PasskeyError::Kept)?;
    let answer: RegisterPublicKeyCredential =
        serde_json::from_str(answer).map_err(PasskeyError::Malformed)?;
    not_framed(&answer.response.client_data_json)?;
    let made = party.finish_passkey_registration(&answer, &kept)?;
    Ok(Registered {
        credential_id: URL_SAFE_NO_PAD.encode(made.cred_id()),
        credential: serde_json::to_string(&made).map_err(PasskeyError::Kept)?,
    })
}

/// What to ask for a sign-in: the options for the browser, and what to keep.
pub(crate) fn begin_sign_in(
    party: &Webauthn,
    named: &Named<'_>,
    decoys: &[u8],
) -> Result<(Value, String), PasskeyError> {
    let (asked, kept) = party.start_discoverable_authentication()?;
    let mut options = serde_json::to_value(&asked).map_err(PasskeyError::Kept)?;
    // A button was pressed; nothing waits in a field.
    if let Some(object) = options.as_object_mut() {
        object.remove("mediation");
    }
    let (named, ids) = match named {
        Named::Nobody => (None, Vec::new()),
        Named::Person(person, known) => {
            let ids = known.iter().map(|key| key.credential_id.clone()).collect();
            (Some((*person).to_owned()), ids)
        }
        Named::Stranger(name) => {
            let made = WebauthnFakeCredentialGenerator::<FakePasskeyDistribution>::new(decoys)?;
            let ids = made.generate(name.as_bytes())?;
            (Some(String::new()), ids.iter().map(|id| URL_SAFE_NO_PAD.encode(id)).collect())
        }
    };
    let allowed: Vec<Value> = ids.iter().map(|id| json!({ "type": "public-key", "id": id })).collect();
    if let Some(wanted) = options.pointer_mut("/publicKey/allowCredentials") {
        *wanted = Value::Array(allowed);
    }
    let kept = SignIn { asked: kept, named };
    Ok((options, serde_json::to_string(&kept).map_err(PasskeyError::Kept)?))
}

impl Answer {
    /// Reads one.
    pub(crate) fn read(text: &str) -> Result<Self, PasskeyError> {
        serde_json::from_str(text).map(Self).map_err(PasskeyError::Malformed)
    }

    /// The passkey it claims to be of.
    pub(crate) fn credential_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.get_credential_id())
    }

    /// Whether it is one of that passkey to what was asked; then what to keep of the passkey from now on.
    pub(crate) fn of(
        &self,
        party: &Webauthn,
        kept: &str,
        passkey: &StoredPasskey,
    ) -> Result<String, PasskeyError> {
        let SignIn { asked, named } = serde_json::from_str(kept).map_err(PasskeyError::Kept)?;
        let held = match self.0.get_user_unique_id() {
            Some(handle) => Uuid::from_slice(handle).is_ok_and(|id| id.to_string() == passkey.person_id),
            // Then somebody else has said who it is.
            None => named.is_some(),
        };
        if !held || named.is_some_and(|named| named != passkey.person_id) {
            return Err(PasskeyError::Holder);
        }
        not_framed(&self.0.response.client_data_json)?;
        let mut known: Passkey = serde_json::from_str(&passkey.credential).map_err(PasskeyError::Kept)?;
        let used = party.finish_discoverable_authentication_v2(&self.0, asked, &known)?;
        if !used.user_verified() {
            return Err(PasskeyError::Refused(WebauthnError::UserNotVerified));
        }
        known.update_credential(&used);
        serde_json::to_string(&known).map_err(PasskeyError::Kept)
    }
}

/// The library looks at this in registrations only.
fn not_framed(client_data: &[u8]) -> Result<(), PasskeyError> {
    let said: Value = serde_json::from_slice(client_data).map_err(PasskeyError::Malformed)?;
    let framed = said.get("crossOrigin").is_some_and(|said| *said != Value::Bool(false));
    if framed || said.get("topOrigin").is_some() { Err(PasskeyError::Framed) } else { Ok(()) }
}
