//! What the database refuses, and what the client is told of it.

use super::core::{Core, End, now};
use super::interrupt::failed_transaction;
use super::note::{Note, Purpose};
use daam_pgwire::pipeline::Reply;
use daam_pgwire::{Frame, Report, frontend, sqlstate};

impl Core {
    pub(super) fn failed(&mut self, frame: &Frame, reply: &Reply<Note>) -> Result<(), End> {
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
        // In a batch of its own it is no answer to the client, whose next message fails by it.
        let finished = reply.finished && !note.apart;
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
                if finished {
                    self.tell_client(&report.to_error());
                } else {
                    self.rest.activation_error = Some(report);
                }
            }
            // Inside a batch an error of ours is the batch's error: everything after it is skipped.
            Purpose::Activate(_) if report.code() == sqlstate::UNDEFINED_FUNCTION => {
                self.functions_lost(finished);
            }
            Purpose::Activate(_) | Purpose::First | Purpose::Quiet if finished => {
                self.tell_client(&report.to_error());
            }
            Purpose::Activate(_) | Purpose::First => self.rest.activation_error = Some(report),
            Purpose::Path => {
                self.path.failed();
                if finished {
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
        self.rest.drifted |= is_drift(&report);
        if let Some(better) = self.better_error(&report).or_else(|| self.missing_view(note, &report)) {
            return self.tell_client(&better.to_error());
        }
        if let Some(why) = self.withdrawn(&report) {
            return self.tell_client(&why.to_error());
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
