//! What is answered, in its order: what that makes of the names.

use super::{Action, Held, MOST_SAVEPOINTS, Names, Outcome, Pending, Portal, Step, Whose};
use daam_enforce::rewrite::Effect;

impl<S: Clone> Names<S> {
    /// One statement of what runs is complete.
    pub(in crate::proxy) fn completed(&mut self, step: Step) {
        let Some(first) = self.pending.front_mut().filter(|first| first.step == step) else { return };
        let running = match &mut first.action {
            Action::Run(running) => running,
            Action::Query(running, _) => {
                self.portals.remove(b"".as_slice());
                running
            }
            _ => return,
        };
        let effect = running.effects.get(running.done).cloned();
        let source = running.source.clone();
        running.done = running.done.saturating_add(1);
        match effect {
            Some(effect) => self.apply(effect, source),
            // More than it has statements: nothing can be said of portals any more.
            None => self.portals.clear(),
        }
    }

    /// The last answer to it, or none if the server passes over it.
    pub(in crate::proxy) fn settle(&mut self, step: Step, outcome: Outcome) {
        let Some(at) = self.pending.iter().position(|pending| pending.step == step) else { return };
        let Some(Pending { action, .. }) = self.pending.remove(at) else { return };
        match outcome {
            Outcome::Done => self.done(action),
            Outcome::Failed => self.failed(action),
            Outcome::Skipped => {}
        }
    }

    fn done(&mut self, action: Action<S>) {
        match action {
            Action::Parse { name, statement, .. } => {
                self.statements.insert(name, Held { statement, at_server: true });
            }
            Action::CloseStatement { name, whose } => self.statement_gone(&name, whose),
            Action::Bind { portal, statement: Some(statement) } if !self.lost_count => {
                let level = self.savepoints.len();
                self.portals.insert(portal, Portal { statement, level });
            }
            Action::Bind { portal: name, .. } | Action::ClosePortal { name } => {
                self.portals.remove(&name);
            }
            Action::Query(_, whose) => self.statement_gone(b"", whose),
            Action::Refused { .. } | Action::Run(_) | Action::End => {}
        }
    }

    fn failed(&mut self, action: Action<S>) {
        match action {
            Action::Parse { name, whose: Whose::Agent, .. } => self.statement_gone(&name, Whose::Agent),
            Action::Parse { name, .. } | Action::Refused { name } if name.is_empty() => {
                self.statements.remove(&name);
            }
            Action::Query(_, whose) => self.statement_gone(b"", whose),
            _ => {}
        }
    }

    /// A statement is gone from the server; what the client did, it has no claim on any more.
    fn statement_gone(&mut self, name: &[u8], whose: Whose) {
        match whose {
            Whose::Client => {
                self.statements.remove(name);
                self.prepared.remove(name);
            }
            Whose::Agent => {
                if let Some(held) = self.statements.get_mut(name) {
                    held.at_server = false;
                }
            }
        }
    }

    fn apply(&mut self, effect: Effect, source: Option<S>) {
        match effect {
            Effect::None => {}
            Effect::Savepoint(name) if self.savepoints.len() < MOST_SAVEPOINTS => self.savepoints.push(name),
            Effect::Savepoint(_) => {
                self.portals.clear();
                self.lost_count = true;
            }
            Effect::Release(name) => {
                let at = self.savepoint(&name);
                for portal in self.portals.values_mut() {
                    portal.level = portal.level.min(at);
                }
                self.savepoints.truncate(at);
            }
            Effect::RollbackTo(name) => {
                let at = self.savepoint(&name);
                self.portals.retain(|_, portal| portal.level <= at);
                self.savepoints.truncate(at.saturating_add(1));
            }
            Effect::End => self.transaction_ended(),
            Effect::MayEnd | Effect::Close(None) => self.portals.clear(),
            Effect::Prepare(name) => {
                self.statements.remove(name.as_bytes());
                self.prepared.insert(name.into_bytes().into(), source);
            }
            Effect::Deallocate(Some(name)) => {
                self.statements.remove(name.as_bytes());
                self.prepared.remove(name.as_bytes());
            }
            Effect::Deallocate(None) => self.named_statements_gone(),
            Effect::Declare(name) | Effect::Close(Some(name)) => {
                self.portals.remove(name.as_bytes());
            }
            Effect::DiscardAll => {
                self.named_statements_gone();
                self.portals.clear();
            }
        }
    }

    /// The place of the youngest savepoint of that name.
    fn savepoint(&self, name: &str) -> usize {
        self.savepoints.iter().rposition(|open| open == name).unwrap_or(0)
    }

    fn named_statements_gone(&mut self) {
        self.statements.retain(|name, _| name.is_empty());
        self.prepared.clear();
    }

    /// The server is outside a transaction.
    pub(in crate::proxy) fn transaction_ended(&mut self) {
        self.portals.clear();
        self.savepoints.clear();
        self.lost_count = false;
    }

    /// The agent ran a simple query with nothing of the client's on its way.
    pub(in crate::proxy) fn unnamed_gone(&mut self) {
        self.statement_gone(b"", Whose::Agent);
        self.portals.remove(b"".as_slice());
    }
}
