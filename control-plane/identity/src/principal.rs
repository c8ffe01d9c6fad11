//! Who a certificate speaks for, and the one URI form that says it.
//!
//! Users are `daam://<org>/user/<id>?device=<device>`, agents `daam://<org>/agent/<id>?database=<database>`. A user whose
//! certificate is for some databases only has `&database=<database>` behind that for each of them, in order of their
//! names; whoever does not know of that refuses the whole.
//! Every byte outside `A-Z a-z 0-9 - . _ ~` is written `%XX` in upper-case hexadecimal, so each principal has
//! exactly one spelling; any other spelling is refused.

use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

/// Longest id, device or database name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Most databases a certificate can be for, if it is not for all of them.
pub const MAX_DATABASES: usize = 16;
const SCHEME: &str = "daam://";

/// The databases somebody may reach with a certificate. What they may do there, policies say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Databases {
    /// Whichever there are.
    Any,
    /// These and no other: 1 to [`MAX_DATABASES`].
    Only(BTreeSet<String>),
}

impl Databases {
    /// Whether this database may be reached.
    pub fn admit(&self, database: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(named) => named.contains(database),
        }
    }

    fn check(&self) -> Result<(), PrincipalError> {
        let Self::Only(named) = self else { return Ok(()) };
        let wrong = |why| PrincipalError::Part { part: "list of databases", value: String::new(), why };
        if named.is_empty() {
            return Err(wrong("it is empty"));
        }
        if named.len() > MAX_DATABASES {
            return Err(wrong("it is longer than 16"));
        }
        named.iter().try_for_each(|database| check_part("database", database))
    }
}

impl fmt::Display for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("every database"),
            Self::Only(named) => {
                for (place, database) in named.iter().enumerate() {
                    write!(f, "{}`{database}`", if place == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

/// A person on a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserPrincipal {
    /// Organization slug.
    pub org: String,
    /// Stable id in the directory.
    pub user_id: String,
    /// E-mail as the directory had it when the certificate was issued.
    pub email: String,
    /// The device the key was made on.
    pub device: String,
    /// What it may be used for.
    pub databases: Databases,
}

/// An agent in front of one database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentPrincipal {
    /// Organization slug.
    pub org: String,
    /// The agent's id.
    pub agent_id: String,
    /// The database it serves.
    pub database: String,
}

/// The one party a certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person.
    User(UserPrincipal),
    /// An agent.
    Agent(AgentPrincipal),
}

