//! A session that outlives the certificate it began with.
//!
//! The developer's side shakes hands a second time, over the same path, with its newer certificate — so that every
//! check a certificate meets is made by the code that always makes it — and shows a word that only the two ends of
//! the first connection know, because TLS made it from that connection's keys. The agent then lets the first
//! connection live as long as the newer certificate does. Refused: a word of no connection, somebody else's
//! connection (any other name, device or e-mail in the certificate), and a certificate that does not last longer.

use crate::attempt::establish;
use crate::close::{CloseCode, describe};
use crate::stream::StreamKind;
use crate::tls::{CredentialError, Credentials, Verdict};
use daam_identity::{AgentPrincipal, CertificateFacts, UserPrincipal};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use zeroize::Zeroizing;

const LABEL: &[u8] = b"daam-renew-v1";
const WORD_BYTES: usize = 32;
const DONE: u8 = 1;
/// One try may take so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The path may change during the handshake, which QUIC does not follow before it is complete.
const TRIES: u32 = 3;

/// What only the two ends of one connection know.
type Word = Zeroizing<[u8; WORD_BYTES]>;

fn word(connection: &Connection) -> Option<Word> {
    let mut word = Zeroizing::new([0; WORD_BYTES]);
    connection.export_keying_material(word.as_mut(), LABEL, b"").ok()?;
    Some(word)
}

/// Why a session was not given a longer life.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The new certificate, key or CA.
    #[error("the new certificate cannot be used")]
    Credentials(#[from] CredentialError),
    /// The way to the agent, or the agent.
    #[error("the agent did not take the new certificate: {0}")]
    Refused(String),
}

/// Whom and how to ask.
#[derive(Debug, Clone)]
pub(crate) struct Renewer {
    pub(crate) endpoint: Endpoint,
    pub(crate) agent: AgentPrincipal,
    /// The virtual address of the agent.
    pub(crate) peer: SocketAddr,
    /// What later connections of the session show.
    pub(crate) newest: watch::Sender<Arc<Credentials>>,
}

impl Renewer {
    /// Asks the agent to let `old` live as long as this certificate.
    pub(crate) async fn renew(&self, old: &Connection, credentials: Credentials) -> Result<(), RenewError> {
        let refused = |reason: String| RenewError::Refused(reason);
        let word = word(old).ok_or_else(|| refused("TLS gave no key".to_owned()))?;
        let asking = async || {
            let verdict = Verdict::default();
            let config = credentials.client(self.agent.clone(), verdict.clone())?;
            let connecting = self
                .endpoint
                .connect_with(config, self.peer, &self.agent.server_name())
                .map_err(|error| refused(error.to_string()))?;
            let (fresh, _control) = establish(connecting)
                .await
                .map_err(|(_, reason)| refused(verdict.get().unwrap_or(reason)))?;
            let asked = ask(&fresh, &word).await;
            let ended = fresh.close_reason().map(|error| describe(&error));
            fresh.close(CloseCode::Done.wire(), b"renewed");
            asked.map_err(|said| refused(ended.unwrap_or(said)))
        };
        for _ in 0..TRIES {
            if let Ok(asked) = tokio::time::timeout(PATIENCE, asking()).await {
                asked?;
                self.newest.send_replace(Arc::new(credentials));
                return Ok(());
            }
        }
        Err(refused("no answer".to_owned()))
    }
}

async fn ask(fresh: &Connection, word: &Word) -> Result<(), String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let (mut send, mut recv) = fresh.open_bi().await.map_err(|error| said(&error))?;
    send.write_all(&StreamKind::Renewal.header()).await.map_err(|error| said(&error))?;
    send.write_all(word.as_ref()).await.map_err(|error| said(&error))?;
    let mut answer = [0];
    recv.read_exact(&mut answer).await.map_err(|error| said(&error))?;
    if answer == [DONE] { Ok(()) } else { Err("the agent speaks another version".to_owned()) }
}

/// The connections an agent holds, by their words.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<BTreeMap<[u8; WORD_BYTES], Kept>>);

