//! How the agent becomes known to the organization: once, with a one-time token, and a key that never leaves here;
//! and how it asks for its next certificate, with the token of the link and another such key.
//!
//! The control plane's answer is checked against what is pinned in the configuration: its CA must be the pinned
//! identity CA, its organization the one of the trust file, its certificate an agent's for this database. A control
//! plane that answers otherwise is refused, and nothing is stored.

use crate::authorities::{AuthorityStore, AuthorityStoreError};
use crate::bundle_store::BundleStore;
use crate::cause;
use crate::config::{self, AgentSection, ConfigError, ControlPlaneSection};
use crate::kept_file;
use crate::secret::Secret;
use daam_api::link::Authority;
use daam_api::v1::{AgentCertificateRequest, CertificateIssued, Enrol, Enrolled};
use daam_bundle::Minimum;
use daam_identity::{Authorities, Principal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

const FACTS: &str = "identity.json";
const KEY: &str = "agent.key";
const CERTIFICATE: &str = "agent.crt";
const LINK_TOKEN: &str = "link-token";
/// Key and certificate in one file, because they must change together.
const RENEWED: &str = "renewed.json";
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why the agent has no identity.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// State directory.
    #[error("could not {doing} in the state directory")]
    State {
        /// What.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The stored identity cannot be read.
    #[error("the stored identity is damaged; remove `{FACTS}` from the state directory and enrol anew")]
    Damaged,
    /// The stored identity is another agent's.
    #[error("the state directory belongs to the agent of database `{stored}`, not of `{wanted}`")]
    OtherDatabase {
        /// Stored.
        stored: String,
        /// Configured.
        wanted: String,
    },
    /// The token file.
    #[error("could not read the enrolment token")]
    Token(#[source] ConfigError),
    /// What follows the token.
    #[error("what follows `@` in the enrolment token is not `EPOCH.SERIAL`, as in `@1.17`")]
    Minimum,
    /// Key or request.
    #[error("could not make a key")]
    Key(#[source] daam_identity::AuthorityError),
    /// The control plane cannot be reached.
    #[error("could not reach the control plane")]
    Unreachable(#[source] reqwest::Error),
    /// The control plane said no.
    #[error("the control plane said no: {0}")]
    Refused(String),
    /// The answer contradicts what is pinned.
    #[error("the control plane's answer was refused: {0}")]
    Answer(String),
}

impl EnrolmentError {
    /// Whether trying again later can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// Who this agent is, with its key.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Its id.
    pub agent_id: String,
    /// Its organization.
    pub org: String,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: Secret,
    /// The key it enrolled with, PEM: what it records is signed by it, whatever key the certificate has by now.
    pub first_key_pem: Secret,
    /// The bearer token of the link.
    pub link_token: Secret,
}

/// What an answer must fit.
#[derive(Debug)]
pub struct Pins<'a> {
    /// From the trust file.
    pub org: &'a str,
    /// The identity CAs that are believed, from the pinned one on.
    pub authorities: &'a mut AuthorityStore,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    agent_id: String,
    org: String,
    database: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Renewed {
    agent_id: String,
    certificate_pem: String,
    key_pem: String,
}

/// The stored identity, or none if the agent was never enrolled.
pub fn stored(agent: &AgentSection) -> Result<Option<Credentials>, EnrolmentError> {
    let dir = &agent.state_dir;
    let Some(facts) = read(dir, FACTS)? else { return Ok(None) };
    let facts: Facts = serde_json::from_str(&facts).map_err(|_| EnrolmentError::Damaged)?;
    if facts.database != agent.database {
        return Err(EnrolmentError::OtherDatabase { stored: facts.database, wanted: agent.database.clone() });
    }
    let part = |name| read(dir, name)?.ok_or(EnrolmentError::Damaged);
    let credentials = Credentials {
        agent_id: facts.agent_id,
        org: facts.org,
        certificate_pem: part(CERTIFICATE)?,
        key_pem: Secret::new(part(KEY)?),
        first_key_pem: Secret::new(part(KEY)?),
        link_token: Secret::new(part(LINK_TOKEN)?),
    };
    Ok(Some(match renewed(dir)? {
        // What an earlier enrolment left behind is somebody else's.
        Some(renewed) if renewed.agent_id == credentials.agent_id => Credentials {
            certificate_pem: renewed.certificate_pem,
            key_pem: Secret::new(renewed.key_pem),
            ..credentials
        },
        _ => credentials,
    }))
}

fn renewed(dir: &Path) -> Result<Option<Renewed>, EnrolmentError> {
    let text = read(dir, RENEWED)?.map(Zeroizing::new);
    text.map(|text| serde_json::from_str(&text).map_err(|_| EnrolmentError::Damaged)).transpose()
}

/// The next certificate as it came, for a new key.
#[derive(Debug)]
pub struct NextCertificate {
    key_pem: Zeroizing<String>,
    answer: CertificateIssued,
}

/// Asks for the next certificate, for a new key.
pub async fn ask_next(
    control_plane: &ControlPlaneSection,
    held: &Credentials,
) -> Result<NextCertificate, EnrolmentError> {
    let (key_pem, csr_pem) = daam_identity::make_csr().map_err(EnrolmentError::Key)?;
    let address = format!("{}/v1/agent/certificate", control_plane.url);
    let answer = ask(&address, &held.link_token, &AgentCertificateRequest { csr_pem }).await?;
    Ok(NextCertificate { key_pem, answer })
}

/// Takes the next certificate, if it is what it should be.
pub fn renew(
    NextCertificate { key_pem, answer }: NextCertificate,
    agent: &AgentSection,
    pins: &mut Pins<'_>,
    held: &Credentials,
) -> Result<Credentials, EnrolmentError> {
    let by = (answer.ca_pem.as_str(), answer.authorities);
    let ends = check_certificate(&answer.certificate_pem, by, &held.agent_id, agent, pins)?;
    if daam_identity::facts_of_pem(&held.certificate_pem).is_ok_and(|facts| ends <= facts.not_after) {
        return Err(EnrolmentError::Answer("its certificate ends no later than the one held".to_owned()));
    }
    Ok(Credentials {
        certificate_pem: answer.certificate_pem,
        key_pem: Secret::new((*key_pem).clone()),
        ..held.clone()
    })
}

/// Stores what [`renew`] brought.
pub fn keep_renewed(agent: &AgentSection, credentials: &Credentials) -> Result<(), EnrolmentError> {
    let renewed = Renewed {
        agent_id: credentials.agent_id.clone(),
        certificate_pem: credentials.certificate_pem.clone(),
        key_pem: credentials.key_pem.expose().to_owned(),
    };
    let bytes = serde_json::to_vec(&renewed).map_err(|_| EnrolmentError::Damaged)?;
    kept_file::replace(&agent.state_dir, RENEWED, &Zeroizing::new(bytes))
        .map_err(|source| EnrolmentError::State { doing: "store the new certificate", source })
}

/// Enrols with the one-time token and stores the identity.
pub async fn enrol(
    agent: &AgentSection,
    control_plane: &ControlPlaneSection,
    pins: &mut Pins<'_>,
) -> Result<Credentials, EnrolmentError> {
    let token = config::read_secret(&control_plane.enrolment_token_file).map_err(EnrolmentError::Token)?;
    let (token, minimum) = token_and_minimum(&token)?;
    if let Some(minimum) = minimum {
        BundleStore::keep_minimum(&agent.state_dir, minimum)
            .map_err(|source| EnrolmentError::State { doing: "store the lowest bundle accepted", source })?;
    }
    let (key_pem, csr_pem) = daam_identity::make_csr().map_err(EnrolmentError::Key)?;
    let request = Enrol { name: agent.name.clone(), csr_pem: Some(csr_pem) };
    let answer = ask(&format!("{}/v1/enrol", control_plane.url), &token, &request).await;
    let answer = answer.map_err(|error| match error {
        EnrolmentError::Refused(said) => {
            EnrolmentError::Refused(format!("{said}; an enrolment token can be used once"))
        }
        error => error,
    })?;
    let credentials = check(answer, &key_pem, agent, pins)?;
    keep(agent, &credentials)?;
    Ok(credentials)
}

/// `TOKEN@EPOCH.SERIAL`: whoever hands the token out adds the bundle published now, so that the control plane cannot
/// give a new agent an older one. The control plane never sees that part.
fn token_and_minimum(written: &Secret) -> Result<(Secret, Option<Minimum>), EnrolmentError> {
    match written.expose().split_once('@') {
        None => Ok((written.clone(), None)),
        Some((token, minimum)) => {
            let minimum = Minimum::parse(minimum).ok_or(EnrolmentError::Minimum)?;
            Ok((Secret::new(token.to_owned()), Some(minimum)))
        }
    }
}

async fn ask<A: DeserializeOwned>(
    address: &str,
    token: &Secret,
    request: &impl Serialize,
) -> Result<A, EnrolmentError> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(EnrolmentError::Unreachable)?;
    let response = client
        .post(address)
        .bearer_auth(token.expose())
        .json(request)
        .send()
        .await
        .map_err(EnrolmentError::Unreachable)?;
    let status = response.status();
    if status.is_server_error() {
        return Err(match response.error_for_status() {
            Err(error) => EnrolmentError::Unreachable(error),
            Ok(_) => EnrolmentError::Refused(status.to_string()),
        });
    }
    if !status.is_success() {
        let problem: Option<daam_api::v1::Problem> = response.json().await.ok();
        let said = problem.map_or_else(|| status.to_string(), |problem| problem.title);
        return Err(EnrolmentError::Refused(said));
    }
    response.json().await.map_err(|_| EnrolmentError::Answer("it has another shape".to_owned()))
}

fn check(
    answer: Enrolled,
    key_pem: &Zeroizing<String>,
    agent: &AgentSection,
    pins: &mut Pins<'_>,
) -> Result<Credentials, EnrolmentError> {
    let refuse = |why: String| Err(EnrolmentError::Answer(why));
    if answer.org != pins.org {
        return refuse(format!(
            "it is of organization `{}`, the trust file is of `{}`",
            answer.org, pins.org
        ));
    }
    let Some(certificate_pem) = answer.certificate_pem else {
        return refuse("it holds no certificate".to_owned());
    };
    check_certificate(&certificate_pem, (&answer.ca_pem, answer.authorities), &answer.id, agent, pins)?;
    Ok(Credentials {
        agent_id: answer.id,
        org: answer.org,
        certificate_pem,
        key_pem: Secret::new((**key_pem).clone()),
        first_key_pem: Secret::new((**key_pem).clone()),
        link_token: Secret::new(answer.link_token),
    })
}

/// Refuses a certificate that is not this agent's by an authority that is believed; answers its last second.
fn check_certificate(
    certificate_pem: &str,
    (ca_pem, history): (&str, Vec<Authority>),
    agent_id: &str,
    agent: &AgentSection,
    pins: &mut Pins<'_>,
) -> Result<i64, EnrolmentError> {
    let refuse = |why: String| Err(EnrolmentError::Answer(why));
    // Without a history there was never but one, or a control plane that says nothing of others.
    let named = if history.is_empty() {
        Authorities::pinned(ca_pem).is_ok_and(|named| named == *pins.authorities.believed())
    } else {
        match pins.authorities.follow(history.clone()) {
            Ok(_) => true,
            // It counts, and is written down once it is offered again.
            Err(error @ AuthorityStoreError::Disk(_)) if pins.authorities.is_followed(&history) => {
                tracing::error!(error = %cause::chain(&error), "identity authorities could not be stored; they are in force");
                true
            }
            Err(error) => return refuse(cause::chain(&error)),
        }
    };
    if !named {
        return refuse("its identity CA is not the pinned one (`trust.identity_ca`)".to_owned());
    }
    if !pins.authorities.believed().signed(certificate_pem) {
        return refuse("its certificate is of no identity CA that is believed here".to_owned());
    }
    let expected = Principal::Agent(daam_identity::AgentPrincipal {
        org: pins.org.to_owned(),
        agent_id: agent_id.to_owned(),
        database: agent.database.clone(),
    });
    match daam_identity::facts_of_pem(certificate_pem) {
        Ok(facts) if facts.principal == expected => Ok(facts.not_after),
        Ok(facts) => refuse(format!("its certificate is for {}, not for {expected}", facts.principal)),
        Err(error) => refuse(error.to_string()),
    }
}

/// The facts come last: while they are missing the agent counts as not enrolled.
fn keep(agent: &AgentSection, credentials: &Credentials) -> Result<(), EnrolmentError> {
    let write = |name, text: &str| {
        kept_file::replace(&agent.state_dir, name, text.as_bytes())
            .map_err(|source| EnrolmentError::State { doing: "store the identity", source })
    };
    write(KEY, credentials.key_pem.expose())?;
    write(CERTIFICATE, &credentials.certificate_pem)?;
    write(LINK_TOKEN, credentials.link_token.expose())?;
    let facts = Facts {
        agent_id: credentials.agent_id.clone(),
        org: credentials.org.clone(),
        database: agent.database.clone(),
    };
    write(FACTS, &serde_json::to_string(&facts).map_err(|_| EnrolmentError::Damaged)?)
}

fn read(dir: &Path, name: &str) -> Result<Option<String>, EnrolmentError> {
    let bytes = kept_file::read(dir, name)
        .map_err(|source| EnrolmentError::State { doing: "read the identity", source })?;
    bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| EnrolmentError::Damaged)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(dir: &Path) -> AgentSection {
        AgentSection {
            name: "shop-1".into(),
            database: "shop".into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            advertise: vec![],
            away: Duration::from_secs(60),
            state_dir: dir.to_owned(),
            health: "127.0.0.1:0".parse().unwrap(),
            hash_key_file: None,
        }
    }

    fn answer(ca: &daam_identity::CertificateAuthority, csr: &str, database: &str) -> Enrolled {
        let principal = Principal::Agent(daam_identity::AgentPrincipal {
            org: "acme".into(),
            agent_id: "a1".into(),
            database: database.into(),
        });
        let issued = ca.issue(csr, &principal, 1_700_000_000, 1_700_086_400).unwrap();
        Enrolled {
            id: "a1".into(),
            org: "acme".into(),
            certificate_pem: Some(issued.pem),
            ca_pem: ca.cert_pem().to_owned(),
            link_token: "t".into(),
            ticket_key: None,
            authorities: Vec::new(),
        }
    }

    #[test]
    fn an_answer_that_contradicts_the_pins_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let agent = section(dir.path());
        let ours = daam_identity::CertificateAuthority::generate("acme", 1_700_000_000).unwrap();
        let theirs = daam_identity::CertificateAuthority::generate("acme", 1_700_000_000).unwrap();
        let (key, csr) = daam_identity::make_csr().unwrap();
        let mut authorities = AuthorityStore::open(dir.path().to_owned(), ours.cert_pem()).unwrap();
        let mut checked = |answer: Enrolled, org: &str| {
            let mut pins = Pins { org, authorities: &mut authorities };
            check(answer, &key, &agent, &mut pins).map_err(|error| error.to_string())
        };
        let good = answer(&ours, &csr, "shop");
        assert!(checked(good.clone(), "acme").is_ok());
        // Their certificate, and our authority's name for it.
        let foreign = Enrolled { ca_pem: ours.cert_pem().to_owned(), ..answer(&theirs, &csr, "shop") };
        for (bad, org, expected) in [
            (good.clone(), "other", "trust file"),
            (answer(&theirs, &csr, "shop"), "acme", "not the pinned one"),
            (foreign, "acme", "of no identity CA that is believed"),
            (answer(&ours, &csr, "hr"), "acme", "its certificate is for"),
        ] {
            let error = checked(bad, org).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        // Ours was replaced, and has said so.
        let told = |ca: &daam_identity::CertificateAuthority, by: Option<String>| Authority {
            certificate_pem: ca.cert_pem().to_owned(),
            handover_pem: by,
            in_force: true,
            issues: ca.cert_pem() == theirs.cert_pem(),
        };
        let history = |handover| vec![told(&ours, None), told(&theirs, handover)];
        let of_theirs = |authorities| Enrolled { authorities, ..answer(&theirs, &csr, "shop") };
        let error = checked(of_theirs(history(None)), "acme").unwrap_err();
        assert!(error.contains("vouches for"), "{error}");
        let handover = ours.hand_over(&theirs, 1_700_000_000).unwrap();
        assert!(checked(of_theirs(history(Some(handover))), "acme").is_ok());
    }

    #[test]
    fn a_full_disk_after_a_retirement_refuses_no_renewal() {
        let dir = tempfile::tempdir().unwrap();
        let agent = section(dir.path());
        let made = || daam_identity::CertificateAuthority::generate("acme", 1_700_000_000).unwrap();
        let (old, new) = (made(), made());
        let (key, csr) = daam_identity::make_csr().unwrap();
        let handover = old.hand_over(&new, 1_700_000_000).unwrap();
        let history = |old_in_force| {
            let told = |ca: &daam_identity::CertificateAuthority, handover_pem, in_force| Authority {
                certificate_pem: ca.cert_pem().to_owned(),
                handover_pem,
                in_force,
                issues: ca.cert_pem() == new.cert_pem(),
            };
            vec![told(&old, None, old_in_force), told(&new, Some(handover.clone()), true)]
        };
        let mut authorities = AuthorityStore::open(dir.path().to_owned(), old.cert_pem()).unwrap();
        let mut renewed = |old_in_force| {
            let answer = Enrolled { authorities: history(old_in_force), ..answer(&new, &csr, "shop") };
            check(answer, &key, &agent, &mut Pins { org: "acme", authorities: &mut authorities }).map(|_| ())
        };
        // A directory in the way of the new file stands for a full disk, whoever runs this.
        let full = dir.path().join(".authorities.json.new");
        std::fs::create_dir(&full).unwrap();
        assert!(renewed(true).is_err(), "what is added counts once it is on disk");
        std::fs::remove_dir(&full).unwrap();
        renewed(true).unwrap();
        std::fs::create_dir(&full).unwrap();
        for _ in 0..2 {
            renewed(false).unwrap();
        }
    }

    #[test]
    fn a_token_may_carry_the_lowest_bundle_accepted() {
        let read = |text: &str| token_and_minimum(&Secret::new(text.to_owned()));
        let (token, minimum) = read("daam_enr_x").unwrap();
        assert_eq!((token.expose(), minimum), ("daam_enr_x", None));
        let (token, minimum) = read("daam_enr_x@2.17").unwrap();
        assert_eq!((token.expose(), minimum), ("daam_enr_x", Some(Minimum { epoch: 2, serial: 17 })));
        for bad in ["daam_enr_x@", "daam_enr_x@17", "daam_enr_x@2.x", "a@b@2.17"] {
            assert!(matches!(read(bad), Err(EnrolmentError::Minimum)), "{bad}");
        }
    }

    #[test]
    fn a_stored_identity_reads_back_for_its_own_database_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut agent = section(dir.path());
        assert!(stored(&agent).unwrap().is_none());
        let credentials = Credentials {
            agent_id: "a1".into(),
            org: "acme".into(),
            certificate_pem: "cert".into(),
            key_pem: Secret::new("key".into()),
            first_key_pem: Secret::new("key".into()),
            link_token: Secret::new("token".into()),
        };
        keep(&agent, &credentials).unwrap();
        assert_eq!(stored(&agent).unwrap().unwrap().link_token.expose(), "token");
        let renewed = |id: &str, certificate: &str| Credentials {
            agent_id: id.into(),
            certificate_pem: certificate.into(),
            ..credentials.clone()
        };
        keep_renewed(&agent, &renewed("a0", "of an earlier enrolment")).unwrap();
        assert_eq!(stored(&agent).unwrap().unwrap().certificate_pem, "cert");
        keep_renewed(&agent, &renewed("a1", "newer")).unwrap();
        assert_eq!(stored(&agent).unwrap().unwrap().certificate_pem, "newer");
        agent.database = "hr".into();
        assert!(matches!(stored(&agent), Err(EnrolmentError::OtherDatabase { .. })));
    }
}
