//! A new policy under a running session: the least change that makes the database say what the policy says.
//!
//! What gives more waits for the next statement. What takes away happens at once: the admin side switches the
//! session's roles, after which the old views are dead; what runs is cancelled, an open transaction fails, and the
//! functions and cursors of the old policy are replaced before anything else runs.

use super::core::{End, HIGH_WATER, now};
use super::maintenance::admin_failed;
use super::session::Session;
use crate::admin::Switched;
use crate::state::PolicyState;
use daam_audit::Change;
use daam_catalog::Catalog;
use daam_enforce::SessionPlan;
use daam_pgwire::{Report, sqlstate};
use std::sync::Arc;

/// What is said to a client whose work is cut short.
const CHANGED: &str = "The access policy of this session has changed.";

impl<C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Session<C> {
    /// Moves to the policy in force, and says so to whoever waits for it.
    pub(super) async fn policy_changed(&mut self) -> Result<(), End> {
        let state = Arc::clone(&self.state.borrow_and_update());
        self.follow(&state).await?;
        self.registration.moved_to(state.generation);
        Ok(())
    }

    /// Decides again, and moves to the answer.
    async fn follow(&mut self, state: &PolicyState) -> Result<(), End> {
        let decision = state.decide_under(&self.user, &mut self.core.ceiling).map_err(|denied| {
            let report = Report::fatal(sqlstate::ADMIN_SHUTDOWN, &format!("the session was ended: {denied}"));
            End::Fatal(Box::new(report.hint(denied.hint().to_owned())))
        })?;
        self.core.trail.set_bundle(state.bundle.as_ref().map_or(0, |bundle| bundle.serial));
        let (new, catalog) = (decision.plan, Arc::clone(&state.catalog));
        let core = &mut self.core;
        core.requests_are(decision.requests);
        core.maintenance.widen = None;
        if core.policy.plan == new {
            if core.policy.catalog != catalog {
                core.adopt(new, catalog);
            }
            return Ok(());
        }
        if !core.policy.plan.tightens_to(&new) {
            core.maintenance.widen = Some((Box::new(new), catalog));
            return Ok(());
        }
        // Something may have run, or may run, that no text was looked at of.
        let stubborn = core.rest.made && core.policy.plan.limits().procedural == Some(true);
        let may_be_another = stubborn && catalog.server.major() < 16;
        let outlasts = core.rest.made && core.policy.plan.outlasts(&new, &catalog);
        self.switch(new, catalog).await?;
        if outlasts {
            let text = "the access policy of this session has changed: it takes away what everyone in the database may \
                        do, which views and functions of the session could go on doing";
            return Err(End::Fatal(Box::new(
                Report::fatal(sqlstate::ADMIN_SHUTDOWN, text).hint("connect again".to_owned()),
            )));
        }
        if may_be_another {
            // Before 16, who inherits from a role can become it, and keeps what it has when the membership is gone.
            let text = "the access policy of this session has changed; before PostgreSQL 16 a session with \
                        `procedural: true` ends when it may do less";
            return Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, text));
        }
        self.core.maintenance.close_cursors = true;
        if self.core.interrupt(CHANGED.to_owned()) {
            if stubborn {
                // It may catch its cancelling, and go on to read what it has open.
                let text = "the session was ended with what it ran: its access policy has changed";
                return Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, text));
            }
            self.core.rest.clocks.interrupted(now());
            if let Err(error) = self.ctx.admin.cancel(self.key.pid).await {
                tracing::warn!(session = %self.id, %error, "a statement could not be cancelled after a policy change");
                return Err(End::fatal(
                    sqlstate::ADMIN_SHUTDOWN,
                    "the access policy of this session has changed",
                ));
            }
        }
        // The client gets the rest of a message it has the beginning of, unless that is much.
        if self.core.wires.passing && self.core.wires.bulk_open > HIGH_WATER {
            let text = "the access policy of this session has changed in the middle of a large value";
            return Err(End::fatal(sqlstate::ADMIN_SHUTDOWN, text));
        }
        Ok(())
    }

    /// Moves the session's roles to another plan.
    pub(super) async fn switch(&mut self, new: SessionPlan, catalog: Arc<Catalog>) -> Result<(), End> {
        let old = &self.core.policy.plan;
        let change = if old.tightens_to(&new) { Change::Tightened } else { Change::Widened };
        let switched =
            self.ctx.admin.switch(&mut self.grant, old, &new).await.map_err(|error| admin_failed(&error))?;
        if switched == Switched::Reinstall {
            self.core.maintenance.reinstall = true;
            self.core.views.doubt();
        }
        // A session that begins is given the setting when it logs in.
        self.core.maintenance.only_reads |=
            new.limits().read_only == Some(true) && old.limits().read_only != Some(true);
        self.core.adopt(new, catalog);
        self.core.trail.changed(change);
        Ok(())
    }
}
