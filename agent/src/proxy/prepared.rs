//! What SQL's `PREPARE` made, under the policy and the search path now in force.
//!
//! PostgreSQL looks the names in such a statement up again when the search path has changed, and asks nobody whether a
//! policy still grants what everybody may read. So before anything may run one, each is read again as the client wrote
//! it: prepared anew if it now means something else, taken away if it is refused, with the refusal kept for whoever
//! runs it all the same.

use super::checked::Checked;
use super::core::{Core, MOST_STATEMENT_BYTES, MOST_STATEMENTS};
use super::statement::Statement;
use bytes::Bytes;
use daam_catalog::Identifier;
use daam_enforce::Effect;
use daam_pgwire::{Report, sqlstate};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a statement is not there any more.
pub(super) type Withdrawn = BTreeMap<String, Report>;

impl Core {
    /// What would have to be read again if this text has run.
    pub(super) fn source(&self, text: &Arc<Checked>) -> Option<Arc<Statement>> {
        prepares(text).then(|| self.meter.statement(Arc::clone(text), Bytes::new()))
    }

    /// Whether a text would prepare more than a session may hold.
    pub(super) fn prepares_too_much(&self, text: &Checked) -> Option<Report> {
        let full = || {
            if self.names.statements() >= MOST_STATEMENTS {
                return Some(format!("a session can hold at most {MOST_STATEMENTS} prepared statements"));
            }
            let most = MOST_STATEMENT_BYTES >> 20;
            (!self.has_bytes_for(text.original.len()))
                .then(|| format!("a session can hold at most {most} MiB of prepared statements"))
        };
        prepares(text).then(full).flatten().map(|text| {
            let hint = "forget some: `DEALLOCATE` or `DEALLOCATE ALL`".to_owned();
            Report::error(sqlstate::PROGRAM_LIMIT_EXCEEDED, &text).hint(hint)
        })
    }

    /// Whether something that SQL's PREPARE made was read under another policy or search path.
    pub(super) fn has_outdated(&self) -> bool {
        self.names.prepared().any(|(_, source)| !self.is_current(source))
    }

    fn is_current(&self, source: Option<&Arc<Statement>>) -> bool {
        source.is_some_and(|source| self.checker.is_current(&source.text))
    }

    /// Sees to it that whatever the client's next message runs of SQL's PREPARE is what it may run now.
    pub(super) fn renew_prepared(&mut self) {
        if !self.names.is_settled() || self.pipeline.skipping() {
            return;
        }
        let outdated: Vec<(Bytes, Option<Arc<Statement>>)> = self
            .names
            .prepared()
            .filter(|(_, source)| !self.is_current(*source))
            .map(|(name, source)| (name.clone(), source.cloned()))
            .collect();
        for (name, source) in outdated {
            self.renew_one(&name, source);
        }
    }

    fn renew_one(&mut self, name: &Bytes, source: Option<Arc<Statement>>) {
        let Some(name) = std::str::from_utf8(name).ok().map(str::to_owned) else { return };
        let Some(source) = source else { return };
        let checked = self.check(source.text.original.as_bytes());
        let same = checked.as_ref().ok().filter(|text| text.rewritten.sql == source.text.rewritten.sql);
        if let Some(text) = same {
            let read = self.meter.statement(Arc::clone(text), Bytes::new());
            return self.names.reread_prepared(name.as_bytes(), read);
        }
        let Ok(quoted) = Identifier::stored(&name).map(|name| name.quoted()) else { return };
        self.send_prepared(&format!("DEALLOCATE {quoted}"), Effect::Deallocate(Some(name.clone())), None);
        match checked {
            Ok(text) if text.rewritten.effects.len() > 1 => {
                self.rest.withdrawn.insert(name, together());
            }
            Ok(text) => {
                self.activate(&text.rewritten.activate.clone());
                let renewed = self.meter.statement(Arc::clone(&text), Bytes::new());
                self.send_prepared(&text.rewritten.sql, Effect::Prepare(name), Some(renewed));
            }
            Err(report) => {
                let report = self.with_policies(*report);
                self.rest.withdrawn.insert(name, report);
            }
        }
    }

    /// The refusal of a statement that is not there because of it.
    pub(super) fn withdrawn(&self, report: &Report) -> Option<Report> {
        if report.code() != sqlstate::INVALID_SQL_STATEMENT_NAME || self.rest.withdrawn.is_empty() {
            return None;
        }
        let text = report.text();
        let name = text.split('"').nth(1)?;
        let why = self.rest.withdrawn.get(name)?;
        let hint = "the access policy or the search path has changed since it was prepared; prepare it again";
        let told = format!("the prepared statement `{name}` is not there any more: {}", why.text());
        let told = Report::error(why.code(), &told).hint(hint.to_owned());
        Some(match why.get(b'D') {
            Some(detail) => told.detail(String::from_utf8_lossy(detail).into_owned()),
            None => told,
        })
    }
}

fn prepares(text: &Checked) -> bool {
    text.rewritten.effects.iter().any(|effect| matches!(effect, Effect::Prepare(_)))
}

/// The text would do again what stands beside the PREPARE.
fn together() -> Report {
    let text = "it was prepared together with other statements, and cannot be prepared again without them";
    Report::error(sqlstate::INVALID_SQL_STATEMENT_NAME, text)
}
