//! The environment, read as strictly as the file: a `DAAM_…` name that means nothing to anyone refuses the start, so a
//! setting that somebody believes to be in force is in force. The scope cannot be set here at all.

use daam_diagnostic::suggest::did_you_mean;
use std::ffi::OsString;

const PREFIX: &str = "DAAM_";

/// What the agent itself reads.
pub const OURS: [&str; 2] = ["DAAM_AGENT_CONFIG", "DAAM_LOG"];

/// What other programs of daam read. An agent that one of them starts inherits these, and does not look at them.
const OTHERS: [&str; 7] = [
    "DAAM_CONTROL_PLANE",
    "DAAM_DATABASE_URL",
    "DAAM_DSN",
    "DAAM_HOME",
    "DAAM_POSTGRES_BIN",
    "DAAM_POSTGRES_CACHE",
    "DAAM_TOKEN",
];

/// A variable that nothing reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown environment variable `{name}`; {help}")]
pub struct UnknownVariable {
    name: String,
    help: String,
}

/// Looks at the names of all variables.
pub fn check(names: impl IntoIterator<Item = OsString>) -> Result<(), UnknownVariable> {
    let mut names: Vec<String> = names
        .into_iter()
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)))
        .collect();
    names.sort();
    match names.into_iter().find(|name| !OURS.iter().chain(&OTHERS).any(|known| known == name)) {
        None => Ok(()),
        Some(name) => {
            let help = if name.to_ascii_uppercase().contains("SCOPE") {
                "the scope is set in the configuration file only, as `upstream.scope`".to_owned()
            } else {
                did_you_mean(&name, OURS).unwrap_or_else(|| format!("known: {}", OURS.join(", ")))
            };
            Err(UnknownVariable { name, help })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(names: &[&str]) -> String {
        check(names.iter().map(OsString::from)).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_name_of_ours_that_nothing_reads_is_refused_with_what_was_meant() {
        assert_eq!(said(&["PATH", "HOME", "DAAM_LOG", "DAAM_AGENT_CONFIG", "DAAM_HOME"]), "");
        let text = said(&["DAAM_LOG", "DAAM_AGENT_CONFG"]);
        assert!(text.contains("`DAAM_AGENT_CONFG`") && text.contains("`DAAM_AGENT_CONFIG`"), "{text}");
        assert!(said(&["daam_log"]).contains("`daam_log`"));
        for attempt in ["DAAM_SCOPE", "DAAM_SCOPES", "DAAM_UPSTREAM_SCOPE"] {
            assert!(said(&[attempt]).contains("`upstream.scope`"), "{attempt}");
        }
    }
}
