//! A proxy in front of the shop, with a policy that can be changed under running sessions.

use crate::world::{World, grant, policies};
use daam_agent::access::{Facts, Requests, judge};
use daam_agent::audit::Audit;
use daam_agent::context::ProxyContext;
use daam_agent::directory::Directory;
use daam_agent::proxy::{SessionEnd, serve};
use daam_agent::sessions::Registry;
use daam_agent::state::{ActiveBundle, PolicyState};
use daam_api::link::{AccessGrant, DirectoryUser};
use daam_catalog::Scope;
use daam_enforce::HashKey;
use daam_identity::{Databases, UserPrincipal};
use daam_model::{Grant, Mask, PolicySet, Verb};
use daam_pgwire::startup::{StartupParameters, encode_session};
use daam_pgwire::{Frame, FrameBuffer, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// Nothing in a test takes longer.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) ctx: Arc<ProxyContext>,
    state: watch::Sender<Arc<PolicyState>>,
    _events: mpsc::Receiver<daam_agent::SessionEvent>,
}

/// Reads and writes everything in `users`, with masked addresses; reads orders.
pub(crate) fn masked() -> PolicySet {
    let verbs = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];
    let grants = vec![grant("public.users", &verbs), grant("public.orders", &[Verb::Select])];
    policies(grants, &[("public.users.email", Mask::Email)])
}

/// Reads and writes everything in `users` and in its view, with masked addresses, and the smaller orders.
pub(crate) fn writing() -> PolicySet {
    let verbs = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];
    let orders = Grant { rows: Some("total < 100".to_owned()), ..grant("public.orders", &verbs) };
    let grants = vec![grant("public.users", &verbs), orders, grant("public.contacts", &verbs)];
    policies(grants, &[("public.users.email", Mask::Email)])
}

/// The same without masks.
pub(crate) fn open() -> PolicySet {
    let verbs = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];
    policies(vec![grant("public.users", &verbs), grant("public.orders", &[Verb::Select])], &[])
}

impl Stage {
    pub(crate) async fn new(set: PolicySet) -> Self {
        Self::with_linger(set, Duration::from_millis(50)).await
    }

    pub(crate) async fn with_linger(set: PolicySet, linger: Duration) -> Self {
        Self::audited(set, linger, Audit::off()).await
    }

    pub(crate) async fn audited(set: PolicySet, linger: Duration, audit: Audit) -> Self {
        let world = World::start().await;
        let full = world.full().await;
        let catalog = full.within(&Scope::Absent).catalog().clone();
        let state = PolicyState {
            bundle: Some(ActiveBundle {
                serial: 1,
                expires_at: None,
                attested: daam_bundle::Attested::default(),
            }),
            policies: Arc::new(set),
            catalog,
            objects: Arc::new(full.objects().clone()),
            directory: Arc::new(Directory::new(1, vec![jane(false), dba()])),
            scope: Arc::new(Scope::Absent),
            ..PolicyState::default()
        };
        let (state, watched) = watch::channel(Arc::new(state));
        let (events, heard) = mpsc::channel(100);
        let ctx = Arc::new(ProxyContext {
            admin: world.admin("a1").await,
            state: watched,
            database: "shop".to_owned(),
            upstream: world.upstream(),
            sessions: Arc::new(Registry::new()),
            holds: Arc::default(),
            drift: Arc::default(),
            linger,
            hash_key: HashKey::new([7; 32]),
            audit,
            events,
        });
        Self { world, ctx, state, _events: heard }
    }

    /// Puts another policy in force.
    pub(crate) fn publish(&self, set: PolicySet) {
        self.state.send_modify(|state| {
            let mut next = PolicyState::clone(state);
            next.policies = Arc::new(set);
            *state = Arc::new(next);
        });
    }

    /// Introspects as the agent does when it has noticed a change.
    pub(crate) async fn look_again(&self) {
        let full = self.world.full().await;
        let objects = Arc::new(full.objects().clone());
        let catalog = full.within(&Scope::Absent).known().clone();
        self.state.send_modify(|state| {
            let mut next = PolicyState::clone(state);
            (next.catalog, next.objects) = (catalog, objects);
            *state = Arc::new(next);
        });
    }

    pub(crate) fn set_scope(&self, scope: Scope) {
        self.state.send_modify(|state| {
            let mut next = PolicyState::clone(state);
            next.scope = Arc::new(scope);
            *state = Arc::new(next);
        });
    }

    pub(crate) fn set_groups(&self, groups: &[&str]) {
        let jane = DirectoryUser { groups: groups.iter().map(ToString::to_string).collect(), ..jane(false) };
        self.state.send_modify(|state| {
            let mut next = PolicyState::clone(state);
            next.directory = Arc::new(Directory::new(2, vec![jane]));
            *state = Arc::new(next);
        });
    }

    /// Puts approved access in force, in place of what was; all of it has to be admitted.
    pub(crate) fn set_access(&self, grants: &[AccessGrant]) {
        self.state.send_modify(|state| {
            let facts =
                Facts { policies: &state.policies, catalog: &state.catalog, directory: &state.directory };
            let admitted: Vec<_> = grants.iter().map(|grant| judge(grant, facts).unwrap()).collect();
            let mut next = PolicyState::clone(state);
            next.requests = Arc::new(Requests::of(admitted));
            *state = Arc::new(next);
        });
    }

