//! The agent's audit: who got a session or none, what ran and what was refused.
//!
//! Sessions hand over what happened; one task (`writer`) gives each record its place in the chain and writes it
//! (`journal`); another sends what is on disk to the control plane ([`upload`]). A session is opened only after the
//! record of it is on disk. Nothing waits without bound: the queue is short, a session whose records do not get
//! through stops reading from its client, and what a client wrote is cut before it is kept.
//!
//! When records cannot be written (a full disk), new sessions are refused and running ones end with their next
//! statement, unless the configuration says to go on; then what was lost is counted, and the count is recorded.

mod happened;
mod journal;
pub mod read;
mod settings;
pub mod upload;
mod writer;

pub use happened::{Happened, Said};
pub use journal::{JournalError, read_head};
pub use settings::{AuditSettings, Level, Unwritable, Upload};

use daam_audit::{Detail, Event};
use journal::Journal;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Records waiting for the writer, of all sessions together.
const QUEUE: usize = 1024;
/// How long an ending session waits for its last records to be taken.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who writes the audit.
#[derive(Debug, Clone)]
pub struct AuditTag {
    /// The agent's id.
    pub agent: String,
    /// Its database.
    pub database: String,
}

/// The audit cannot be written, and nothing is to happen without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit cannot be written")]
pub struct AuditUnwritable;

/// How the audit stands, for health and the upload.
#[derive(Debug, Default)]
pub struct AuditState {
    broken: AtomicBool,
    lost: AtomicU64,
    lost_ever: AtomicU64,
    durable: watch::Sender<u64>,
}

impl AuditState {
    /// Whether the last attempt to write failed.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Records lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost_ever.load(Ordering::Relaxed)
    }

    /// The last record on disk.
    pub fn durable(&self) -> u64 {
        *self.durable.borrow()
    }

    /// Follows [`AuditState::durable`].
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    fn lose(&self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.lost.fetch_add(records, Ordering::Relaxed);
        self.lost_ever.fetch_add(records, Ordering::Relaxed);
    }
}

/// A record with the moment it was made.
#[derive(Debug)]
struct Entry {
    at: String,
    event: Event,
    detail: Option<Detail>,
}

#[derive(Debug)]
enum Message {
    Record(Entry),
    /// The answer says whether it is on disk.
    Durable(Entry, oneshot::Sender<bool>),
    Stop(oneshot::Sender<()>),
}

/// Where sessions report.
#[derive(Debug, Clone)]
pub struct Audit {
    queue: Option<mpsc::Sender<Message>>,
    state: Arc<AuditState>,
    level: Level,
    literals: bool,
    unwritable: Unwritable,
}

impl Audit {
    /// Opens the files and starts the writer.
    pub fn start(dir: PathBuf, settings: &AuditSettings, tag: &AuditTag) -> Result<Self, JournalError> {
        let (journal, opening) = Journal::open(dir, settings, tag)?;
        let state = Arc::new(AuditState::default());
        let (queue, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(writer::run(journal, opening, inbox, Arc::clone(&state)));
        let (level, literals, unwritable) = (settings.statements, settings.literals, settings.unwritable);
        Ok(Self { queue: Some(queue), state, level, literals, unwritable })
    }

    /// One that records nothing, for tests of other things.
    pub fn off() -> Self {
        let unwritable = Unwritable::Continue;
        Self { queue: None, state: Arc::default(), level: Level::None, literals: false, unwritable }
    }

    /// Which statements are recorded.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether statements are kept as they came, too.
    pub fn literals(&self) -> bool {
        self.literals
    }

    /// How it stands.
    pub fn state(&self) -> Arc<AuditState> {
        Arc::clone(&self.state)
    }

    /// Whether nothing may happen now, because nothing can be recorded.
    pub fn check(&self) -> Result<(), AuditUnwritable> {
        let refuses = self.unwritable == Unwritable::Refuse && self.state.is_broken();
        if refuses { Err(AuditUnwritable) } else { Ok(()) }
    }

    /// Records something and waits until it is on disk.
    pub async fn durably(&self, happened: Happened) -> Result<(), AuditUnwritable> {
        let Some(queue) = &self.queue else { return Ok(()) };
        self.check()?;
        let (answer, answered) = oneshot::channel();
        let sent = queue.send(Message::Durable(entry(happened), answer)).await.is_ok();
        if sent && answered.await.unwrap_or(false) {
            return Ok(());
        }
        match self.unwritable {
            Unwritable::Refuse => Err(AuditUnwritable),
            Unwritable::Continue => {
                self.state.lose(1);
                Ok(())
            }
        }
    }

    /// Hands over as much as there is room for; the rest stays.
    pub fn offer(&self, pending: &mut VecDeque<Happened>) -> Result<(), AuditUnwritable> {
        if pending.is_empty() {
            return Ok(());
        }
        let Some(queue) = &self.queue else {
            pending.clear();
            return Ok(());
        };
        self.check()?;
        if self.state.is_broken() {
            self.state.lose(pending.len());
            pending.clear();
            return Ok(());
        }
        while !pending.is_empty() {
            let Ok(permit) = queue.try_reserve() else { return Ok(()) };
            if let Some(happened) = pending.pop_front() {
                permit.send(Message::Record(entry(happened)));
            }
        }
        Ok(())
    }

    /// Returns when there may be room. Safe to cancel.
    pub async fn room(&self) {
        match &self.queue {
            Some(queue) => drop(queue.reserve().await.map(drop)),
            None => std::future::pending().await,
        }
    }

    /// The last records of something that ends; what is not taken in time is lost and counted.
    pub async fn deliver(&self, pending: VecDeque<Happened>) {
        let Some(queue) = &self.queue else { return };
        let deadline = tokio::time::Instant::now() + FAREWELL;
        for happened in pending {
            let message = Message::Record(entry(happened));
            if !matches!(tokio::time::timeout_at(deadline, queue.send(message)).await, Ok(Ok(()))) {
                self.state.lose(1);
            }
        }
    }

    /// Writes everything that waits and a last record.
    pub async fn stop(&self) {
        let Some(queue) = &self.queue else { return };
        let (answer, answered) = oneshot::channel();
        if queue.send(Message::Stop(answer)).await.is_ok() {
            answered.await.unwrap_or_default();
        }
    }
}

/// The moment and the salt are given where a record leaves its session.
fn entry(happened: Happened) -> Entry {
    let mut salt = [0_u8; 16];
    // Without randomness the seal hides less; the record is worth more than that.
    if getrandom::fill(&mut salt).is_err() {
        tracing::error!("the operating system gave no random bytes for a record's salt");
    }
    let Happened { event, said } = happened;
    Entry { at: now(), event, detail: Some(said.into_detail(salt)) }
}

/// RFC 3339 in UTC with microseconds, always equally long, so that it sorts as text.
fn now() -> String {
    let now = time::OffsetDateTime::now_utc();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.microsecond()
    )
}
