//! What the agent asks the database for its own purposes, between the requests of the client.
//!
//! The client must not notice: its statements and portals stay as they are, and where a simple query takes the unnamed
//! ones away, they are put back or the question is asked another way.

use super::core::Core;
use super::names::Whose;
use super::note::{Note, Purpose};
use super::statement::Statement;
use daam_catalog::RelationName;
use daam_enforce::Effect;
use daam_pgwire::frontend;
use daam_pgwire::pipeline::Request;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Core {
    /// Sees to it that the views of these tables exist before what is sent next.
    pub(super) fn activate(&mut self, needed: &BTreeSet<RelationName>) {
        if self.pipeline.in_failed_transaction() || self.pipeline.skipping() || needed.is_empty() {
            return;
        }
        let held = self.held_views();
        let free = needed.iter().filter(|name| !held.contains(*name)).cloned().collect();
        let missing = self.views.request(&free);
        if missing.is_empty() {
            return;
        }
        let call = daam_enforce::activate_call(&missing);
        self.set_up(&call, Purpose::Activate(Arc::new(missing)));
    }

    /// Sees to it that what `COPY … FROM` into these tables goes through exists.
    pub(super) fn activate_copies(&mut self, tables: &BTreeSet<RelationName>) {
        if !self.pipeline.in_failed_transaction() && !self.pipeline.skipping() && !tables.is_empty() {
            let call = daam_enforce::copy_call(tables);
            self.set_up(&call, Purpose::Activate(Arc::default()));
        }
    }

    /// Calls a function of the session's before what is sent next.
    fn set_up(&mut self, call: &str, purpose: Purpose) {
        if self.is_at_rest() && self.reads_only_by_default() {
            self.send_apart(&format!("SET TRANSACTION READ WRITE; {call}"), purpose);
        } else {
            self.send_between(call, purpose);
        }
    }

    /// Transactions cannot create views unless told otherwise.
    pub(super) fn reads_only_by_default(&self) -> bool {
        self.rest.parameters.get("default_transaction_read_only").is_some_and(|value| value == "on")
    }

    /// Asks for the schemas in the search path.
    pub(super) fn ask_path(&mut self) {
        self.path.ask();
        self.send_between(super::path::QUESTION, Purpose::Path);
        if self.pipeline.batch_open() {
            self.flush();
        }
    }

    /// Runs a statement of ours before the client's next message.
    fn send_between(&mut self, sql: &str, purpose: Purpose) {
        if self.pipeline.batch_open() {
            self.send_within_batch(sql, Note::of(purpose));
        } else if !self.names.has_unnamed_portal() {
            self.send_apart(sql, purpose);
        } else if self.pipeline.may_skip() {
            // The client's next message ends the batch.
            self.send_within_batch(sql, Note::of(purpose));
        } else {
            // A simple query would take the portal away.
            self.send_within_batch(sql, Note { apart: true, ..Note::of(purpose) });
            let step = self.names.end();
            let note = Note { apart: true, ..Note::of(Purpose::Quiet).step(step) };
            self.send(Request::Sync, note, &frontend::sync());
        }
    }

    /// Runs statements of ours as a simple query.
    pub(super) fn send_apart(&mut self, sql: &str, purpose: Purpose) {
        let step = self.names.query(&Arc::default(), None, Whose::Agent);
        self.send(Request::Query, Note::of(purpose).step(step), &frontend::query(sql));
    }

    /// Runs something that belongs to the client's next statement. Outside a transaction that fails as it does.
    pub(super) fn send_first(&mut self, sql: &str) {
        if !self.is_at_rest() {
            self.send_between(sql, Purpose::First);
        }
    }

    /// Takes away or makes anew what SQL's PREPARE made, before the client's next message.
    pub(super) fn send_prepared(&mut self, sql: &str, effect: Effect, source: Option<Arc<Statement>>) {
        let effects = Arc::from([effect]);
        if self.pipeline.batch_open() {
            let step = self.names.run(&effects, source);
            self.send_within_batch(sql, Note { step, ..Note::of(Purpose::Quiet) });
        } else {
            let step = self.names.query(&effects, source, Whose::Agent);
            self.send(Request::Query, Note::of(Purpose::Quiet).step(step), &frontend::query(sql));
        }
    }

    /// Has the database answer what it was sent of a batch.
    pub(super) fn flush(&mut self) {
        if !std::mem::replace(&mut self.wires.flushed, true) {
            self.wires.to_upstream.extend_from_slice(&frontend::flush());
        }
    }

    /// Runs a statement of ours between messages of the client's batch, leaving its names alone.
    fn send_within_batch(&mut self, sql: &str, note: Note) {
        const NAME: &[u8] = b"daam: between the messages of a client";
        let statement = frontend::close(frontend::Target::Statement(NAME));
        let portal = frontend::close(frontend::Target::Portal(NAME));
        let apart = note.apart;
        let quiet = || Note { apart, ..Note::of(Purpose::Quiet) };
        self.send(Request::Close, quiet(), &statement);
        self.send(Request::Parse, quiet(), &frontend::parse_statement(NAME, sql, b""));
        self.send(Request::Bind, quiet(), &frontend::bind(NAME, NAME));
        self.send(Request::Execute, note, &frontend::execute(NAME));
        self.send(Request::Close, quiet(), &portal);
        self.send(Request::Close, quiet(), &statement);
    }

    /// Drops the session's views; call only at rest.
    pub(super) fn release(&mut self) {
        let tables = self.views.take();
        if tables.is_empty() {
            return;
        }
        // Whoever asked for them and has not begun to use them asks again.
        self.rest.views_asked = false;
        let mut sql = daam_enforce::release_call(&tables);
        if self.reads_only_by_default() {
            sql.insert_str(0, "SET TRANSACTION READ WRITE; ");
        }
        self.send_apart(&sql, Purpose::Quiet);
    }
}