/// Why a name is not a principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    /// The bytes are not a certificate.
    #[error("not a readable X.509 certificate")]
    NotACertificate,
    /// A certificate authority is not a principal.
    #[error("the certificate is a certificate authority, which speaks for nobody")]
    IsAuthority,
    /// The alternative names are not exactly those of one principal.
    #[error("the certificate's names are not those of one daam principal: {0}")]
    Names(&'static str),
    /// The URI is not in the one accepted form.
    #[error("`{uri}` is not a daam principal: {why}")]
    Uri {
        /// The URI.
        uri: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A part of the principal cannot be written in a certificate.
    #[error("the {part} `{value}` cannot be in a certificate: {why}")]
    Part {
        /// Which part.
        part: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Principal {
    /// The organization.
    pub fn org(&self) -> &str {
        match self {
            Self::User(user) => &user.org,
            Self::Agent(agent) => &agent.org,
        }
    }

    /// The principal's URI, or why its parts cannot be written in one.
    pub fn uri(&self) -> Result<String, PrincipalError> {
        check_org(self.org())?;
        match self {
            Self::User(user) => {
                check_part("user id", &user.user_id)?;
                check_part("device", &user.device)?;
                check_email(&user.email)?;
                user.databases.check()?;
                let (id, device) = (encode(&user.user_id), encode(&user.device));
                let mut uri = format!("{SCHEME}{}/user/{id}?device={device}", user.org);
                if let Databases::Only(named) = &user.databases {
                    for database in named {
                        uri.push_str("&database=");
                        uri.push_str(&encode(database));
                    }
                }
                Ok(uri)
            }
            Self::Agent(agent) => {
                check_part("agent id", &agent.agent_id)?;
                check_part("database", &agent.database)?;
                let (id, database) = (encode(&agent.agent_id), encode(&agent.database));
                Ok(format!("{SCHEME}{}/agent/{id}?database={database}", agent.org))
            }
        }
    }

    /// Reads a principal's URI; `email` is the certificate's e-mail name, which only users have.
    pub fn from_uri(uri: &str, email: Option<&str>) -> Result<Self, PrincipalError> {
        let wrong = |why| PrincipalError::Uri { uri: shorten(uri), why };
        let rest = uri.strip_prefix(SCHEME).ok_or_else(|| wrong("it does not start with `daam://`"))?;
        let (org, rest) = rest.split_once('/').ok_or_else(|| wrong("it has no path"))?;
        let (kind, rest) = rest.split_once('/').ok_or_else(|| wrong("it names no user or agent"))?;
        let (id, query) = rest.split_once('?').ok_or_else(|| wrong("it has no device or database"))?;
        let id = decode(id).ok_or_else(|| wrong("its id is not in canonical percent encoding"))?;
        let (query, limit) = query.split_once('&').map_or((query, None), |(query, rest)| (query, Some(rest)));
        let databases = limit.map_or(Some(Databases::Any), read_databases);
        let databases = databases.ok_or_else(|| wrong("what it is limited to is not a list of databases"))?;
        let (key, value) = query.split_once('=').ok_or_else(|| wrong("its query has no value"))?;
        let value = decode(value).ok_or_else(|| wrong("its query is not in canonical percent encoding"))?;
        let org = org.to_owned();
        let principal = match (kind, key, email) {
            ("user", "device", Some(email)) => Self::User(UserPrincipal {
                org,
                user_id: id,
                email: email.to_owned(),
                device: value,
                databases,
            }),
            ("user", "device", None) => return Err(wrong("a user needs an e-mail name beside it")),
            ("agent", "database", None) => Self::Agent(AgentPrincipal { org, agent_id: id, database: value }),
            ("agent", "database", Some(_)) => return Err(wrong("an agent has no e-mail name")),
            _ => return Err(wrong("it is neither `user/…?device=…` nor `agent/…?database=…`")),
        };
        // One spelling per principal: what we would write must be what was read.
        if principal.uri()? == uri { Ok(principal) } else { Err(wrong("it is not the canonical spelling")) }
    }
}

impl AgentPrincipal {
    /// The opaque name sent as SNI and written in the agent's certificate; says nothing to who reads it.
    pub fn server_name(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"daam-server-name-v1\0");
        hash.update(self.org.as_bytes());
        hash.update([0]);
        hash.update(self.agent_id.as_bytes());
        let mut name = String::with_capacity(48);
        for byte in hash.finalize().iter().take(16) {
            write!(name, "{byte:02x}").unwrap_or_default();
        }
        name.push_str(".daam.internal");
        name
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => {
                write!(f, "user `{}` of `{}` on device `{}`", user.email, user.org, user.device)?;
                if user.databases == Databases::Any { Ok(()) } else { write!(f, " for {}", user.databases) }
            }
            Self::Agent(agent) => {
                write!(f, "agent `{}` of `{}` for database `{}`", agent.agent_id, agent.org, agent.database)
            }
        }
    }
}

/// Checks an organization slug: lower-case letters, digits and inner hyphens, at most 63.
pub fn check_org(org: &str) -> Result<(), PrincipalError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = !org.is_empty()
        && org.len() <= 63
        && org.bytes().all(allowed)
        && !org.starts_with('-')
        && !org.ends_with('-');
    if good {
        return Ok(());
    }
    let why = "allowed are up to 63 lower-case letters, digits and inner hyphens";
    Err(PrincipalError::Part { part: "organization", value: shorten(org), why })
}

fn check_part(part: &'static str, value: &str) -> Result<(), PrincipalError> {
    let wrong = |why| Err(PrincipalError::Part { part, value: shorten(value), why });
    if value.is_empty() {
        return wrong("it is empty");
    }
    if value.len() > MAX_NAME_BYTES {
        return wrong("it is longer than 128 bytes");
    }
    if value.chars().any(char::is_control) {
        return wrong("it contains a control character");
    }
    Ok(())
}

fn check_email(email: &str) -> Result<(), PrincipalError> {
    let wrong = |why| Err(PrincipalError::Part { part: "e-mail", value: shorten(email), why });
    if email.len() > 254 {
        return wrong("it is longer than 254 bytes");
    }
    if !email.bytes().all(|b| b.is_ascii_graphic()) {
        return wrong("only printable ASCII without spaces is allowed");
    }
    match email.split_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !domain.contains('@') => Ok(()),
        _ => wrong("it is not `name@domain`"),
    }
}

