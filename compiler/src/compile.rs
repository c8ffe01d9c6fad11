//! The whole way from files to checked policies: read, decode, look up, check, compare.
//!
//! Nothing stops at the first fault. Files are read in the order of their paths and policies sorted by name, so
//! the result depends on contents alone. Compiled databases exist only when there is no error at all: half a
//! project is never built.

use crate::check::{self, Database, Filters, People};
use crate::compiled::CompiledPolicies;
use crate::day::Day;
use crate::file_source::FileSource;
use crate::findings::Findings;
use crate::found::Found;
use crate::lint::Waived;
use crate::load::{Documents, Files, PROJECT_FILE};
use crate::remember::files::{Report, Settling};
use crate::remember::kept::{Environment, Given, Ground, Kept};
use crate::resolve::scope_patterns;
use crate::rule;
use crate::scenario::Scenario;
use crate::syntax::decode::Spanned;
use crate::syntax::policy::WrittenPolicy;
use crate::syntax::project::{WrittenDatabase, WrittenProject};
use crate::syntax::scope::WrittenScope;
use crate::tables::Tables;
use crate::unread;
use daam_catalog::{Catalog, Scope, lock};
use daam_diagnostic::{Applicability, Diagnostic, Severity, Sink, SourceId, SourceMap, suggest};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

/// Everything there is to know about a project.
#[derive(Debug)]
pub struct Checked {
    /// The texts the findings point into.
    pub sources: SourceMap,
    /// All findings of all files, in stable order.
    pub diagnostics: Findings,
    /// Findings that a comment or a waiver silenced, in the same order.
    pub waived: Vec<Arc<Waived>>,
    /// The compiled databases by name; empty as soon as an error leaves open what a policy means. What is only exposed
    /// by them, and could be waived, has a meaning that can be looked at; whether it may be built is another question,
    /// see [`Checked::has_errors`].
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
    pub policies: CompiledPolicies,
    /// Its schema, as locked.
    pub catalog: Arc<Catalog>,
    /// What the agent serves of it.
    pub scope: Scope,
    /// Expectations about it.
    pub scenarios: Vec<Arc<Scenario>>,
}

impl CompiledDatabase {
    /// Names the schema lock it was checked against. All of the catalogue is read for it.
    pub fn lock_fingerprint(&self) -> String {
        lock::fingerprint(&self.catalog)
    }
}

impl Checked {
    /// Whether any finding is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.has_errors()
    }

    /// Whether it is certain what every policy means: there is no error but about what they expose.
    pub fn has_meaning(&self) -> bool {
        !self.diagnostics.leave_open()
    }

    /// Whether a schema lock is missing, unreadable or edited: names were then not checked.
    pub fn lacks_lock(&self) -> bool {
        self.diagnostics
            .files()
            .iter()
            .flat_map(|file| &file.found)
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
    /// How often a policy was compared with others.
    pub compared: usize,
    /// Files whose findings were put in order and settled.
    pub settled: usize,
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
    databases: BTreeMap<String, Kept>,
    settling: Settling,
    /// Findings that are about nothing in particular, by file.
    loose: BTreeMap<SourceId, Found>,
    work: Work,
}

/// A schema lock as it was when it was read last.
#[derive(Debug)]
struct Locked {
    files: BTreeMap<String, Arc<str>>,
    read: Result<Arc<Catalog>, String>,
}

impl Workspace {
    /// The schema of a database as its lock said when the project was checked last, also while policies are wrong.
    pub fn catalog(&self, database: &str) -> Option<&Catalog> {
        self.locks.get(database)?.read.as_deref().ok()
    }

