//! Tasks beside the sessions. Whoever holds the [`Background`] owns them; dropping it ends them.

use super::RunError;
use crate::admin::{Admin, Swept};
use crate::cause;
use crate::context::{SessionEvent, SessionEventKind};
use crate::keeper::Keeper;
use crate::link::unix_now;
use crate::reload::Reload;
use crate::scope::unquoted;
use crate::upkeep::Upkeep;
use daam_api::link::FromAgent;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_SOON: Duration = Duration::from_secs(1);
/// How old the catalogue may be: a new column is masked, a new table granted, after this at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// At most this often, whatever sessions run into.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Background {
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Background {
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
    }

    /// SIGHUP re-reads the scope.
    pub(super) fn reload_on_signal(&mut self, reload: Reload) -> Result<(), RunError> {
        let mut hangup = signal(SignalKind::hangup()).map_err(RunError::at("install signal handlers"))?;
        self.spawn(async move {
            while hangup.recv().await.is_some() {
                reload.reload().await;
            }
        });
        Ok(())
    }

    /// Sweeps orphaned roles.
    pub(super) fn sweep(&mut self, admin: Admin) {
        self.spawn(async move {
            // What an earlier run left may still be ending when this one starts.
            let mut pause = SWEEP_SOON;
            loop {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(SWEEP_EVERY);
                match admin.sweep().await {
                    Ok(swept) => log_sweep(&swept),
                    Err(error) => {
                        tracing::warn!(error = cause::chain(&error), "sweeping orphaned roles failed");
                    }
                }
            }
        });
    }

    /// Begins and ends approved access when its time comes, with or without a link.
    pub(super) fn keep_time(&mut self, keeper: Arc<Keeper>) {
        self.spawn(async move {
            loop {
                tokio::time::sleep(keeper.next_look()).await;
                keeper.keep_time();
            }
        });
    }

    /// Re-reads the catalogue regularly, and soon when a session has met something new.
    pub(super) fn look(
        &mut self,
        upkeep: Arc<Upkeep>,
        keeper: Arc<Keeper>,
        outbox: mpsc::Sender<FromAgent>,
        drift: Arc<Notify>,
    ) {
        self.spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                // Nobody told for long: the next look is due all the same.
                let _ = tokio::time::timeout(LOOK_EVERY.saturating_sub(PAUSE), drift.notified()).await;
                keeper.watch_standing(unix_now());
                match upkeep.refresh_if_changed().await {
                    Ok(true) if outbox.try_send(keeper.schema_report()).is_err() => {
                        tracing::debug!("the schema report waits for the next link");
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(
                            error = cause::chain(&error),
                            "introspection failed; the last result stays"
                        );
                    }
                }
            }
        });
    }

    /// Turns session events into reports; a start also repeats what the scope keeps from being granted.
    pub(super) fn forward_events(
        &mut self,
        mut events: mpsc::Receiver<SessionEvent>,
        keeper: Arc<Keeper>,
        outbox: mpsc::Sender<FromAgent>,
    ) {
        self.spawn(async move {
            while let Some(event) = events.recv().await {
                if matches!(event.kind, SessionEventKind::Started) {
                    keeper.report_dropped();
                }
                if outbox.try_send(message(event)).is_err() {
                    tracing::warn!("a session event could not be queued for the control plane");
                }
            }
        });
    }
}

fn message(event: SessionEvent) -> FromAgent {
    let (kind, reason, statements) = match event.kind {
        SessionEventKind::Started => ("started", None, 0),
        SessionEventKind::Ended { reason, statements } => ("ended", Some(unquoted(&reason)), statements),
    };
    FromAgent::SessionEvent {
        session_id: event.session.to_string(),
        user_id: event.user.user_id,
        event: kind.to_owned(),
        reason,
        statements,
    }
}

pub(super) fn log_sweep(swept: &Swept) {
    if !swept.dropped.is_empty() {
        tracing::info!(roles = swept.dropped.len(), "orphaned roles were removed");
    }
    for (role, reason) in &swept.kept {
        tracing::warn!(role, reason, "an orphaned role could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_leaves_without_the_names_it_quotes() {
        assert_eq!(unquoted("the client disconnected"), "the client disconnected");
        assert_eq!(
            unquoted("the database ended the session: relation \"hr.staff\" of `x` is gone"),
            "the database ended the session: relation … of … is gone"
        );
        assert_eq!(unquoted("it said \"hr.staff"), "it said …");
    }
}
