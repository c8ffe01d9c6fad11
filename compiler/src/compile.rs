//! The whole way from files to checked policies: read, decode, look up, check, compare.
//!
//! Nothing stops at the first fault. Files are read in the order of their paths and policies sorted by name, so
//! the result depends on contents alone. Compiled databases exist only when there is no error at all: half a
//! project is never built.

use crate::check::{self, Database, People};
use crate::day::Day;
use crate::file_source::FileSource;
use crate::glob;
use crate::lint::{self, Owners, Waived};
use crate::load::{Documents, load};
use crate::resolve::scope_patterns;
use crate::rule;
use crate::scenario::{self, Scenario};
use crate::syntax::decode::Spanned;
use crate::syntax::project::{WrittenDatabase, WrittenProject};
use daam_catalog::{Catalog, Scope, lock};
use daam_diagnostic::{Applicability, Diagnostic, Severity, Sink, SourceMap, suggest};
use daam_model::PolicySet;
use std::collections::{BTreeMap, BTreeSet};

/// Everything there is to know about a project.
#[derive(Debug)]
pub struct Checked {
    /// The texts the findings point into.
    pub sources: SourceMap,
    /// All findings of all files, in stable order.
    pub diagnostics: Vec<Diagnostic>,
    /// Findings that a comment or a waiver silenced, in the same order.
    pub waived: Vec<Waived>,
    /// The compiled databases by name; empty as soon as one finding is an error.
    pub databases: BTreeMap<String, CompiledDatabase>,
    /// What there was to check.
    pub inputs: Inputs,
}

/// What there was to check: a run over nothing must not look like success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inputs {
    /// Files read.
    pub files: usize,
    /// Policy documents.
    pub policies: usize,
    /// Test cases.
    pub cases: usize,
}

/// One database, ready to be built.
#[derive(Debug, Clone)]
pub struct CompiledDatabase {
    /// Its policies.
    pub policies: PolicySet,
    /// Its schema, as locked.
    pub catalog: Catalog,
    /// What the agent serves of it.
    pub scope: Scope,
    /// Names the schema lock it was checked against.
    pub lock_fingerprint: String,
    /// Expectations about it.
    pub scenarios: Vec<Scenario>,
}

impl Checked {
    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    /// Whether a schema lock is missing, unreadable or edited: names were then not checked.
    pub fn lacks_lock(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|found| found.code == rule::LOCK_MISSING.code || found.code == rule::LOCK_INVALID.code)
    }
}

/// What a check needs to know besides the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// The day it is, for waivers and suppressions that end; without it none has ended.
    pub today: Option<Day>,
}

/// A project that is checked again and again, e.g. by an editor.
///
/// Every check gives what [`check()`] would give for the same files, whatever was checked before.
#[derive(Debug, Default)]
pub struct Workspace {
    options: Options,
}

impl Workspace {
    /// One that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Checks the project as it is now.
    pub fn check(&mut self, source: &dyn FileSource) -> Checked {
        check_once(source, self.options)
    }
}

/// Checks a project once.
pub fn check(source: &dyn FileSource) -> Checked {
    Workspace::default().check(source)
}

fn check_once(source: &dyn FileSource, options: Options) -> Checked {
    let mut sources = SourceMap::new();
    let mut sink = Sink::new();
    let documents = load(source, &mut sources, &mut sink);
    let mut inputs = Inputs {
        files: sources.len(),
        policies: documents.policies.len() + documents.ceilings.len(),
        cases: 0,
    };
    let project = &documents.project;
    undeclared(&documents, project, &mut sink);
    let people = people(&documents, &mut sink);
    let mut databases = BTreeMap::new();
    for (name, written) in &project.databases {
        let catalog = catalog(written, source, &mut sink);
        check::lock_age::lock_age(written, catalog.as_ref(), options.today, &mut sink);
        let scope = scope(written, &documents, &mut sink);
        let database = Database {
            name,
            sources: &sources,
            attributes: &project.attributes,
            scope: &scope,
            catalog: catalog.as_ref(),
            universe: std::sync::OnceLock::new(),
            people: &people,
            protected: written.protected,
            tested: !written.tests.is_empty(),
        };
        let policies = policies(&database, &documents, written, &people.defined, &mut sink);
        let ceilings = check::ceiling::ceilings(&database, &documents, &mut sink);
        let scenarios = scenario::resolve(&database, &documents.tests, &mut sink);
        inputs.cases += scenarios.len();
        let policies = PolicySet {
            database: name.clone(),
            attributes: project.attributes.clone(),
            groups: people.defined.clone(),
            policies,
            ceilings,
        };
        check::untested::untested(&documents.policies, &policies, &scenarios, &database, &mut sink);
        if let Some(catalog) = catalog {
            let lock_fingerprint = lock::fingerprint(&catalog);
            let compiled = CompiledDatabase { policies, catalog, scope, lock_fingerprint, scenarios };
            databases.insert(name.clone(), compiled);
        }
    }
    let settled = lint::settle(sink, &settings(&documents, options), &sources);
    if settled.diagnostics.iter().any(|found| found.severity == Severity::Error) {
        databases.clear();
    }
    Checked { sources, diagnostics: settled.diagnostics, waived: settled.waived, databases, inputs }
}

fn settings(documents: &Documents, options: Options) -> lint::Settings<'_> {
    let mut owners = Owners::default();
    for database in documents.project.databases.values() {
        owners.add(database.name.at, lint::Owner { policy: None, database: &database.name.value });
    }
    for policy in &documents.policies {
        let owner = lint::Owner { policy: Some(&policy.name.value), database: &policy.database.value };
        owners.add(policy.at, owner);
    }
    let suppressions = documents.suppressions.iter().collect();
    lint::Settings { project: &documents.project, suppressions, owners, today: options.today }
}

