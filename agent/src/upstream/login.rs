//! Logging in to the database as a session role.
//!
//! SCRAM-SHA-256 only, bound to the TLS channel where there is one. The stream comes back with everything read from
//! it so far, ready for the first query.

use super::dsn::UpstreamConfig;
use super::stream::{Duplex, Transport};
use crate::secret::Secret;
use daam_pgwire::backend::{self, Authentication};
use daam_pgwire::frontend::{sasl_initial, sasl_response};
use daam_pgwire::startup::{CancelKey, StartupParameters, encode_session};
use daam_pgwire::{DecodeError, Frame, FrameBuffer, FrameError, Report};
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use std::collections::BTreeMap;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Why there is no logged-in connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No transport.
    #[error("could not reach the database")]
    Unreachable(#[source] io::Error),
    /// The transport broke.
    #[error("the connection to the database was lost during login")]
    Lost(#[source] io::Error),
    /// It took too long.
    #[error("the database did not answer in time")]
    TimedOut,
    /// TLS is demanded, the server has none.
    #[error("the DSN demands TLS, and the database does not offer it")]
    NoTls,
    /// The TLS handshake failed.
    #[error("the TLS handshake with the database failed")]
    Tls(#[source] io::Error),
    /// The TLS settings are unusable.
    #[error("the TLS settings of the DSN cannot be used")]
    TlsSettings(#[from] rustls::Error),
    /// The host cannot be a TLS server name.
    #[error("`{0}` cannot be checked as a TLS server name")]
    Name(String),
    /// The server asks for a login we do not give.
    #[error("the database asks for {0}; only scram-sha-256 is answered (see `pg_hba.conf`)")]
    Method(&'static str),
    /// The server did not prove that it knows the password.
    #[error("the database could not prove that it knows the session's password")]
    Unproved(#[source] io::Error),
    /// The server sent something out of turn.
    #[error("the database broke the protocol: {0}")]
    Protocol(&'static str),
    /// A malformed message.
    #[error("the database sent a malformed message")]
    Malformed(#[from] DecodeError),
    /// An impossible length.
    #[error("the database sent a malformed message")]
    Frame(#[from] FrameError),
    /// The server said no.
    #[error("the database refused the login: {}", .0.text())]
    Refused(Box<Report>),
}

/// Who logs in, and with what.
#[derive(Debug)]
pub struct Login<'a> {
    /// The role.
    pub role: &'a str,
    /// Its password.
    pub password: &'a Secret,
    /// Session settings for the start-up packet (not `user` and `database`).
    pub parameters: &'a [(String, String)],
}

/// A connection that is logged in and ready for a query.
pub struct Upstream {
    /// The stream.
    pub stream: Box<dyn Duplex>,
    /// What was read beyond the login.
    pub buffer: FrameBuffer,
    /// What the server reported about its settings.
    pub parameters: BTreeMap<String, String>,
    /// How to cancel its statements.
    pub key: CancelKey,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("key", &self.key).finish_non_exhaustive()
    }
}

impl UpstreamConfig {
    /// Connects and logs in.
    pub async fn connect_as(&self, login: &Login<'_>) -> Result<Upstream, ConnectError> {
        let attempt = async {
            let transport = self.transport().await?;
            Attempt::new(transport, login).run(self.database()).await
        };
        tokio::time::timeout(self.connect_timeout(), attempt).await.map_err(|_| ConnectError::TimedOut)?
    }
}

struct Attempt<'a> {
    transport: Transport,
    login: &'a Login<'a>,
    buffer: FrameBuffer,
}

impl<'a> Attempt<'a> {
    fn new(transport: Transport, login: &'a Login<'a>) -> Self {
        Self { transport, login, buffer: FrameBuffer::new() }
    }

    async fn run(mut self, database: &str) -> Result<Upstream, ConnectError> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut parameters = vec![pair("user", self.login.role), pair("database", database)];
        parameters.extend_from_slice(self.login.parameters);
        self.send(&encode_session(&StartupParameters { minor: 0, parameters })).await?;
        self.authenticate().await?;
        self.settle().await
    }

    async fn authenticate(&mut self) -> Result<(), ConnectError> {
        let frame = self.authentication().await?;
        let offered = match backend::parse_authentication(frame.body())? {
            Authentication::Sasl(offered) => offered,
            other => return Err(ConnectError::Method(method(&other))),
        };
        let (mechanism, binding) = self.binding(&offered)?;
        let mut scram = ScramSha256::new(self.login.password.expose().as_bytes(), binding);
        self.send(&sasl_initial(mechanism, scram.message())).await?;
        let frame = self.authentication().await?;
        let Authentication::SaslContinue(data) = backend::parse_authentication(frame.body())? else {
            return Err(ConnectError::Protocol("the SCRAM exchange was cut short"));
        };
        scram.update(data).map_err(ConnectError::Unproved)?;
        self.send(&sasl_response(scram.message())).await?;
        let frame = self.authentication().await?;
        let Authentication::SaslFinal(data) = backend::parse_authentication(frame.body())? else {
            return Err(ConnectError::Protocol("the SCRAM exchange was cut short"));
        };
        scram.finish(data).map_err(ConnectError::Unproved)?;
        let frame = self.authentication().await?;
        match backend::parse_authentication(frame.body())? {
            Authentication::Ok => Ok(()),
            _ => Err(ConnectError::Protocol("the login does not end")),
        }
    }

    fn binding(&mut self, offered: &[&str]) -> Result<(&'static str, ChannelBinding), ConnectError> {
        let plus = offered.contains(&SCRAM_SHA_256_PLUS);
        match self.transport.end_point.take().filter(|_| plus) {
            Some(hash) => Ok((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))),
            None if !offered.contains(&SCRAM_SHA_256) => {
                Err(ConnectError::Method("an unknown SASL mechanism"))
            }
            // "I could have bound": a server that would have offered it notices that the offer was removed.
            None if self.transport.encrypted && !plus => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
            None => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
        }
    }

    /// Reads up to the first `ReadyForQuery`.
    async fn settle(mut self) -> Result<Upstream, ConnectError> {
        let mut parameters = BTreeMap::new();
        let mut key = None;
        loop {
            let frame = self.frame().await?;
            match frame.tag() {
                b'S' => {
                    let (name, value) = backend::parse_parameter_status(frame.body())?;
                    parameters.insert(name.to_owned(), value.to_owned());
                }
                b'K' => key = Some(backend::parse_backend_key_data(frame.body())?),
                b'Z' => break,
                b'N' => {}
                b'E' => return Err(ConnectError::Refused(Box::new(Report::parse(frame.body())?))),
                _ => return Err(ConnectError::Protocol("an unexpected message after the login")),
            }
        }
        let key = key.ok_or(ConnectError::Protocol("no cancel key"))?;
        Ok(Upstream { stream: self.transport.stream, buffer: self.buffer, parameters, key })
    }

    async fn authentication(&mut self) -> Result<Frame, ConnectError> {
        loop {
            let frame = self.frame().await?;
            match frame.tag() {
                b'R' => return Ok(frame),
                b'N' => {}
                b'E' => return Err(ConnectError::Refused(Box::new(Report::parse(frame.body())?))),
                _ => return Err(ConnectError::Protocol("an unexpected message during the login")),
            }
        }
    }

    async fn frame(&mut self) -> Result<Frame, ConnectError> {
        loop {
            if let Some(frame) = self.buffer.take()? {
                return Ok(frame);
            }
            let read = self.transport.stream.read_buf(self.buffer.buffer_mut()).await;
            if read.map_err(ConnectError::Lost)? == 0 {
                return Err(ConnectError::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        self.transport.stream.write_all(bytes).await.map_err(ConnectError::Lost)?;
        self.transport.stream.flush().await.map_err(ConnectError::Lost)
    }
}

fn method(asked: &Authentication<'_>) -> &'static str {
    match asked {
        Authentication::Ok => "no password at all (`trust`)",
        Authentication::Other(3) => "a clear-text password",
        Authentication::Other(5) => "an MD5 password",
        Authentication::Other(7 | 9) => "GSS or SSPI",
        _ => "an unknown login",
    }
}
