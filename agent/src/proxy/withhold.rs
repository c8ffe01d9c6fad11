//! What triggers and functions of the database say about rows the session may not see as they are.
//!
//! A trigger runs with the stored row at hand and may print it. While a protected table may be written, notices and
//! the errors of functions are replaced by a word that something was withheld; the SQLSTATE stays.

use daam_pgwire::Report;

/// The replacement of a notice.
const NOTICE: &str =
    "what a trigger or function said was withheld: it may show values that are masked or hidden from you";
/// The replacement of an error's message.
const ERROR: &str = "a trigger or function failed; its message is withheld, because it may show values that are masked \
                     or hidden from you";

/// Whether a transaction may have written a protected table.
#[derive(Debug, Default)]
pub(super) struct Withhold {
    writing: bool,
    told: bool,
}

impl Withhold {
    /// A statement that may write is sent.
    pub(super) fn begin(&mut self) {
        self.writing = true;
    }

    /// The transaction is over and nothing is in flight.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// What to send in place of a notice; `nested`: a function may have written behind the statement's text.
    pub(super) fn notice(&mut self, notice: &Report, nested: bool) -> Verdict {
        if !(self.writing || (nested && is_nested(notice))) {
            return Verdict::Pass;
        }
        if std::mem::replace(&mut self.told, true) {
            return Verdict::Drop;
        }
        Verdict::Replace(Box::new(Report::notice(NOTICE)))
    }

    /// What to send in place of an error.
    pub(super) fn error(&self, error: &Report, nested: bool) -> Option<Report> {
        let hidden = (self.writing && is_of_a_function(error)) || (nested && is_nested(error));
        let told = if is_about_names(error) { error.text() } else { ERROR.to_owned() };
        hidden.then(|| Report::error(error.code(), &told))
    }
}

/// What happens to a notice.
#[derive(Debug)]
pub(super) enum Verdict {
    Pass,
    Drop,
    Replace(Box<Report>),
}

fn context(report: &Report) -> &[u8] {
    report.get(b'W').unwrap_or_default()
}

/// How lines begin that only say where the client's own data is bad.
const PLACES: [&[u8]; 4] = [b"JSON", b"COPY ", b"unnamed portal ", b"portal "];

/// A line about the trigger that copies rows into a protected table: it raises nothing itself.
pub(super) fn is_of_a_copy(line: &[u8]) -> bool {
    let function = line.starts_with(b"PL/pgSQL function pg_temp")
        && line.windows(4).any(|part| part == b".\"c:")
        && line.ends_with(b" at SQL statement");
    let insert = line.starts_with(b"SQL statement \"INSERT INTO \"pg_temp\".\"");
    function || insert
}

/// A function or an SQL statement of one was running.
fn is_of_a_function(report: &Report) -> bool {
    let context = context(report);
    let is_place = |line: &[u8]| PLACES.iter().any(|place| line.starts_with(place)) || is_of_a_copy(line);
    !context.is_empty() && !context.split(|byte| *byte == b'\n').all(is_place)
}

/// It comes from something the client's own function or block set off, now or at the end of the transaction.
fn is_nested(report: &Report) -> bool {
    let context = context(report);
    let own = [&b" inline_code_block "[..], b" pg_temp"]
        .iter()
        .any(|name| context.windows(name.len()).any(|part| part == *name));
    is_of_a_function(report) && (!own || context.contains(&b'\n'))
}

/// The server itself says that something is not permitted or not there: its message has names, no values. What a
/// function raises comes from other places of the source, whatever SQLSTATE it gives.
fn is_about_names(report: &Report) -> bool {
    let server = [&b"aclchk.c"[..], b"parse_relation.c", b"parse_func.c", b"namespace.c"];
    matches!(report.code(), "42501" | "42P01" | "42703" | "42883")
        && report.get(b'F').is_some_and(|file| server.contains(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(context: &str) -> Report {
        let mut report = Report::error("P0001", "row (1,jane@example.com)");
        if !context.is_empty() {
            report.set(b'W', context.as_bytes().to_vec());
        }
        report
    }

    #[test]
    fn an_error_is_hidden_only_where_a_function_wrote() {
        let own = said("PL/pgSQL function inline_code_block line 1 at RAISE");
        let trigger = said("PL/pgSQL function t() line 1 at RAISE");
        let nested = said("PL/pgSQL function t() line 1 at RAISE\nSQL statement \"UPDATE x\"");
        let mut withhold = Withhold::default();
        assert!(withhold.error(&own, true).is_none());
        assert!(withhold.error(&trigger, true).is_some());
        assert!(withhold.error(&trigger, false).is_none());
        assert!(withhold.error(&nested, false).is_none());
        assert_eq!(withhold.error(&nested, true).unwrap().code(), "P0001");
        withhold.begin();
        let hidden = withhold.error(&trigger, false).unwrap();
        assert!(!hidden.text().contains("jane") && hidden.code() == "P0001");
        assert!(withhold.error(&said(""), true).is_none());
        let own_data = said("JSON data, line 1: {x\nunnamed portal parameter $1 = '{x'");
        assert!(withhold.error(&own_data, true).is_none());
        assert!(withhold.error(&own, false).is_some());
        withhold.end();
        assert!(withhold.error(&own, true).is_none());
    }

    #[test]
    fn what_the_server_says_about_names_is_told_without_its_context() {
        let mut report = Report::error("42501", "permission denied for table users");
        report.set(b'W', b"SQL statement \"x\"\nPL/pgSQL function inline_code_block line 1".to_vec());
        let mut withhold = Withhold::default();
        withhold.begin();
        assert!(withhold.error(&report, true).unwrap().text().contains("withheld"));
        report.set(b'F', b"aclchk.c".to_vec());
        let told = withhold.error(&report, true).unwrap();
        assert!(told.text() == "permission denied for table users" && told.get(b'W').is_none());
        report.set(b'F', b"pl_exec.c".to_vec());
        assert!(withhold.error(&report, true).unwrap().text().contains("withheld"));
    }

    #[test]
    fn an_error_of_copied_data_is_told_and_one_of_a_trigger_is_not() {
        let copy = "SQL statement \"INSERT INTO \"pg_temp\".\"w:public.users\" (\"email\") VALUES (NEW.\"email\")\"\n\
            PL/pgSQL function pg_temp_3.\"c:public.users\"() line 1 at SQL statement\nCOPY c:public.users, line 1: \"x\"";
        let mut withhold = Withhold::default();
        withhold.begin();
        assert!(withhold.error(&said(copy), false).is_none());
        let trigger = format!("PL/pgSQL function talk() line 1 at RAISE\n{copy}");
        assert!(withhold.error(&said(&trigger), false).is_some());
    }

    #[test]
    fn notices_are_withheld_with_one_word() {
        let mut withhold = Withhold::default();
        assert!(matches!(withhold.notice(&said("a\nb"), false), Verdict::Pass));
        withhold.begin();
        assert!(matches!(withhold.notice(&said(""), false), Verdict::Replace(_)));
        assert!(matches!(withhold.notice(&said(""), false), Verdict::Drop));
    }
}
