//! The whole way from files to checked policies: read, decode, look up, check, compare.
//!
//! Nothing stops at the first fault. Files are read in the order of their paths and policies sorted by name, so
//! the result depends on contents alone. Compiled databases exist only when there is no error at all: half a
//! project is never built.

use crate::check::{self, Database, Filters, People};
use crate::day::Day;
use crate::file_source::FileSource;
use crate::lint::{self, Owners, Waived};
use crate::load::{Documents, Files};
use crate::parallel;
use crate::resolve::{Lookup, scope_patterns};
use crate::rule;
use crate::scenario::{self, Scenario};
use crate::syntax::decode::Spanned;
use crate::syntax::policy::WrittenPolicy;
use crate::syntax::project::{WrittenDatabase, WrittenProject};
use crate::tables::Tables;
use daam_catalog::{Catalog, Scope, lock};
use daam_diagnostic::{Applicability, Diagnostic, Severity, Sink, SourceMap, suggest};
use daam_model::PolicySet;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    pub catalog: Arc<Catalog>,
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

/// How much had to be done, in things that can be counted. Time grows with these and with nothing else, so a test
/// can watch over the speed of a check without a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Files read, parsed and decoded.
    pub files: usize,
    /// Different texts of row filters parsed.
    pub filters: usize,
    /// Names of the catalogue that patterns were tried on.
    pub names: usize,
    /// Policies checked one by one.
    pub policies: usize,
}

/// A project that is checked again and again, e.g. by an editor.
///
/// Every check gives what [`check()`] would give for the same files, whatever was checked before.
#[derive(Debug, Default)]
pub struct Workspace {
    options: Options,
    files: Files,
    locks: BTreeMap<String, Locked>,
    filters: Filters,
    work: Work,
}

/// A schema lock as it was when it was read last.
#[derive(Debug)]
struct Locked {
    files: BTreeMap<String, Arc<str>>,
    read: Result<(Arc<Catalog>, String), String>,
}

impl Workspace {
    /// The schema of a database as its lock said when the project was checked last, also while policies are wrong.
    pub fn catalog(&self, database: &str) -> Option<&Catalog> {
        self.locks.get(database)?.read.as_ref().ok().map(|(catalog, _)| &**catalog)
    }

    /// One that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// How much had to be done so far.
    pub fn work(&self) -> Work {
        Work { files: self.files.read, filters: self.filters.parsed(), ..self.work }
    }

    /// Checks the project as it is now.
    pub fn check(&mut self, source: &dyn FileSource) -> Checked {
        let mut sink = Sink::new();
        let documents = self.files.load(source, &mut sink);
        let sources = self.files.sources.clone();
        let mut inputs = Inputs {
            files: sources.len(),
            policies: documents.policies.len() + documents.ceilings.len(),
            cases: 0,
        };
        let project = Arc::clone(&documents.project);
        undeclared(&documents, &project, &mut sink);
        let people = people(&documents, &mut sink);
        self.locks.retain(|name, _| project.databases.contains_key(name));
        self.learn(&documents);
        let mut databases = BTreeMap::new();
        for (name, written) in &project.databases {
            let locked = self.locked(written, source, &mut sink);
            let catalog = locked.as_ref().map(|(catalog, _)| &**catalog);
            check::lock_age::lock_age(written, catalog, self.options.today, &mut sink);
            let scope = scope(written, &documents, &sources, &mut sink);
            let tables = Tables::of(catalog);
            let lookup = catalog.map(|catalog| Lookup::new(catalog, &scope, &tables));
            let database = Database {
                name,
                sources: &sources,
                attributes: &project.attributes,
                scope: &scope,
                catalog,
                tables: &tables,
                lookup: lookup.as_ref(),
                filters: &self.filters,
                universe: std::sync::OnceLock::new(),
                people: &people,
                protected: written.protected,
                tested: !written.tests.is_empty(),
            };
            let policies = policies(&database, &documents, written, &people.defined, &mut sink);
            let ceilings = check::ceiling::ceilings(&database, &documents, &mut sink);
            self.work.policies += policies.len() + ceilings.len();
            let scenarios = scenario::resolve(&database, &documents.tests, &mut sink);
            self.work.names += lookup.as_ref().map_or(0, Lookup::tried);
            inputs.cases += scenarios.len();
            let policies = PolicySet {
                database: name.clone(),
                attributes: project.attributes.clone(),
                groups: people.defined.clone(),
                policies,
                ceilings,
            };
            check::untested::untested(&documents.policies, &policies, &scenarios, &database, &mut sink);
            if let Some((catalog, lock_fingerprint)) = locked {
                let compiled = CompiledDatabase { policies, catalog, scope, lock_fingerprint, scenarios };
                databases.insert(name.clone(), compiled);
            }
        }
        let settled = lint::settle(sink, &settings(&documents, self.options), &sources);
        if settled.diagnostics.iter().any(|found| found.severity == Severity::Error) {
            databases.clear();
        }
        Checked { sources, diagnostics: settled.diagnostics, waived: settled.waived, databases, inputs }
    }

