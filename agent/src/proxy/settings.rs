//! Settings a session may not have: those that would make the agent and the server read the same text differently.
//!
//! An encoding in which a byte of a character can be a backslash or a quote, and backslash escapes in ordinary string
//! constants, are refused at start-up, in statements, and, should they come about in any other way, by ending the
//! session when the server reports them.

use daam_pgwire::startup::StartupParameters;
use daam_pgwire::{Report, sqlstate};

/// Encodings whose characters contain ASCII bytes (and GB18030), spelt without punctuation.
const UNSAFE_ENCODINGS: [&str; 15] = [
    "sjis",
    "shiftjis",
    "shiftjis2004",
    "mskanji",
    "win932",
    "windows932",
    "big5",
    "win950",
    "windows950",
    "gbk",
    "win936",
    "windows936",
    "uhc",
    "gb18030",
    "johab",
];
/// Aliases of UHC.
const UNSAFE_ALIASES: [&str; 2] = ["win949", "windows949"];

/// Start-up parameters that are not settings of the session.
const NOT_SETTINGS: [&str; 4] = ["user", "database", "options", "replication"];

/// Settings that would make the session somebody else.
const IDENTITY: [&str; 3] = ["role", "session_authorization", "is_superuser"];

/// The settings to log in upstream with, from what the client asked for.
pub(super) fn of_startup(asked: &StartupParameters) -> Result<Vec<(String, String)>, Box<Report>> {
    if asked.get("replication").is_some_and(|value| !matches!(value, "false" | "off" | "no" | "0")) {
        return Err(
            fatal(sqlstate::FEATURE_NOT_SUPPORTED, "replication connections are not possible here").into()
        );
    }
    let options = asked
        .option_settings()
        .map_err(|error| Box::new(fatal(sqlstate::FEATURE_NOT_SUPPORTED, &error.to_string())))?;
    // As in PostgreSQL, parameters of the packet come after `options` and win.
    let named = asked
        .parameters
        .iter()
        .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()) && !name.starts_with("_pq_."));
    let settings: Vec<_> = options.into_iter().chain(named.cloned()).collect();
    for (name, value) in &settings {
        let name = name.to_ascii_lowercase();
        if IDENTITY.contains(&name.as_str()) {
            let text = format!(
                "the setting `{name}` cannot be given at start-up: the policy decides who a session is"
            );
            return Err(fatal(sqlstate::INSUFFICIENT_PRIVILEGE, &text).into());
        }
        refuse_value(&name, value).map_err(|text| Box::new(fatal(sqlstate::FEATURE_NOT_SUPPORTED, &text)))?;
    }
    Ok(settings)
}

/// Why a session cannot go on with what the server reports.
pub(super) fn refuse_reported(name: &str, value: &str) -> Result<(), Box<Report>> {
    refuse_value(name, value).map_err(|text| {
        let report = Report::fatal(sqlstate::FEATURE_NOT_SUPPORTED, &text);
        Box::new(report.detail(
            "The agent reads statements before the server does, and both must read them alike.".to_owned(),
        ))
    })
}

fn refuse_value(name: &str, value: &str) -> Result<(), String> {
    match name {
        "client_encoding" if is_unsafe_encoding(value) => {
            Err(format!("client_encoding `{value}` is not supported; use UTF8"))
        }
        "standard_conforming_strings" if is_false(value) => {
            Err("standard_conforming_strings cannot be off; write E'…' for strings with backslashes"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses the statements that would set such a value, as far as their text shows it.
pub(super) fn refuse_statement(text: &str) -> Result<(), Box<Report>> {
    if !mentions(text) {
        return Ok(());
    }
    let words: Vec<String> = words(text);
    let has = |word: &str| words.iter().any(|other| other == word);
    let encoding = has("client_encoding") || (has("set") && has("names"));
    if let Some(word) = words.iter().find(|word| encoding && is_unsafe_encoding(word)) {
        return Err(error(&format!("client_encoding `{word}` is not supported; use UTF8")).into());
    }
    if has("standard_conforming_strings") && words.iter().any(|word| is_false(word)) {
        return Err(error(
            "standard_conforming_strings cannot be off; write E'…' for strings with backslashes",
        )
        .into());
    }
    Ok(())
}

/// A cheap look: most statements mention none of it.
fn mentions(text: &str) -> bool {
    ["client_encoding", "names", "standard_conforming_strings"]
        .iter()
        .any(|word| contains_ignoring_case(text.as_bytes(), word.as_bytes()))
}

pub(super) fn contains_ignoring_case(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first().map(u8::to_ascii_lowercase) else { return true };
    let mut begins = text.iter().enumerate().filter(|(_, byte)| byte.to_ascii_lowercase() == first);
    begins.any(|(at, _)| {
        text.get(at..)
            .and_then(|rest| rest.get(..word.len()))
            .is_some_and(|part| part.eq_ignore_ascii_case(word))
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

fn is_unsafe_encoding(value: &str) -> bool {
    let plain: String =
        value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    UNSAFE_ENCODINGS.contains(&plain.as_str()) || UNSAFE_ALIASES.contains(&plain.as_str())
}

fn is_false(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "off" | "of" | "false" | "fals" | "fal" | "fa" | "f" | "no" | "n" | "0"
    )
}

fn fatal(code: &str, text: &str) -> Report {
    Report::fatal(code, text)
}

fn error(text: &str) -> Report {
    Report::error(sqlstate::FEATURE_NOT_SUPPORTED, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(parameters: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        let parameters =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        of_startup(&StartupParameters { minor: 0, parameters }).map_err(|report| report.text())
    }

    #[test]
    fn ordinary_parameters_pass_and_options_come_first() {
        let settings = startup(&[
            ("user", "x"),
            ("database", "shop"),
            ("application_name", "psql"),
            ("options", "-c search_path=a,b --DateStyle=ISO"),
        ]);
        let expected = [("search_path", "a,b"), ("DateStyle", "ISO"), ("application_name", "psql")];
        assert_eq!(settings.unwrap(), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn what_changes_identity_or_reading_is_refused_at_start_up() {
        let refused = |name, value| startup(&[("user", "x"), (name, value)]).unwrap_err();
        assert!(refused("replication", "database").contains("replication"));
        assert!(refused("options", "-c role=postgres").contains("`role`"));
        assert!(refused("options", "--session-authorization=postgres").contains("session_authorization"));
        assert!(refused("ROLE", "postgres").contains("`role`"));
        assert!(refused("client_encoding", "Shift_JIS").contains("Shift_JIS"));
        assert!(refused("options", "-cstandard_conforming_strings=off").contains("standard_conforming"));
    }

    #[test]
    fn statements_that_change_how_text_is_read_are_refused() {
        let refused = |text| refuse_statement(text).is_err();
        assert!(refused("SET client_encoding TO 'SJIS'"));
        assert!(refused("set names 'big5'"));
        assert!(refused("select set_config('standard_conforming_strings', 'off', false)"));
        assert!(!refused("SET client_encoding = 'LATIN1'"));
        assert!(!refused("SELECT first_names FROM users"));
        assert!(!refused("SHOW standard_conforming_strings"));
        assert!(!refused("BEGIN READ WRITE"));
    }
}
