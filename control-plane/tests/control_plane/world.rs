//! A running control plane with one organization, its admin, and a clock that moves when told.

use daam_api::v1::{Bootstrap, Bootstrapped, Enrolled, LinkCreated, TokenCreated};
use daam_control_plane::mail::MailConfig;
use daam_control_plane::rates::RateConfig;
use daam_control_plane::traffic::Traffic;
use daam_control_plane::{Clock, Config, Server, Transport};
use daam_identity::ticket::TrafficClass;
use daam_postgres::Cluster;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Postgres(Cluster);

impl Postgres {
    pub(crate) fn start() -> Self {
        Self(Cluster::for_test().unwrap())
    }

    /// Without waiting for its clients.
    pub(crate) fn stop(&mut self) {
        self.0.stop().unwrap();
    }

    pub(crate) fn resume(&mut self) {
        self.0.resume().unwrap();
    }

    pub(crate) async fn database(&self, name: &str) -> String {
        let name: String = name.chars().take(60).collect();
        self.execute("postgres", &format!("CREATE DATABASE \"{name}\"")).await;
        self.0.superuser_dsn(&name)
    }

    /// By the superuser.
    pub(crate) async fn execute(&self, database: &str, sql: &str) {
        let (client, connection) =
            tokio_postgres::connect(&self.0.superuser_dsn(database), tokio_postgres::NoTls).await.unwrap();
        let served = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        served.await.unwrap().unwrap();
    }

    /// As somebody else, whose password is written as a URL has it.
    pub(crate) fn dsn(&self, role: &str, password: &str, database: &str) -> String {
        self.0.dsn(role, password, database)
    }
}

/// An organization, by its first admin.
#[derive(Debug, Clone)]
pub(crate) struct Org {
    pub(crate) slug: String,
    pub(crate) admin_id: String,
    pub(crate) token: String,
    pub(crate) link: String,
}

impl From<Bootstrapped> for Org {
    fn from(made: Bootstrapped) -> Self {
        Self { slug: made.org, admin_id: made.user_id, token: made.token, link: made.sign_in_link }
    }
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) dir: TempDir,
    pub(crate) config: Config,
    clock: Arc<AtomicI64>,
    http: reqwest::Client,
}

