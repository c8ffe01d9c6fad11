//! The running SSH agent: which keys it holds, and a signature by one of them (draft-miller-ssh-agent).
//!
//! Only two questions are ever asked, over the socket in `SSH_AUTH_SOCK`; keys are never added or removed, and no
//! private key comes near this process.

use crate::error::{CliError, Doing as _};
use crate::home::variable;
use daam_bundle::PublicKey;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// The largest answer read.
const MOST: u32 = 256 * 1024;
/// A person may have to confirm or to touch a token.
const PATIENCE: Duration = Duration::from_secs(120);

/// A key the agent holds.
#[derive(Debug)]
pub struct Identity {
    /// The key; other kinds than ours are left out.
    pub public: PublicKey,
    /// What its owner called it.
    pub comment: String,
}

/// A connection to the agent.
#[derive(Debug)]
pub struct SshAgent {
    socket: UnixStream,
}

impl SshAgent {
    /// Connects.
    pub fn connect() -> Result<Self, CliError> {
        let path = variable("SSH_AUTH_SOCK").map(PathBuf::from).ok_or_else(|| {
            CliError::usage("no SSH agent is running: SSH_AUTH_SOCK is not set")
                .remedy("start one: `eval \"$(ssh-agent)\"; ssh-add`")
        })?;
        let doing = format!("connect to the SSH agent at `{}`", path.display());
        let socket = UnixStream::connect(&path).doing(&doing)?;
        socket.set_read_timeout(Some(PATIENCE)).doing(&doing)?;
        Ok(Self { socket })
    }

    /// The keys it holds, as far as a trust file could list them.
    pub fn identities(&mut self) -> Result<Vec<Identity>, CliError> {
        let answer = self.ask(REQUEST_IDENTITIES, &[])?;
        read_identities(&answer).ok_or_else(unreadable)
    }

    /// Has one of its keys sign; the answer is the inner signature.
    pub fn sign(&mut self, key: &PublicKey, message: &[u8]) -> Result<Vec<u8>, CliError> {
        let mut request = Vec::new();
        put(&mut request, &key.encoded());
        put(&mut request, message);
        request.extend([0; 4]);
        let answer = self.ask(SIGN_REQUEST, &request)?;
        let answer = answer.strip_prefix(&[SIGN_RESPONSE]).ok_or_else(|| {
            CliError::usage("the SSH agent declined to sign")
                .remedy("confirm or touch when it asks; `ssh-add -l` shows what it holds")
        })?;
        string(&mut &*answer).map(<[u8]>::to_vec).ok_or_else(unreadable)
    }

    fn ask(&mut self, kind: u8, body: &[u8]) -> Result<Vec<u8>, CliError> {
        let mut request = Vec::new();
        put(&mut request, &[&[kind], body].concat());
        let mut exchange = || {
            self.socket.write_all(&request)?;
            let mut length = [0; 4];
            self.socket.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length).min(MOST);
            let mut answer = vec![0; usize::try_from(length).unwrap_or(0)];
            self.socket.read_exact(&mut answer).map(|()| answer)
        };
        exchange().doing("ask the SSH agent")
    }
}

fn unreadable() -> CliError {
    CliError::usage("the SSH agent's answer was not understood")
}

fn read_identities(answer: &[u8]) -> Option<Vec<Identity>> {
    let rest = answer.strip_prefix(&[IDENTITIES])?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut found = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (blob, comment) = (string(&mut rest)?, string(&mut rest)?);
        if let Ok(public) = PublicKey::from_ssh_wire(blob) {
            found.push(Identity { public, comment: String::from_utf8_lossy(comment).into_owned() });
        }
    }
    Some(found)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    let (string, tail) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = tail;
    Some(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cut_anywhere_is_not_understood() {
        let mut whole = vec![IDENTITIES, 0, 0, 0, 1];
        put(&mut whole, b"\0\0\0\x07ssh-rsa");
        put(&mut whole, b"ana@laptop");
        assert_eq!(read_identities(&whole).unwrap().len(), 0);
        for end in 0..whole.len() {
            assert!(read_identities(&whole[..end]).is_none(), "{end}");
        }
    }
}
