//! What the database says, message by message.

use super::core::{Core, End, failed_transaction, now};
use super::note::{Note, Purpose};
use super::withhold::Verdict;
use daam_pgwire::frame::Piece;
use daam_pgwire::pipeline::{OutOfStep, Reply};
use daam_pgwire::{Frame, Report, TransactionStatus, backend, frontend, sqlstate};
use tokio::time::Instant;

impl Core {
    /// Moves messages from the database towards the client; says whether any moved.
    pub(super) fn take_upstream(&mut self) -> Result<bool, End> {
        let mut moved = false;
        loop {
            let ours = matches!(self.pipeline.current(), Some(Note { purpose: Purpose::Path, .. }));
            let bulk = if ours { |_| false } else { backend::is_bulk };
            let wires = &mut self.wires;
            let open = wires.bulk_open;
            let piece =
                wires.from_upstream.take_piece(&mut wires.bulk_open, bulk).map_err(bad_server_frame)?;
            match piece {
                None => return Ok(moved),
                Some(Piece::Bulk(bytes)) => self.bulk(&bytes, open)?,
                Some(Piece::Message(frame)) => self.server_message(&frame)?,
            }
            moved = true;
        }
    }

    /// Passes rows on, or withholds them; `open` bytes belong to a message that began earlier. A message of which the
    /// client has the beginning is passed on to its end, whatever happened meanwhile: the client would take what
    /// follows for a part of it.
    fn bulk(&mut self, bytes: &[u8], open: usize) -> Result<(), End> {
        let (clients, ticket) = match self.pipeline.current() {
            None => return Err(End::out_of_step(OutOfStep::Unexpected(b'D'))),
            Some(note) => (note.is_clients(), note.ticket),
        };
        let (begun, fresh) = bytes.split_at_checked(open).unwrap_or((bytes, &[]));
        if self.wires.passing {
            self.wires.to_client.extend_from_slice(begun);
            self.trail.sent(ticket, begun.len());
        }
        if fresh.is_empty() {
            self.wires.passing &= self.wires.bulk_open > 0;
            return Ok(());
        }
        let passes = clients && !self.is_muted();
        if passes {
            self.trail.sent(ticket, fresh.len());
            self.wires.to_client.extend_from_slice(fresh);
        } else if let Some(interruption) = self.interruption.as_mut().filter(|_| clients) {
            interruption.withheld = true;
        }
        self.wires.passing = passes && self.wires.bulk_open > 0;
        Ok(())
    }

    fn server_message(&mut self, frame: &Frame) -> Result<(), End> {
        if frame.tag() == b'S' {
            return self.reported(frame.body());
        }
        let reply = self.pipeline.reply(frame.tag(), frame.body()).map_err(End::out_of_step)?;
        for note in &reply.skipped {
            self.was_skipped(note);
        }
        if frame.tag() == b'E' {
            self.failed(frame, &reply)?;
        } else {
            self.succeeded(frame, &reply)?;
        }
        if reply.finished && self.pipeline.in_flight() > 0 {
            self.rest.clocks.answered(Instant::now(), frame.tag() == b'Z');
        }
        if frame.tag() == b'Z' {
            self.ready();
        }
        Ok(())
    }

    fn succeeded(&mut self, frame: &Frame, reply: &Reply<Note>) -> Result<(), End> {
        let Some(note) = &reply.owner else {
            self.tell_client(frame.as_bytes());
            return Ok(());
        };
        match &note.purpose {
            Purpose::Client => return self.client_reply(frame, note, reply.finished),
            Purpose::Refused(_) if matches!(frame.tag(), b'Z' | b'N' | b'A') => {
                self.tell_client(frame.as_bytes());
            }
            // A text made to fail has not failed.
            Purpose::Refused(_) => return Err(End::out_of_step(OutOfStep::Unexpected(frame.tag()))),
            Purpose::Activate(tables) if reply.finished => match self.rest.activation_error {
                None => self.views.created(tables),
                Some(_) => self.views.not_created(tables),
            },
            Purpose::Path => self.path_reply(frame, reply.finished)?,
            Purpose::Activate(_) | Purpose::Quiet => {}
        }
        // What others say through this session is for the client, whoever is being answered.
        if frame.tag() == b'A' && !note.is_clients() {
            self.tell_client(frame.as_bytes());
        }
        Ok(())
    }

