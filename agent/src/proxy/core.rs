//! The state of one session between its two streams, without any IO.
//!
//! Bytes wait in [`Wires`]; [`Core::take_client`] and [`Core::take_upstream`] move whole messages from one side to the
//! other, deciding on the way. Work that needs the database to itself (new functions, another policy) is noted in
//! [`Maintenance`] and done by the session when nothing is in flight and no transaction is open.

use super::checked::{Checker, Rules, report};
use super::held::Quiet;
use super::interrupt::Interruption;
use super::limits::Clocks;
use super::names::Names;
use super::note::Note;
use super::path::SearchPath;
use super::statement::{Meter, Statement};
use super::trail::Trail;
use super::views::Views;
use super::wires::Wires;
use crate::access::InForce;
use crate::state::Ceiling;
use bytes::Bytes;
use daam_catalog::{Catalog, RelationName};
use daam_enforce::{RewriteContext, SessionPlan};
use daam_pgwire::pipeline::{OutOfStep, Pipeline, Request, Sent};
use daam_pgwire::{DecodeError, FrameError, Report, TransactionStatus, backend, sqlstate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::time::Instant;

/// Bytes that may wait for a slow reader before the other side is not read any more.
pub(super) const HIGH_WATER: usize = 256 * 1024;
/// Requests in flight before the client is not read any more.
const MOST_IN_FLIGHT: usize = 1024;
/// Prepared statements of one session.
pub(super) const MOST_STATEMENTS: usize = 10_000;
/// Bytes of their texts, here and at the server.
pub(super) const MOST_STATEMENT_BYTES: usize = 64 * 1024 * 1024;
/// Portals of one transaction.
pub(super) const MOST_PORTALS: usize = 10_000;
/// How much of the name of a statement or portal the server compares.
pub(super) const LONGEST_NAME: usize = 63;

/// A text that no server accepts, sent in place of a refused one so that its transaction fails as it should.
pub(super) const REFUSED: &str = "refused by the access policy";

/// Why the session is over.
#[derive(Debug)]
pub(super) enum End {
    /// The client said goodbye.
    Quit,
    /// The client's stream broke or closed.
    ClientLost,
    /// The client is told, and then it is over.
    Fatal(Box<Report>),
    /// The database ended the session; the client has its message.
    UpstreamEnded(String),
}

impl End {
    pub(super) fn fatal(code: &str, text: &str) -> Self {
        Self::Fatal(Box::new(Report::fatal(code, text)))
    }

    /// The client sent something that is no message.
    pub(super) fn violation(error: DecodeError, tag: u8) -> Self {
        let text = format!(
            "protocol violation in a message of type `{}`: {error}",
            char::from(tag).escape_default()
        );
        Self::fatal(sqlstate::PROTOCOL_VIOLATION, &text)
    }

    pub(super) fn bad_frame(error: FrameError) -> Self {
        Self::fatal(error.sqlstate(), &error.to_string())
    }

    /// The database broke the protocol.
    pub(super) fn out_of_step(error: OutOfStep) -> Self {
        let text = format!("the connection to the database was given up: {error}");
        Self::fatal(sqlstate::CONNECTION_FAILURE, &text)
    }

    /// What goes to the log and to the session's end event.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Quit => "the client disconnected".to_owned(),
            Self::ClientLost => "the connection to the client was lost".to_owned(),
            Self::Fatal(report) => report.text(),
            Self::UpstreamEnded(reason) => reason.clone(),
        }
    }
}

/// What must be done before the next statement outside a transaction.
#[derive(Debug, Default)]
pub(super) struct Maintenance {
    /// A plan that gives more than the one in force.
    pub(super) widen: Option<(Box<SessionPlan>, Arc<Catalog>)>,
    /// The activation functions must be installed again.
    pub(super) reinstall: bool,
    /// Cursors of an older policy must be closed.
    pub(super) close_cursors: bool,
    /// The policy says now that the session only reads.
    pub(super) only_reads: bool,
}

impl Maintenance {
    pub(super) fn is_due(&self) -> bool {
        self.widen.is_some() || self.reinstall || self.close_cursors || self.only_reads
    }
}

