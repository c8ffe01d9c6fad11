//! The DSN: a `postgresql://` URL or `key=value` pairs, as libpq reads them.
//!
//! `sslmode` and `sslrootcert` are read here, everything else by tokio-postgres. Refused: several hosts, no host, no
//! user, no database, TLS demands over a Unix socket, and options nobody here would honour.

use super::stream::Host;
use super::tls;
use crate::secret::Secret;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::config;

/// How long a connection attempt may take unless the DSN says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_PORT: u16 = 5432;

/// How much TLS is demanded, as in libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server has it; the certificate is not checked.
    Prefer,
    /// Always; the certificate is checked only against `sslrootcert`, if there is one.
    Require,
    /// Always, with a certificate of a known authority.
    VerifyCa,
    /// Always, with a certificate of a known authority for that host.
    VerifyFull,
}

/// Why a DSN cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DsnError {
    /// Not a DSN.
    #[error("the DSN could not be read")]
    Syntax(#[source] tokio_postgres::Error),
    /// A quote or percent escape that does not end well.
    #[error("the DSN could not be read: {0}")]
    Malformed(&'static str),
    /// A mode we do not know.
    #[error("unknown sslmode `{0}`; use disable, prefer, require, verify-ca or verify-full")]
    SslMode(String),
    /// Something needed is not there, or there twice.
    #[error("the DSN must name exactly one {0}{hint}", hint = of_one(.0))]
    Exactly(&'static str),
    /// TLS over a Unix socket.
    #[error("sslmode `{0}` cannot be had over a Unix socket")]
    SocketTls(String),
    /// The authority's certificates cannot be read.
    #[error("could not read sslrootcert `{}`", path.display())]
    RootCert {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The authority's certificates are not certificates.
    #[error("sslrootcert `{}` holds no usable certificate", .0.display())]
    NoRootCert(PathBuf),
}

/// Several servers are an answer to failing over that is not given here: a standby is not where sessions' roles are.
fn of_one(what: &str) -> &'static str {
    match what {
        "host" | "port" => {
            "; for failover give it the one address under which whichever server is the primary can be reached"
        }
        _ => "",
    }
}

/// Where the database is and who the agent is there.
#[derive(Clone)]
pub struct UpstreamConfig {
    postgres: tokio_postgres::Config,
    host: Host,
    port: u16,
    user: String,
    password: Option<Secret>,
    database: String,
    ssl_mode: SslMode,
    roots: Option<Vec<rustls_pki_types::CertificateDer<'static>>>,
}

impl std::fmt::Debug for UpstreamConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("ssl_mode", &self.ssl_mode)
            .finish_non_exhaustive()
    }
}

impl UpstreamConfig {
    /// Reads a DSN, and the certificates it names.
    pub fn parse(dsn: &str) -> Result<Self, DsnError> {
        let (rest, ours) = if dsn.starts_with("postgresql://") || dsn.starts_with("postgres://") {
            split_url(dsn.trim_end())?
        } else {
            split_pairs(dsn)?
        };
        let mut postgres: tokio_postgres::Config = rest.parse().map_err(DsnError::Syntax)?;
        let host = match postgres.get_hosts() {
            [config::Host::Tcp(name)] => Host::Tcp(name.clone()),
            [config::Host::Unix(path)] => Host::Unix(path.clone()),
            _ => return Err(DsnError::Exactly("host")),
        };
        let port = match postgres.get_ports() {
            [] => DEFAULT_PORT,
            [port] => *port,
            _ => return Err(DsnError::Exactly("port")),
        };
        let user = postgres.get_user().ok_or(DsnError::Exactly("user"))?.to_owned();
        let database = postgres.get_dbname().ok_or(DsnError::Exactly("database"))?.to_owned();
        let password =
            postgres.get_password().map(|bytes| Secret::new(String::from_utf8_lossy(bytes).into_owned()));
        let ssl_mode = ssl_mode(ours.mode.as_deref(), &host)?;
        postgres.ssl_mode(match ssl_mode {
            SslMode::Disable => config::SslMode::Disable,
            SslMode::Prefer => config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => config::SslMode::Require,
        });
        let timeout = postgres.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        postgres.connect_timeout(timeout);
        let roots = ours.root_cert.as_deref().map(read_roots).transpose()?;
        Ok(Self { postgres, host, port, user, password, database, ssl_mode, roots })
    }

    /// The same as a tokio-postgres configuration, logging in as the DSN's user.
    pub fn tokio_postgres(&self) -> &tokio_postgres::Config {
        &self.postgres
    }

    /// The TLS settings the DSN asks for; none when it wants no TLS.
    pub fn tls(&self) -> Result<Option<rustls::ClientConfig>, rustls::Error> {
        match self.host {
            Host::Unix(_) => Ok(None),
            Host::Tcp(_) => tls::client(self.ssl_mode, self.roots.as_deref()),
        }
    }

    /// Where the server is.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The agent's own role.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The agent's own password.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// How much TLS is demanded.
    pub fn ssl_mode(&self) -> SslMode {
        self.ssl_mode
    }

    /// How long a connection attempt may take.
    pub fn connect_timeout(&self) -> Duration {
        self.postgres.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT)
    }
}

#[derive(Default)]
struct Ours {
    mode: Option<String>,
    root_cert: Option<PathBuf>,
}

impl Ours {
    /// Takes a setting that is ours; says whether it was.
    fn take(&mut self, key: &str, value: &str) -> bool {
        match key {
            "sslmode" => self.mode = Some(value.to_owned()),
            "sslrootcert" => self.root_cert = Some(PathBuf::from(value)).filter(|_| value != "system"),
            _ => return false,
        }
        true
    }
}