/// An answer, whatever it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) kind: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl World {
    pub(crate) async fn start(database_url: Option<String>) -> Self {
        Self::with(database_url, (false, None), RateConfig::default()).await
    }

    /// Identity providers on this machine are asked; whoever signs in by them has one address, and there are many.
    pub(crate) async fn reaching_private_providers() -> Self {
        let rates = RateConfig { stranger_rate: 500, ..RateConfig::default() };
        Self::with(None, (true, None), rates).await
    }

    /// Letters go to this server.
    pub(crate) async fn with_mail(url: &str, ca: Option<&Path>) -> Self {
        let ca = ca.map(Path::to_owned);
        let mail = MailConfig { url: url.to_owned(), from: "daam@example.com".to_owned(), ca };
        Self::with(None, (false, Some(mail)), RateConfig::default()).await
    }

    /// Where this often may be asked.
    pub(crate) async fn at_rates(rates: RateConfig) -> Self {
        Self::with(None, (false, None), rates).await
    }

    async fn with(
        database_url: Option<String>,
        (private_providers, mail): (bool, Option<MailConfig>),
        rates: RateConfig,
    ) -> Self {
        daam_suite_log::keep("control_plane");
        let dir = tempfile::tempdir().unwrap();
        // A real provider's tokens are of today.
        let began = if private_providers { Clock::system().now() } else { NOW };
        let clock = Arc::new(AtomicI64::new(began));
        let told = Arc::clone(&clock);
        let config = Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: dir.path().join("data"),
            database_url,
            transport: Transport::Loopback,
            public_url: None,
            private_providers,
            checkpoint_file: None,
            mail,
            traffic: Traffic {
                clients: TrafficClass { bytes_per_second: 7_000_000, ..Traffic::default().clients },
                ..Traffic::default()
            },
            rates,
            metrics: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            clock: Clock::from_fn(move || told.load(Ordering::SeqCst)),
        };
        let server = Server::start(&config).await.unwrap();
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Self { server, dir, config, clock, http }
    }

    pub(crate) async fn restart(self) -> Self {
        let Self { server, dir, config, clock, http } = self;
        server.stop().await;
        let server = Server::start(&config).await.unwrap();
        Self { server, dir, config, clock, http }
    }

    /// Where identity providers on this machine are asked, whose tokens are of today.
    pub(crate) async fn of_today(mut self) -> Self {
        self.config.private_providers = true;
        self.clock.store(Clock::system().now(), Ordering::SeqCst);
        self.restart().await
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Its clock is not behind the real one.
    pub(crate) fn catch_up(&self) {
        self.clock.fetch_max(Clock::system().now(), Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn bootstrap_file(&self) -> std::path::PathBuf {
        self.config.data_dir.join("bootstrap-token")
    }

    pub(crate) async fn bootstrap(&self) -> Org {
        let token = std::fs::read_to_string(self.bootstrap_file()).unwrap();
        let request = json!({ "organization": "Shop", "admin_email": "Ana@Example.com" });
        let answer = self.call(Method::POST, "/v1/bootstrap", token.trim(), &request).await;
        Org::from(answer.json::<Bootstrapped>(201))
    }

    /// A further organization.
    pub(crate) async fn organization(&self, email: &str) -> Org {
        let request = Bootstrap { organization: "Other".to_owned(), admin_email: email.to_owned() };
        let app = self.server.app();
        Org::from(daam_control_plane::routes::make_organization(app, &request).await.unwrap())
    }

    /// A user of `org` and a token.
    pub(crate) async fn member(&self, org: &Org, email: &str) -> String {
        self.put_user(org, email, false).await;
        let request = json!({ "name": "laptop", "email": email });
        self.call(Method::POST, "/v1/tokens", &org.token, &request).await.json::<TokenCreated>(201).token
    }

    /// A user of `org` in a role, and a token.
    pub(crate) async fn in_role(&self, org: &Org, email: &str, role: &str) -> String {
        let user = json!({ "role": role, "groups": [], "attributes": {} });
        self.call(Method::PUT, &format!("/v1/users/{email}"), &org.token, &user).await.ok(200);
        let request = json!({ "name": "laptop", "email": email });
        self.call(Method::POST, "/v1/tokens", &org.token, &request).await.json::<TokenCreated>(201).token
    }

    pub(crate) async fn put_user(&self, org: &Org, email: &str, disabled: bool) -> Value {
        let user = json!({ "groups": ["analysts"], "attributes": { "region": "eu" }, "disabled": disabled });
        self.call(Method::PUT, &format!("/v1/users/{email}"), &org.token, &user).await.json(200)
    }

    pub(crate) async fn enrolment(&self, org: &Org, request: &Value) -> String {
        self.call(Method::POST, "/v1/enrolment-tokens", &org.token, request)
            .await
            .json::<TokenCreated>(201)
            .token
    }

    pub(crate) async fn agent(&self, org: &Org, database: &str) -> Enrolled {
        self.agent_with_key(org, database).await.0
    }

    /// An agent and the key it enrolled with.
    pub(crate) async fn agent_with_key(&self, org: &Org, database: &str) -> (Enrolled, String) {
        let token = self.enrolment(org, &json!({ "kind": "agent", "database": database })).await;
        let (key, csr) = daam_identity::make_csr().unwrap();
        let enrolled =
            self.call(Method::POST, "/v1/enrol", &token, &json!({ "name": "one", "csr_pem": csr })).await;
        (enrolled.json(201), (*key).clone())
    }

    /// A token an identity provider provisions with.
    pub(crate) async fn scim(&self, org: &Org) -> String {
        let made = self.call(Method::POST, "/v1/scim-tokens", &org.token, &json!({ "name": "idp" })).await;
        made.json::<Value>(201)["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn relay(&self, org: &Org) -> Enrolled {
        let token = self.enrolment(org, &json!({ "kind": "relay" })).await;
        self.call(Method::POST, "/v1/enrol", &token, &json!({ "name": "r" })).await.json(201)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.server.address()))
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(token)).await
    }

    /// A form of one of our pages, as a browser sends it.
    pub(crate) async fn submit(&self, path: &str, cookie: Option<&str>, form: &str) -> Answer {
        let mut request = self.request(Method::POST, path).header("sec-fetch-site", "same-origin");
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("__Host-sid={cookie}"));
        }
        let kind = "application/x-www-form-urlencoded";
        Answer::of(request.header("content-type", kind).body(form.to_owned())).await
    }

    /// A page, from a link on another one of ours.
    pub(crate) async fn look(&self, path: &str, cookie: &str) -> Answer {
        let request = self.request(Method::GET, path).header("sec-fetch-site", "same-origin");
        Answer::of(request.header("cookie", format!("__Host-sid={cookie}"))).await
    }

    /// The session that a one-time link begins.
    pub(crate) async fn sign_in(&self, link: &str) -> String {
        self.submit(path_of(link), None, "").await.cookie()
    }

    /// The authority browsers reach it by.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.server.address().port())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    /// Another server.
    pub(crate) fn elsewhere(&self, url: &str) -> RequestBuilder {
        self.http.get(url)
    }

    pub(crate) fn elsewhere_post(&self, url: &str) -> RequestBuilder {
        self.http.post(url)
    }

    /// The operator's link for somebody.
    pub(crate) async fn recover(&self, org: &Org, email: &str) -> String {
        let db = self.server.app().db();
        let made = db.recovery_link(&org.slug, email, (self.now(), self.now() + 60)).await.unwrap().unwrap();
        self.url(&format!("/sign-in/link/{}", made.reveal()))
    }

    /// The session of an API token's holder.
    pub(crate) async fn session(&self, token: &str) -> String {
        let made: LinkCreated =
            self.call(Method::POST, "/v1/console-link", token, &json!({})).await.json(201);
        self.sign_in(&made.link).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        self.send(method, path, token, body.to_string().into_bytes()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: Vec<u8>) -> Answer {
        Answer::of(self.request(method, path).bearer_auth(token).body(body)).await
    }
}