fn read_databases(text: &str) -> Option<Databases> {
    let pairs = text.split('&').take(MAX_DATABASES.saturating_add(1));
    let named: Option<BTreeSet<String>> = pairs.map(|pair| decode(pair.strip_prefix("database=")?)).collect();
    named.map(Databases::Only)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

/// `None` for anything [`encode`] could not have produced as far as one byte can tell.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = hex_digit(bytes.next()?)?;
            let low = hex_digit(bytes.next()?)?;
            out.push(high * 16 + low);
        } else if is_plain(byte) {
            out.push(byte);
        } else {
            return None;
        }
    }
    String::from_utf8(out).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(id: &str, device: &str) -> Principal {
        Principal::User(UserPrincipal {
            org: "brave-otter".into(),
            user_id: id.into(),
            email: "a@b.example".into(),
            device: device.into(),
            databases: Databases::Any,
        })
    }

    fn limited(databases: &[&str]) -> Principal {
        let Principal::User(user) = user("u", "d") else { panic!("a user") };
        let named = databases.iter().map(|name| (*name).to_owned()).collect();
        Principal::User(UserPrincipal { databases: Databases::Only(named), ..user })
    }

    #[test]
    fn a_limit_to_databases_is_written_in_one_way_and_never_left_out() {
        let principal = limited(&["shop", "a&b"]);
        let uri = principal.uri().unwrap();
        assert_eq!(uri, "daam://brave-otter/user/u?device=d&database=a%26b&database=shop");
        assert_eq!(Principal::from_uri(&uri, Some("a@b.example")).unwrap(), principal);
        let Principal::User(user) = principal else { panic!("a user") };
        let seen: Vec<_> =
            ["shop", "a&b", "hr", "", "a"].iter().map(|name| user.databases.admit(name)).collect();
        assert_eq!(seen, [true, true, false, false, false]);
        let many: Vec<String> = (0..17).map(|number| format!("db{number:02}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(limited(&many[..16]).uri().is_ok());
        for nothing in [&[][..], &[""], &many] {
            assert!(limited(nothing).uri().is_err(), "{nothing:?}");
        }
        let end = |text: &str| format!("daam://brave-otter/user/u?device=d{text}");
        let long = format!("&database={}", many.join("&database="));
        for text in [
            "&",
            "&database=",
            "&database",
            "&database=b&database=a",
            "&database=a&database=a",
            "&x=a",
            &long,
        ] {
            assert!(Principal::from_uri(&end(text), Some("a@b.example")).is_err(), "{text}");
        }
        let agents = "daam://brave-otter/agent/u?database=d&database=e";
        assert!(Principal::from_uri(agents, None).is_err(), "an agent has one");
    }

    #[test]
    fn a_users_uri_is_read_back() {
        let principal = user("u 1/ü?", "lap=top");
        let uri = principal.uri().unwrap();
        assert_eq!(uri, "daam://brave-otter/user/u%201%2F%C3%BC%3F?device=lap%3Dtop");
        assert_eq!(Principal::from_uri(&uri, Some("a@b.example")).unwrap(), principal);
    }

    #[test]
    fn other_spellings_are_refused() {
        for uri in [
            "daam://brave-otter/user/%75?device=d",
            "daam://brave-otter/user/u?device=d&x=1",
            "daam://brave-otter/user/u?device=d#x",
            "daam://brave-otter/user/u%2f?device=d",
            "daam://Brave/user/u?device=d",
            "daam://brave-otter/user/?device=d",
            "daam://brave-otter/user/u",
            "daam://brave-otter/root/u?device=d",
            "daam://brave-otter:80/user/u?device=d",
            "https://brave-otter/user/u?device=d",
            "daam://brave-otter/agent/u?database=d",
            "daam://brave-otter/user/u/x?device=d",
        ] {
            assert!(Principal::from_uri(uri, Some("a@b.example")).is_err(), "{uri}");
        }
        assert!(Principal::from_uri("daam://brave-otter/user/u?device=d", None).is_err());
    }

    #[test]
    fn the_server_name_depends_on_org_and_id_only() {
        let agent = |org: &str, id: &str, db: &str| AgentPrincipal {
            org: org.into(),
            agent_id: id.into(),
            database: db.into(),
        };
        assert_eq!(agent("a", "b", "c").server_name(), agent("a", "b", "d").server_name());
        assert_ne!(agent("a", "b", "c").server_name(), agent("b", "a", "c").server_name());
        assert!(!agent("acme", "shop-1", "c").server_name().contains("shop"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".*", email in proptest::option::of(".*")) {
            if let Ok(read) = Principal::from_uri(&text, email.as_deref()) {
                prop_assert_eq!(read.uri().unwrap(), text);
            }
        }

        #[test]
        fn every_writable_principal_is_read_back(id in "\\PC{1,30}", device in "\\PC{1,30}") {
            let principal = user(&id, &device);
            if let Ok(uri) = principal.uri() {
                prop_assert_eq!(Principal::from_uri(&uri, Some("a@b.example")).unwrap(), principal);
            }
        }
    }
}