    fn client_reply(&mut self, frame: &Frame, note: &Note, finished: bool) -> Result<(), End> {
        match frame.tag() {
            b'G' => {
                self.copy.waiting = false;
                self.copy.fed = false;
                self.copy.sync_held = false;
            }
            b'C' => {
                let tag = self.completed(frame.body())?;
                self.trail.command(note.ticket, tag);
                self.names.deallocated(tag, note.text.as_ref().map_or("", |text| &text.original));
                self.refuse_partial()?;
            }
            b's' => {
                self.trail.suspended(note.ticket);
                self.refuse_partial()?;
            }
            b'N' | b'A' if self.is_muted() => return Ok(()),
            b'N' => return self.notice(frame),
            _ => {}
        }
        if finished {
            self.trail.finished(note.ticket, now());
            if note.text.as_ref().is_some_and(|text| text.rewritten.class.copy_in()) {
                self.copy.waiting = false;
            }
            if let Some(text) = note.text.as_ref().filter(|_| note.notices) {
                self.tell_notices(text);
            }
        }
        self.tell_client(frame.as_bytes());
        Ok(())
    }

    fn is_muted(&self) -> bool {
        self.interruption.as_ref().is_some_and(|interruption| interruption.muted)
    }

    fn notice(&mut self, frame: &Frame) -> Result<(), End> {
        let report = Report::parse(frame.body()).map_err(|error| End::out_of_step(error.into()))?;
        let nested = self.may_write_behind();
        match self.rest.withhold.notice(&report, nested) {
            Verdict::Pass => self.tell_client(frame.as_bytes()),
            Verdict::Replace(notice) => self.tell_client(&notice.to_notice()),
            Verdict::Drop => {}
        }
        Ok(())
    }

    /// Whether code of the client may write a protected table without its text showing it.
    fn may_write_behind(&self) -> bool {
        let plan = &self.policy.plan;
        plan.limits().procedural == Some(true) && !plan.protected().is_empty()
    }