fn ssl_mode(mode: Option<&str>, host: &Host) -> Result<SslMode, DsnError> {
    let unix = matches!(host, Host::Unix(_));
    match mode {
        Some("disable") => Ok(SslMode::Disable),
        None | Some("prefer" | "allow") if unix => Ok(SslMode::Disable),
        None | Some("prefer" | "allow") => Ok(SslMode::Prefer),
        Some(mode @ ("require" | "verify-ca" | "verify-full")) if unix => {
            Err(DsnError::SocketTls(mode.to_owned()))
        }
        Some("require") => Ok(SslMode::Require),
        Some("verify-ca") => Ok(SslMode::VerifyCa),
        Some("verify-full") => Ok(SslMode::VerifyFull),
        Some(other) => Err(DsnError::SslMode(other.to_owned())),
    }
}

fn split_url(url: &str) -> Result<(String, Ours), DsnError> {
    let mut ours = Ours::default();
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), ours)) };
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or(DsnError::Malformed("a parameter has no value"))?;
        if !ours.take(key, &percent_decode(value)?) {
            kept.push(pair);
        }
    }
    let base = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((base, ours))
}

fn percent_decode(text: &str) -> Result<String, DsnError> {
    let wrong = || DsnError::Malformed("a percent escape is not followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        let value = digit(rest.next()).zip(digit(rest.next())).ok_or_else(wrong)?;
        bytes.push(u8::try_from(value.0 * 16 + value.1).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| DsnError::Malformed("a percent escape is not UTF-8"))
}

fn split_pairs(text: &str) -> Result<(String, Ours), DsnError> {
    let mut ours = Ours::default();
    let mut kept = String::new();
    let mut chars = text.trim().chars().peekable();
    while chars.peek().is_some() {
        let key: String = std::iter::from_fn(|| chars.next_if(|c| *c != '=')).collect();
        if chars.next().is_none() {
            return Err(DsnError::Malformed("a key has no value"));
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let value = value(&mut chars)?;
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let key = key.trim();
        if !ours.take(key, &value) {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            for part in [key, "='", &value, "' "] {
                kept.push_str(part);
            }
        }
    }
    Ok((kept, ours))
}

fn value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, DsnError> {
    let quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.peek().copied() {
            None if quoted => return Err(DsnError::Malformed("a quoted value does not end")),
            None => return Ok(value),
            Some('\'') if quoted => {
                chars.next();
                return Ok(value);
            }
            Some(c) if c.is_whitespace() && !quoted => return Ok(value),
            Some('\\') => {
                chars.next();
                value.extend(chars.next());
            }
            Some(c) => {
                chars.next();
                value.push(c);
            }
        }
    }
}

fn read_roots(path: &Path) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>, DsnError> {
    use rustls_pki_types::pem::PemObject as _;
    let text = std::fs::read(path).map_err(|source| DsnError::RootCert { path: path.to_owned(), source })?;
    let roots: Vec<_> =
        rustls_pki_types::CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if roots.is_empty() { Err(DsnError::NoRootCert(path.to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_pairs_say_the_same() {
        for dsn in [
            "postgresql://ann:p%40ss@db.example:6000/shop?sslmode=require",
            "host=db.example port=6000 user=ann password='p@ss' dbname=shop sslmode = require",
        ] {
            let config = UpstreamConfig::parse(dsn).unwrap();
            assert_eq!(config.host(), &Host::Tcp("db.example".to_owned()));
            assert_eq!((config.port(), config.user(), config.database()), (6000, "ann", "shop"));
            assert_eq!(config.password().unwrap().expose(), "p@ss");
            assert_eq!(config.ssl_mode(), SslMode::Require);
            assert_eq!(config.tokio_postgres().get_ssl_mode(), config::SslMode::Require);
            assert!(!format!("{config:?}").contains("p@ss"));
        }
    }

    #[test]
    fn a_socket_directory_is_a_host_and_has_no_tls() {
        let config = UpstreamConfig::parse("host=/run/pg user=ann dbname=shop").unwrap();
        assert_eq!(config.host(), &Host::Unix(PathBuf::from("/run/pg")));
        assert_eq!((config.port(), config.ssl_mode()), (5432, SslMode::Disable));
        let config = UpstreamConfig::parse("postgresql://ann@%2Frun%2Fpg/shop").unwrap();
        assert_eq!(config.host(), &Host::Unix(PathBuf::from("/run/pg")));
        let refused = UpstreamConfig::parse("host=/run/pg user=a dbname=b sslmode=verify-full");
        assert!(matches!(refused, Err(DsnError::SocketTls(_))));
    }

    #[test]
    fn what_would_not_be_honoured_is_refused() {
        let error = |dsn| UpstreamConfig::parse(dsn).unwrap_err().to_string();
        assert!(error("postgresql://a@b/c?sslmode=maybe").contains("unknown sslmode `maybe`"));
        assert!(error("postgresql://a@b,d/c").contains("exactly one host"));
        assert!(error("host=b dbname=c").contains("exactly one user"));
        assert!(error("postgresql://a@b").contains("exactly one database"));
        assert!(error("host=b user='x").contains("does not end"));
        assert!(error("postgresql://a@b/c?sslmode=%zz").contains("percent"));
        assert!(error("postgresql://a@b/c?sslrootcert=/nowhere/x.pem").contains("/nowhere/x.pem"));
    }
}
