//! The one task that writes.
//!
//! Records that somebody waits for are synced to disk at once, with everything that came before them; others at most
//! [`SYNC_AFTER`] later. While writing fails, attempts go on, and what fits is kept for the next one.

use super::journal::Journal;
use super::{AuditState, Entry, Message, now};
use daam_audit::Event;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How long a record may be in the operating system's hands only.
const SYNC_AFTER: Duration = Duration::from_millis(200);
/// The pause after a failed attempt.
const RETRY: Duration = Duration::from_secs(1);
/// Records written at once.
const BATCH: usize = 512;
/// Records kept while writing fails.
const BACKLOG: usize = 4096;

struct Writer {
    /// Away while a blocking task has it.
    journal: Option<Journal>,
    inbox: mpsc::Receiver<Message>,
    state: Arc<AuditState>,
    backlog: Vec<Entry>,
    waiting: Vec<oneshot::Sender<bool>>,
    sync_at: Option<Instant>,
    stop: Option<oneshot::Sender<()>>,
}

/// Writes until told to stop, or until nobody can report any more.
pub(super) async fn run(
    journal: Journal,
    opening: Event,
    inbox: mpsc::Receiver<Message>,
    state: Arc<AuditState>,
) {
    let backlog = vec![Entry { at: now(), event: opening, detail: None }];
    let mut writer = Writer {
        journal: Some(journal),
        inbox,
        state,
        backlog,
        waiting: Vec::new(),
        sync_at: Some(Instant::now()),
        stop: None,
    };
    while writer.round().await {}
}

impl Writer {
    /// One batch; whether there may be another.
    async fn round(&mut self) -> bool {
        let open = self.backlog.is_empty() && self.gather().await || !self.backlog.is_empty();
        if self.stop.is_some() || !open {
            self.backlog.push(Entry { at: now(), event: Event::AgentStopped {}, detail: None });
            self.write(true).await;
            if let Some(stop) = self.stop.take() {
                stop.send(()).unwrap_or_default();
            }
            return false;
        }
        let due = self.sync_at.is_some_and(|at| at <= Instant::now());
        if !self.write(due || !self.waiting.is_empty()).await {
            self.pause().await;
        }
        true
    }

    /// Waits for the next message or until a sync is due; false if there will be none.
    async fn gather(&mut self) -> bool {
        let first = match self.sync_at {
            Some(at) => match tokio::time::timeout_at(at, self.inbox.recv()).await {
                Ok(message) => message,
                Err(_) => return true,
            },
            None => self.inbox.recv().await,
        };
        let Some(first) = first else { return false };
        self.take(first);
        while self.backlog.len() < BATCH && self.stop.is_none() {
            let Ok(message) = self.inbox.try_recv() else { break };
            self.take(message);
        }
        true
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(entry) => self.backlog.push(entry),
            Message::Durable(entry, answer) => {
                self.backlog.push(entry);
                self.waiting.push(answer);
            }
            Message::Stop(answer) => self.stop = Some(answer),
        }
    }

    /// Writes the backlog and says whether that worked.
    async fn write(&mut self, sync: bool) -> bool {
        let Some(mut journal) = self.journal.take() else { return false };
        let lost = self.state.lost.swap(0, Ordering::Relaxed);
        let mut entries = std::mem::take(&mut self.backlog);
        if lost > 0 {
            entries.push(Entry { at: now(), event: Event::Lost { records: lost }, detail: None });
        }
        let work = move || {
            let written = if entries.is_empty() { Ok(()) } else { journal.append(&entries) };
            let unwritten = if written.is_ok() { Vec::new() } else { entries };
            let done = written.and_then(|()| if sync { journal.sync() } else { Ok(()) });
            (journal, unwritten, done)
        };
        let Ok((journal, mut unwritten, done)) = tokio::task::spawn_blocking(work).await else {
            return false;
        };
        let written_to = journal.last();
        if lost > 0 && !unwritten.is_empty() {
            unwritten.pop();
            self.state.lost.fetch_add(lost, Ordering::Relaxed);
        }
        if self.state.is_broken() && done.is_ok() {
            tracing::warn!(record = journal.describe(), "the audit is written again");
        }
        self.journal = Some(journal);
        self.finish(unwritten, &done);
        if done.is_err() {
            return false;
        }
        if sync {
            self.sync_at = None;
            self.state.durable.send_replace(written_to);
        } else {
            self.sync_at.get_or_insert_with(|| Instant::now() + SYNC_AFTER);
        }
        true
    }

    /// Answers whoever waits; what nobody was promised is not kept.
    fn finish(&mut self, unwritten: Vec<Entry>, done: &io::Result<()>) {
        let answers = std::mem::take(&mut self.waiting);
        let broken = done.is_err();
        for answer in answers {
            answer.send(!broken).unwrap_or_default();
        }
        self.backlog = unwritten;
        if broken {
            // A session whose record did not get through is not opened.
            self.backlog.retain(|entry| !matches!(entry.event, Event::SessionOpened { .. }));
        }
        if let Err(error) = done
            && !self.state.broken.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "the audit cannot be written");
        } else if !broken {
            self.state.broken.store(false, Ordering::Relaxed);
        }
    }

    /// After a failure: nobody waits for a success meanwhile, and nothing piles up.
    async fn pause(&mut self) {
        let until = Instant::now() + RETRY;
        while let Ok(Some(message)) = tokio::time::timeout_at(until, self.inbox.recv()).await {
            match message {
                Message::Record(entry) if self.backlog.len() < BACKLOG => self.backlog.push(entry),
                Message::Record(_) => self.state.lose(1),
                Message::Durable(_, answer) => answer.send(false).unwrap_or_default(),
                Message::Stop(answer) => {
                    self.stop = Some(answer);
                    return;
                }
            }
        }
        // With nothing kept there would be no next attempt.
        self.sync_at.get_or_insert(until);
    }
}
