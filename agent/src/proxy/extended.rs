//! The client's extended protocol: statements and portals by their names.

use super::core::{Core, LONGEST_NAME, MOST_PORTALS, MOST_STATEMENT_BYTES, MOST_STATEMENTS, REFUSED, now};
use super::names::{Belief, Held, Whose};
use super::note::{Note, Purpose};
use super::statement::Statement;
use bytes::Bytes;
use daam_audit::Via;
use daam_pgwire::frontend::{self, Message, Target};
use daam_pgwire::pipeline::Request;
use daam_pgwire::{Frame, Report, sqlstate};
use std::sync::Arc;

impl Core {
    pub(super) fn parse(&mut self, name: &[u8], sql: &[u8], types: &[u8]) {
        if self.pipeline.skipping() {
            return;
        }
        self.busy();
        let room = self.room_for(name, sql.len()).map_err(Box::new);
        let checked = room.and_then(|()| self.check_types(types)).and_then(|()| self.check(sql));
        let text = match checked {
            Ok(text) => text,
            Err(report) => {
                self.trail.refused(Via::Parse, sql, &report);
                return self.refuse_parse(name, *report);
            }
        };
        self.activate(&text.rewritten.activate.clone());
        let statement = self.meter.statement(Arc::clone(&text), Bytes::copy_from_slice(types));
        let step = self.names.parse(name, statement, Whose::Client);
        let message = frontend::parse_statement(name, &text.rewritten.sql, types);
        let note = Note { notices: self.notify(&text), ..Note::with_text(text).step(step) };
        self.send(Request::Parse, note, &message);
    }

    /// Whether another prepared statement may be held.
    fn room_for(&self, name: &[u8], length: usize) -> Result<(), Report> {
        let limit = |text: &str| Err(Report::error(sqlstate::PROGRAM_LIMIT_EXCEEDED, text));
        let hint = "forget some: `Close`, `DEALLOCATE` or `DEALLOCATE ALL`".to_owned();
        let taken = !self.names.statement(name).is_unknown();
        if self.names.statements() >= MOST_STATEMENTS && !taken {
            let text = format!("a session can hold at most {MOST_STATEMENTS} prepared statements");
            return limit(&text).map_err(|report: Report| report.hint(hint));
        }
        if !self.has_bytes_for(length) {
            let most = MOST_STATEMENT_BYTES >> 20;
            let text = format!(
                "a session can hold at most {most} MiB of prepared statements, those of open portals included"
            );
            return limit(&text).map_err(|report: Report| report.hint(hint));
        }
        Ok(())
    }

    pub(super) fn has_bytes_for(&self, length: usize) -> bool {
        self.meter.bytes().saturating_add(length) <= MOST_STATEMENT_BYTES
    }

    /// Whether what a message means, or whether there is room for it, depends on answers that are outstanding.
    pub(super) fn depends_on_answers(&self, frame: &Frame) -> bool {
        if self.pipeline.skipping() || self.rest.skipping || self.pipeline.copy_in() {
            return false;
        }
        let full = |count: usize, most: usize| count >= most && !self.names.is_settled();
        if matches!(frame.tag(), b'Q' | b'B' | b'E') && !self.names.is_settled() && self.has_outdated() {
            return true;
        }
        match frontend::parse(frame) {
            Ok(Message::Parse(parse)) => {
                let bytes = !self.has_bytes_for(parse.sql.len()) && !self.names.is_settled();
                bytes || full(self.names.statements(), MOST_STATEMENTS)
            }
            Ok(Message::Bind(bind)) => {
                self.names.statement(bind.statement).is_unsettled()
                    || full(self.names.portals(), MOST_PORTALS)
            }
            Ok(Message::Describe(Target::Statement(name))) => self.names.statement(name).is_unsettled(),
            Ok(Message::Describe(Target::Portal(name))) => self.names.portal(name).is_unsettled(),
            Ok(Message::Execute(execute)) => self.names.portal(execute.portal).is_unsettled(),
            _ => false,
        }
    }

    /// Refuses a name of which the server would only look at the beginning.
    pub(super) fn refuse_name(&mut self, message: &Message<'_>, name: &[u8]) {
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
        let step = self.names.refused_parse(name);
        let note = Note::of(Purpose::Refused(Arc::new(report))).step(step);
        self.send(Request::Parse, note, &frontend::parse_statement(name, REFUSED, b""));
    }