    /// One that has seen nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options, ..Self::default() }
    }

    /// How much had to be done so far.
    pub fn work(&self) -> Work {
        Work {
            files: self.files.read,
            filters: self.filters.parsed(),
            settled: self.settling.settled,
            ..self.work
        }
    }

    /// Checks the project as it is now.
    pub fn check(&mut self, source: &dyn FileSource) -> Checked {
        // Nothing is kept of a check that does not come to its end.
        let mut files = std::mem::take(&mut self.files);
        let mut before = std::mem::take(&mut self.databases);
        let mut settling = std::mem::take(&mut self.settling);
        let documents = files.load(source);
        let sources = files.sources.clone();
        let project = Arc::clone(&documents.project);
        let policies = files.held + documents.ceilings.len();
        let mut inputs = Inputs { files: sources.len(), policies, cases: 0 };
        let mut sink = beside(&documents, &files, source);
        let people = Arc::new(people(&documents, &mut sink));
        self.locks.retain(|name, _| project.databases.contains_key(name));
        self.learn(&documents, &files);
        let mut databases = BTreeMap::new();
        let mut dirty = HashSet::new();
        for (name, of) in &project.databases {
            let locked = self.locked(of, source, &mut sink);
            let catalog = locked.clone();
            check::lock_age::lock_age(of, catalog.as_deref(), self.options.today, &mut sink);
            let environment = Environment {
                attributes: project.attributes.clone(),
                scope: scope(of, &documents, &sources, &mut sink),
                catalog,
                people: Arc::clone(&people),
                protected: of.protected,
                tested: !of.tests.is_empty(),
            };
            let mut kept = before.remove(name).unwrap_or_default().within(environment);
            let wrong = wrong(&files, &sink);
            let given = Given { documents: &documents, written: of, files: &files, wrong: &wrong };
            let (policies, scope) = self.update(&mut kept, given, &sources, &mut sink);
            dirty.extend(kept.take_dirty());
            let scenarios: Vec<Arc<Scenario>> = kept.scenarios().cloned().collect();
            inputs.cases += scenarios.len();
            if let Some(catalog) = locked {
                let compiled = CompiledDatabase { policies, catalog, scope, scenarios };
                databases.insert(name.clone(), compiled);
            }
            self.databases.insert(name.clone(), kept);
        }
        let others = self.others(sink);
        let (databases_kept, today) = (&self.databases, self.options.today);
        let report =
            Report { files: &files, documents: &documents, today, databases: databases_kept, dirty, others };
        let (diagnostics, waived) = settling.settle(report);
        (self.files, self.settling) = (files, settling);
        if diagnostics.leave_open() {
            databases.clear();
        }
        Checked { sources, diagnostics, waived, databases, inputs }
    }

    /// Brings one database up to date, and puts its policies together.
    fn update(
        &mut self,
        kept: &mut Kept,
        given: Given<'_>,
        sources: &SourceMap,
        sink: &mut Sink,
    ) -> (CompiledPolicies, Scope) {
        let ground = Arc::clone(&kept.ground);
        let environment = &ground.environment;
        let tables = Tables::of(environment.catalog.as_deref());
        let database = database(&given.written.name.value, &ground, sources, &tables, &self.filters);
        let tried = database.tried();
        let done = kept.update(&database, given);
        self.work.policies += done.checked;
        self.work.compared += done.compared;
        self.work.names += database.tried() - tried;
        check::openings::openings(kept.checked(), &database, given.written, sink);
        let place = |name: &str| kept.policies()?.named(name, &database);
        let ceilings = check::ceiling::ceilings(kept.ceilings(), place, sink);
        let scenarios: Vec<Arc<Scenario>> = kept.scenarios().cloned().collect();
        check::cases::cases(kept.held(), &ceilings, &scenarios, &database, sink);
        let policies = CompiledPolicies::of(&database, &environment.people, kept, ceilings);
        (policies, environment.scope.clone())
    }

    /// What was found about anything but single policies. What is as before is the piece it was.
    fn others(&mut self, sink: Sink) -> BTreeMap<SourceId, Vec<Found>> {
        let before = std::mem::take(&mut self.loose);
        for (source, found) in by_file(sink) {
            let found = match before.get(&source) {
                Some(old) => found.or_old(old),
                None => found,
            };
            self.loose.insert(source, found);
        }
        let mut others: BTreeMap<SourceId, Vec<Found>> = BTreeMap::new();
        let of_databases = self.databases.values().flat_map(Kept::about_others);
        for found in self.loose.values().chain(of_databases) {
            if let Some(source) = found.source() {
                others.entry(source).or_default().push(found.clone());
            }
        }
        others
    }

    /// Reads every row filter of the project that was not read before.
    fn learn(&mut self, documents: &Documents, files: &Files) {
        let came = documents.came.iter().chain(&documents.ceilings);
        self.filters.learn(filter_texts(came));
        // Somebody typing a filter leaves a trail of texts.
        if self.filters.len() > 2 * files.held + 1024 {
            let all = files.policies().chain(&documents.ceilings);
            self.filters.forget_others(filter_texts(all));
        }
    }

    /// The catalogue of a database.
    fn locked(
        &mut self,
        written: &WrittenDatabase,
        source: &dyn FileSource,
        sink: &mut Sink,
    ) -> Option<Arc<Catalog>> {
        let place = written.lock.as_ref()?;
        let directory = place.value.trim_start_matches("./").trim_end_matches('/');
        let mut files = BTreeMap::new();
        let paths = lock_paths(source, directory);
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
        if self.locks.get(name).is_none_or(|locked| !same_texts(&locked.files, &files)) {
            let read = lock::from_files(&files).map(Arc::new).map_err(|error| chain(&error));
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

/// Paths among which the files of that lock are.
fn lock_paths(source: &dyn FileSource, directory: &str) -> Vec<String> {
    let Some(kept) = source.kept() else { return source.paths() };
    let below = kept.range::<str, _>((Bound::Included(directory), Bound::Unbounded));
    below.map(|(path, _)| path).take_while(|path| path.starts_with(directory)).cloned().collect()
}

/// Whether files have the same names and texts, without looking at texts that are one.
fn same_texts(a: &BTreeMap<String, Arc<str>>, b: &BTreeMap<String, Arc<str>>) -> bool {
    let same = |one: &Arc<str>, other: &Arc<str>| Arc::ptr_eq(one, other) || one == other;
    a.len() == b.len() && a.iter().zip(b).all(|((a, one), (b, other))| a == b && same(one, other))
}

/// Checks a project once.
pub fn check(source: &dyn FileSource) -> Checked {
    Workspace::default().check(source)
}

/// The texts of all row filters of policies.
fn filter_texts<'w>(policies: impl Iterator<Item = &'w Arc<WrittenPolicy>>) -> impl Iterator<Item = &'w str> {
    let grants = policies.flat_map(|policy| &policy.grants);
    grants.flat_map(|grant| grant.rows.iter().chain(&grant.restrict)).map(|text| text.value.as_str())
}

