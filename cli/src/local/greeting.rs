//! The first packets of a local client: what it wants, and whether it may.
//!
//! Encryption requests are declined, because nothing leaves this machine unencrypted. With a password, the client
//! proves it by SCRAM-SHA-256 before the agent hears of it; `AuthenticationOk` is not sent here, the agent's own
//! flows through. Refused: packets over PostgreSQL's start-up limit, a wrong password, repeated requests.

use bytes::Bytes;
use daam_pgwire::report::Report;
use daam_pgwire::scram::{self, ServerExchange, Verifier};
use daam_pgwire::startup::{DECLINE, Startup, StartupError, encode_cancel, encode_session, parse_startup};
use daam_pgwire::{DecodeError, FrameBuffer, FrameError, backend, frontend, sqlstate};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Largest message of the password exchange.
const PASSWORD_LIMIT: usize = 4096;
const SASL: u8 = b'p';

/// What a client may do, once it proved what it had to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// A session; the bytes to begin it with at the agent.
    Session(Bytes),
    /// A cancel request; the packet to pass on.
    Cancel(Bytes),
}

/// Why a client was turned away.
#[derive(Debug, thiserror::Error)]
pub enum GreetingError {
    /// The connection broke, or the client left.
    #[error("could not talk to the client")]
    Io(#[from] io::Error),
    /// Not a message, or one too large.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A start-up packet that cannot be understood.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// A malformed message.
    #[error("malformed message")]
    Malformed(#[from] DecodeError),
    /// Something else was expected.
    #[error("the client sent {0}")]
    Unexpected(&'static str),
    /// The password is wrong.
    #[error("the password for this connection is wrong")]
    Password(#[from] scram::ScramError),
    /// No randomness.
    #[error("no random bytes available")]
    Random,
}

impl GreetingError {
    /// What the client is told; nothing if it is gone.
    pub fn report(&self) -> Option<Report> {
        let code = match self {
            Self::Io(_) => return None,
            Self::Frame(error) => error.sqlstate(),
            Self::Startup(_) | Self::Malformed(_) | Self::Unexpected(_) => sqlstate::PROTOCOL_VIOLATION,
            Self::Password(_) => sqlstate::INVALID_PASSWORD,
            Self::Random => sqlstate::CANNOT_CONNECT,
        };
        let report = Report::fatal(code, &self.to_string());
        Some(match self {
            Self::Password(_) => report.hint(
                "use the connection string that the running command printed; the password changes each time"
                    .to_owned(),
            ),
            _ => report,
        })
    }
}

/// Reads up to the session's start; checks the password if there is one.
pub async fn greet<S>(client: &mut S, password: Option<&Verifier>) -> Result<Greeting, GreetingError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = FrameBuffer::new();
    let mut declined = 0_u8;
    loop {
        let packet = startup_packet(client, &mut buffer).await?;
        match parse_startup(&packet)? {
            Startup::Ssl | Startup::GssEnc if declined < 2 => {
                declined += 1;
                if !buffer.is_empty() {
                    return Err(GreetingError::Unexpected("data before the answer to its request"));
                }
                client.write_all(DECLINE).await?;
                client.flush().await?;
            }
            Startup::Ssl | Startup::GssEnc => {
                return Err(GreetingError::Unexpected("one encryption request after another"));
            }
            Startup::Cancel(key) => return Ok(Greeting::Cancel(encode_cancel(&key))),
            Startup::Session(parameters) => {
                if let Some(verifier) = password {
                    check_password(client, &mut buffer, verifier.clone()).await?;
                }
                let rest = buffer.take_rest();
                return Ok(Greeting::Session([encode_session(&parameters), rest].concat().into()));
            }
        }
    }
}

async fn startup_packet<S>(client: &mut S, buffer: &mut FrameBuffer) -> Result<Bytes, GreetingError>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(packet) = buffer.take_startup()? {
            return Ok(packet);
        }
        fill(client, buffer).await?;
    }
}

async fn check_password<S>(
    client: &mut S,
    buffer: &mut FrameBuffer,
    verifier: Verifier,
) -> Result<(), GreetingError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut random = [0_u8; 18];
    getrandom::fill(&mut random).map_err(|_| GreetingError::Random)?;
    let mut exchange = ServerExchange::new(verifier, &random);
    buffer.limit_messages(PASSWORD_LIMIT);

    client.write_all(&backend::authentication_sasl(&[scram::MECHANISM])).await?;
    let body = sasl_message(client, buffer).await?;
    let (mechanism, data) = frontend::parse_sasl_initial(&body)?;
    if mechanism != scram::MECHANISM {
        return Err(GreetingError::Unexpected("a mechanism that was not offered"));
    }
    let answer = exchange.first(data)?;
    client.write_all(&backend::authentication_sasl_continue(answer.as_bytes())).await?;
    let body = sasl_message(client, buffer).await?;
    let answer = exchange.finish(&body)?;
    client.write_all(&backend::authentication_sasl_final(answer.as_bytes())).await?;
    client.flush().await?;
    Ok(())
}

async fn sasl_message<S>(client: &mut S, buffer: &mut FrameBuffer) -> Result<Vec<u8>, GreetingError>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(frame) = buffer.take()? {
            return match frame.tag() {
                SASL => Ok(frame.body().to_vec()),
                _ => Err(GreetingError::Unexpected("something else than its password proof")),
            };
        }
        fill(client, buffer).await?;
    }
}

async fn fill<S: AsyncRead + Unpin>(client: &mut S, buffer: &mut FrameBuffer) -> Result<(), GreetingError> {
    if client.read_buf(buffer.buffer_mut()).await? == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}
