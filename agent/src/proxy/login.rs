//! From a client's first packet to its first `ReadyForQuery`.
//!
//! The client's own identity comes with its stream, so no password is asked for; the user it names means nothing.
//! On every failure after roles were made, they are removed again.

use super::SessionEnd;
use super::core::{Core, End, Policy};
use super::limits::Clocks;
use super::maintenance::{Chain, Parts, admin_failed, install};
use super::session::{Line, Session};
use super::settings;
use super::trail::{Reporter, Trail};
use crate::admin::SessionGrant;
use crate::audit::{AuditUnwritable, Happened, Said};
use crate::context::ProxyContext;
use crate::session_id::SessionId;
use crate::sessions::Registration;
use crate::state::{Decision, PolicyState};
use crate::upstream::{ConnectError, Duplex, Login, Upstream};
use daam_audit::{Event, Who};
use daam_catalog::Catalog;
use daam_identity::UserPrincipal;
use daam_pgwire::startup::{DECLINE, NEWEST_MINOR, Startup, StartupParameters, parse_startup};
use daam_pgwire::{FrameBuffer, Report, TransactionStatus, backend, sqlstate};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a client may take to say what it wants.
const STARTUP_DEADLINE: Duration = Duration::from_secs(60);

/// What a client's first packets come to.
pub(super) enum Wish {
    /// A session.
    Session(StartupParameters, FrameBuffer),
    /// Cancel a statement of another session.
    Cancel(daam_pgwire::startup::CancelKey),
}