    pub(crate) fn disable_jane(&self) {
        self.state.send_modify(|state| {
            let mut next = PolicyState::clone(state);
            next.directory = Arc::new(Directory::new(2, vec![jane(true)]));
            *state = Arc::new(next);
        });
    }

    /// A stream into the proxy, and how its session ends.
    pub(crate) fn stream(&self) -> (DuplexStream, JoinHandle<SessionEnd>) {
        self.stream_of(principal())
    }

    fn stream_of(&self, user: UserPrincipal) -> (DuplexStream, JoinHandle<SessionEnd>) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        (ours, tokio::spawn(serve(theirs, user, Arc::clone(&self.ctx))))
    }

    /// Somebody whose certificate is for these databases only.
    pub(crate) async fn limited_client(&self, databases: &[&str]) -> Result<Client, tokio_postgres::Error> {
        let named = databases.iter().map(|name| (*name).to_owned()).collect();
        let (stream, _session) =
            self.stream_of(UserPrincipal { databases: Databases::Only(named), ..principal() });
        let config: tokio_postgres::Config = "dbname=shop user=jane".parse().unwrap();
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn client(&self) -> Client {
        self.try_client("dbname=shop user=jane").await.unwrap()
    }

    pub(crate) async fn try_client(&self, settings: &str) -> Result<Client, tokio_postgres::Error> {
        let config: tokio_postgres::Config = settings.parse().unwrap();
        let (stream, _session) = self.stream();
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A session spoken to message by message.
    pub(crate) async fn raw(&self) -> Raw {
        let (stream, session) = self.stream();
        let mut raw = Raw { stream, buffer: FrameBuffer::new(), session };
        let parameters =
            vec![("user".to_owned(), "jane".to_owned()), ("database".to_owned(), "shop".to_owned())];
        raw.send(&encode_session(&StartupParameters { minor: 0, parameters })).await;
        raw.until_ready().await;
        raw
    }
}

/// Somebody who decides about requests.
fn dba() -> DirectoryUser {
    DirectoryUser {
        id: "u2".to_owned(),
        email: "dora@example.com".to_owned(),
        groups: BTreeSet::from(["dba".to_owned()]),
        ..jane(false)
    }
}

fn jane(disabled: bool) -> DirectoryUser {
    DirectoryUser {
        id: "u1".to_owned(),
        email: "jane@example.com".to_owned(),
        disabled,
        groups: BTreeSet::new(),
        attributes: BTreeMap::new(),
    }
}

pub(crate) fn principal() -> UserPrincipal {
    UserPrincipal {
        org: "acme".to_owned(),
        user_id: "u1".to_owned(),
        email: "jane@example.com".to_owned(),
        device: "laptop".to_owned(),
        databases: Databases::Any,
    }
}

/// A client that sends bytes and reads messages.
pub(crate) struct Raw {
    pub(crate) stream: DuplexStream,
    buffer: FrameBuffer,
    pub(crate) session: JoinHandle<SessionEnd>,
}

impl Raw {
    /// Over a stream on which nothing was said yet.
    pub(crate) fn over(stream: DuplexStream, session: JoinHandle<SessionEnd>) -> Self {
        Self { stream, buffer: FrameBuffer::new(), session }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.buffer.take().unwrap() {
                return Some(frame);
            }
            let read = tokio::time::timeout(SOON, self.stream.read_buf(self.buffer.buffer_mut())).await;
            if read.expect("an answer in time").ok()? == 0 {
                return None;
            }
        }
    }

    /// Everything up to and with the next `ReadyForQuery`.
    pub(crate) async fn until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.expect("the session goes on");
            let ready = frame.tag() == b'Z';
            frames.push(frame);
            if ready {
                return frames;
            }
        }
    }

    /// The same as one letter per message, with the SQLSTATE after an error and the status after ready. Notices may
    /// stand anywhere and are left out.
    pub(crate) async fn summary(&mut self) -> String {
        let frames = self.until_ready().await;
        frames.iter().filter(|frame| frame.tag() != b'N').map(summary).collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn summary(frame: &Frame) -> String {
    match frame.tag() {
        b'E' => format!("E:{}", Report::parse(frame.body()).unwrap().code()),
        b'Z' => format!("Z{}", char::from(frame.body()[0])),
        tag => char::from(tag).to_string(),
    }
}

/// The first column of the first row.
pub(crate) async fn one(client: &Client, sql: &str) -> Result<String, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let row = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    });
    Ok(row.unwrap_or_else(|| "no row".to_owned()))
}

/// The SQLSTATE of a failure.
pub(crate) fn code<T>(result: Result<T, tokio_postgres::Error>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

pub(crate) fn message<T>(result: Result<T, tokio_postgres::Error>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.as_db_error().map_or_else(|| error.to_string(), |db| format!("{db:?}")),
    }
}
