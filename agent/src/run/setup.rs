//! What must be there before anything runs: pins, identity, DSN, the key of the `hash` mask.

use super::RunError;
use crate::audit::{Audit, AuditTag};
use crate::authorities::AuthorityStore;
use crate::cause;
use crate::config::{self, AgentSection, Config, ControlPlaneSection};
use crate::enrolment::{self, Credentials, Pins};
use crate::kept_file;
use crate::upstream::UpstreamConfig;
use daam_bundle::{TrustDocument, TrustFile};
use daam_enforce::HashKey;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const HASH_KEY: &str = "hash.key";
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// The agent's place in the organization and what it trusts.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) agent: AgentSection,
    pub(super) control_plane: ControlPlaneSection,
    pub(super) trust: TrustFile,
    pub(super) credentials: Credentials,
}

impl Identity {
    /// The last second of the certificate; 0 for one that cannot be read.
    pub(super) fn certificate_end(&self) -> i64 {
        daam_identity::facts_of_pem(&self.credentials.certificate_pem).map_or(0, |facts| facts.not_after)
    }
}

pub(super) fn upstream(config: &Config) -> Result<UpstreamConfig, RunError> {
    let dsn = config::read_secret(&config.upstream.dsn_file).map_err(RunError::at("read the DSN"))?;
    UpstreamConfig::parse(dsn.expose()).map_err(RunError::at("read the DSN"))
}

/// Reads the pins, what followed from them, and the stored identity; enrols if there is none, as often as it takes while nobody answers.
pub(super) async fn identity(config: &Config) -> Result<(Identity, AuthorityStore), RunError> {
    let missing = |key| RunError::at("use the configuration")(format!("`{key}` is missing"));
    let agent = config.agent.clone().ok_or_else(|| missing("agent"))?;
    let control_plane = config.control_plane.clone().ok_or_else(|| missing("control_plane"))?;
    let pinned = config.trust.as_ref().ok_or_else(|| missing("trust"))?;
    kept_file::open_directory(&agent.state_dir).map_err(RunError::at("open the state directory"))?;
    let trust = config::read_small(&pinned.file).map_err(RunError::at("read the trust file"))?;
    let trust = TrustDocument::parse(&trust).map_err(RunError::at("read the trust file"))?.trust().clone();
    let ca_pem = config::read_small(&pinned.identity_ca).map_err(RunError::at("read the identity CA"))?;
    let mut authorities = AuthorityStore::open(agent.state_dir.clone(), &ca_pem)
        .map_err(RunError::at("open the identity CAs"))?;
    let mut pins = Pins { org: trust.org(), authorities: &mut authorities };
    let stored = enrolment::stored(&agent).map_err(RunError::at("read the stored identity"))?;
    let credentials = match stored {
        Some(credentials) if credentials.org == pins.org => credentials,
        Some(credentials) => {
            let why =
                format!("it is of organization `{}`, the trust file is of `{}`", credentials.org, pins.org);
            return Err(RunError::at("use the stored identity")(why));
        }
        None => enrol(&agent, &control_plane, &mut pins).await?,
    };
    Ok((Identity { agent, control_plane, trust, credentials }, authorities))
}

