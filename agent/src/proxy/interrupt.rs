//! The policy took something away while the session was in the middle of something: that must not go on.

use super::core::{Core, End, REFUSED};
use super::note::{Note, Purpose};
use daam_pgwire::pipeline::Request;
use daam_pgwire::{Report, TransactionStatus, frontend, sqlstate};
use std::sync::Arc;

/// The policy took something away while the session was in the middle of something.
#[derive(Debug)]
pub(super) struct Interruption {
    pub(super) reason: String,
    /// What runs is being cancelled, and nothing of it reaches the client; later only the failed transaction is left.
    pub(super) muted: bool,
    /// Rows were withheld.
    pub(super) withheld: bool,
}

impl Core {
    /// The policy took something away: what is in the middle of something must not go on.
    /// Returns whether something runs that must be cancelled.
    pub(super) fn interrupt(&mut self, reason: String) -> bool {
        if self.is_at_rest() {
            return false;
        }
        self.interruption = Some(Interruption { reason, muted: true, withheld: false });
        let runs = self.pipeline.in_flight() > 0;
        self.settle_interruption();
        runs
    }

    /// Once nothing runs any more, fails the transaction that is left.
    pub(super) fn settle_interruption(&mut self) {
        let Some(interruption) = &mut self.interruption else { return };
        if !interruption.muted || self.pipeline.in_flight() > 0 {
            return;
        }
        interruption.muted = false;
        if self.pipeline.skipping() {
            return;
        }
        if self.pipeline.batch_open() {
            let report = Arc::new(failed_transaction(&interruption.reason));
            let message = frontend::parse_statement(b"daam", REFUSED, b"");
            self.send(Request::Parse, Note::of(Purpose::Refused(report)), &message);
            self.flush();
            return;
        }
        match self.pipeline.status() {
            TransactionStatus::Idle => self.interruption = None,
            TransactionStatus::Failed => {}
            TransactionStatus::Open => self.send_apart(REFUSED, Purpose::Quiet),
        }
    }

    /// A result that is not whole must not look like one.
    pub(super) fn refuse_partial(&self) -> Result<(), End> {
        match &self.interruption {
            Some(interruption) if interruption.withheld => {
                let text =
                    format!("the session was ended in the middle of a result: {}", interruption.reason);
                Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, &text))
            }
            _ => Ok(()),
        }
    }
}

/// What a statement in a transaction gets that the policy has failed.
pub(super) fn failed_transaction(reason: &str) -> Report {
    let text = "current transaction is aborted, commands ignored until end of transaction block";
    Report::error(sqlstate::IN_FAILED_TRANSACTION, text)
        .detail(reason.to_owned())
        .hint("end the transaction and begin again under the policy now in force".to_owned())
}