/// COPY FROM STDIN.
#[derive(Debug, Default)]
pub(super) struct CopyIn {
    /// Sent, and not known yet whether the server wants data.
    pub(super) waiting: bool,
    /// Data went to the server.
    pub(super) fed: bool,
    /// A `Sync` came before the data; the server would ignore it unless it has failed already.
    pub(super) sync_held: bool,
}

/// What the session's statements are judged by.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) plan: SessionPlan,
    pub(super) catalog: Arc<Catalog>,
}

/// One session's state.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) wires: Wires,
    pub(super) pipeline: Pipeline<Note>,
    pub(super) names: Names<Arc<Statement>>,
    /// What they hold.
    pub(super) meter: Meter,
    pub(super) views: Views,
    pub(super) checker: Checker,
    pub(super) policy: Policy,
    /// The scopes since the session began; a wider one does not reach it.
    pub(super) ceiling: Ceiling,
    pub(super) path: SearchPath,
    pub(super) maintenance: Maintenance,
    pub(super) interruption: Option<Interruption>,
    pub(super) copy: CopyIn,
    /// What is held for a migration.
    pub(super) quiet: Quiet,
    /// What the audit is to be told.
    pub(super) trail: Trail,
    pub(super) rest: Rest,
}

/// The smaller things a session remembers.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) clocks: Clocks,
    /// What the server reported about its settings.
    pub(super) parameters: BTreeMap<String, String>,
    /// A batch was refused before anything of it was sent; the rest of it is dropped.
    pub(super) skipping: bool,
    /// Whether what triggers say must be withheld.
    pub(super) withhold: super::withhold::Withhold,
    /// The session may have made something for itself.
    pub(super) made: bool,
    /// The views were asked for ahead of the client's next message.
    pub(super) views_asked: bool,
    /// Views could not be created, or something else of ours failed; the statement that needed it fails with this.
    pub(super) activation_error: Option<Report>,
    /// A statement met definitions that are not those known here.
    pub(super) drifted: bool,
    /// Statements of SQL's PREPARE that were taken away.
    pub(super) withdrawn: super::prepared::Withdrawn,
    /// Protected tables the client has been told about.
    pub(super) introduced: BTreeSet<RelationName>,
    /// Statements since the counter was last asked.
    pub(super) statements: u64,
    /// Approved access that is in force.
    pub(super) requests: BTreeSet<InForce>,
    /// What the client is to be told about it.
    pub(super) news: Vec<Report>,
}

impl Core {
    pub(super) fn new(policy: Policy, clocks: Clocks, parameters: BTreeMap<String, String>) -> Self {
        Self {
            wires: Wires::default(),
            pipeline: Pipeline::new(),
            names: Names::default(),
            meter: Meter::default(),
            views: Views::default(),
            checker: Checker::new(),
            policy,
            ceiling: Ceiling::default(),
            path: SearchPath::default(),
            maintenance: Maintenance::default(),
            interruption: None,
            copy: CopyIn::default(),
            quiet: Quiet::default(),
            trail: Trail::default(),
            rest: Rest {
                clocks,
                parameters,
                skipping: false,
                views_asked: false,
                made: false,
                withhold: super::withhold::Withhold::default(),
                activation_error: None,
                drifted: false,
                withdrawn: super::prepared::Withdrawn::new(),
                introduced: BTreeSet::new(),
                statements: 0,
                requests: BTreeSet::new(),
                news: Vec::new(),
            },
        }
    }

    /// Sends a request, unless the server would ignore it.
    pub(super) fn send(&mut self, request: Request, note: Note, message: &[u8]) {
        let step = note.step;
        if self.pipeline.sent(request, note) == Sent::Expected {
            self.wires.to_upstream.extend_from_slice(message);
            self.wires.flushed = false;
        } else if let Some(step) = step {
            self.names.withdraw(step);
        }
    }

    pub(super) fn tell_client(&mut self, message: &[u8]) {
        self.wires.to_client.extend_from_slice(message);
    }

    /// Everything is answered and no transaction is open: the database may be used for something else.
    pub(super) fn is_at_rest(&self) -> bool {
        self.pipeline.is_settled() && self.pipeline.status() == TransactionStatus::Idle
    }

