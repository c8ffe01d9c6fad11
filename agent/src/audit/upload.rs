//! What is on disk goes to the control plane, in order, each batch after the one before was confirmed.
//!
//! The files are the spool: durable, and as long as the configuration keeps them. The control plane says first, on
//! every new link, how far it holds the chain, so nothing is remembered here and nothing comes twice. Never sent:
//! literals, texts as they came, names of applications; and where a scope is configured, no name that the schema report
//! does not show. What was rotated away before it could be sent is a gap that the control plane sees.

use super::journal::{keep_head, read_name};
use super::read::{self, Lines};
use super::{AuditState, Upload};
use crate::cause;
use crate::enrolment::Credentials;
use crate::keeper::Keeper;
use crate::scope::unquoted;
use crate::secret::Secret;
use daam_api::link::{AuditRecord, FromAgent};
use daam_audit::{Hash, Record};
use daam_identity::word::ChainEnd;
use daam_sql::normal::normal_with_names;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Records of one batch, and bytes of their lines.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// How long a batch may stay unanswered before it is sent again.
const ANSWER: Duration = Duration::from_secs(30);
/// The pause after an answer that confirms nothing new, and after a failure to read.
const PAUSE: Duration = Duration::from_secs(5);
/// How often what is confirmed is written down.
const REMEMBER_EVERY: Duration = Duration::from_secs(5);

/// How far the control plane holds a chain of this agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which chain; empty for none.
    pub chain: String,
    /// The last record it holds.
    pub through: u64,
    /// That record's hash; none for none.
    pub hash: Option<Hash>,
}

/// Signs what this agent recorded, so that nobody else's records pass for it: the token of the link is not enough.
#[derive(Debug)]
pub struct Signer {
    agent_id: String,
    key_pem: Secret,
}

impl Signer {
    /// By the key the agent enrolled with.
    pub fn of(credentials: &Credentials) -> Self {
        Self { agent_id: credentials.agent_id.clone(), key_pem: credentials.first_key_pem.clone() }
    }

    fn sign(&self, chain: &str, last: &Record) -> Option<String> {
        let hash = last.hash().to_string();
        let end = ChainEnd { agent_id: &self.agent_id, chain, seq: last.seq(), hash: &hash };
        let signed = end.sign(self.key_pem.expose());
        signed
            .inspect_err(|error| tracing::error!(error = cause::chain(error), "the audit is sent unsigned"))
            .ok()
    }
}

/// Where the link reports what the control plane says about the audit.
pub type HeldSender = watch::Sender<Option<Held>>;

/// Sends records until dropped.
#[derive(Debug)]
pub struct Uploader {
    /// The files.
    pub dir: PathBuf,
    /// How they stand.
    pub state: Arc<AuditState>,
    /// What may be told.
    pub upload: Upload,
    /// Who vouches for it.
    pub signer: Signer,
    /// The scope and what is in it.
    pub keeper: Arc<Keeper>,
    /// Where messages to the control plane go.
    pub outbox: mpsc::Sender<FromAgent>,
    /// What the control plane says; none while there is no link.
    pub held: watch::Receiver<Option<Held>>,
    /// The last record that was confirmed, for health.
    pub confirmed: Arc<AtomicU64>,
}