/// Files in which something is wrong so far.
fn wrong(files: &Files, sink: &Sink) -> HashSet<SourceId> {
    let read = files.known().filter(|known| known.read.findings.has_errors());
    read.filter_map(|known| known.id).chain(sink.sources_with_errors()).collect()
}

fn database<'a>(
    name: &'a str,
    ground: &'a Ground,
    sources: &'a SourceMap,
    tables: &'a Tables<'a>,
    filters: &'a Filters,
) -> Database<'a> {
    let environment = &ground.environment;
    Database {
        name,
        sources,
        attributes: &environment.attributes,
        scope: &environment.scope,
        catalog: environment.catalog.as_deref(),
        tables,
        lookup: &ground.lookup,
        filters,
        universe: &ground.universe,
        people: &environment.people,
        protected: environment.protected,
        tested: environment.tested,
    }
}

/// Findings that are about nothing in particular, in pieces.
fn by_file(sink: Sink) -> BTreeMap<SourceId, Found> {
    let mut files: BTreeMap<SourceId, Vec<Diagnostic>> = BTreeMap::new();
    for found in sink.into_found() {
        files.entry(found.at.source).or_default().push(found);
    }
    files.into_iter().map(|(source, found)| (source, Found::from(found))).collect()
}

/// Groups of the repository, and those of the directory if it says which there are.
fn people(documents: &Documents, sink: &mut Sink) -> People {
    let mut directory: Option<BTreeMap<String, u64>> = None;
    for (name, count) in documents.directories.iter().flat_map(|document| &document.groups) {
        directory.get_or_insert_default().insert(name.value.clone(), *count);
    }
    People::new(groups(documents, sink), directory)
}

/// What no database has to do with: files that are not read, documents for databases nobody declared.
fn beside(documents: &Documents, files: &Files, source: &dyn FileSource) -> Sink {
    let mut sink = Sink::new();
    unread::unread(&documents.project, source, &mut sink);
    undeclared(documents, files, &documents.project, &mut sink);
    sink
}

/// Documents for a database nobody declared.
fn undeclared(documents: &Documents, files: &Files, project: &WrittenProject, sink: &mut Sink) {
    let policies = files.policies().chain(&documents.ceilings).map(|policy| &policy.database);
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
    let path = written.scope.as_ref().map_or("", |place| place.value.trim_start_matches("./"));
    let own = |scope: &&Arc<WrittenScope>| scope.database.value == written.name.value;
    let (named, elsewhere): (Vec<_>, Vec<_>) =
        documents.scopes.iter().filter(own).partition(|scope| sources.path(scope.database.at.source) == path);
    for scope in elsewhere {
        let instead = if path.is_empty() { "no scope".to_owned() } else { format!("`{path}`") };
        let message = format!(
            "this scope has no effect: `{PROJECT_FILE}` names {instead} for `{}`",
            written.name.value
        );
        let mut found = rule::FILE_NOT_USED.at(scope.database.at, message);
        found.severity = Severity::Error;
        sink.push(
            found.help(format!("name its file there: `scope: {}`", sources.path(scope.database.at.source))),
        );
    }
    let Some(place) = &written.scope else { return Scope::Absent };
    if let Some((scope, more)) = named.split_first() {
        for second in more {
            let message =
                format!("`{}` has two scopes in one file; only one could count", written.name.value);
            sink.push(
                rule::CONFLICTING_KEYS.at(second.database.at, message).label(scope.database.at, "the other"),
            );
        }
        return scope_patterns(&scope.patterns, sink);
    }
    let message = format!("`{path}` has no `kind: scope` document for `{}`", written.name.value);
    sink.push(rule::MISSING_KEY.at(place.at, message).help("an empty list (`scope: []`) serves nothing"));
    Scope::Patterns(Vec::new())
}
