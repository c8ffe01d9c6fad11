//! The sections of the file as checked values.

use super::Fault;
use super::fields::{self, Fields};
use super::tree::Node;
use daam_catalog::{RelationPattern, Scope};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LONGEST_AWAY: Duration = Duration::from_secs(12 * 3600);
const DEFAULT_AWAY: Duration = Duration::from_secs(30 * 60);
pub(super) const DEFAULT_LINGER: Duration = Duration::from_secs(1);
const DEFAULT_HEALTH: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// `agent:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSection {
    /// A name for people.
    pub name: String,
    /// The database as policies name it.
    pub database: String,
    /// Where the tunnel listens: UDP, and TCP on the same port if it is free.
    pub listen: SocketAddr,
    /// Addresses told to clients, `host:port`; empty = only relays.
    pub advertise: Vec<String>,
    /// How long an idle session waits for a developer's computer that sleeps or is offline.
    pub away: Duration,
    /// Where keys, the bundle and the directory are kept.
    pub state_dir: PathBuf,
    /// Where health is served (TCP).
    pub health: SocketAddr,
    /// The key of the `hash` mask, 64 hexadecimal digits; one of the agent's own making without it.
    pub hash_key_file: Option<PathBuf>,
}

impl AgentSection {
    pub(super) fn read(node: &Node, base: &Path, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut section = Fields::open(node, "agent", faults)?;
        let (name, database) = (section.required("name"), section.required("database"));
        let (listen, state_dir) = (section.required("listen"), section.required("state_dir"));
        let (advertise, health) = (section.optional("advertise"), section.optional("health"));
        let away = section.optional("away");
        let hash_key = section.optional("hash_key_file");
        section.close(faults);
        let socket = "an address such as `0.0.0.0:6432`";
        let name = name.and_then(|node| fields::text(node, "agent.name", faults));
        let database = database.and_then(|node| fields::text(node, "agent.database", faults));
        let listen = listen.and_then(|node| fields::parsed(node, "agent.listen", socket, faults));
        let state_dir = state_dir.and_then(|node| fields::path(node, "agent.state_dir", base, faults));
        let advertise = match advertise {
            None => Some(Vec::new()),
            Some(node) => addresses(node, faults),
        };
        let away = match away {
            None => Some(DEFAULT_AWAY),
            Some(node) => away_of(node, faults),
        };
        let health = match health {
            None => Some(DEFAULT_HEALTH),
            Some(node) => fields::parsed(node, "agent.health", socket, faults),
        };
        let hash_key_file = match hash_key {
            None => None,
            Some(node) => Some(fields::path(node, "agent.hash_key_file", base, faults)?),
        };
        Some(Self {
            name: name?,
            database: database?,
            listen: listen?,
            advertise: advertise?,
            away: away?,
            state_dir: state_dir?,
            health: health?,
            hash_key_file,
        })
    }
}

fn away_of(node: &Node, faults: &mut Vec<Fault>) -> Option<Duration> {
    let away = fields::duration(node, "agent.away", faults)?;
    if away > LONGEST_AWAY {
        let words = "`agent.away` is longer than certificates last, expected `12h` at most";
        faults.push(node.fault(words.to_owned()));
        return None;
    }
    Some(away)
}

fn addresses(node: &Node, faults: &mut Vec<Fault>) -> Option<Vec<String>> {
    let items = fields::list(node, "agent.advertise", faults)?;
    let mut out = Vec::new();
    for item in items {
        let text = fields::text(item, "agent.advertise", faults)?;
        let port = text
            .rsplit_once(':')
            .and_then(|(host, port)| Some((!host.is_empty(), port.parse::<u16>().ok()?)));
        if !matches!(port, Some((true, _))) {
            faults.push(item.fault(format!("`agent.advertise` has `{text}`, expected `host:port`")));
            return None;
        }
        out.push(text);
    }
    Some(out)
}

/// `control_plane:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlaneSection {
    /// `https://…`; plain `http://` only for this machine.
    pub url: String,
    /// The one-time token, needed until the agent is enrolled.
    pub enrolment_token_file: PathBuf,
}

impl ControlPlaneSection {
    pub(super) fn read(node: &Node, base: &Path, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut section = Fields::open(node, "control_plane", faults)?;
        let (url, token) = (section.required("url"), section.required("enrolment_token_file"));
        section.close(faults);
        let url = url.and_then(|node| {
            let text = fields::text(node, "control_plane.url", faults)?;
            if is_safe(&text) {
                return Some(text.trim_end_matches('/').to_owned());
            }
            faults.push(node.fault(format!(
                "`control_plane.url` is `{text}`, expected `https://…` (`http://` is accepted for a loopback address only)"
            )));
            None
        });
        let token =
            token.and_then(|node| fields::path(node, "control_plane.enrolment_token_file", base, faults));
        Some(Self { url: url?, enrolment_token_file: token? })
    }
}

/// Whether a token may travel to that URL.
fn is_safe(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("https://") {
        return !rest.is_empty();
    }
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `trust:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustSection {
    /// Policy keys and thresholds.
    pub file: PathBuf,
    /// The organization's identity CA, PEM.
    pub identity_ca: PathBuf,
}

impl TrustSection {
    pub(super) fn read(node: &Node, base: &Path, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut section = Fields::open(node, "trust", faults)?;
        let (file, ca) = (section.required("file"), section.required("identity_ca"));
        section.close(faults);
        let file = file.and_then(|node| fields::path(node, "trust.file", base, faults));
        let ca = ca.and_then(|node| fields::path(node, "trust.identity_ca", base, faults));
        Some(Self { file: file?, identity_ca: ca? })
    }
}

/// `upstream:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSection {
    /// The file with the DSN of the agent's own role.
    pub dsn_file: PathBuf,
    /// The customer's scope.
    pub scope: Scope,
    /// Its patterns as written.
    pub patterns: Vec<String>,
}

impl UpstreamSection {
    pub(super) fn read(node: &Node, base: &Path, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut section = Fields::open(node, "upstream", faults)?;
        let (dsn, scope) = (section.required("dsn_file"), section.optional("scope"));
        section.close(faults);
        let dsn_file = dsn.and_then(|node| fields::path(node, "upstream.dsn_file", base, faults));
        let (scope, patterns) = match scope {
            None => (Scope::Absent, Vec::new()),
            Some(node) => read_scope(node, faults)?,
        };
        Some(Self { dsn_file: dsn_file?, scope, patterns })
    }
}

fn read_scope(node: &Node, faults: &mut Vec<Fault>) -> Option<(Scope, Vec<String>)> {
    if node.is_null() {
        faults.push(node.fault(
            "`upstream.scope` has no value; write `scope: []` to deny everything, or remove the key to allow everything",
        ));
        return None;
    }
    let items = fields::list(node, "upstream.scope", faults)?;
    let before = faults.len();
    let (mut patterns, mut written) = (Vec::new(), Vec::new());
    for item in items {
        let Some(text) = fields::text(item, "upstream.scope", faults) else { continue };
        match RelationPattern::parse(&text) {
            Ok(pattern) => {
                patterns.push(pattern);
                written.push(text);
            }
            Err(error) => faults.push(item.fault(error.to_string())),
        }
    }
    (faults.len() == before).then_some((Scope::Patterns(patterns), written))
}

pub(super) fn linger(node: &Node, faults: &mut Vec<Fault>) -> Option<Duration> {
    let section = Fields::open(node, "views", faults)?;
    let linger = section.optional("linger");
    section.close(faults);
    match linger {
        None => Some(DEFAULT_LINGER),
        Some(node) => fields::duration(node, "views.linger", faults),
    }
}
