//! What the client says, message by message.

use super::checked::Checked;
use super::core::{Core, End, REFUSED, now};
use super::extended::long_name;
use super::held::Next;
use super::names::Whose;
use super::note::{Note, Purpose};
use daam_audit::Via;
use daam_pgwire::frontend::{self, Message};
use daam_pgwire::pipeline::Request;
use daam_pgwire::{Frame, Report, TransactionStatus, backend, sqlstate};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Core {
    /// Moves messages from the client towards the database; says whether any moved.
    pub(super) fn take_client(&mut self) -> Result<bool, End> {
        let mut moved = false;
        while self.may_take() {
            if self.needs_path() {
                // In a transaction that has failed, the question would fail, too, and take the rest of a batch with it.
                if self.pipeline.in_flight() > 0 {
                    self.await_answers();
                    break;
                }
                self.ask_path();
                return Ok(true);
            }
            if self.needs_views() {
                self.rest.views_asked = true;
                self.activate(&self.policy.plan.protected().keys().cloned().collect());
                self.await_answers();
                return Ok(true);
            }
            match self.next_message()? {
                Next::None => break,
                Next::Take(frame) => self.client_message(&frame)?,
                Next::Refuse(frame, report) => {
                    let tag = frame.tag();
                    self.refuse_held(&frame, *report).map_err(|error| End::violation(error, tag))?;
                }
            }
            moved = true;
        }
        Ok(moved)
    }

    /// The next message is SQL, and nobody knows what its names mean.
    fn needs_path(&self) -> bool {
        let text = matches!(self.quiet.tag().or(self.wires.next_tag()), Some(b'Q' | b'P'));
        let lost = self.pipeline.skipping()
            || self.rest.skipping
            || self.pipeline.copy_in()
            || self.pipeline.in_failed_transaction();
        text && !lost && self.path.must_ask() && !self.sets_transaction()
    }

    /// The next message begins a batch in which no view can be created any more.
    fn needs_views(&self) -> bool {
        let begins = matches!(self.quiet.tag().or(self.wires.next_tag()), Some(b'P' | b'B' | b'D' | b'E'));
        begins
            && !self.rest.views_asked
            && !self.rest.skipping
            && self.is_at_rest()
            && self.reads_only_by_default()
            && !self.policy.plan.protected().keys().all(|name| self.views.is_there(name))
    }

    /// The next message is `SET TRANSACTION …`: it names nothing, and must come before any query of its transaction, the
    /// agent's too. Of `Parse` the name of the statement comes first.
    fn sets_transaction(&self) -> bool {
        let body = self.wires.next_body();
        let text = match self.wires.next_tag() {
            Some(b'P') => {
                body.iter().position(|byte| *byte == 0).and_then(|end| body.get(end.saturating_add(1)..))
            }
            _ => Some(body),
        };
        let text = text.unwrap_or_default();
        let ends = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        let Some(Ok(text)) = text.get(..ends).map(std::str::from_utf8) else { return false };
        let mut words = text.split_ascii_whitespace();
        let mut next = |word: &str| words.next().is_some_and(|other| other.eq_ignore_ascii_case(word));
        next("set") && next("transaction") && !text.trim_end().trim_end_matches(';').contains(';')
    }

    fn client_message(&mut self, frame: &Frame) -> Result<(), End> {
        let tag = frame.tag();
        self.rest.views_asked = false;
        let message = frontend::parse(frame).map_err(|error| End::violation(error, tag))?;
        if matches!(message, Message::Terminate) {
            return Err(End::Quit);
        }
        if self.pipeline.copy_in() {
            return self.copy_message(&message, frame);
        }
        if self.rest.skipping && !matches!(message, Message::Sync) {
            return Ok(());
        }
        if let Some(name) = long_name(&message) {
            self.refuse_name(&message, name);
            return Ok(());
        }
        match message {
            Message::Query(sql) => self.query(sql),
            Message::Parse(parse) => self.parse(parse.name, parse.sql, parse.types),
            Message::Bind(bind) => self.bind(bind.portal, bind.statement, frame),
            Message::Describe(target) => self.describe(target, frame),
            Message::Execute(execute) => self.execute(execute.portal, execute.rows, frame),
            Message::Close(target) => self.close(target, frame),
            Message::Sync => self.sync(frame),
            Message::Flush => {
                if !self.pipeline.skipping() {
                    self.wires.to_upstream.extend_from_slice(frame.as_bytes());
                }
            }
            Message::FunctionCall { .. } => self.function_call(frame),
            // Left over from a COPY the server has given up; it would ignore them, too.
            Message::CopyData | Message::CopyDone | Message::CopyFail(_) => {}
            Message::Password(_) | Message::Terminate => {
                return Err(End::violation(daam_pgwire::DecodeError::UnknownType, tag));
            }
        }
        Ok(())
    }

    fn query(&mut self, sql: &[u8]) {
        if self.pipeline.skipping() {
            return;
        }
        self.busy();
        self.rest.statements += 1;
        let text = match self.check(sql) {
            Ok(text) => text,
            Err(report) => {
                self.trail.refused(Via::Query, sql, &report);
                return self.refuse_query(*report);
            }
        };
        if let Some(report) = self.prepares_too_much(&text) {
            self.trail.refused(Via::Query, sql, &report);
            return self.refuse_query(report);
        }
        self.prepare_for(&text);
        self.follow(&text);
        if self.pipeline.batch_open() {
            // It ends the batch as Sync does.
            self.views.stretch_ends();
        }
        let message = frontend::query(&text.rewritten.sql);
        let ticket = self.trail.began(Via::Query, Some(Arc::clone(&text)), 0, now());
        let source = self.source(&text);
        let step = self.names.query(&text.rewritten.effects, source, Whose::Client);
        let note = Note { notices: self.notify(&text), ticket, ..Note::with_text(text).step(step) };
        self.send(Request::Query, note, &message);
    }

    /// Refuses a simple query: at once if nothing else is going on, otherwise by failing in its place.
    pub(super) fn refuse_query(&mut self, report: Report) {
        let report = self.with_policies(report);
        if self.is_at_rest() {
            self.tell_client(&report.to_error());
            self.tell_client(&backend::ready_for_query(TransactionStatus::Idle));
            self.rest.clocks.idle(tokio::time::Instant::now());
            return;
        }
        self.send_apart(REFUSED, Purpose::Refused(Arc::new(report)));
    }

    fn sync(&mut self, frame: &Frame) {
        if self.rest.skipping {
            self.rest.skipping = false;
            self.tell_client(&backend::ready_for_query(TransactionStatus::Idle));
            self.rest.clocks.idle(tokio::time::Instant::now());
            return;
        }
        self.busy();
        self.views.stretch_ends();
        let step = self.names.end();
        self.send(Request::Sync, Note::client().step(step), frame.as_bytes());
    }

    fn function_call(&mut self, frame: &Frame) {
        if self.pipeline.skipping() {
            return;
        }
        self.busy();
        self.rest.statements += 1;
        if self.policy.plan.limits().procedural == Some(true) {
            self.runs_unseen();
            let ticket = self.trail.began(Via::FunctionCall, None, 0, now());
            let note = Note { ticket, ..Note::client().step(self.names.end()) };
            return self.send(Request::FunctionCall, note, frame.as_bytes());
        }
        let text = "calling a function by its number is refused: the policy cannot tell what it does";
        let report = Report::error(sqlstate::INSUFFICIENT_PRIVILEGE, text)
            .hint("call it by name in a SELECT, or ask for a policy that allows `procedural`".to_owned());
        self.trail.refused(Via::FunctionCall, b"", &report);
        self.refuse_query(report);
    }

    fn copy_message(&mut self, message: &Message<'_>, frame: &Frame) -> Result<(), End> {
        match message {
            Message::CopyData => self.copy.fed = true,
            Message::CopyDone | Message::CopyFail(_) => {
                self.copy.fed = true;
                self.pipeline.copy_ended();
            }
            // The server ignores both while it waits for data.
            Message::Flush => return Ok(()),
            Message::Sync => {
                self.copy.sync_held |= !self.copy.fed;
                return Ok(());
            }
            _ => return Err(End::violation(daam_pgwire::DecodeError::UnknownType, frame.tag())),
        }
        self.wires.to_upstream.extend_from_slice(frame.as_bytes());
        Ok(())
    }

    /// Creates the views a text needs when it runs.
    pub(super) fn prepare_for(&mut self, text: &Checked) {
        let class = text.rewritten.class;
        if class.executes() {
            self.renew_prepared();
        }
        let mut needed: BTreeSet<_> = text.rewritten.activate.clone();
        let begins = class.transaction_control() && self.reads_only_by_default();
        if class.may_begin_read_only() || begins {
            needed.extend(self.policy.plan.protected().keys().cloned());
        }
        if let Some(modes) = &text.rewritten.modes {
            self.send_first(modes);
        }
        self.activate(&needed);
        self.activate_copies(&text.rewritten.copies);
        for statement in &text.rewritten.before {
            self.send_first(statement);
        }
    }

    /// Takes note of what a text does to the session when it runs.
    pub(super) fn follow(&mut self, text: &Checked) {
        let class = text.rewritten.class;
        if text.sets_told || class.may_change_search_path() || class.discards_temp() {
            self.path.changed();
        } else if class.transaction_control() {
            self.path.transaction_control();
        }
        if class.transaction_control() {
            self.views.stretch_ends();
        }
        let resets = class.may_change_search_path() && (class.may_begin_read_only() || class.discards_temp());
        if resets && self.policy.plan.limits().read_only == Some(true) {
            // What the session began with may have been said before the policy was.
            self.maintenance.only_reads = true;
        }
        self.rest.made |= class.makes();
        if class.discards_temp() {
            self.views.doubt();
            self.maintenance.reinstall = true;
        }
        if class.copy_in() {
            self.copy.waiting = true;
        }
        let protected = class.may_write_protected() && !self.policy.plan.protected().is_empty();
        if protected || class.may_fire_others() {
            self.rest.withhold.begin();
        }
    }

    /// Something runs whose text is not known here.
    pub(super) fn runs_unseen(&mut self) {
        if !self.policy.plan.protected().is_empty() {
            self.rest.withhold.begin();
        }
        self.path.changed();
    }
}