async fn enrol(
    agent: &AgentSection,
    control_plane: &ControlPlaneSection,
    pins: &mut Pins<'_>,
) -> Result<Credentials, RunError> {
    let mut pause = FIRST_PAUSE;
    loop {
        match enrolment::enrol(agent, control_plane, pins).await {
            Ok(credentials) => {
                tracing::info!(agent = credentials.agent_id, org = credentials.org, "enrolled");
                return Ok(credentials);
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(error = cause::chain(&error), retry_in = ?pause, "not enrolled yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(RunError::at("enrol")(error)),
        }
    }
}

/// Where the audit is written.
pub(super) fn audit_dir(config: &Config, agent: &AgentSection) -> PathBuf {
    config.audit.path.clone().unwrap_or_else(|| agent.state_dir.join("audit"))
}

/// The audit, before anything can happen.
pub(super) fn audit(config: &Config, identity: &Identity) -> Result<Audit, RunError> {
    let tag =
        AuditTag { agent: identity.credentials.agent_id.clone(), database: identity.agent.database.clone() };
    let dir = audit_dir(config, &identity.agent);
    Audit::start(dir, &config.audit.settings, &tag).map_err(RunError::at("open the audit"))
}

/// The key of the `hash` mask: given, so that the agents of one database agree, or made once and kept, so that hashes
/// compare across sessions and restarts.
pub(super) fn hash_key(agent: &AgentSection) -> Result<HashKey, RunError> {
    const DOING: &str = "read the key of the `hash` mask";
    if let Some(path) = &agent.hash_key_file {
        let text = config::read_secret(path).map_err(RunError::at(DOING))?;
        let bytes = key_bytes(text.expose()).ok_or_else(|| {
            let why = format!("`{}` must hold exactly 64 hexadecimal digits (32 bytes)", path.display());
            RunError::at(DOING)(why)
        })?;
        return Ok(HashKey::new(bytes));
    }
    let state_dir = agent.state_dir.as_path();
    let stored = kept_file::read(state_dir, HASH_KEY).map_err(RunError::at(DOING))?;
    if let Some(bytes) = stored {
        let bytes =
            <[u8; 32]>::try_from(bytes).map_err(|_| RunError::at(DOING)("it does not have 32 bytes"))?;
        return Ok(HashKey::new(bytes));
    }
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| RunError::at("make the key of the `hash` mask")(error.to_string()))?;
    kept_file::replace(state_dir, HASH_KEY, &bytes)
        .map_err(RunError::at("store the key of the `hash` mask"))?;
    Ok(HashKey::new(bytes))
}

fn key_bytes(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0_u8; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let mut digits =
            pair.iter().map(|digit| char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok()));
        let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else { return None };
        *byte = high * 16 + low;
    }
    Some(bytes)
}

pub(super) fn write_ready(path: &Path, tunnel: SocketAddr, health: SocketAddr) -> Result<(), RunError> {
    let text = serde_json::json!({ "tunnel": tunnel.to_string(), "health": health.to_string() }).to_string();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("ready.json");
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    kept_file::replace(dir, name, text.as_bytes()).map_err(RunError::at("write the ready file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_key_is_sixty_four_hexadecimal_digits_and_nothing_else() {
        let good = format!("00fF{}", "a1".repeat(30));
        let bytes = key_bytes(&good).unwrap();
        assert_eq!((bytes[0], bytes[1], bytes[31]), (0, 0xff, 0xa1));
        let short = good.replace("00", "0");
        let bads =
            [String::new(), short, format!("{good}00"), good.replace('F', "g"), good.replace("00", "+0")];
        for bad in bads {
            assert_eq!(key_bytes(&bad), None, "{bad}");
        }
    }

    #[test]
    fn agents_with_the_same_hash_key_file_agree_and_others_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hash.hex");
        std::fs::write(&file, format!("{}\n", "5c".repeat(32))).unwrap();
        let agent = |name: &str, hash_key_file: Option<&Path>| {
            let state_dir = dir.path().join(name);
            kept_file::open_directory(&state_dir).unwrap();
            let any = "127.0.0.1:0".parse().unwrap();
            AgentSection {
                name: name.to_owned(),
                database: "shop".to_owned(),
                listen: any,
                advertise: Vec::new(),
                away: Duration::from_secs(60),
                state_dir,
                health: any,
                hash_key_file: hash_key_file.map(Path::to_owned),
            }
        };
        let key = |name, file| hash_key(&agent(name, file)).unwrap();
        assert_eq!(key("a", Some(file.as_path())), key("b", Some(file.as_path())));
        assert_ne!(key("a", None), key("b", None));
        assert_eq!(key("a", None), key("a", None));
        std::fs::write(&file, "5c").unwrap();
        let error = hash_key(&agent("a", Some(file.as_path()))).unwrap_err();
        assert!(cause::chain(&error).contains("64 hexadecimal digits"), "{error:?}");
    }
}
