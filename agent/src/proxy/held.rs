//! Tables that are held for a migration, as one session sees them: no view of theirs is made, those that stand go with
//! the transaction, and a statement that needs one waits for a while and is refused then.

use super::checked::Checked;
use super::core::{Core, now};
use crate::duration::words;
use crate::quiesce::Held;
use daam_audit::Via;
use daam_catalog::RelationName;
use daam_pgwire::frontend::{self, Message, Target};
use daam_pgwire::{DecodeError, Frame, Report, sqlstate};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// What is held, and the message that waits for it.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    held: Arc<Held>,
    stalled: Option<Stalled>,
}

#[derive(Debug)]
struct Stalled {
    frame: Frame,
    generation: u64,
    until: Option<Instant>,
}

/// What becomes of the next message.
pub(super) enum Next {
    /// There is none, or it waits.
    None,
    /// It can be dealt with.
    Take(Frame),
    /// It has waited long enough for these tables.
    Refuse(Frame, Box<Report>),
}

impl Quiet {
    /// When the waiting message is refused.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stalled.as_ref().and_then(|stalled| stalled.until)
    }

    /// The type of the waiting message.
    pub(super) fn tag(&self) -> Option<u8> {
        self.stalled.as_ref().map(|stalled| stalled.frame.tag())
    }

    /// Whether a message waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.stalled.is_some()
    }

    /// Ends the waiting: the message is refused next.
    pub(super) fn give_up(&mut self, now: Instant) {
        if let Some(stalled) = &mut self.stalled {
            stalled.until = Some(now);
        }
    }
}

impl Core {
    /// Takes note of what is held.
    pub(super) fn hold(&mut self, held: Arc<Held>) {
        self.quiet.held = held;
    }

    /// Protected tables whose views would stand in the way of changing what is held.
    pub(super) fn held_views(&self) -> BTreeSet<RelationName> {
        let held = &self.quiet.held.tables;
        if held.is_empty() {
            return BTreeSet::new();
        }
        let protected = self.policy.plan.protected().iter();
        let concerned = protected.filter(|(name, table)| {
            held.contains(*name) || table.reads_besides().any(|read| held.contains(read))
        });
        concerned.map(|(name, _)| name.clone()).collect()
    }

    /// Gives back what is held and not in use; the generation that is true of, unless something is left.
    pub(super) fn settle_hold(&mut self) -> Option<u64> {
        let held = self.held_views();
        if self.is_at_rest() && self.views.has_any_of(&held) {
            self.release();
        }
        (!self.views.has_any_of(&held)).then_some(self.quiet.held.generation)
    }

    /// Whether a message waits that must go on waiting.
    pub(super) fn is_stalled(&self) -> bool {
        self.quiet.stalled.as_ref().is_some_and(|stalled| {
            stalled.generation == self.quiet.held.generation
                && stalled.until.is_none_or(|until| now() < until)
        })
    }

    /// The client's next message waits until something is answered.
    pub(super) fn await_answers(&mut self) {
        self.wires.waiting = true;
        if self.pipeline.batch_open() {
            self.flush();
        }
    }

    /// The next message of the client, unless it needs what is held.
    pub(super) fn next_message(&mut self) -> Result<Next, super::core::End> {
        let (frame, until) = match self.quiet.stalled.take() {
            Some(stalled) => (stalled.frame, Some(stalled.until)),
            None => match self.wires.next().map_err(super::core::End::bad_frame)? {
                Some(frame) if self.depends_on_answers(&frame) => {
                    self.wires.put_back = Some(frame);
                    self.await_answers();
                    return Ok(Next::None);
                }
                Some(frame) => (frame, None),
                None => return Ok(Next::None),
            },
        };
        let held = self.needs_held(&frame);
        let Some(table) = held.first() else { return Ok(Next::Take(frame)) };
        let patience = self.quiet.held.patience;
        let until = until.unwrap_or_else(|| now().checked_add(patience));
        if until.is_some_and(|until| now() >= until) {
            return Ok(Next::Refuse(frame, Box::new(refusal(table, patience))));
        }
        self.busy();
        self.quiet.stalled = Some(Stalled { frame, generation: self.quiet.held.generation, until });
        Ok(Next::None)
    }

    /// Tables a message needs views of that are held and not there. A transaction that has them keeps them.
    fn needs_held(&mut self, frame: &Frame) -> BTreeSet<RelationName> {
        let held = self.held_views();
        if held.is_empty() || self.pipeline.skipping() || self.pipeline.copy_in() || self.rest.skipping {
            return BTreeSet::new();
        }
        let text = match frontend::parse(frame) {
            Ok(Message::Query(sql)) => self.check(sql).ok(),
            Ok(Message::Parse(parse)) => self.check(parse.sql).ok(),
            Ok(message) => self.text_behind(&message),
            Err(_) => None,
        };
        // What EXECUTE reads is not known here: it goes on without the held views, and fails if it needs one.
        let Some(text) = text.filter(|text| !text.rewritten.class.executes()) else { return BTreeSet::new() };
        let missing = text.rewritten.activate.iter().filter(|name| held.contains(*name));
        missing.filter(|name| !self.views.is_there(name)).cloned().collect()
    }

    /// The text behind the name in a message.
    fn text_behind(&self, message: &Message<'_>) -> Option<Arc<Checked>> {
        let known = match message {
            Message::Bind(bind) => self.names.statement(bind.statement).known().map(|held| held.statement),
            Message::Describe(Target::Statement(name)) => {
                self.names.statement(name).known().map(|held| held.statement)
            }
            Message::Describe(Target::Portal(name)) => self.names.portal(name).known(),
            Message::Execute(execute) => self.names.portal(execute.portal).known(),
            _ => None,
        };
        known.map(|statement| Arc::clone(&statement.text))
    }

    /// Refuses a message that has waited long enough.
    pub(super) fn refuse_held(&mut self, frame: &Frame, report: Report) -> Result<(), DecodeError> {
        match frontend::parse(frame)? {
            Message::Query(sql) => {
                self.trail.refused(Via::Query, sql, &report);
                self.refuse_query(report);
            }
            Message::Parse(parse) => {
                self.trail.refused(Via::Parse, parse.sql, &report);
                self.refuse_parse(parse.name, report);
            }
            message => {
                let text = self.text_behind(&message);
                let sql = text.as_ref().map_or("", |text| text.original.as_str());
                self.trail.refused(Via::Execute, sql.as_bytes(), &report);
                self.refuse_parse(b"daam", report);
            }
        }
        Ok(())
    }
}

fn refusal(table: &RelationName, waited: std::time::Duration) -> Report {
    let text = format!("`{table}` cannot be used now: it is held for a migration");
    Report::error(sqlstate::LOCK_NOT_AVAILABLE, &text)
        .detail(format!("The statement waited {}.", words(waited)))
        .hint("run it again when the migration is over".to_owned())
}