    pub(super) fn bind(&mut self, portal: &[u8], name: &[u8], frame: &Frame) {
        if self.pipeline.skipping() {
            return;
        }
        self.busy();
        if self.names.portals() >= MOST_PORTALS && self.names.portal(portal).is_unknown() {
            let text = format!("a transaction can hold at most {MOST_PORTALS} portals");
            let report = Report::error(sqlstate::PROGRAM_LIMIT_EXCEEDED, &text);
            return self.refuse_parse(b"daam", report.hint("close some, or end the transaction".to_owned()));
        }
        let Belief::Known(held) = self.names.statement(name) else {
            // Prepared by SQL's PREPARE, or not at all.
            self.renew_prepared();
            self.activate(&self.policy.plan.protected().keys().cloned().collect());
            let step = self.names.bind(portal, None);
            return self.send(Request::Bind, Note::client().step(step), frame.as_bytes());
        };
        let statement = match self.renewed(name, &held) {
            Ok(statement) => statement,
            Err(report) => {
                self.trail.refused(Via::Execute, held.statement.text.original.as_bytes(), &report);
                return self.refuse_parse(b"daam", *report);
            }
        };
        let text = Arc::clone(&statement.text);
        self.activate(&text.rewritten.activate.clone());
        let step = self.names.bind(portal, Some(statement));
        self.send(Request::Bind, Note::with_text(text).step(step), frame.as_bytes());
    }

    /// A prepared statement under the policy now in force: prepared again if that has changed since, or if the server
    /// does not have it any more.
    fn renewed(&mut self, name: &[u8], held: &Held<Arc<Statement>>) -> Result<Arc<Statement>, Box<Report>> {
        let Held { statement, at_server } = held;
        let current = self.checker.is_current(&statement.text);
        if current && *at_server {
            return Ok(Arc::clone(statement));
        }
        let text = self.check(statement.text.original.as_bytes())?;
        self.activate(&text.rewritten.activate.clone());
        let renewed = self.meter.statement(Arc::clone(&text), statement.types.clone());
        if *at_server && text.rewritten.sql == statement.text.rewritten.sql {
            self.names.reread(name, Arc::clone(&renewed));
            return Ok(renewed);
        }
        if *at_server {
            let step = self.names.close_statement(name, Whose::Agent);
            let close = frontend::close(Target::Statement(name));
            self.send(Request::Close, Note::of(Purpose::Quiet).step(step), &close);
        }
        let step = self.names.parse(name, Arc::clone(&renewed), Whose::Agent);
        let message = frontend::parse_statement(name, &text.rewritten.sql, &statement.types);
        let note = Note { text: Some(text), ..Note::of(Purpose::Quiet).step(step) };
        self.send(Request::Parse, note, &message);
        Ok(renewed)
    }

    pub(super) fn describe(&mut self, target: Target<'_>, frame: &Frame) {
        if self.pipeline.skipping() {
            return;
        }
        self.busy();
        let (request, known) = match target {
            Target::Statement(name) => match self.names.statement(name) {
                Belief::Known(held) => match self.renewed(name, &held) {
                    Ok(statement) => (Request::DescribeStatement, Some(statement)),
                    Err(report) => return self.refuse_parse(b"daam", *report),
                },
                _ => (Request::DescribeStatement, None),
            },
            Target::Portal(name) => match self.names.portal(name) {
                Belief::Known(statement) => (Request::DescribePortal, Some(statement)),
                _ => (Request::DescribePortal, None),
            },
        };
        // Describing may plan again, for which the views must be there.
        if let Some(statement) = &known {
            self.activate(&statement.text.rewritten.activate.clone());
        }
        let note = known.map_or_else(Note::client, |known| Note::with_text(Arc::clone(&known.text)));
        self.send(request, note, frame.as_bytes());
    }

    pub(super) fn execute(&mut self, portal: &[u8], rows: i32, frame: &Frame) {
        self.busy();
        if self.pipeline.skipping() {
            return;
        }
        self.rest.statements += 1;
        let Belief::Known(statement) = self.names.portal(portal) else {
            self.runs_unseen();
            let ticket = self.trail.began(Via::Execute, None, rows, now());
            return self.send(Request::Execute, Note { ticket, ..Note::client() }, frame.as_bytes());
        };
        let text = Arc::clone(&statement.text);
        if let Some(report) = self.prepares_too_much(&text) {
            self.trail.refused(Via::Execute, text.original.as_bytes(), &report);
            return self.refuse_parse(b"daam", report);
        }
        self.prepare_for(&text);
        self.follow(&text);
        let copy = text.rewritten.class.copy_in();
        let ticket = self.trail.began(Via::Execute, Some(Arc::clone(&text)), rows, now());
        let source = self.source(&text);
        let step = self.names.run(&text.rewritten.effects, source);
        self.send(Request::Execute, Note { step, ticket, ..Note::with_text(text) }, frame.as_bytes());
        if copy {
            self.flush();
        }
    }

    pub(super) fn close(&mut self, target: Target<'_>, frame: &Frame) {
        if self.pipeline.skipping() {
            return;
        }
        let step = match target {
            Target::Statement(name) => self.names.close_statement(name, Whose::Client),
            Target::Portal(name) => self.names.close_portal(name),
        };
        self.send(Request::Close, Note::client().step(step), frame.as_bytes());
    }
}

/// A name in the message that the server would cut.
pub(super) fn long_name<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
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