impl Uploader {
    /// Runs for as long as there is a link now and then.
    pub async fn run(mut self) {
        if self.upload == Upload::None {
            return;
        }
        let chain = match read_name(&self.dir) {
            Ok(Some(chain)) => chain,
            Ok(None) => return tracing::error!("the audit has no name and is not sent"),
            Err(error) => return tracing::error!(%error, "the audit is not sent"),
        };
        let mut durable = self.state.watch();
        let mut cursor = Cursor::default();
        let mut remembered = Instant::now();
        loop {
            let Some(held) = self.held.borrow_and_update().clone() else {
                if self.held.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let (after, hash) = if held.chain == chain { (held.through, held.hash) } else { (0, None) };
            if held.chain == chain {
                self.confirmed.store(after, Ordering::Relaxed);
                if remembered.elapsed() > REMEMBER_EVERY {
                    remembered = Instant::now();
                    self.remember(after, hash);
                }
            }
            let last = *durable.borrow_and_update();
            if last <= after {
                if last < after && last > 0 {
                    tracing::error!(
                        here = last,
                        there = after,
                        "the control plane holds records that are not here"
                    );
                }
                self.remember(after, hash);
                tokio::select! {
                    _ = durable.changed() => {}
                    changed = self.held.changed() => if changed.is_err() { return },
                }
                continue;
            }
            match self.batch(&chain, &mut cursor, (after, last), hash).await {
                Ok(Some(message)) => {
                    if self.outbox.send(message).await.is_err() {
                        return;
                    }
                    self.answer(after).await;
                }
                Ok(None) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    tracing::error!(error = cause::chain(&error), "the audit cannot be sent");
                    cursor = Cursor::default();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits until the control plane has said something, and a moment longer if it confirmed nothing new.
    async fn answer(&mut self, after: u64) {
        let heard = tokio::time::timeout(ANSWER, self.held.changed()).await;
        let through = self.held.borrow().as_ref().map(|held| held.through);
        if heard.is_err() || through == Some(after) {
            tokio::time::sleep(PAUSE).await;
            self.held.mark_changed();
        }
    }

    fn remember(&self, seq: u64, hash: Option<Hash>) {
        if let Some(hash) = hash
            && let Err(error) = keep_head(&self.dir, seq, hash)
        {
            tracing::warn!(%error, "what the control plane confirmed could not be written down");
        }
    }

    async fn batch(
        &self,
        chain: &str,
        cursor: &mut Cursor,
        (after, last): (u64, u64),
        hash: Option<Hash>,
    ) -> io::Result<Option<FromAgent>> {
        let (dir, mut moved) = (self.dir.clone(), std::mem::take(cursor));
        let read = tokio::task::spawn_blocking(move || {
            let records = moved.after(&dir, after, last);
            (moved, records)
        });
        let (moved, records) = read.await.map_err(io::Error::other)?;
        *cursor = moved;
        let records = records?;
        if let (Some(first), Some(hash)) = (records.first(), hash)
            && first.seq() == after.saturating_add(1)
            && first.prev() != hash
        {
            return Err(io::Error::other("the control plane holds another history of this chain"));
        }
        let names = self.names();
        let Some(last) = records.last() else { return Ok(None) };
        let signature = self.signer.sign(chain, last);
        let records = records.iter().map(|record| self.told(record, names.as_ref())).collect();
        Ok(Some(FromAgent::AuditBatch { chain: chain.to_owned(), records, signature }))
    }

    /// The names that may be told; none where everything may.
    fn names(&self) -> Option<BTreeSet<String>> {
        let scoped = self.upload == Upload::Statements && self.keeper.current().scope.is_active();
        scoped.then(|| self.keeper.reported_names())
    }

    fn told(&self, record: &Record, names: Option<&BTreeSet<String>>) -> AuditRecord {
        let detail = record.detail().filter(|_| self.upload == Upload::Statements);
        let statement = detail.and_then(|detail| detail.text()).and_then(|text| match names {
            Some(names) => normal_with_names(text, |name| names.contains(name)),
            None => Some(text.to_owned()),
        });
        let reason = detail.and_then(|detail| detail.reason()).map(unquoted);
        AuditRecord { line: record.line_without_detail(), statement, reason }
    }
}

/// A place in the files.
#[derive(Debug, Default)]
struct Cursor {
    file: Option<PathBuf>,
    offset: u64,
    /// The record that begins there.
    next: u64,
}

impl Cursor {
    /// Records after `after`, up to `last`. The first may be a later one, if those before are gone.
    fn after(&mut self, dir: &Path, after: u64, last: u64) -> io::Result<Vec<Record>> {
        if self.file.is_none() || self.next != after.saturating_add(1) {
            self.find(dir, after)?;
        }
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        while let Some(file) = self.file.clone() {
            let mut lines = match Lines::open_at(&file, self.offset) {
                Ok(lines) => lines,
                // Rotated away while it was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.lost(dir, after, records);
                }
                Err(error) => return Err(error),
            };
            while let Some(line) = lines.next_line()?.filter(|line| line.whole) {
                let record = Record::parse(&line.text).map_err(io::Error::other)?;
                if record.seq() > last || records.len() >= BATCH || bytes >= BATCH_BYTES {
                    return Ok(records);
                }
                self.offset = self.offset.saturating_add(line.length);
                self.next = record.seq().saturating_add(1);
                if record.seq() > after {
                    bytes = bytes.saturating_add(line.text.len());
                    records.push(record);
                }
            }
            let Some(following) = read::files(dir)?.into_iter().find(|path| *path > file) else { break };
            (self.file, self.offset) = (Some(following), 0);
        }
        Ok(records)
    }

    fn lost(&mut self, dir: &Path, after: u64, records: Vec<Record>) -> io::Result<Vec<Record>> {
        *self = Self::default();
        if records.is_empty() { self.find(dir, after).map(|()| records) } else { Ok(records) }
    }

    /// The last file that begins no later than the record after `after`, or the oldest there is.
    fn find(&mut self, dir: &Path, after: u64) -> io::Result<()> {
        let wanted = dir.join(read::file_name(after.saturating_add(1)));
        let files = read::files(dir)?;
        let file = files.iter().rfind(|path| **path <= wanted).or(files.first()).cloned();
        *self = Self { file, offset: 0, next: 0 };
        Ok(())
    }
}