/// Reads the first packets, declining encryption (the stream is encrypted already).
pub(super) async fn wish(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Wish, End> {
    tokio::time::timeout(STARTUP_DEADLINE, read_wish(stream))
        .await
        .map_err(|_| End::fatal(sqlstate::PROTOCOL_VIOLATION, "no start-up packet came in time"))?
}

async fn read_wish(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Wish, End> {
    let mut buffer = FrameBuffer::new();
    // One TLS and one GSS request may come before the start-up packet.
    for _ in 0..3 {
        let packet = loop {
            if let Some(packet) = buffer.take_startup().map_err(End::bad_frame)? {
                break packet;
            }
            let read = stream.read_buf(buffer.buffer_mut()).await;
            if read.map_err(|_| End::ClientLost)? == 0 {
                return Err(End::ClientLost);
            }
        };
        let startup = parse_startup(&packet).map_err(|error| {
            let text = Chain(&error).to_string();
            End::fatal(sqlstate::PROTOCOL_VIOLATION, &text)
        })?;
        match startup {
            Startup::Ssl | Startup::GssEnc => {
                stream.write_all(DECLINE).await.map_err(|_| End::ClientLost)?;
                stream.flush().await.map_err(|_| End::ClientLost)?;
            }
            Startup::Cancel(key) => return Ok(Wish::Cancel(key)),
            Startup::Session(parameters) => return Ok(Wish::Session(parameters, buffer)),
        }
    }
    Err(End::fatal(sqlstate::PROTOCOL_VIOLATION, "too many encryption requests"))
}

/// A session that may be set up.
pub(super) struct Admitted {
    pub(super) decision: Decision,
    pub(super) catalog: Arc<Catalog>,
    pub(super) state: watch::Receiver<Arc<PolicyState>>,
    pub(super) settings: Vec<(String, String)>,
    /// The bundle the decision is by.
    pub(super) bundle: u64,
}

/// Checks the start-up parameters and asks the policy.
pub(super) fn admit(
    asked: &StartupParameters,
    user: &UserPrincipal,
    ctx: &ProxyContext,
) -> Result<Admitted, End> {
    ctx.audit.check().map_err(unaudited)?;
    let settings = settings::of_startup(asked).map_err(End::Fatal)?;
    // People know the database by its name in the policies; tools that introspect may know its real one.
    let ours = ctx.database.as_str();
    match asked.database() {
        Some(name) if name == ours || name == ctx.upstream.database() => {}
        Some(name) => {
            let report = Report::fatal(
                sqlstate::INVALID_CATALOG_NAME,
                &format!("database `{name}` is not served here; this is `{ours}`"),
            );
            return Err(End::Fatal(Box::new(report.hint(format!("connect with dbname={ours}")))));
        }
        None => {
            return Err(End::fatal(sqlstate::PROTOCOL_VIOLATION, "the start-up packet names no database"));
        }
    }
    if !user.databases.admit(ours) {
        let told = format!("your certificate is not for database `{ours}`, only for {}", user.databases);
        let report = Report::fatal(sqlstate::INVALID_AUTHORIZATION, &told);
        let hint = "whoever trusts this pipeline's jobs named the databases they may reach";
        return Err(End::Fatal(Box::new(report.hint(hint.to_owned()))));
    }
    let mut state = ctx.state.clone();
    let current = Arc::clone(&state.borrow_and_update());
    let decision = current.admit(user, unix_now()).map_err(|denied| {
        let report = Report::fatal(denied.sqlstate(), &denied.to_string());
        End::Fatal(Box::new(report.hint(denied.hint().to_owned())))
    })?;
    let catalog = Arc::clone(&current.catalog);
    let mut settings = settings;
    if decision.plan.limits().read_only == Some(true) {
        settings.retain(|(name, _)| !name.eq_ignore_ascii_case("default_transaction_read_only"));
        settings.push(("default_transaction_read_only".to_owned(), "on".to_owned()));
    }
    let bundle = current.bundle.as_ref().map_or(0, |bundle| bundle.serial);
    Ok(Admitted { decision, catalog, state, settings, bundle })
}

/// The client's side of a session that is being set up.
pub(super) struct Caller<C> {
    pub(super) stream: C,
    pub(super) inbox: FrameBuffer,
    pub(super) asked: StartupParameters,
    pub(super) user: UserPrincipal,
    pub(super) here: watch::Receiver<bool>,
}

/// Makes the roles, logs in, installs the functions, greets the client; then runs the session to its end.
pub(super) async fn open<C: AsyncRead + AsyncWrite + Unpin + Send>(
    mut caller: Caller<C>,
    admitted: Admitted,
    ctx: Arc<ProxyContext>,
) -> SessionEnd {
    let id = SessionId::fresh();
    let grant = match ctx.admin.open(&id, &admitted.decision.plan).await {
        Ok(grant) => grant,
        Err(error) => return refuse(&mut caller.stream, &admin_failed(&error), &caller.user, &ctx).await,
    };
    let setup = SetUp { id, ctx: Arc::clone(&ctx), grant };
    match setup.prepare(&caller, admitted).await {
        Ok(prepared) => prepared.begin(caller).run().await,
        Err((grant, end)) => {
            let refused = refuse(&mut caller.stream, &end, &caller.user, &ctx).await;
            if let Err(error) = ctx.admin.close(grant).await {
                tracing::warn!(%error, "the roles of a session were left to the sweep");
            }
            refused
        }
    }
}

struct SetUp {
    id: SessionId,
    ctx: Arc<ProxyContext>,
    grant: SessionGrant,
}

struct Prepared {
    setup: SetUp,
    registration: Registration,
    state: watch::Receiver<Arc<PolicyState>>,
    key: daam_pgwire::startup::CancelKey,
    upstream: Line<Box<dyn Duplex>>,
    core: Core,
}

impl SetUp {
    async fn prepare<C>(
        mut self,
        caller: &Caller<C>,
        admitted: Admitted,
    ) -> Result<Prepared, (SessionGrant, End)> {
        let upstream = match self.connect(&admitted.settings).await {
            Ok(upstream) => upstream,
            Err(end) => return Err((self.grant, end)),
        };
        let reporter = Reporter {
            session: self.id.to_string(),
            who: who(&caller.user),
            bundle: admitted.bundle,
            level: self.ctx.audit.level(),
            literals: self.ctx.audit.literals(),
            requests: Vec::new(),
        };
        let generation = admitted.decision.generation;
        let policy = Policy { plan: admitted.decision.plan, catalog: admitted.catalog };
        let clocks = Clocks::new(Instant::now(), self.ctx.linger);
        let mut core = Core::new(policy, clocks, upstream.parameters);
        core.ceiling = admitted.decision.ceiling;
        core.trail = Trail::of(reporter);
        let requests: Vec<String> =
            admitted.decision.requests.iter().map(|request| request.id.clone()).collect();
        core.requests_are(admitted.decision.requests);
        core.wires.from_upstream = upstream.buffer;
        let mut line = Line::new(upstream.stream);
        match self.arrange(&mut core, &mut line, caller, (admitted.bundle, requests)).await {
            Ok(registration) => {
                // If the policy has changed since, the session looks again before it does anything.
                registration.moved_to(generation);
                let (state, key) = (admitted.state, upstream.key);
                Ok(Prepared { setup: self, registration, state, key, upstream: line, core })
            }
            Err(end) => Err((self.grant, end)),
        }
    }

    async fn connect(&self, settings: &[(String, String)]) -> Result<Upstream, End> {
        let login = Login { role: self.grant.role(), password: self.grant.password(), parameters: settings };
        self.ctx.upstream.connect_as(&login).await.map_err(|error| match error {
            ConnectError::Refused(report) => End::Fatal(report),
            error => {
                tracing::error!(session = %self.id, error = %Chain(&error), "no connection to the database");
                End::fatal(sqlstate::CANNOT_CONNECT, &Chain(&error).to_string())
            }
        })
    }

    async fn arrange<C>(
        &mut self,
        core: &mut Core,
        line: &mut Line<Box<dyn Duplex>>,
        caller: &Caller<C>,
        (bundle, requests): (u64, Vec<String>),
    ) -> Result<Registration, End> {
        let admin = self.ctx.admin.clone();
        admin.seal(&self.grant).await.map_err(|error| admin_failed(&error))?;
        let parts = Parts { core: &mut *core, upstream: line, admin: &admin, grant: &mut self.grant };
        install(parts, &self.ctx.hash_key).await?;
        // What the server reported meanwhile is in the greeting.
        core.wires.to_client.clear();
        let application = caller.asked.get("application_name").unwrap_or_default().to_owned();
        let minor = caller.asked.minor.min(NEWEST_MINOR);
        let said = Said { application: Some(application.clone()), ..Said::default() };
        let registration =
            self.ctx.sessions.register(self.id.clone(), caller.user.clone(), application, minor).map_err(
                |_| End::fatal(sqlstate::INTERNAL_ERROR, "could not get random bytes for a cancel key"),
            )?;
        // Nobody is let in before it is on disk that they were.
        let (session, who) = (self.id.to_string(), who(&caller.user));
        let event = Event::SessionOpened { session, who, bundle, requests };
        self.ctx.audit.durably(Happened { event, said }).await.map_err(unaudited)?;
        Ok(registration)
    }
}

impl Prepared {
    fn begin<C: AsyncRead + AsyncWrite + Unpin + Send>(self, caller: Caller<C>) -> Session<C> {
        let Self { setup, registration, state, key, upstream, mut core } = self;
        core.wires.inbox = caller.inbox;
        if caller.asked.needs_negotiation() {
            let minor = caller.asked.minor.min(NEWEST_MINOR);
            let message = backend::negotiate_protocol_version(minor, caller.asked.protocol_options());
            core.tell_client(&message);
        }
        core.tell_client(&backend::authentication_ok());
        let parameters: Vec<_> =
            core.rest.parameters.iter().map(|(name, value)| backend::parameter_status(name, value)).collect();
        for message in parameters {
            core.tell_client(&message);
        }
        core.tell_client(&backend::backend_key_data(registration.key()));
        core.tell_news();
        core.tell_client(&backend::ready_for_query(TransactionStatus::Idle));
        let SetUp { id, ctx, grant } = setup;
        let (user, here, client) = (caller.user, caller.here, Line::new(caller.stream));
        let cancels = JoinSet::new();
        let (held, seat) = (ctx.holds.watch(), ctx.holds.join(&id));
        Session {
            id,
            user,
            here,
            ctx,
            state,
            held,
            seat,
            grant,
            key,
            registration,
            client,
            upstream,
            core,
            cancels,
        }
    }
}

/// The person, as records name them.
pub(super) fn who(user: &UserPrincipal) -> Who {
    Who { id: user.user_id.clone(), email: user.email.clone(), device: user.device.clone() }
}

/// Nothing happens that cannot be recorded.
pub(super) fn unaudited(error: AuditUnwritable) -> End {
    let report = Report::fatal(sqlstate::IO_ERROR, &format!("{error}, and no session runs without it"));
    let hint = "the operator of the agent finds the cause in its log; most often a disk is full";
    End::Fatal(Box::new(report.hint(hint.to_owned())))
}

/// Tells a client why it gets no session.
pub(super) async fn refuse(
    stream: &mut (impl AsyncWrite + Unpin),
    end: &End,
    user: &UserPrincipal,
    ctx: &ProxyContext,
) -> SessionEnd {
    if let End::Fatal(report) = end {
        let bundle = ctx.state.borrow().bundle.as_ref().map_or(0, |bundle| bundle.serial);
        let event = Event::SessionRefused { who: who(user), bundle, sqlstate: report.code().to_owned() };
        ctx.audit.deliver(VecDeque::from([Happened::because(event, &report.text())])).await;
        // A client that is gone cannot be told; there is nothing else to do about it.
        let _ = stream.write_all(&report.to_error()).await;
        let _ = stream.shutdown().await;
    }
    SessionEnd { reason: end.reason(), statements: 0 }
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
