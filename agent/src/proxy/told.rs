//! What the client is told about its policy: once about each table that looks different to it, with the statement
//! where a masked column is compared, and in place of errors that speak of views it does not know.

use super::checked::{Checked, report};
use super::core::Core;
use super::withhold::is_of_a_copy;
use daam_enforce::ServerError;
use daam_pgwire::{Report, sqlstate};

impl Core {
    /// Tells the client what the policy did to its statement: now, or (true) with the first reply to it.
    pub(super) fn notify(&mut self, text: &Checked) -> bool {
        let new = text.rewritten.activate.iter().any(|table| !self.rest.introduced.contains(table));
        let something = new || !text.rewritten.notices.is_empty();
        if something && self.pipeline.is_settled() {
            self.tell_notices(text);
            return false;
        }
        something
    }

    pub(super) fn tell_notices(&mut self, text: &Checked) {
        let tables = &text.rewritten.activate;
        let new = tables.iter().filter(|table| !self.rest.introduced.contains(*table)).cloned().collect();
        let plan = &self.policy.plan;
        let introduction = plan.introduction(&new).map(|told| {
            let hint =
                "comparisons, ordering and grouping use what you see; this is said once for each table";
            Report::notice(&told).detail(plan.named_policies()).hint(hint.to_owned())
        });
        self.rest.introduced.extend(new);
        if !self.path.hears_notices() {
            return;
        }
        let others = text.rewritten.notices.iter().map(|notice| Report::notice(notice));
        for notice in introduction.into_iter().chain(others).collect::<Vec<_>>() {
            self.tell_client(&notice.to_notice());
        }
    }

    /// A refusal says whose policies those are.
    pub(super) fn with_policies(&self, report: Report) -> Report {
        if report.code() != sqlstate::INSUFFICIENT_PRIVILEGE || report.get(b'D').is_some() {
            return report;
        }
        report.detail(self.policy.plan.named_policies())
    }

    /// The policy's own words for an error of the server about a view of the session.
    pub(super) fn told(&self, error: &Report) -> Option<Report> {
        let field = |name| error.get(name).and_then(|value| std::str::from_utf8(value).ok());
        let text = error.text();
        let error =
            ServerError { sqlstate: error.code(), message: &text, table: field(b't'), column: field(b'c') };
        let refusal = daam_enforce::told::told(&self.policy.plan, &error)?;
        let mut told = report(&refusal);
        for (name, value) in [(b't', error.table), (b'c', error.column)] {
            if let Some(value) = value.filter(|_| error.column.is_some()) {
                told.set(name, value.as_bytes().to_vec());
            }
        }
        Some(told)
    }

    /// Puts the names the client knows in an error of its own statement; says whether any were needed.
    pub(super) fn clarify(&self, report: &mut Report) -> bool {
        let mut changed = false;
        let text = report.text();
        if report.code() == sqlstate::UNDEFINED_TABLE && text.contains("\"pg_temp.") {
            report.set(b'M', text.replace("\"pg_temp.", "\"").into_bytes());
            changed = true;
        }
        let lines: Vec<&[u8]> = report.get(b'W').unwrap_or_default().split(|byte| *byte == b'\n').collect();
        let kept: Vec<&[u8]> = lines.iter().copied().filter(|line| !is_of_a_copy(line)).collect();
        if kept.len() < lines.len() {
            let context = kept.join(&b'\n');
            report.set(b'W', context);
            changed = true;
        }
        for field in *b"MDHW" {
            let value = report.get(field).and_then(|value| std::str::from_utf8(value).ok());
            if let Some(renamed) = value.and_then(|text| daam_enforce::renamed(&self.policy.plan, text)) {
                report.set(field, renamed.into_bytes());
                changed = true;
            }
        }
        changed
    }
}