    fn completed<'a>(&mut self, body: &'a [u8]) -> Result<&'a [u8], End> {
        let tag = backend::parse_command_complete(body).map_err(|error| End::out_of_step(error.into()))?;
        if tag == b"ROLLBACK" {
            self.views.rolled_back();
            self.path.transaction_control();
        }
        Ok(tag)
    }

    /// A result that is not whole must not look like one.
    fn refuse_partial(&self) -> Result<(), End> {
        match &self.interruption {
            Some(interruption) if interruption.withheld => {
                let text =
                    format!("the session was ended in the middle of a result: {}", interruption.reason);
                Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, &text))
            }
            // It may have caught its cancelling and kept what it read before.
            Some(interruption) if interruption.muted && interruption.stubborn => {
                let text = format!("the session was ended with what it ran: {}", interruption.reason);
                Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, &text))
            }
            _ => Ok(()),
        }
    }

    fn path_reply(&mut self, frame: &Frame, finished: bool) -> Result<(), End> {
        if frame.tag() == b'D' {
            let row =
                backend::parse_data_row(frame.body()).map_err(|error| End::out_of_step(error.into()))?;
            if let [Some(name)] = row.as_slice() {
                self.path.row(name);
            }
        }
        if finished && self.path.is_asked() && self.path.answered() {
            // Prepared statements, too: the server looks their names up again.
            self.checker.next_generation();
        }
        Ok(())
    }

    fn failed(&mut self, frame: &Frame, reply: &Reply<Note>) -> Result<(), End> {
        let report = Report::parse(frame.body()).map_err(|error| End::out_of_step(error.into()))?;
        if report.is_fatal() {
            self.tell_client(frame.as_bytes());
            return Err(End::UpstreamEnded(format!("the database ended the session: {}", report.text())));
        }
        self.views.rolled_back();
        let Some(note) = &reply.owner else {
            self.tell_client(frame.as_bytes());
            return Ok(());
        };
        if let Purpose::Activate(tables) = &note.purpose
            && reply.finished
        {
            self.views.not_created(tables);
        }
        match &note.purpose {
            Purpose::Client => {
                self.record_failure(note, &report, reply.finished);
                self.client_error(frame, note, report);
            }
            Purpose::Refused(refusal) => self.tell_client(&refusal.to_error()),
            Purpose::Activate(_) if self.interruption.is_none() && is_drift(&report) => {
                self.rest.drifted = true;
                let report = changed_definition(&report);
                if reply.finished {
                    self.tell_client(&report.to_error());
                } else {
                    self.rest.activation_error = Some(report);
                }
            }
            // Inside a batch an error of ours is the batch's error: everything after it is skipped.
            Purpose::Activate(_) if report.code() == sqlstate::UNDEFINED_FUNCTION => {
                self.functions_lost(reply.finished);
            }
            Purpose::Activate(_) | Purpose::Quiet if reply.finished => self.tell_client(&report.to_error()),
            Purpose::Activate(_) => self.rest.activation_error = Some(report),
            Purpose::Path => {
                self.path.failed();
                if reply.finished {
                    self.tell_client(&report.to_error());
                }
            }
            Purpose::Quiet => {}
        }
        if let Some(interruption) = &mut self.interruption {
            interruption.withheld = false;
        }
        self.after_copy_failure();
        Ok(())
    }

    /// A failure of something that ran, or of something that was to be prepared.
    fn record_failure(&mut self, note: &Note, report: &Report, finished: bool) {
        self.trail.failed(note.ticket, report.code());
        match (&note.text, note.ticket) {
            (Some(text), None) => self.trail.not_prepared(text, report.code(), now()),
            _ if finished => self.trail.finished(note.ticket, now()),
            _ => {}
        }
    }

    /// Something discarded the session's functions without a statement that says so.
    fn functions_lost(&mut self, finished: bool) {
        self.views.doubt();
        self.maintenance.reinstall = true;
        let told = "the views this session reads through were discarded";
        let error = Report::error(sqlstate::UNDEFINED_TABLE, told).hint("run the statement again".to_owned());
        if finished {
            self.tell_client(&error.to_error());
        } else {
            self.rest.activation_error = Some(error);
        }
    }

    fn client_error(&mut self, frame: &Frame, note: &Note, mut report: Report) {
        if let Some(parsed) = &note.parsed {
            self.names.parse_failed(parsed);
        }
        self.rest.drifted |= is_drift(&report);
        if let Some(better) = self.better_error(&report).or_else(|| self.missing_view(note, &report)) {
            return self.tell_client(&better.to_error());
        }
        if let Some(told) = self.told(&report) {
            return self.tell_client(&told.to_error());
        }
        if let Some(hidden) = self.rest.withhold.error(&report, self.may_write_behind()) {
            return self.tell_client(&hidden.to_error());
        }
        if note.text.as_ref().is_some_and(|text| text.rewritten.class.executes()) && is_drift(&report) {
            let hint = "if the policy has changed since the statement was prepared, prepare it again";
            return self.tell_client(&report.hint(hint.to_owned()).to_error());
        }
        let edited = note.text.as_ref().filter(|text| !text.rewritten.edits.is_empty());
        let clearer = self.clarify(&mut report);
        match (edited, report.error_position()) {
            (_, None) if clearer => self.tell_client(&report.to_error()),
            (Some(text), Some(position)) => {
                report.set(b'P', text.original_position(position).to_string().into_bytes());
                self.tell_client(&report.to_error());
            }
            _ => self.tell_client(frame.as_bytes()),
        }
    }

    /// What the client is told instead, where the cause is not the client's statement.
    fn better_error(&mut self, report: &Report) -> Option<Report> {
        if let Some(error) = self.rest.activation_error.take() {
            return Some(error);
        }
        match (report.code(), &self.interruption) {
            (sqlstate::IN_FAILED_TRANSACTION, Some(interruption)) => {
                Some(failed_transaction(&interruption.reason))
            }
            (code, Some(interruption)) if code == sqlstate::QUERY_CANCELED || interruption.muted => {
                let text = "canceling statement because the access policy has changed";
                Some(Report::error(sqlstate::QUERY_CANCELED, text).detail(interruption.reason.clone()))
            }
            (sqlstate::QUERY_CANCELED, None) if self.rest.clocks.was_cancelled() => {
                let most = self.policy.plan.limits().statement_timeout.map(crate::duration::words);
                let text = "canceling statement due to the policy's statement timeout";
                let policies = self.policy.plan.named_policies();
                let detail = most.map(|most| format!("The policy allows a statement {most}; {policies}."));
                Some(Report::error(sqlstate::QUERY_CANCELED, text).detail(detail))
            }
            _ => None,
        }
    }

    /// A view of the session that is gone, though nobody who may said so: it comes back with the next statement.
    fn missing_view(&mut self, note: &Note, report: &Report) -> Option<Report> {
        let text = note.text.as_ref().filter(|_| report.code() == sqlstate::UNDEFINED_TABLE)?;
        let message = report.text();
        let gone = text.rewritten.activate.iter().find(|table| {
            message.contains(&format!("{}.{}\"", table.schema.as_str(), table.name.as_str()))
        })?;
        let told = format!("the session's view of `{gone}` is gone");
        self.views.doubt();
        Some(Report::error(report.code(), &told).hint("run the statement again".to_owned()))
    }

    /// A `Sync` that came before COPY data was held back as the server would have ignored it; it has not.
    fn after_copy_failure(&mut self) {
        self.copy.waiting = false;
        let held = std::mem::take(&mut self.copy.sync_held);
        if held && !self.copy.fed && self.pipeline.skipping() {
            self.send(daam_pgwire::pipeline::Request::Sync, Note::client(), &frontend::sync());
        }
    }

    fn was_skipped(&mut self, note: &Note) {
        self.trail.skipped(note.ticket);
        if let Some(parsed) = &note.parsed {
            self.names.parse_failed(parsed);
        }
        match &note.purpose {
            Purpose::Path => self.path.failed(),
            Purpose::Activate(tables) => self.views.not_created(tables),
            _ if note.text.as_ref().is_some_and(|text| text.rewritten.class.copy_in()) => {
                self.copy.waiting = false;
            }
            _ => {}
        }
    }

    /// `ReadyForQuery`: what the end of a transaction means for everything remembered.
    fn ready(&mut self) {
        if self.pipeline.in_flight() == 0 {
            self.rest.activation_error = None;
        }
        if self.pipeline.status() == TransactionStatus::Idle {
            self.views.transaction_ended();
            self.path.transaction_ended(self.pipeline.in_flight() == 0);
            if self.pipeline.in_flight() == 0 {
                self.rest.withhold.end();
            }
            if !self.pipeline.batch_open() && self.pipeline.in_flight() == 0 {
                self.names.transaction_ended();
            }
            if self.interruption.as_ref().is_some_and(|interruption| !interruption.muted) {
                self.interruption = None;
            }
        }
        if self.pipeline.is_settled() {
            if self.pipeline.status() == TransactionStatus::Open {
                self.views.transaction_open();
            }
            self.rest.clocks.idle(Instant::now());
        }
    }
}

/// Whether the server does not know what the agent believes to be there, or has not granted it.
fn is_drift(report: &Report) -> bool {
    const GONE: [&str; 4] = [
        sqlstate::UNDEFINED_TABLE,
        sqlstate::UNDEFINED_COLUMN,
        sqlstate::UNDEFINED_SCHEMA,
        sqlstate::INSUFFICIENT_PRIVILEGE,
    ];
    GONE.contains(&report.code())
}

/// The server's own words would be about the definition of a view, with columns that are nobody's business.
fn changed_definition(report: &Report) -> Report {
    let text = "the definition of a table of this statement has just changed";
    Report::error(report.code(), text).hint("run the statement again".to_owned())
}

fn bad_server_frame(error: daam_pgwire::FrameError) -> End {
    End::fatal(sqlstate::CONNECTION_FAILURE, &format!("the database sent a malformed message: {error}"))
}