#[derive(Debug)]
struct Kept {
    user: UserPrincipal,
    facts: watch::Sender<CertificateFacts>,
}

impl Held {
    fn all(&self) -> MutexGuard<'_, BTreeMap<[u8; WORD_BYTES], Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a connection until what is returned is dropped; `None` if TLS gives no word for it.
    pub(crate) fn keep(
        self: &Arc<Self>,
        connection: &Connection,
        user: &UserPrincipal,
        facts: &CertificateFacts,
    ) -> Option<Place> {
        let word = *word(connection)?;
        let (sender, facts) = watch::channel(facts.clone());
        self.all().insert(word, Kept { user: user.clone(), facts: sender });
        Some(Place { held: Arc::clone(self), word: Zeroizing::new(word), facts })
    }

    /// Lets the connection of this word live as long as the certificate does; says why not.
    pub(crate) fn renew(
        &self,
        word: &[u8; WORD_BYTES],
        user: &UserPrincipal,
        facts: &CertificateFacts,
    ) -> Result<(), &'static str> {
        let held = self.all();
        let kept = held.get(word).ok_or("there is no such connection to renew")?;
        if kept.user != *user {
            return Err("the connection to renew is somebody else's");
        }
        let longer = kept.facts.send_if_modified(|known| {
            let longer = facts.not_after > known.not_after;
            if longer {
                known.clone_from(facts);
            }
            longer
        });
        if longer { Ok(()) } else { Err("the new certificate does not last longer than the old one") }
    }
}

/// A connection's place among those that can be renewed, and what its certificate says now.
#[derive(Debug)]
pub(crate) struct Place {
    held: Arc<Held>,
    word: Word,
    pub(crate) facts: watch::Receiver<CertificateFacts>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.all().remove(&*self.word);
    }
}

/// The agent's side of [`Renewer::renew`], on the newer connection.
pub(crate) async fn answer(
    held: &Held,
    (connection, user, facts): (&Connection, &UserPrincipal, &CertificateFacts),
    (mut send, mut recv): (SendStream, RecvStream),
) {
    let mut word = Zeroizing::new([0; WORD_BYTES]);
    let read = tokio::time::timeout(PATIENCE, recv.read_exact(word.as_mut())).await;
    if !matches!(read, Ok(Ok(()))) {
        return;
    }
    match held.renew(&word, user, facts) {
        Ok(()) => send.write_all(&[DONE]).await.unwrap_or_default(),
        Err(why) => connection.close(CloseCode::NotAllowed.wire(), why.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada(device: &str) -> UserPrincipal {
        UserPrincipal {
            org: "acme".into(),
            user_id: "u-ada".into(),
            email: "ada@acme.example".into(),
            device: device.into(),
            databases: daam_identity::Databases::Any,
        }
    }

    fn facts(not_after: i64) -> CertificateFacts {
        CertificateFacts {
            principal: daam_identity::Principal::User(ada("laptop")),
            serial_hex: "07".into(),
            not_before: 0,
            not_after,
        }
    }

    #[test]
    fn only_the_same_person_on_the_same_device_makes_a_connection_live_longer_and_never_shorter() {
        let held = Held::default();
        let (sender, now) = watch::channel(facts(100));
        held.all().insert([7; WORD_BYTES], Kept { user: ada("laptop"), facts: sender });
        let later = facts(200);
        assert!(held.renew(&[8; WORD_BYTES], &ada("laptop"), &later).unwrap_err().contains("no such"));
        let stranger = UserPrincipal { user_id: "u-bo".into(), ..ada("laptop") };
        for other in [stranger, ada("phone"), UserPrincipal { email: "a@b.example".into(), ..ada("laptop") }]
        {
            assert!(held.renew(&[7; WORD_BYTES], &other, &later).unwrap_err().contains("somebody else"));
        }
        assert!(held.renew(&[7; WORD_BYTES], &ada("laptop"), &facts(100)).unwrap_err().contains("longer"));
        assert_eq!(now.borrow().not_after, 100);
        held.renew(&[7; WORD_BYTES], &ada("laptop"), &later).unwrap();
        assert_eq!(now.borrow().not_after, 200);
    }
}
