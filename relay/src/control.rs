//! What the relay tells the control plane, and what it learns: one enrolment, then its address now and then.
//!
//! Refused: plain HTTP to anything but this computer, because the tokens would travel readable. A control plane
//! that is away is waited for; one that says no ends the program with what it said.

use daam_api::v1::{Enrol, Enrolled, Problem, RelayAddress};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const STATE_FILE: &str = "relay.json";

/// Why the relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The URL.
    #[error("`{0}` is not a control plane address; `https://…` is, and `http://` on this computer only")]
    Url(String),
    /// No HTTP client.
    #[error("no HTTP client could be made")]
    Client(#[source] reqwest::Error),
    /// The control plane said no.
    #[error("the control plane refused ({status}): {said}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        said: String,
    },
    /// The control plane did not answer.
    #[error("the control plane does not answer")]
    Away(#[source] reqwest::Error),
    /// The answer lacks something.
    #[error("the control plane's answer has no ticket key; was the token made for a relay?")]
    NoTicketKey,
    /// A file.
    #[error("{what} `{path}`")]
    File {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The state file's content.
    #[error("`{0}` is not this relay's state; remove it to enrol again")]
    State(PathBuf),
}

impl ControlError {
    /// Whether waiting may help.
    fn passes(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// What enrolment gave us; kept in the state directory.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The relay's id.
    pub id: String,
    /// The organization it serves.
    pub org: String,
    /// The key tickets are verified with, base64.
    pub ticket_key: String,
    link_token: String,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment").field("id", &self.id).field("org", &self.org).finish_non_exhaustive()
    }
}

/// Speaks to one control plane.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    base: Url,
    http: Client,
}

impl ControlPlane {
    /// At this URL.
    pub fn new(url: &str) -> Result<Self, ControlError> {
        let wrong = || ControlError::Url(url.to_owned());
        let base = Url::parse(url).map_err(|_| wrong())?;
        let host = base.host_str().ok_or_else(wrong)?;
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let local = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
        if base.cannot_be_a_base() || !(base.scheme() == "https" || (base.scheme() == "http" && local)) {
            return Err(wrong());
        }
        let http = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(ControlError::Client)?;
        Ok(Self { base, http })
    }

    /// The stored enrolment, or a new one made with the token in `token_file` and stored.
    pub async fn enrolment(
        &self,
        name: &str,
        token_file: &Path,
        state_dir: &Path,
    ) -> Result<Enrolment, ControlError> {
        let state = state_dir.join(STATE_FILE);
        if let Some(known) = load(&state)? {
            return Ok(known);
        }
        let token = read(token_file, "cannot read the enrolment token from")?;
        let enrolled = patiently("enrolment", || self.enrol(name, token.trim())).await?;
        store(state_dir, &state, &enrolled)?;
        Ok(enrolled)
    }

    async fn enrol(&self, name: &str, token: &str) -> Result<Enrolment, ControlError> {
        let request = Enrol { name: name.to_owned(), csr_pem: None };
        let call = self.http.post(self.url("v1/enrol")?).bearer_auth(token).json(&request);
        let answer: Enrolled = accepted(call).await?.json().await.map_err(ControlError::Away)?;
        Ok(Enrolment {
            id: answer.id,
            org: answer.org,
            ticket_key: answer.ticket_key.ok_or(ControlError::NoTicketKey)?,
            link_token: answer.link_token,
        })
    }

    /// Says where we can be reached, as often as it takes to be heard.
    pub async fn announce(&self, enrolment: &Enrolment, address: &str) -> Result<(), ControlError> {
        patiently("announcing our address", || async {
            let request = RelayAddress { address: address.to_owned() };
            let call = self.http.put(self.url("v1/relay/address")?).bearer_auth(&enrolment.link_token);
            accepted(call.json(&request)).await.map(|_| ())
        })
        .await
    }

    fn url(&self, path: &str) -> Result<Url, ControlError> {
        let mut url = self.base.clone();
        let wrong = |()| ControlError::Url(self.base.to_string());
        url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(path.split('/'));
        Ok(url)
    }
}

async fn accepted(call: reqwest::RequestBuilder) -> Result<reqwest::Response, ControlError> {
    let response = call.send().await.map_err(ControlError::Away)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let said = match response.json::<Problem>().await {
        Ok(problem) => problem.title,
        Err(_) => status.canonical_reason().unwrap_or("no reason given").to_owned(),
    };
    Err(ControlError::Refused { status: StatusCode::as_u16(&status), said })
}

/// Tries again, ever more slowly, while the failure may pass.
async fn patiently<T, F, Call>(what: &str, mut call: Call) -> Result<T, ControlError>
where
    F: Future<Output = Result<T, ControlError>>,
    Call: FnMut() -> F,
{
    let mut wait = FIRST_WAIT;
    loop {
        match call().await {
            Err(error) if error.passes() => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, retry_in = ?wait, "{what} failed");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            other => return other,
        }
    }
}

fn read(path: &Path, what: &'static str) -> Result<String, ControlError> {
    std::fs::read_to_string(path).map_err(|source| ControlError::File { what, path: path.to_owned(), source })
}

fn load(path: &Path) -> Result<Option<Enrolment>, ControlError> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|_| ControlError::State(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ControlError::File { what: "cannot read", path: path.to_owned(), source }),
    }
}

fn store(directory: &Path, path: &Path, enrolment: &Enrolment) -> Result<(), ControlError> {
    let failed = |source| ControlError::File { what: "cannot write", path: path.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let text = serde_json::to_string_pretty(enrolment).map_err(|error| failed(error.into()))?;
    write_private(path, &text).map_err(failed)
}

/// Writes a file that only we may read, whole or not at all.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_computer_only() {
        for good in ["https://daam.example", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"] {
            assert!(ControlPlane::new(good).is_ok(), "{good}");
        }
        for bad in ["http://daam.example", "http://10.0.0.1", "ftp://daam.example", "daam", "https:", ""] {
            assert!(ControlPlane::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_added_to_the_base() {
        for base in ["https://daam.example/x", "https://daam.example/x/"] {
            let url = ControlPlane::new(base).unwrap().url("v1/enrol").unwrap();
            assert_eq!(url.as_str(), "https://daam.example/x/v1/enrol");
        }
    }

    #[test]
    fn an_enrolment_is_kept_and_rubbish_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(STATE_FILE);
        assert!(load(&path).unwrap().is_none());
        let enrolment =
            Enrolment { id: "r".into(), org: "acme".into(), ticket_key: "k".into(), link_token: "t".into() };
        store(directory.path(), &path, &enrolment).unwrap();
        assert_eq!(load(&path).unwrap().unwrap().link_token, "t");
        std::fs::write(&path, "{}").unwrap();
        assert!(load(&path).is_err());
    }
}
