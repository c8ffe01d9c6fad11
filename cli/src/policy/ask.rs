//! Questions about people and relations, as several commands take them.

use super::report::format_and_path;
use crate::error::{CliError, Doing as _};
use crate::output;
use clap::{Args, ValueEnum};
use daam_catalog::{ColumnPattern, Identifier, RelationName, RelationPattern};
use daam_compiler::CompiledDatabase;
use daam_compiler::effects::Condition;
use daam_model::{AttributeValue, Origin, Subject};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

/// How something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// Always.
    Standing,
    /// After a request.
    Request,
}

impl Via {
    /// Whether a condition is of that kind.
    pub fn admits(self, condition: &Condition) -> bool {
        (self == Self::Standing) == (*condition == Condition::Standing)
    }
}

/// How an answer is reported.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// `text` or `json`, each with `=PATH` to write a file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<AnswerReport>,
}

#[derive(Debug, Clone)]
struct AnswerReport {
    json: bool,
    path: Option<PathBuf>,
}

impl FromStr for AnswerReport {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = format_and_path(written)?;
        match name {
            "text" => Ok(Self { json: false, path }),
            "json" => Ok(Self { json: true, path }),
            other => Err(format!("`{other}` is not a format of answers; there are text and json")),
        }
    }
}

impl AnswerArgs {
    /// Writes every report.
    pub fn write(&self, text: &str, answer: &Value) -> Result<(), CliError> {
        for report in &self.reports {
            let rendered = if report.json { format!("{answer}\n") } else { text.to_owned() };
            match &report.path {
                None => output::text_out(&rendered),
                Some(path) => std::fs::write(path, rendered)
                    .doing(format_args!("write the report `{}`", path.display()))?,
            }
        }
        Ok(())
    }
}

/// Places of clauses, for machines.
pub fn clauses<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> Value {
    let origins = origins.into_iter().filter(|origin| !origin.file.is_empty());
    origins.map(|origin| json!({ "file": origin.file, "line": origin.line })).collect()
}

/// Places of clauses, for people.
pub fn places<'a>(origins: impl IntoIterator<Item = &'a Origin>) -> String {
    let origins = origins.into_iter().filter(|origin| !origin.file.is_empty());
    origins.fold(String::new(), |text, origin| text + &format!("  ({origin})"))
}

/// A person.
#[derive(Debug, Args)]
pub struct PersonArgs {
    /// The person's e-mail address.
    #[arg(long = "as", visible_alias = "email", value_name = "EMAIL", default_value = "")]
    pub email: String,
    /// The person's groups.
    #[arg(long, value_delimiter = ',')]
    pub groups: Vec<String>,
    /// An attribute, `name=value`; may be given several times.
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    pub attributes: Vec<String>,
}

impl PersonArgs {
    /// The person, with attributes of the declared types.
    pub fn subject(&self, database: &CompiledDatabase) -> Result<Subject, CliError> {
        let mut subject = Subject::new("", &self.email).in_groups(self.groups.iter().cloned());
        for text in &self.attributes {
            let Some((name, value)) = text.split_once('=') else {
                let error = CliError::usage(format!("`{text}` is not an attribute"));
                return Err(error.remedy("write `name=value`"));
            };
            let Some(kind) = database.policies.attributes.get(name) else {
                let message = format!("the attribute `{name}` is not declared in `daam.yaml`");
                return Err(CliError::usage(message));
            };
            let value = AttributeValue::from_text(*kind, value).map_err(|error| {
                CliError::usage(format!("the attribute `{name}` cannot be used")).because(error)
            })?;
            subject = subject.with_attribute(name, value);
        }
        Ok(subject)
    }
}

/// The named database, or the only one.
pub fn database<'a>(
    name: Option<&str>,
    databases: &'a BTreeMap<String, CompiledDatabase>,
) -> Result<&'a CompiledDatabase, CliError> {
    let names: Vec<&str> = databases.keys().map(String::as_str).collect();
    let chosen = match (name, names.as_slice()) {
        (Some(name), _) => databases.get(name),
        (None, [only]) => databases.get(*only),
        (None, _) => None,
    };
    chosen.ok_or_else(|| {
        CliError::usage("name one database of the project")
            .remedy(format!("`--database` is one of {}", names.join(", ")))
    })
}

/// `schema.table`.
pub fn relation(text: &str) -> Result<RelationName, CliError> {
    RelationPattern::parse(text).ok().and_then(|pattern| pattern.literal()).ok_or_else(|| {
        CliError::usage(format!("`{text}` is not the name of a relation")).remedy("write `schema.table`")
    })
}

/// `schema.table` or `schema.table.column`, which has to exist: a misspelt name must not look like no access.
pub fn target(
    text: &str,
    database: &CompiledDatabase,
) -> Result<(RelationName, Option<Identifier>), CliError> {
    let (name, column) = match ColumnPattern::parse(text) {
        Ok(pattern) => {
            let column = pattern.literal_column().and_then(|name| Identifier::stored(name).ok());
            (pattern.relation().literal(), column)
        }
        Err(_) => (Some(relation(text)?), None),
    };
    let wrong = |message: String| {
        Err(CliError::usage(message).remedy("write `schema.table` or `schema.table.column`"))
    };
    let Some(name) = name else { return wrong(format!("`{text}` does not name one relation")) };
    let Some(known) = database.catalog.relation(&name) else {
        return wrong(format!("there is no relation `{name}` in the schema lock"));
    };
    match column {
        Some(column) if known.column(&column).is_none() => {
            wrong(format!("`{name}` has no column `{column}`"))
        }
        column => Ok((name, column)),
    }
}
