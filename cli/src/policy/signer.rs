//! Whoever signs: a key in a file, a key in the running SSH agent, or a command that reaches a key service.
//!
//! A signer is bound to a record of the trust file before it signs anything: a signature by a key that no agent
//! would count is refused here, with a remedy, and not found out at the agent.

use super::ssh_agent::SshAgent;
use super::trust::read_key;
use crate::error::{CliError, Doing as _, Exit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use daam_bundle::{PublicKey, Role, SigningKey, TrustFile};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Options of every command that signs.
#[derive(Debug, Args)]
pub struct SignerArgs {
    /// Who signs: `file:PATH` (PKCS#8 PEM), `ssh-agent:COMMENT` or `ssh-agent:SHA256:…`, or `exec:COMMAND`; may be
    /// given several times.
    #[arg(long = "key", value_name = "SIGNER", required = true)]
    keys: Vec<String>,
    /// The public key of an `exec:` signer: its label or key id in the trust file, or a file with it.
    #[arg(long = "as", value_name = "LABEL|KEYID|FILE")]
    named: Option<String>,
}

impl SignerArgs {
    /// The signers in the order given.
    pub fn signers(&self, trust: Option<&TrustFile>) -> Result<Vec<Signer>, CliError> {
        self.keys.iter().map(|name| Signer::find(name, self.named.as_deref(), trust)).collect()
    }
}

/// Somebody who can sign.
#[derive(Debug)]
pub struct Signer {
    public: PublicKey,
    means: Means,
}

#[derive(Debug)]
enum Means {
    File(Box<SigningKey>),
    Agent(SshAgent),
    Exec(String),
}

impl Signer {
    fn find(name: &str, named: Option<&str>, trust: Option<&TrustFile>) -> Result<Self, CliError> {
        if let Some(path) = name.strip_prefix("file:") {
            let key = read_key(path.as_ref())?;
            return Ok(Self { public: key.public(), means: Means::File(Box::new(key)) });
        }
        if let Some(wanted) = name.strip_prefix("ssh-agent:") {
            return in_agent(wanted);
        }
        if let Some(command) = name.strip_prefix("exec:") {
            let named = named.ok_or_else(|| {
                CliError::usage("a command signs, but whose key it uses is not said").remedy(
                    "name it with `--as`: the key's label in the trust file, or a file with the public key",
                )
            })?;
            return Ok(Self { public: find_public(named, trust)?, means: Means::Exec(command.to_owned()) });
        }
        Err(CliError::usage(format!("`{name}` is not a signer"))
            .remedy("write `file:PATH`, `ssh-agent:COMMENT` or `exec:COMMAND`"))
    }

    /// The key it signs with.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The label of its key in one of these roles; refused if no trust file lists it there.
    pub fn label(&self, trust: &TrustFile, roles: &[Role]) -> Result<String, CliError> {
        let listed = |role: &&Role| {
            trust.role(**role).is_some_and(|keys| keys.keys.iter().any(|key| key.public == self.public))
        };
        let keyid = self.public.keyid();
        if roles.iter().any(|role| listed(&role)) {
            return Ok(trust.label(&keyid).unwrap_or(keyid));
        }
        let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let message = format!(
            "the key {keyid} has no role `{}` in version {} of the trust file, so its signature would count for nothing",
            names.join("` or `"),
            trust.version()
        );
        Err(CliError::new(Exit::Signature, message)
            .remedy("sign with a key that `daam trust show` lists, or add this one with `daam trust rotate`"))
    }

    /// Signs; the signature is in whatever form the signer has.
    pub fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, CliError> {
        match &mut self.means {
            Means::File(key) => Ok(key.sign(message)),
            Means::Agent(agent) => {
                let input = self.public.ssh_signing_input(message).unwrap_or_default();
                let answer = agent.sign(&self.public, &input)?;
                self.public
                    .attach_ssh(&answer)
                    .ok_or_else(|| CliError::usage("the SSH agent's signature was not understood"))
            }
            Means::Exec(command) => execute(command, message),
        }
    }
}

fn in_agent(wanted: &str) -> Result<Signer, CliError> {
    let mut agent = SshAgent::connect()?;
    let mut found = agent.identities()?;
    found.retain(|key| key.comment == wanted || key.public.ssh_fingerprint().as_deref() == Some(wanted));
    let advice = "`ssh-add -l` lists them; a fingerprint `SHA256:…` names exactly one";
    match (found.pop(), found.is_empty()) {
        (Some(key), true) => Ok(Signer { public: key.public, means: Means::Agent(agent) }),
        (Some(_), false) => {
            Err(CliError::usage(format!("several keys of the SSH agent are called `{wanted}`"))
                .remedy(advice))
        }
        (None, _) => {
            let message = format!("the SSH agent holds no Ed25519 or P-256 key called `{wanted}`");
            Err(CliError::usage(message).remedy(advice))
        }
    }
}

/// A label or key id of the trust file, or a file.
fn find_public(named: &str, trust: Option<&TrustFile>) -> Result<PublicKey, CliError> {
    let keys = trust.into_iter().flat_map(|trust| {
        Role::ALL.into_iter().filter_map(|role| trust.role(role)).flat_map(|role| &role.keys)
    });
    let mut found: Vec<&PublicKey> = keys
        .filter(|key| key.comment == named || key.public.keyid() == named)
        .map(|key| &key.public)
        .collect();
    found.dedup();
    match found.as_slice() {
        [public] => Ok((*public).clone()),
        [] if Path::new(named).is_file() => read_public(Path::new(named)),
        [] => {
            Err(CliError::usage(format!("no key of the trust file is called `{named}`, and it is no file"))
                .remedy("`daam trust show` lists the labels; `--trust FILE` names the trust file"))
        }
        _ => Err(CliError::usage(format!("several keys of the trust file are called `{named}`"))
            .remedy("name the key by its id")),
    }
}

/// Reads a public key in any form people have; of a private key in PKCS#8 PEM its public half is taken.
pub fn read_public(path: &Path) -> Result<PublicKey, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).doing(format_args!("read the public key `{shown}`"))?;
    let text = zeroize::Zeroizing::new(text);
    if text.contains("PRIVATE KEY") {
        return read_key(path).map(|key| key.public());
    }
    PublicKey::from_text(&text).doing(format_args!("use the public key `{shown}`"))
}

/// The message on standard input, the signature on standard output: base64, or what `ssh-keygen -Y sign` writes.
fn execute(command: &str, message: &[u8]) -> Result<Vec<u8>, CliError> {
    let doing = format!("sign with `{command}`");
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .doing(&doing)?;
    // At most 64 KiB: more than a pipe may hold, so it is written while the command may already be answering.
    let input = child.stdin.take();
    let message = message.to_vec();
    let writer = std::thread::spawn(move || input.map(|mut input| input.write_all(&message)));
    let output = child.wait_with_output().doing(&doing)?;
    // A command that does not read to the end breaks the pipe; whether its signature is good shows later.
    drop(writer.join());
    if !output.status.success() {
        let error = CliError::usage(format!("could not {doing}: it ended with {}", output.status));
        return Err(
            error.remedy("it gets the bytes to sign on standard input and prints the signature in base64")
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(text.trim().as_bytes().to_vec());
    }
    let compact: String = text.split_whitespace().collect();
    STANDARD.decode(compact).doing(format_args!("read what `{command}` printed as base64"))
}
