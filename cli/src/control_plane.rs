//! Requests to the control plane's `/v1`.
//!
//! A refusal is passed on in the control plane's own words. Plain HTTP is accepted only towards loopback: the
//! bearer token would otherwise travel in the open.

mod requests;

pub use requests::Show;

use crate::error::{CliError, Doing as _, Exit};
use daam_api::v1;
use reqwest::{Method, RequestBuilder, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

mod audit;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The control plane, seen with one token.
#[derive(Clone)]
pub struct ControlPlane {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl fmt::Debug for ControlPlane {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ControlPlane").field(&self.base.as_str()).finish()
    }
}

impl ControlPlane {
    /// Checks the address; sends nothing.
    pub fn new(url: &str, token: &str) -> Result<Self, CliError> {
        let base = checked(url)?;
        let mut http = reqwest::Client::builder().timeout(TIMEOUT);
        if is_loopback(&base) {
            http = http.no_proxy();
        }
        let http = http.build().doing("set up the HTTP client")?;
        Ok(Self { http, base, token: token.trim().to_owned() })
    }

    /// The same control plane with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { http: self.http.clone(), base: self.base.clone(), token: token.to_owned() }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// An address the control plane says somebody should open. Only one of its own is: whatever else it could be (a file,
    /// an option of a program, somebody's page) is not what was asked for.
    pub fn own_address(&self, text: &str) -> Result<Url, CliError> {
        let own = |url: &Url| {
            let same_host =
                url.host_str() == self.base.host_str() || is_loopback(url) && is_loopback(&self.base);
            same_host
                && url.scheme() == self.base.scheme()
                && url.port_or_known_default() == self.base.port_or_known_default()
                && url.username().is_empty()
                && url.password().is_none()
        };
        Url::parse(text).ok().filter(own).ok_or_else(|| {
            CliError::usage("the control plane gave an address that is not its own")
                .detail(text.chars().take(200).collect::<String>())
                .remedy("sign in at the address its operator names, with `daam login --control-plane`")
        })
    }

    /// Creates the first organization; the token must be the bootstrap token.
    pub async fn bootstrap(&self, request: &v1::Bootstrap) -> Result<v1::Bootstrapped, CliError> {
        self.exchange(Method::POST, "v1/bootstrap", Some(request)).await
    }

    /// Who the token speaks for.
    pub async fn whoami(&self) -> Result<v1::WhoAmI, CliError> {
        self.get("v1/whoami").await
    }

    /// Makes an API token.
    pub async fn create_token(&self, request: &v1::NewToken) -> Result<v1::TokenCreated, CliError> {
        self.exchange(Method::POST, "v1/tokens", Some(request)).await
    }

    /// Asks for a sign-in that somebody approves in a browser anywhere.
    pub async fn device_sign_in(&self, device: &str) -> Result<v1::DeviceSignIn, CliError> {
        let request = v1::NewDeviceSignIn { device: device.to_owned() };
        self.exchange(Method::POST, "v1/sign-in/device", Some(&request)).await
    }

    /// Fetches an approved sign-in; `None` while nobody has answered.
    pub async fn fetch_sign_in(
        &self,
        code: &str,
        verifier: Option<&str>,
    ) -> Result<Option<v1::SignedIn>, CliError> {
        let body = v1::FetchSignIn { code: code.to_owned(), verifier: verifier.map(str::to_owned) };
        let request = self.request(Method::POST, "v1/sign-in/fetch")?.json(&body);
        let answer = self.dispatch(request).await?;
        if answer.status() == reqwest::StatusCode::CONFLICT {
            return Ok(None);
        }
        refuse_errors(answer).await?.json().await.map(Some).doing("understand the control plane's answer")
    }

    /// Exchanges the token a job's runner gave it for one of ours (RFC 8693).
    pub async fn exchange_job(&self, workload: &str, token: &str) -> Result<v1::TokenExchanged, CliError> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", token),
        ];
        let request =
            self.request(Method::POST, &format!("v1/workloads/{}/token", percent(workload)))?.form(&form);
        self.send(request).await?.json().await.doing("understand the control plane's answer")
    }

    /// An address that signs the token's holder in to the console, once.
    pub async fn console_link(&self) -> Result<v1::LinkCreated, CliError> {
        self.exchange(Method::POST, "v1/console-link", None::<&()>).await
    }

    /// Makes a one-time enrolment token.
    pub async fn enrolment_token(&self, request: &v1::NewEnrolment) -> Result<v1::TokenCreated, CliError> {
        self.exchange(Method::POST, "v1/enrolment-tokens", Some(request)).await
    }

    /// Creates or replaces a user of the directory.
    pub async fn put_user(&self, email: &str, user: &v1::PutUser) -> Result<v1::UserStored, CliError> {
        self.exchange(Method::PUT, &format!("v1/users/{}", percent(email)), Some(user)).await
    }

    /// Everyone in the directory.
    pub async fn users(&self) -> Result<Vec<v1::User>, CliError> {
        self.list("v1/users").await
    }

    /// A certificate for a key made here.
    pub async fn certificate(
        &self,
        request: &v1::CertificateRequest,
    ) -> Result<v1::CertificateIssued, CliError> {
        self.exchange(Method::POST, "v1/certificates", Some(request)).await
    }

    /// The databases the caller can see.
    pub async fn databases(&self) -> Result<Vec<v1::Database>, CliError> {
        self.list("v1/databases").await
    }

    /// How to reach an agent of that database.
    pub async fn connect(&self, database: &str) -> Result<v1::ConnectOffer, CliError> {
        let path = format!("v1/databases/{}/connect", percent(database));
        let answer = self.find(self.request(Method::POST, &path)?).await?.ok_or_else(|| {
            CliError::usage(format!("there is no database `{database}`, or you may not see it"))
                .remedy("`daam databases` lists what you can connect to")
        })?;
        answer.json().await.doing("understand the control plane's answer")
    }

    /// The agents of the organization.
    pub async fn agents(&self) -> Result<Vec<v1::Agent>, CliError> {
        self.list("v1/agents").await
    }

    /// Stores the trust file.
    pub async fn put_trust(&self, trust_json: String) -> Result<(), CliError> {
        let request = self
            .request(Method::PUT, "v1/trust")?
            .header("content-type", "application/json")
            .body(trust_json);
        self.send(request).await.map(drop)
    }

    /// The organization's CA, PEM.
    pub async fn ca(&self) -> Result<String, CliError> {
        let answer = self.send(self.request(Method::GET, "v1/ca")?).await?;
        answer.text().await.doing("read the control plane's answer")
    }

    /// The catalogue the agent reported, as a snapshot; `None` before the first report.
    pub async fn schema(&self, database: &str) -> Result<Option<serde_json::Value>, CliError> {
        let path = format!("v1/databases/{}/schema", percent(database));
        let Some(answer) = self.find(self.request(Method::GET, &path)?).await? else { return Ok(None) };
        answer.json().await.map(Some).doing("understand the control plane's answer")
    }

    /// The published bundle file; `None` if there is none yet.
    pub async fn bundle(&self, database: &str) -> Result<Option<Vec<u8>>, CliError> {
        let path = format!("v1/databases/{}/bundle", percent(database));
        let Some(answer) = self.find(self.request(Method::GET, &path)?).await? else { return Ok(None) };
        let bytes = answer.bytes().await.doing("read the control plane's answer")?;
        Ok(Some(bytes.to_vec()))
    }

    /// An earlier bundle file by its serial; `None` if there is none.
    pub async fn bundle_of(&self, database: &str, serial: u64) -> Result<Option<Vec<u8>>, CliError> {
        let path = format!("v1/databases/{}/bundle?serial={serial}", percent(database));
        let Some(answer) = self.find(self.request(Method::GET, &path)?).await? else { return Ok(None) };
        let bytes = answer.bytes().await.doing("read the control plane's answer")?;
        Ok(Some(bytes.to_vec()))
    }

    /// Publishes a bundle file; `expect_head` is the serial it must follow.
    pub async fn put_bundle(
        &self,
        database: &str,
        expect_head: u64,
        bundle: Vec<u8>,
    ) -> Result<v1::BundleAccepted, CliError> {
        let path = format!("v1/databases/{}/bundle?expect_head={expect_head}", percent(database));
        let request =
            self.request(Method::PUT, &path)?.header("content-type", "application/octet-stream").body(bundle);
        self.send(request).await?.json().await.doing("understand the control plane's answer")
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.exchange(Method::GET, path, None::<&()>).await
    }

    /// All of a list, however many parts it comes in.
    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, CliError> {
        let (mut items, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let answer = self.send(self.request(Method::GET, &path)?).await?;
            // Never anywhere else than where we asked.
            let link = answer.headers().get(reqwest::header::LINK).and_then(|link| link.to_str().ok());
            let following = link.and_then(|link| link.strip_prefix("</")?.strip_suffix(">; rel=\"next\""));
            next = following.filter(|next| next.starts_with("v1/")).map(str::to_owned);
            let part: Vec<T> = answer.json().await.doing("understand the control plane's answer")?;
            if part.is_empty() {
                break;
            }
            items.extend(part);
        }
        Ok(items)
    }

    async fn exchange<B, T>(&self, method: Method, path: &str, body: Option<&B>) -> Result<T, CliError>
    where
        B: Serialize + Sync + ?Sized,
        T: DeserializeOwned,
    {
        let mut request = self.request(method, path)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(request).await?.json().await.doing("understand the control plane's answer")
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, CliError> {
        let url = self.base.join(path).doing(format_args!("build the address of `{path}`"))?;
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    /// `None` when it is not there.
    async fn find(&self, request: RequestBuilder) -> Result<Option<reqwest::Response>, CliError> {
        let answer = self.dispatch(request).await?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        refuse_errors(answer).await.map(Some)
    }

    async fn send(&self, request: RequestBuilder) -> Result<reqwest::Response, CliError> {
        refuse_errors(self.dispatch(request).await?).await
    }

    async fn dispatch(&self, request: RequestBuilder) -> Result<reqwest::Response, CliError> {
        request.send().await.map_err(|error| {
            CliError::usage(format!("could not reach the control plane at {}", self.url()))
                .because(error.without_url())
                .remedy("check the address and that the control plane is running")
        })
    }
}

async fn refuse_errors(answer: reqwest::Response) -> Result<reqwest::Response, CliError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let exit = if status == reqwest::StatusCode::FORBIDDEN { Exit::Findings } else { Exit::Usage };
    let text = answer.text().await.unwrap_or_default();
    let Ok(problem) = serde_json::from_str::<v1::Problem>(&text) else {
        return Err(CliError::new(exit, format!("the control plane answered {status}")));
    };
    let error = CliError::new(exit, format!("the control plane refused: {}", problem.title));
    if status == reqwest::StatusCode::UNAUTHORIZED {
        return Err(error.remedy("sign in again with `daam login`").signed_out());
    }
    Err(match problem.detail {
        Some(detail) => error.remedy(detail),
        None => error,
    })
}

