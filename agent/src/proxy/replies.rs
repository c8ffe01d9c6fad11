//! What the database says, message by message.

use super::core::{Core, End, now};
use super::names::Outcome;
use super::note::{Note, Purpose};
use super::withhold::Verdict;
use daam_pgwire::frame::Piece;
use daam_pgwire::pipeline::{OutOfStep, Reply};
use daam_pgwire::{Frame, Report, TransactionStatus, backend, sqlstate};
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
        self.wires.waiting = false;
        self.follow_names(frame.tag(), &reply);
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

    /// What the answer says about names.
    fn follow_names(&mut self, tag: u8, reply: &Reply<Note>) {
        if let Some(step) = reply.owner.as_ref().and_then(|note| note.step) {
            if tag == b'C' {
                self.names.completed(step);
            }
            if reply.finished {
                let outcome = if tag == b'E' { Outcome::Failed } else { Outcome::Done };
                self.names.settle(step, outcome);
            }
        }
        for step in reply.skipped.iter().filter_map(|note| note.step) {
            self.names.settle(step, Outcome::Skipped);
        }
        if tag == b'Z' && self.pipeline.status() == TransactionStatus::Idle {
            self.names.transaction_ended();
        }
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
            Purpose::Activate(_) | Purpose::First | Purpose::Quiet => {}
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
        // What the server says of its own work, such as the plans of `debug_print_plan`, counts rows that are not seen.
        let of_the_server =
            report.get(b'V').is_some_and(|severity| severity == b"LOG" || severity.starts_with(b"DEBUG"));
        if of_the_server && self.policy.plan.hides_rows() {
            return Ok(());
        }
        let nested = self.may_write_behind();
        match self.rest.withhold.notice(&report, nested) {
            Verdict::Pass => self.tell_client(frame.as_bytes()),
            Verdict::Replace(notice) => self.tell_client(&notice.to_notice()),
            Verdict::Drop => {}
        }
        Ok(())
    }

    /// Whether code of the client may write a protected table without its text showing it.
    pub(super) fn may_write_behind(&self) -> bool {
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

    fn was_skipped(&mut self, note: &Note) {
        self.trail.skipped(note.ticket);
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

fn bad_server_frame(error: daam_pgwire::FrameError) -> End {
    End::fatal(sqlstate::CONNECTION_FAILURE, &format!("the database sent a malformed message: {error}"))
}
