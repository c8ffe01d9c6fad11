//! What the client says, message by message.

use super::checked::Checked;
use super::core::{
    Core, End, LONGEST_NAME, MOST_PORTALS, MOST_STATEMENT_BYTES, MOST_STATEMENTS, REFUSED, now,
};
use super::held::Next;
use super::note::{Note, Purpose, Statement};
use bytes::Bytes;
use daam_audit::Via;
use daam_pgwire::frontend::{self, Message, Target};
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
                self.ask_path();
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
        let text = matches!(self.quiet.tag().or(self.wires.inbox.next_tag()), Some(b'Q' | b'P'));
        let lost = self.pipeline.skipping()
            || self.rest.skipping
            || self.pipeline.copy_in()
            || (self.pipeline.is_settled() && self.pipeline.status() == TransactionStatus::Failed);
        text && !lost && self.path.must_ask()
    }

    fn client_message(&mut self, frame: &Frame) -> Result<(), End> {
        let tag = frame.tag();
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
        self.prepare_for(&text);
        self.follow(&text);
        if self.pipeline.batch_open() {
            // It ends the batch as Sync does.
            self.views.stretch_ends();
        }
        let message = frontend::query(&text.rewritten.sql);
        let ticket = self.trail.began(Via::Query, Some(Arc::clone(&text)), 0, now());
        let note = Note { notices: self.notify(&text), ticket, ..Note::with_text(text) };
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
        let note = Note::of(Purpose::Refused(Arc::new(report)));
        self.send(Request::Query, note, &frontend::query(REFUSED));
    }

    fn parse(&mut self, name: &[u8], sql: &[u8], types: &[u8]) {
        if self.pipeline.skipping() {
            return;
        }
        self.busy();
        let checked = self.room_for(name, sql.len()).map_err(Box::new).and_then(|()| self.check(sql));
        let text = match checked {
            Ok(text) => text,
            Err(report) => {
                self.trail.refused(Via::Parse, sql, &report);
                return self.refuse_parse(name, *report);
            }
        };
        self.activate(&text.rewritten.activate.clone());
        let statement = Statement { text: Arc::clone(&text), types: Bytes::copy_from_slice(types) };
        let parsed = self.names.parse(name, statement);
        let message = frontend::parse_statement(name, &text.rewritten.sql, types);
        let note = Note { parsed: Some(parsed), notices: self.notify(&text), ..Note::with_text(text) };
        self.send(Request::Parse, note, &message);
    }

    /// Whether another prepared statement may be held.
    fn room_for(&self, name: &[u8], length: usize) -> Result<(), Report> {
        let limit = |text: &str| Err(Report::error(sqlstate::PROGRAM_LIMIT_EXCEEDED, text));
        let hint = "forget some: `Close`, `DEALLOCATE` or `DEALLOCATE ALL`".to_owned();
        if self.names.count() >= MOST_STATEMENTS && self.names.statement(name).is_none() {
            let text = format!("a session can hold at most {MOST_STATEMENTS} prepared statements");
            return limit(&text).map_err(|report: Report| report.hint(hint));
        }
        if self.names.bytes().saturating_add(length) > MOST_STATEMENT_BYTES {
            let most = MOST_STATEMENT_BYTES >> 20;
            let text = format!("a session can hold at most {most} MiB of prepared statements");
            return limit(&text).map_err(|report: Report| report.hint(hint));
        }
        Ok(())
    }

    /// Refuses a name of which the server would only look at the beginning.
    fn refuse_name(&mut self, message: &Message<'_>, name: &[u8]) {
        if self.pipeline.skipping() {
            return;
        }
        let text = format!(
            "the name of a prepared statement or portal has {} bytes, more than the {LONGEST_NAME} the server compares",
            name.len()
        );
        let report = Report::error(sqlstate::NAME_TOO_LONG, &text);
        let sql = if let Message::Parse(parse) = message { parse.sql } else { b"" };
        self.trail.refused(Via::Parse, sql, &report);
        self.refuse_parse(b"daam", report);
    }

    /// Refuses a statement of the extended protocol; the rest of its batch is skipped.
    pub(super) fn refuse_parse(&mut self, name: &[u8], report: Report) {
        let report = self.with_policies(report);
        if self.is_at_rest() {
            self.tell_client(&report.to_error());
            self.rest.skipping = true;
            return;
        }
        let note = Note::of(Purpose::Refused(Arc::new(report)));
        self.send(Request::Parse, note, &frontend::parse_statement(name, REFUSED, b""));
    }

    fn bind(&mut self, portal: &[u8], name: &[u8], frame: &Frame) {
        self.busy();
        if self.names.portals() >= MOST_PORTALS && self.names.portal(portal).is_none() {
            let text = format!("a transaction can hold at most {MOST_PORTALS} portals");
            let report = Report::error(sqlstate::PROGRAM_LIMIT_EXCEEDED, &text);
            return self.refuse_parse(b"daam", report.hint("close some, or end the transaction".to_owned()));
        }
        let Some(statement) = self.names.statement(name) else {
            // Prepared by SQL's PREPARE, or not at all.
            self.activate(&self.policy.plan.protected().keys().cloned().collect());
            self.names.bind(portal, name);
            return self.send(Request::Bind, Note::client(), frame.as_bytes());
        };
        let text = match self.renewed(name, &statement) {
            Ok(text) => text,
            Err(report) => {
                self.trail.refused(Via::Execute, statement.text.original.as_bytes(), &report);
                return self.refuse_parse(b"daam", *report);
            }
        };
        self.activate(&text.rewritten.activate.clone());
        self.names.bind(portal, name);
        self.send(Request::Bind, Note::with_text(text), frame.as_bytes());
    }

    /// The text of a prepared statement under the policy now in force: prepared again if that has changed since.
    fn renewed(&mut self, name: &[u8], statement: &Statement) -> Result<Arc<Checked>, Box<Report>> {
        if self.checker.is_current(&statement.text) || self.pipeline.skipping() {
            return Ok(Arc::clone(&statement.text));
        }
        let text = self.check(statement.text.original.as_bytes())?;
        self.activate(&text.rewritten.activate.clone());
        if text.rewritten.sql != statement.text.rewritten.sql {
            let close = frontend::close(Target::Statement(name));
            self.send(Request::Close, Note::of(Purpose::Quiet), &close);
            let message = frontend::parse_statement(name, &text.rewritten.sql, &statement.types);
            let note = Note { text: Some(Arc::clone(&text)), ..Note::of(Purpose::Quiet) };
            self.send(Request::Parse, note, &message);
        }
        let types = statement.types.clone();
        self.names.parse(name, Statement { text: Arc::clone(&text), types });
        Ok(text)
    }

    fn describe(&mut self, target: Target<'_>, frame: &Frame) {
        self.busy();
        let (request, statement) = match target {
            Target::Statement(name) => (Request::DescribeStatement, self.names.statement(name)),
            Target::Portal(name) => (Request::DescribePortal, self.names.portal(name)),
        };
        // Describing may plan again, for which the views must be there.
        if let Some(statement) = &statement {
            self.activate(&statement.text.rewritten.activate.clone());
        }
        let note = statement.map_or_else(Note::client, |known| Note::with_text(Arc::clone(&known.text)));
        self.send(request, note, frame.as_bytes());
    }

    fn execute(&mut self, portal: &[u8], rows: i32, frame: &Frame) {
        self.busy();
        if self.pipeline.skipping() {
            return;
        }
        self.rest.statements += 1;
        let Some(statement) = self.names.portal(portal) else {
            self.may_write_unseen();
            let ticket = self.trail.began(Via::Execute, None, rows, now());
            return self.send(Request::Execute, Note { ticket, ..Note::client() }, frame.as_bytes());
        };
        let text = Arc::clone(&statement.text);
        self.prepare_for(&text);
        self.follow(&text);
        let copy = text.rewritten.class.copy_in();
        let ticket = self.trail.began(Via::Execute, Some(Arc::clone(&text)), rows, now());
        self.send(Request::Execute, Note { ticket, ..Note::with_text(text) }, frame.as_bytes());
        if copy {
            self.wires.to_upstream.extend_from_slice(&frontend::flush());
        }
    }

    fn close(&mut self, target: Target<'_>, frame: &Frame) {
        if self.pipeline.skipping() {
            return;
        }
        match target {
            Target::Statement(name) => self.names.close_statement(name),
            Target::Portal(name) => self.names.close_portal(name),
        }
        self.send(Request::Close, Note::client(), frame.as_bytes());
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
        self.send(Request::Sync, Note::client(), frame.as_bytes());
    }

    fn function_call(&mut self, frame: &Frame) {
        if self.pipeline.skipping() {
            return;
        }
        self.busy();
        self.rest.statements += 1;
        if self.policy.plan.limits().procedural == Some(true) {
            self.may_write_unseen();
            let ticket = self.trail.began(Via::FunctionCall, None, 0, now());
            return self.send(Request::FunctionCall, Note { ticket, ..Note::client() }, frame.as_bytes());
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
    fn prepare_for(&mut self, text: &Checked) {
        let class = text.rewritten.class;
        let mut needed: BTreeSet<_> = text.rewritten.activate.clone();
        let begins = class.transaction_control() && self.reads_only_by_default();
        if class.may_begin_read_only() || begins {
            needed.extend(self.policy.plan.protected().keys().cloned());
        }
        self.activate(&needed);
        self.activate_copies(&text.rewritten.copies);
    }

    /// Takes note of what a text does to the session when it runs.
    fn follow(&mut self, text: &Checked) {
        let class = text.rewritten.class;
        if class.may_change_search_path() || class.discards_temp() {
            self.path.changed();
        } else if class.transaction_control() {
            self.path.transaction_control();
        }
        if class.transaction_control() {
            self.views.stretch_ends();
        }
        if class.discards_temp() {
            self.views.doubt();
            self.maintenance.reinstall = true;
        }
        if class.copy_in() {
            self.copy.waiting = true;
        }
        if class.may_write_protected() && !self.policy.plan.protected().is_empty() {
            self.rest.withhold.begin();
        }
    }

    /// Something runs whose text is not known here.
    fn may_write_unseen(&mut self) {
        if !self.policy.plan.protected().is_empty() {
            self.rest.withhold.begin();
        }
    }
}

/// A name in the message that the server would cut.
fn long_name<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    let names: [&'a [u8]; 2] = match message {
        Message::Parse(parse) => [parse.name, b""],
        Message::Bind(bind) => [bind.portal, bind.statement],
        Message::Execute(execute) => [execute.portal, b""],
        Message::Describe(Target::Statement(name) | Target::Portal(name))
        | Message::Close(Target::Statement(name) | Target::Portal(name)) => [name, b""],
        _ => return None,
    };
    names.into_iter().find(|name| name.len() > LONGEST_NAME)
}