fn checked(url: &str) -> Result<Url, CliError> {
    let wrong =
        |message: String| CliError::usage(message).remedy("give an address such as https://daam.example.com");
    let mut base = Url::parse(url)
        .map_err(|error| wrong(format!("`{url}` is not a control plane address")).because(error))?;
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    match base.scheme() {
        "https" => Ok(base),
        "http" if is_loopback(&base) => Ok(base),
        "http" => Err(wrong(format!("`{url}` would send your token unencrypted"))),
        other => Err(wrong(format!("`{other}` is not a scheme a control plane is reached by"))),
    }
}

fn is_loopback(base: &Url) -> bool {
    matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// Percent-encodes everything that is not plainly part of one path or URL segment.
pub fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_sent_in_the_open() {
        assert!(ControlPlane::new("https://daam.example", "t").is_ok());
        assert!(ControlPlane::new("http://127.0.0.1:8080", "t").is_ok());
        assert!(ControlPlane::new("http://localhost:8080/", "t").is_ok());
        let error = ControlPlane::new("http://daam.example", "t").unwrap_err();
        assert!(error.sentence().contains("unencrypted"), "{error}");
        assert!(ControlPlane::new("ftp://daam.example", "t").is_err());
        assert!(ControlPlane::new("daam.example", "t").is_err());
    }

    #[test]
    fn addresses_keep_their_path_and_segments_are_encoded() {
        let plane = ControlPlane::new("https://example.test/daam", "t").unwrap();
        assert_eq!(plane.base.join("v1/ca").unwrap().as_str(), "https://example.test/daam/v1/ca");
        assert_eq!(percent("a b@c/d"), "a%20b%40c%2Fd");
    }

    #[test]
    fn only_an_address_of_the_control_plane_itself_is_opened() {
        let plane = ControlPlane::new("https://daam.example", "t").unwrap();
        assert_eq!(
            plane.own_address("https://daam.example/a?b&c").unwrap().as_str(),
            "https://daam.example/a?b&c"
        );
        for other in [
            "--gpu-launcher=sh -c x",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://evil.example/",
            "https://daam.example.evil/",
            "https://daam.example@evil.example/",
            "https://a@daam.example/",
            "https://daam.example:8443/",
            "http://daam.example/",
            "/sign-in",
            "",
        ] {
            assert!(plane.own_address(other).is_err(), "{other}");
        }
        let local = ControlPlane::new("http://127.0.0.1:8080", "t").unwrap();
        assert!(local.own_address("http://localhost:8080/x").is_ok());
        assert!(local.own_address("http://localhost:8081/x").is_err());
    }

    #[test]
    fn debug_output_does_not_show_the_token() {
        let plane = ControlPlane::new("https://example.test", "sekrit").unwrap();
        assert!(!format!("{plane:?}").contains("sekrit"));
    }
}