    /// Whether maintenance can be done now.
    pub(super) fn is_ready_for_maintenance(&self) -> bool {
        self.maintenance.is_due() && self.is_at_rest() && !self.rest.skipping
    }

    /// Whether the client's next message may be looked at.
    pub(super) fn may_take(&self) -> bool {
        if self.pipeline.copy_in() {
            return self.wires.to_upstream.len() < HIGH_WATER;
        }
        if self.copy.waiting || self.path.is_asked() || self.interruption.as_ref().is_some_and(|it| it.muted)
        {
            return false;
        }
        if self.is_stalled() || self.wires.waiting {
            return false;
        }
        let full = self.trail.is_full()
            || self.wires.to_upstream.len() >= HIGH_WATER
            || self.wires.to_client.len() >= HIGH_WATER
            || self.pipeline.in_flight() >= MOST_IN_FLIGHT;
        !full && !self.waits_for_maintenance()
    }

    /// Between batches, statements wait for maintenance; inside one, and in a transaction, they cannot.
    fn waits_for_maintenance(&self) -> bool {
        let inside = self.pipeline.batch_open() || self.rest.skipping;
        let open = self.pipeline.is_settled() && self.pipeline.status() != TransactionStatus::Idle;
        self.maintenance.is_due() && !inside && !open
    }

    /// Judges a text by the policy.
    pub(super) fn check(&mut self, text: &[u8]) -> Result<Arc<super::checked::Checked>, Box<Report>> {
        if let Some(encoding) = self.path.other_encoding().filter(|_| !text.is_ascii()) {
            let text = format!(
                "the statement has characters beyond ASCII, which the agent reads as UTF-8 and the server as {encoding}"
            );
            let report = Report::error(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, &text);
            return Err(Box::new(
                report.hint("set client_encoding to UTF8, or send them as parameters".to_owned()),
            ));
        }
        let rules = Rules {
            plan: &self.policy.plan,
            catalog: &self.policy.catalog,
            search_path: self.path.schemas(),
        };
        self.checker.check(text, &rules)
    }

    /// Judges the types a client gives its parameters: a count, and a number for each.
    pub(super) fn check_types(&self, types: &[u8]) -> Result<(), Box<Report>> {
        /// Where numbers of what people make begin.
        const FIRST: u32 = 16384;
        let numbers = types.get(2..).unwrap_or_default().as_chunks().0;
        if numbers.iter().all(|number| u32::from_be_bytes(*number) < FIRST) {
            return Ok(());
        }
        let Policy { plan, catalog } = &self.policy;
        let context = RewriteContext { plan, catalog, search_path: self.path.schemas() };
        daam_enforce::numbered_types(&context).map_err(|refusal| Box::new(report(&refusal)))
    }

    /// Another policy is in force from now on.
    pub(super) fn adopt(&mut self, plan: SessionPlan, catalog: Arc<Catalog>) {
        self.policy = Policy { plan, catalog };
        self.rest.introduced.clear();
        self.checker.next_generation();
    }

    /// The client's statements since the last call.
    pub(super) fn counted(&mut self) -> u64 {
        std::mem::take(&mut self.rest.statements)
    }

    /// Notes a request of the client, for its clocks.
    pub(super) fn busy(&mut self) {
        self.rest.clocks.busy(now());
    }

    /// Takes note of a setting the server reports, and tells the client.
    pub(super) fn reported(&mut self, body: &[u8]) -> Result<(), End> {
        let (name, value) =
            backend::parse_parameter_status(body).map_err(|error| End::out_of_step(error.into()))?;
        super::settings::refuse_reported(name, value).map_err(End::Fatal)?;
        if matches!(name, "search_path" | "client_encoding") {
            self.path.changed();
        }
        self.rest.parameters.insert(name.to_owned(), value.to_owned());
        let message: Bytes = backend::parameter_status(name, value);
        self.tell_client(&message);
        Ok(())
    }
}

/// The one place that asks for the time on behalf of the core.
pub(super) fn now() -> Instant {
    Instant::now()
}