/// Groups of the repository, and those of the directory if it says which there are.
fn people(documents: &Documents, sink: &mut Sink) -> People {
    let mut directory: Option<BTreeMap<String, u64>> = None;
    for (name, count) in documents.directories.iter().flat_map(|document| &document.groups) {
        directory.get_or_insert_default().insert(name.value.clone(), *count);
    }
    People { defined: groups(documents, sink), directory }
}

fn policies(
    database: &Database<'_>,
    documents: &Documents,
    written: &WrittenDatabase,
    groups: &BTreeMap<String, BTreeSet<String>>,
    sink: &mut Sink,
) -> Vec<daam_model::Policy> {
    let mut checked: Vec<_> = documents
        .policies
        .iter()
        .filter(|written| written.database.value == database.name)
        .map(|written| check::policy::policy(written, database, sink))
        .collect();
    let key =
        |policy: &check::CheckedPolicy<'_>| (policy.name.value.clone(), policy.at.span, policy.at.source);
    checked.sort_by_key(key);
    check::project::compare(&checked, database, sink);
    check::family::bypassed(&checked, database, sink);
    check::sensitive::exposure(&checked, database, written, groups, sink);
    checked.into_iter().map(|checked| checked.policy).collect()
}

/// Documents for a database nobody declared.
fn undeclared(documents: &Documents, project: &WrittenProject, sink: &mut Sink) {
    let policies = documents.policies.iter().chain(&documents.ceilings).map(|policy| &policy.database);
    let scopes = documents.scopes.iter().map(|scope| &scope.database);
    let tests = documents.tests.iter().map(|test| &test.database);
    for text in policies.chain(scopes).chain(tests) {
        if !project.databases.contains_key(&text.value) {
            let message = format!("the database `{}` is not declared in `daam.yaml`", text.value);
            let mut diagnostic = rule::UNKNOWN_DATABASE.at(text.at, message);
            let names = project.databases.keys().map(String::as_str);
            if let Some(near) = suggest::nearest(&text.value, names) {
                diagnostic = diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .replace(Applicability::Unsafe, crate::syntax::scalar::quoted(near));
            }
            sink.push(diagnostic);
        }
    }
}

fn groups(documents: &Documents, sink: &mut Sink) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups: BTreeMap<String, (&Spanned<String>, BTreeSet<String>)> = BTreeMap::new();
    for group in &documents.groups {
        let name = &group.name;
        if let Some((earlier, _)) = groups.get(&name.value) {
            let message = format!("the group `{}` exists twice", name.value);
            sink.push(rule::DUPLICATE_POLICY_NAME.at(name.at, message).label(earlier.at, "also here"));
            continue;
        }
        if group.members.is_empty() {
            let message = format!("the group `{}` has no members", name.value);
            sink.push(rule::GRANT_WITHOUT_EFFECT.at(name.at, message));
        }
        let members = group.members.iter().map(|member| member.value.clone()).collect();
        groups.insert(name.value.clone(), (name, members));
    }
    groups.into_iter().map(|(name, (_, members))| (name, members)).collect()
}

fn catalog(written: &WrittenDatabase, source: &dyn FileSource, sink: &mut Sink) -> Option<Catalog> {
    let place = written.lock.as_ref()?;
    let directory = place.value.trim_start_matches("./").trim_end_matches('/');
    let mut files = BTreeMap::new();
    for path in source.paths() {
        let Some(name) = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        if name.contains('/') || name.strip_suffix(".json").is_none() {
            continue;
        }
        match source.read(&path) {
            Ok(text) => drop(files.insert(name.to_owned(), text)),
            Err(error) => sink.push(rule::LOCK_INVALID.at(place.at, error.to_string())),
        }
    }
    let pull = format!("run `daam schema pull --dsn … --out {directory}`");
    if files.is_empty() {
        let message = format!("there is no schema lock for `{}` under `{directory}`", written.name.value);
        sink.push(rule::LOCK_MISSING.at(place.at, message).help(pull));
        return None;
    }
    match lock::from_files(&files) {
        Ok(catalog) => Some(catalog),
        Err(error) => {
            sink.push(rule::LOCK_INVALID.at(place.at, chain(&error)).help(pull));
            None
        }
    }
}

/// The error with its causes; the place in the report is the lock's, so they have to be in the message.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The scope the project names; without one everything is in scope.
fn scope(written: &WrittenDatabase, documents: &Documents, sink: &mut Sink) -> Scope {
    let Some(place) = &written.scope else { return Scope::Absent };
    let path = place.value.trim_start_matches("./");
    let found = documents.scopes.iter().find(|scope| {
        scope.database.value == written.name.value && documents.path_of(scope.database.at) == path
    });
    if let Some(scope) = found {
        return scope_patterns(&scope.patterns, sink);
    }
    let message = format!("`{path}` has no `kind: scope` document for `{}`", written.name.value);
    sink.push(rule::MISSING_KEY.at(place.at, message).help("an empty list (`scope: []`) serves nothing"));
    Scope::Patterns(Vec::new())
}

/// Whether a path belongs to the project: `daam.yaml`, what its globs name, and `groups/*.yaml`.
pub(crate) fn belongs(project: &WrittenProject, path: &str) -> bool {
    let named = project.databases.values().any(|database| {
        let scope = database.scope.iter().any(|scope| scope.value.trim_start_matches("./") == path);
        let globs = || database.policies.iter().chain(&database.tests);
        scope || globs().any(|glob| glob::matches(&glob.value, path))
    });
    named || glob::matches("groups/*.yaml", path)
}