/// The path of an absolute address.
pub(crate) fn path_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.find('/').map_or("/", |at| authority.split_at(at).1)
}

impl Answer {
    /// The session cookie it sets.
    pub(crate) fn cookie(&self) -> String {
        assert_eq!(self.status.as_u16(), 303, "{}", self.text());
        let set = self.headers["set-cookie"].to_str().unwrap();
        let (value, terms) = set.strip_prefix("__Host-sid=").unwrap().split_once("; ").unwrap();
        for term in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(terms.split("; ").any(|set| set == term), "{terms}");
        }
        value.to_owned()
    }

    pub(crate) fn location(&self) -> &str {
        self.headers.get("location").map_or("", |at| at.to_str().unwrap())
    }

    /// A page that refuses with this status and code.
    pub(crate) fn page_refused(self, status: u16, code: &str) -> String {
        let answer = self.ok(status);
        let text = answer.text();
        assert!(answer.kind.starts_with("text/html"), "{text}");
        assert!(text.contains(&format!("<code>{code}</code>")), "{text}");
        text
    }

    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let status = response.status();
        let kind =
            response.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let headers = response.headers().clone();
        let body = response.bytes().await.unwrap().to_vec();
        if status.is_client_error() || status.is_server_error() {
            daam_suite_log::note(&String::from_utf8_lossy(&body));
        }
        Self { status, kind, headers, body }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn ok(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    pub(crate) fn json<T: DeserializeOwned>(self, status: u16) -> T {
        let answer = self.ok(status);
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
    }

    /// A problem document with this status and code.
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        let answer = self.ok(status);
        assert_eq!(answer.kind, "application/problem+json", "{}", answer.text());
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        problem.to_string()
    }
}
