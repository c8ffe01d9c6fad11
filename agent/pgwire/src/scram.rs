//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side.
//!
//! Used where a client must prove a password before bytes flow. Randomness is passed in. Refused: channel binding
//! (there is no TLS to bind to here), any nonce but ours, any proof that does not fit. A wrong proof and a malformed
//! message are told apart only for the log; the client hears one answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// The name of the mechanism.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// Iterations PostgreSQL uses by default.
pub const ITERATIONS: u32 = 4096;

/// Why the exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// Not a message of this exchange.
    #[error("malformed SCRAM message")]
    Malformed,
    /// The client wants channel binding.
    #[error("channel binding is not offered on this connection")]
    ChannelBinding,
    /// The nonce is not the one we sent.
    #[error("the SCRAM nonce does not match")]
    Nonce,
    /// The password is wrong.
    #[error("password authentication failed")]
    WrongPassword,
}

/// What a server keeps of a password: enough to check it, not enough to use it elsewhere.
#[derive(Clone)]
pub struct Verifier {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// For a password of printable ASCII (no normalisation is applied) and a random salt.
    pub fn new(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password, salt, iterations);
        let client_key = mac(&salted, &[b"Client Key"]);
        Self {
            salt: salt.to_vec(),
            iterations,
            stored_key: Sha256::digest(client_key).into(),
            server_key: mac(&salted, &[b"Server Key"]),
        }
    }
}

/// One exchange, waiting for the client's next message.
#[derive(Debug)]
pub struct ServerExchange {
    verifier: Verifier,
    nonce: String,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    Final { client_first_bare: String, server_first: String, header: String },
    Done,
}

impl ServerExchange {
    /// Starts with fresh random bytes for the nonce.
    pub fn new(verifier: Verifier, random: &[u8; 18]) -> Self {
        Self { verifier, nonce: STANDARD.encode(random), state: State::First }
    }

    /// Takes the client's first message; gives what to send in `AuthenticationSASLContinue`.
    pub fn first(&mut self, message: &[u8]) -> Result<String, ScramError> {
        if !matches!(self.state, State::First) {
            return Err(ScramError::Malformed);
        }
        self.state = State::Done;
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let (header, bare) = split_header(message)?;
        let mut parts = bare.split(',');
        if !parts.next().is_some_and(|part| part.starts_with("n=")) {
            return Err(ScramError::Malformed);
        }
        let theirs = parts.next().and_then(|part| part.strip_prefix("r=")).unwrap_or_default();
        if theirs.is_empty() || !theirs.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
            return Err(ScramError::Malformed);
        }
        self.nonce = format!("{theirs}{}", self.nonce);
        let server_first = format!(
            "r={},s={},i={}",
            self.nonce,
            STANDARD.encode(&self.verifier.salt),
            self.verifier.iterations
        );
        self.state = State::Final {
            client_first_bare: bare.to_owned(),
            server_first: server_first.clone(),
            header: header.to_owned(),
        };
        Ok(server_first)
    }

    /// Takes the client's final message; gives what to send in `AuthenticationSASLFinal`.
    pub fn finish(&mut self, message: &[u8]) -> Result<String, ScramError> {
        let State::Final { client_first_bare, server_first, header } =
            std::mem::replace(&mut self.state, State::Done)
        else {
            return Err(ScramError::Malformed);
        };
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let proof: [u8; 32] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(ScramError::Malformed)?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c="));
        if binding != Some(STANDARD.encode(&header).as_str()) {
            return Err(ScramError::ChannelBinding);
        }
        if parts.next().and_then(|part| part.strip_prefix("r=")) != Some(self.nonce.as_str()) {
            return Err(ScramError::Nonce);
        }
        let transcript = format!("{client_first_bare},{server_first},{without_proof}");
        self.check(proof, transcript.as_bytes())
    }

    fn check(&self, proof: [u8; 32], transcript: &[u8]) -> Result<String, ScramError> {
        let signature = mac(&self.verifier.stored_key, &[transcript]);
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let shown: [u8; 32] = Sha256::digest(client_key).into();
        let difference = shown.iter().zip(self.verifier.stored_key).fold(0, |sum, (a, b)| sum | (a ^ b));
        if difference != 0 {
            return Err(ScramError::WrongPassword);
        }
        Ok(format!("v={}", STANDARD.encode(mac(&self.verifier.server_key, &[transcript]))))
    }
}

/// Splits `n,,` or `y,,` (with an optional authorisation name, which we refuse) from the rest.
fn split_header(message: &str) -> Result<(&str, &str), ScramError> {
    if message.starts_with("p=") {
        return Err(ScramError::ChannelBinding);
    }
    ["n,,", "y,,"]
        .into_iter()
        .find_map(|header| message.strip_prefix(header).map(|bare| (header, bare)))
        .ok_or(ScramError::Malformed)
}

/// PBKDF2 with HMAC-SHA-256, one block.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut previous = mac(password, &[salt, &1_u32.to_be_bytes()]);
    let mut result = previous;
    for _ in 1..iterations {
        previous = mac(password, &[&previous]);
        for (byte, more) in result.iter_mut().zip(previous) {
            *byte ^= more;
        }
    }
    result
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
