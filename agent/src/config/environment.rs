//! The environment, read as strictly as the file: a `DAAM_…` name that means nothing to anyone refuses the start, so a
//! setting that somebody believes to be in force is in force.
//!
//! A variable wins over the file, and the log says so. The scope is the exception: it is a boundary, so it stands in one
//! place, and two are refused.

use super::settings::{Kind, SCOPE, SETTINGS, Setting};
use super::tree::{self, Entry, Node, Value};
use super::{ConfigError, Fault};
use daam_diagnostic::suggest::did_you_mean;
use std::ffi::OsString;
use std::path::Path;

const PREFIX: &str = "DAAM_";

/// What the agent reads besides the settings: the file's name and the log's filter.
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

/// The settings that variables make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    given: Vec<(&'static str, OsString)>,
}

/// A setting that came from a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromVariable {
    /// The setting.
    pub key: &'static str,
    /// The variable.
    pub variable: &'static str,
    /// Whether the file says something else.
    pub overrides: bool,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Result<Self, ConfigError> {
        Self::read(std::env::vars_os()).map_err(ConfigError::Environment)
    }

    /// Takes the settings; refuses names of ours that nothing reads.
    pub fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, UnknownVariable> {
        let mut given = Vec::new();
        let mut unknown = Vec::new();
        for (name, value) in variables {
            let name = name.to_string_lossy();
            if !name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
                continue;
            }
            match SETTINGS.iter().find(|setting| setting.variable == name) {
                Some(setting) => given.push((setting.variable, value)),
                None if OURS.iter().chain(&OTHERS).any(|known| *known == name) => {}
                None => unknown.push(name.into_owned()),
            }
        }
        unknown.sort();
        given.sort();
        match unknown.into_iter().next() {
            None => Ok(Self { given }),
            Some(name) => Err(UnknownVariable { help: meant(&name), name }),
        }
    }

    /// Whether no variable says anything about the configuration.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Puts the variables into the file's tree, and says which.
    pub(super) fn apply(
        &self,
        root: &mut Node,
        file: Option<&Path>,
        faults: &mut Vec<Fault>,
    ) -> Vec<FromVariable> {
        let mut used = Vec::new();
        for (variable, value) in &self.given {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.variable == *variable) else {
                continue;
            };
            match node(setting, value) {
                Ok(node) => used.extend(place(setting, node, root, file, faults)),
                Err(message) => faults.push(Fault { line: 0, column: 0, variable: Some(variable), message }),
            }
        }
        used
    }
}

fn meant(name: &str) -> String {
    if name.to_ascii_uppercase().contains("SCOPE") {
        return "the scope is `upstream.scope` in the file, or the variable `DAAM_UPSTREAM_SCOPE`".to_owned();
    }
    let known: Vec<&str> =
        OURS.iter().copied().chain(SETTINGS.iter().map(|setting| setting.variable)).collect();
    did_you_mean(name, known.iter().copied()).unwrap_or_else(|| format!("known: {}", known.join(", ")))
}

/// The value as the file's tree has it.
fn node(setting: &Setting, value: &OsString) -> Result<Node, String> {
    let text = value.to_str().ok_or("its value is not UTF-8")?;
    if text.trim().is_empty() {
        return Err(match setting.kind {
            Kind::Patterns => {
                "it has no value; write `[]` to deny everything, or unset it to allow everything"
            }
            Kind::Addresses => "it has no value; write `[]` for none, or unset it",
            _ => "it has no value; unset it if nothing is meant",
        }
        .to_owned());
    }
    match setting.kind {
        Kind::Patterns | Kind::Addresses => {
            let mut node = tree::parse(text).map_err(|fault| fault.message)?;
            if !matches!(node.value, Value::List(_)) {
                return Err(format!("it must be a list in brackets such as `{}`", setting.example));
            }
            mark(&mut node, setting.variable);
            Ok(node)
        }
        Kind::Path if !Path::new(text).is_absolute() => Err(format!(
            "`{text}` is a relative path; a variable takes an absolute one, because it stands in no directory"
        )),
        kind => Ok(scalar(setting.variable, text, kind == Kind::Flag)),
    }
}