    /// Reads every row filter of the project that was not read before.
    fn learn(&mut self, documents: &Documents) {
        let policies = documents.policies.iter().chain(&documents.ceilings);
        let grants = policies.flat_map(|policy| &policy.grants);
        let texts = grants.flat_map(|grant| grant.rows.iter().chain(&grant.restrict));
        self.filters.learn(texts.map(|text| text.value.as_str()));
    }

    /// The catalogue of a database, and the name of its lock.
    fn locked(
        &mut self,
        written: &WrittenDatabase,
        source: &dyn FileSource,
        sink: &mut Sink,
    ) -> Option<(Arc<Catalog>, String)> {
        let place = written.lock.as_ref()?;
        let directory = place.value.trim_start_matches("./").trim_end_matches('/');
        let mut files = BTreeMap::new();
        let paths = source.paths();
        let named: Vec<(&str, &str)> =
            paths.iter().filter_map(|path| Some((path.as_str(), lock_file(path, directory)?))).collect();
        let paths: Vec<&str> = named.iter().map(|(path, _)| *path).collect();
        for ((_, name), text) in named.iter().zip(source.read_all(&paths)) {
            match text {
                Ok(text) => drop(files.insert((*name).to_owned(), text)),
                Err(error) => sink.push(rule::LOCK_INVALID.at(place.at, error.to_string())),
            }
        }
        let pull = format!("run `daam schema pull --dsn … --out {directory}`");
        if files.is_empty() {
            let message = format!("there is no schema lock for `{}` under `{directory}`", written.name.value);
            sink.push(rule::LOCK_MISSING.at(place.at, message).help(pull));
            return None;
        }
        let name = &written.name.value;
        if self.locks.get(name).is_none_or(|locked| locked.files != files) {
            let read = lock::from_files(&files).map_err(|error| chain(&error));
            let read = read.map(|catalog| (lock::fingerprint(&catalog), Arc::new(catalog)));
            let read = read.map(|(fingerprint, catalog)| (catalog, fingerprint));
            self.locks.insert(name.clone(), Locked { files, read });
        }
        match &self.locks.get(name)?.read {
            Ok(read) => Some(read.clone()),
            Err(error) => {
                sink.push(rule::LOCK_INVALID.at(place.at, error.clone()).help(pull));
                None
            }
        }
    }
}

/// The name of a file of the lock in that directory.
fn lock_file<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    let name = path.strip_prefix(directory)?.strip_prefix('/')?;
    (!name.contains('/') && name.strip_suffix(".json").is_some()).then_some(name)
}

/// Checks a project once.
pub fn check(source: &dyn FileSource) -> Checked {
    Workspace::default().check(source)
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
    let suppressions = documents.suppressions.iter().map(AsRef::as_ref).collect();
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
    let own: Vec<&Arc<WrittenPolicy>> =
        documents.policies.iter().filter(|written| written.database.value == database.name).collect();
    let done = parallel::map(&own, parallel::threads(), |written| {
        let mut sink = Sink::new();
        (check::policy::policy(written, database, &mut sink), sink.into_found())
    });
    let mut checked = Vec::with_capacity(done.len());
    for (policy, findings) in done {
        sink.extend(findings);
        checked.push(policy);
    }
    let path = |policy: &check::CheckedPolicy| database.sources.path(policy.at.source);
    checked.sort_by(|a, b| {
        let key = |policy: &check::CheckedPolicy| policy.at.span;
        a.name.value.cmp(&b.name.value).then_with(|| key(a).cmp(&key(b))).then_with(|| path(a).cmp(path(b)))
    });
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
fn scope(written: &WrittenDatabase, documents: &Documents, sources: &SourceMap, sink: &mut Sink) -> Scope {
    let Some(place) = &written.scope else { return Scope::Absent };
    let path = place.value.trim_start_matches("./");
    let found = documents.scopes.iter().find(|scope| {
        scope.database.value == written.name.value && sources.path(scope.database.at.source) == path
    });
    if let Some(scope) = found {
        return scope_patterns(&scope.patterns, sink);
    }
    let message = format!("`{path}` has no `kind: scope` document for `{}`", written.name.value);
    sink.push(rule::MISSING_KEY.at(place.at, message).help("an empty list (`scope: []`) serves nothing"));
    Scope::Patterns(Vec::new())
}
