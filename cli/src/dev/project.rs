//! The policy project on disk, as the sandbox needs it before and while it is compiled.
//!
//! The compiler reads the files strictly and reports what is wrong; the few facts that are needed to start the
//! agent (which database, which scope, where the lock would be) are taken from them here without judging.

use crate::error::{CliError, Doing as _};
use daam_compiler::PROJECT_FILE;
use daam_model::AttributeType;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const WRITE_SCOPE: &str = "write `scope: [schema.table, …]` in it";

/// What the sandbox needs to know to start the agent.
#[derive(Debug, Clone)]
pub struct ProjectFacts {
    /// The project's directory, absolute.
    pub dir: PathBuf,
    /// The database to serve.
    pub database: String,
    /// The declared scope; absent means everything.
    pub scope: Option<Vec<String>>,
}

/// Reads them; `wanted` names one of several databases.
pub fn facts(dir: &Path, wanted: Option<&str>) -> Result<ProjectFacts, CliError> {
    let dir = fs::canonicalize(dir).doing(format_args!("find the project `{}`", dir.display()))?;
    let project = yaml(&dir.join(PROJECT_FILE))?;
    let names: Vec<&str> = project
        .get("databases")
        .and_then(Value::as_mapping)
        .map(|databases| databases.keys().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let database = choose(&names, wanted)?.to_owned();
    let written = project.get("databases").and_then(|databases| databases.get(database.as_str()));
    let scope = written.and_then(|written| written.get("scope")).and_then(Value::as_str);
    let scope = scope.map(|path| scope_of(&dir.join(path), &database)).transpose()?;
    Ok(ProjectFacts { dir, database, scope })
}

/// The declared attributes and their types; unknown types are the compiler's to report.
pub fn attribute_types(dir: &Path) -> Result<BTreeMap<String, AttributeType>, CliError> {
    let project = yaml(&dir.join(PROJECT_FILE))?;
    let declared = project.get("attributes").and_then(Value::as_mapping);
    let types = declared.into_iter().flatten().filter_map(|(name, kind)| {
        let kind = match kind.as_str()? {
            "text" => AttributeType::Text,
            "uuid" => AttributeType::Uuid,
            "integer" => AttributeType::Integer,
            "boolean" => AttributeType::Boolean,
            _ => return None,
        };
        Some((name.as_str()?.to_owned(), kind))
    });
    Ok(types.collect())
}

/// Where the project says its schema lock is.
pub fn lock_dir(dir: &Path, database: &str) -> Result<String, CliError> {
    let project = yaml(&dir.join(PROJECT_FILE))?;
    let written = project.get("databases").and_then(|databases| databases.get(database));
    let lock = written.and_then(|written| written.get("lock")).and_then(Value::as_str);
    lock.map(|path| path.trim_start_matches("./").trim_end_matches('/').to_owned()).ok_or_else(|| {
        CliError::usage(format!("`daam.yaml` does not say where the schema lock of `{database}` is"))
            .remedy(format!("add `lock: schema/{database}`; the directory need not exist yet"))
    })
}

fn choose<'n>(names: &[&'n str], wanted: Option<&str>) -> Result<&'n str, CliError> {
    let list = || names.join("`, `");
    match (wanted, names) {
        (Some(wanted), _) => names.iter().find(|name| **name == wanted).copied().ok_or_else(|| {
            CliError::usage(format!("`daam.yaml` declares no database `{wanted}`"))
                .remedy(format!("it declares `{}`", list()))
        }),
        (None, [only]) => Ok(only),
        (None, []) => Err(CliError::usage("`daam.yaml` declares no database")
            .remedy("add one under `databases:`, for example `shop: { lock: schema/shop, policies: [policies/**/*.yaml] }`")),
        (None, _) => Err(CliError::usage(format!("`daam.yaml` declares several databases: `{}`", list()))
            .remedy("name one with --database")),
    }
}

fn scope_of(path: &Path, database: &str) -> Result<Vec<String>, CliError> {
    let missing =
        || CliError::usage(format!("`{}` has no scope for `{database}`", path.display())).remedy(WRITE_SCOPE);
    let document = yaml_documents(path)?
        .into_iter()
        .find(|document| document.get("database").and_then(Value::as_str) == Some(database))
        .ok_or_else(missing)?;
    let patterns = document.get("scope").and_then(Value::as_sequence).ok_or_else(missing)?;
    patterns.iter().map(|pattern| pattern.as_str().map(str::to_owned).ok_or_else(missing)).collect()
}

fn yaml(path: &Path) -> Result<Value, CliError> {
    let first = yaml_documents(path)?.into_iter().next();
    Ok(first.unwrap_or_default())
}

/// All documents of a file, without judging.
pub fn yaml_documents(path: &Path) -> Result<Vec<Value>, CliError> {
    use serde::Deserialize as _;
    let text = fs::read_to_string(path).map_err(|error| {
        CliError::usage(format!("could not read `{}`", path.display()))
            .because(error)
            .remedy("name the policy project with --project DIR; it is the directory that holds `daam.yaml`")
    })?;
    serde_yaml::Deserializer::from_str(&text)
        .map(Value::deserialize)
        .collect::<Result<_, _>>()
        .doing(format_args!("understand `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "kind: project\nattributes: { level: integer }\ndatabases:\n  shop: { lock: ./schema/shop/, scope: scope.yaml }\n";

    fn project(scope: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("daam.yaml"), PROJECT).unwrap();
        fs::write(dir.path().join("scope.yaml"), scope).unwrap();
        dir
    }

    #[test]
    fn the_facts_come_from_the_project_and_the_scope_file() {
        let dir = project("kind: scope\ndatabase: shop\nscope: [public.*]\n");
        let found = facts(dir.path(), None).unwrap();
        assert_eq!(found.database, "shop");
        assert_eq!(found.scope.as_deref(), Some(&["public.*".to_owned()][..]));
        assert_eq!(lock_dir(dir.path(), "shop").unwrap(), "schema/shop");
        assert_eq!(attribute_types(dir.path()).unwrap()["level"], AttributeType::Integer);
    }

    #[test]
    fn an_unreadable_scope_never_means_everything() {
        for scope in
            ["", "kind: scope\ndatabase: other\nscope: []\n", "kind: scope\ndatabase: shop\nscope: all\n"]
        {
            let dir = project(scope);
            assert!(facts(dir.path(), None).is_err(), "{scope}");
        }
        let empty = project("kind: scope\ndatabase: shop\nscope: []\n");
        assert_eq!(facts(empty.path(), None).unwrap().scope, Some(Vec::new()));
    }

    #[test]
    fn one_of_several_databases_has_to_be_named() {
        assert_eq!(choose(&["a"], None).unwrap(), "a");
        assert_eq!(choose(&["a", "b"], Some("b")).unwrap(), "b");
        assert!(choose(&["a", "b"], None).is_err());
        assert!(choose(&["a", "b"], Some("c")).unwrap_err().report().contains("`a`, `b`"));
        assert!(choose(&[], None).is_err());
    }
}