fn scalar(variable: &'static str, text: &str, plain: bool) -> Node {
    let value = Value::Scalar { text: text.to_owned(), plain };
    Node { line: 0, column: 0, variable: Some(variable), value }
}

fn mark(node: &mut Node, variable: &'static str) {
    node.variable = Some(variable);
    if let Value::List(items) = &mut node.value {
        for item in items {
            mark(item, variable);
        }
    }
}

fn place(
    setting: &Setting,
    node: Node,
    root: &mut Node,
    file: Option<&Path>,
    faults: &mut Vec<Fault>,
) -> Option<FromVariable> {
    let (section, key) = setting.parts();
    let empty = |node: &Node| Node { value: Value::Map(Vec::new()), ..node.clone() };
    // What is no mapping is refused when the file is read.
    let Value::Map(sections) = &mut root.value else { return None };
    if !sections.iter().any(|entry| entry.key == section) {
        sections.push(Entry { key: section.to_owned(), line: 0, column: 0, value: empty(&node) });
    }
    let entry = sections.iter_mut().find(|entry| entry.key == section)?;
    let Value::Map(entries) = &mut entry.value.value else { return None };
    let mut used = FromVariable { key: setting.key, variable: setting.variable, overrides: false };
    match entries.iter_mut().find(|entry| entry.key == key) {
        None => entries.push(Entry { key: key.to_owned(), line: 0, column: 0, value: node }),
        Some(present) if setting.key == SCOPE => {
            let file = file.map(|file| file.display().to_string()).unwrap_or_default();
            faults.push(node.fault(format!(
                "`{SCOPE}` stands in the file as well ({file}:{}:{}); a boundary has one place, so remove one of the two",
                present.line, present.column
            )));
        }
        Some(present) => {
            used.overrides = present.value.rendered() != node.rendered();
            present.value = node;
        }
    }
    Some(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use daam_catalog::Scope;

    fn of(variables: &[(&str, &str)]) -> Environment {
        let owned = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Environment::read(owned).unwrap()
    }

    fn said(names: &[&str]) -> String {
        let variables = names.iter().map(|name| (OsString::from(name), OsString::from("x")));
        Environment::read(variables).map_or_else(|error| error.to_string(), |_| String::new())
    }

    fn combined(file: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let path = Path::new("/etc/daam-agent/config.yaml");
        Config::combine(Some((file, path)), &of(variables)).map_err(|error| error.to_string())
    }

    const FILE: &str = "upstream: { dsn_file: dsn }\n";

    #[test]
    fn a_name_of_ours_that_nothing_reads_is_refused_with_what_was_meant() {
        assert_eq!(said(&["PATH", "HOME", "DAAM_LOG", "DAAM_AGENT_CONFIG", "DAAM_HOME"]), "");
        let text = said(&["DAAM_LOG", "DAAM_AGENT_CONFG"]);
        assert!(text.contains("`DAAM_AGENT_CONFG`") && text.contains("`DAAM_AGENT_CONFIG`"), "{text}");
        let text = said(&["DAAM_AUDIT_MAXSIZE"]);
        assert!(text.contains("`DAAM_AUDIT_MAX_SIZE`"), "{text}");
        assert!(said(&["daam_log"]).contains("`daam_log`"));
        for attempt in ["DAAM_SCOPE", "DAAM_SCOPES", "DAAM_UPSTREAM_SCOPES"] {
            assert!(said(&[attempt]).contains("`DAAM_UPSTREAM_SCOPE`"), "{attempt}");
        }
    }

    #[test]
    fn an_unset_empty_and_listed_scope_variable_are_three_things() {
        assert_eq!(combined(FILE, &[]).unwrap().upstream.scope, Scope::Absent);
        let scope = |value: &str| combined(FILE, &[("DAAM_UPSTREAM_SCOPE", value)]);
        assert_eq!(scope("[]").unwrap().upstream.scope, Scope::Patterns(Vec::new()));
        let listed = scope("[public.users, 'analytics.*']").unwrap().upstream;
        assert_eq!(listed.patterns, ["public.users", "analytics.*"]);
        assert_eq!(listed.scope.patterns().len(), 2);
    }

    #[test]
    fn a_scope_variable_that_is_no_list_of_patterns_is_refused_by_name() {
        for (value, expected) in [
            ("", "write `[]` to deny everything"),
            ("  ", "write `[]` to deny everything"),
            ("public.users", "must be a list in brackets"),
            ("public.users,public.orders", "must be a list in brackets"),
            ("null", "must be a list in brackets"),
            ("{public: users}", "must be a list in brackets"),
            ("[public.users", "this is not YAML"),
            ("['!public.users']", "is a negation"),
            ("[users]", "`schema.table`"),
            ("[1]", "must be a text, found a number"),
            ("[*.users]", "needs quotes, such as `\"*.users\"`"),
        ] {
            let refused = combined(FILE, &[("DAAM_UPSTREAM_SCOPE", value)]).unwrap_err();
            assert!(refused.starts_with("DAAM_UPSTREAM_SCOPE: "), "{value}: {refused}");
            assert!(refused.contains(expected), "{value}: {refused}");
        }
    }

    #[test]
    fn a_scope_in_the_file_and_in_a_variable_is_refused_even_if_both_say_the_same() {
        let file = "upstream:\n  dsn_file: dsn\n  scope: [public.users]\n";
        for value in ["[public.users]", "[]"] {
            let refused = combined(file, &[("DAAM_UPSTREAM_SCOPE", value)]).unwrap_err();
            assert!(refused.starts_with("DAAM_UPSTREAM_SCOPE: "), "{refused}");
            assert!(refused.contains("/etc/daam-agent/config.yaml:3:3"), "{refused}");
        }
    }

    #[test]
    fn a_variable_wins_over_the_file_and_is_known_to_have_done_so() {
        let file = "upstream: { dsn_file: dsn }\nviews: { linger: 2s }\n";
        let config = combined(file, &[("DAAM_VIEWS_LINGER", "9s"), ("DAAM_AUDIT_KEEP", "3")]).unwrap();
        assert_eq!(config.linger, std::time::Duration::from_secs(9));
        assert_eq!(config.audit.settings.keep, 3);
        let told: Vec<_> = config.variables.iter().map(|used| (used.key, used.overrides)).collect();
        assert_eq!(told, [("audit.keep", false), ("views.linger", true)]);
    }

    #[test]
    fn a_value_that_is_not_accepted_names_its_variable() {
        for (variable, value, expected) in [
            ("DAAM_VIEWS_LINGER", "soon", "must be a duration"),
            ("DAAM_AUDIT_LITERALS", "yes", "must be `true` or `false`"),
            ("DAAM_AUDIT_KEEP", "1", "a number of files"),
            ("DAAM_AUDIT_STATEMENTS", "some", "one of `none`, `refused`, `all`"),
            ("DAAM_AUDIT_PATH", "log", "takes an absolute one"),
            ("DAAM_UPSTREAM_DSN_FILE", "", "it has no value"),
            ("DAAM_AGENT_LISTEN", "6432", "expected an address"),
            ("DAAM_AGENT_ADVERTISE", "[nowhere]", "expected `host:port`"),
            ("DAAM_CONTROL_PLANE_URL", "http://daam.example", "expected `https://"),
        ] {
            let refused = combined(FILE, &[(variable, value)]).unwrap_err();
            let line = refused.lines().find(|line| line.contains(expected));
            assert!(line.is_some_and(|line| line.starts_with(&format!("{variable}: "))), "{refused}");
        }
    }

    #[test]
    fn variables_alone_are_a_configuration() {
        let environment = of(&[("DAAM_UPSTREAM_DSN_FILE", "/run/dsn"), ("DAAM_UPSTREAM_SCOPE", "[]")]);
        let config = Config::combine(None, &environment).unwrap();
        assert_eq!(config.upstream.dsn_file, Path::new("/run/dsn"));
        assert_eq!(config.path, None);
        let missing = Config::combine(None, &of(&[("DAAM_AGENT_NAME", "a")])).unwrap_err().to_string();
        assert!(
            missing.contains("DAAM_AGENT_LISTEN") && missing.contains("`upstream` is missing"),
            "{missing}"
        );
    }
}
