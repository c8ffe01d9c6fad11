//! What is kept of one database, and of what it was made.

use super::policies::{Policies, Surroundings};
use crate::check::sensitive::Classified;
use crate::check::{self, CheckedPolicy, Database, People};
use crate::found::Found;
use crate::load::{Documents, Files};
use crate::resolve::Lookup;
use crate::scenario::{self, Cases, Scenario};
use crate::syntax::policy::WrittenPolicy;
use crate::syntax::project::{WrittenDatabase, WrittenProject};
use crate::syntax::scenario::WrittenTest;
use daam_catalog::{Catalog, Scope};
use daam_diagnostic::{Sink, SourceId};
use daam_model::{AttributeType, Policy};
use daam_sql::typing::Universe;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

/// Everything a policy is checked against, but for other policies.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) attributes: BTreeMap<String, AttributeType>,
    pub(crate) scope: Scope,
    pub(crate) catalog: Option<Arc<Catalog>>,
    pub(crate) people: Arc<People>,
    pub(crate) protected: bool,
    pub(crate) tested: bool,
}

impl Environment {
    fn is(&self, other: &Self) -> bool {
        let same = |a: &Arc<Catalog>, b: &Arc<Catalog>| Arc::ptr_eq(a, b);
        let catalogs = match (&self.catalog, &other.catalog) {
            (Some(a), Some(b)) => same(a, b),
            (None, None) => true,
            _ => false,
        };
        catalogs
            && self.protected == other.protected
            && self.tested == other.tested
            && self.attributes == other.attributes
            && self.scope == other.scope
            && self.people == other.people
    }
}

/// What policies stand on.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    pub(crate) environment: Environment,
    /// The types of the catalogue, made when the first filter needs them.
    pub(crate) universe: OnceLock<Universe>,
    /// Its names, made when the first pattern is looked up.
    pub(crate) lookup: OnceLock<Lookup>,
}

/// One database as it was checked last.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) ground: Arc<Ground>,
    /// Absent before the first check.
    policies: Option<Policies>,
    columns: Columns,
    tests: Vec<(Arc<WrittenTest>, Vec<Arc<Scenario>>, Found)>,
    ceilings: Vec<(Arc<WrittenPolicy>, Arc<CheckedPolicy>, Found)>,
}

/// What columns hold, as a project says.
#[derive(Debug, Default)]
struct Columns {
    project: Option<Arc<WrittenProject>>,
    classified: Option<Classified>,
    found: Found,
}

/// What a check needs to know of the project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) documents: &'a Documents,
    pub(crate) written: &'a WrittenDatabase,
    /// All files of the project.
    pub(crate) files: &'a Files,
    /// Files with errors so far.
    pub(crate) wrong: &'a HashSet<SourceId>,
}

/// How much was done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    pub(crate) checked: usize,
    pub(crate) compared: usize,
}

impl Kept {
    /// What still holds in that environment: all of it, or nothing.
    pub(crate) fn within(self, environment: Environment) -> Self {
        if self.ground.environment.is(&environment) {
            return self;
        }
        let ground = Ground { environment, universe: OnceLock::new(), lookup: OnceLock::new() };
        Self { ground: Arc::new(ground), ..Self::default() }
    }

    /// Brings it up to date.
    pub(crate) fn update(&mut self, database: &Database<'_>, given: Given<'_>) -> Done {
        let classified_changed = self.columns.update(database, given);
        let ceilings = self.check_ceilings(database, given);
        let tests_changed = self.resolve_tests(database, given);
        let documents = given.documents;
        let of_database = |written: &&Arc<WrittenPolicy>| written.database.value == database.name;
        let (went, came): (Vec<_>, Vec<_>) = match &self.policies {
            Some(_) => (
                documents.went.iter().filter(of_database).collect(),
                documents.came.iter().filter(of_database).collect(),
            ),
            None => (Vec::new(), given.files.policies().filter(of_database).collect()),
        };
        let mut policies = self.policies.take().unwrap_or_else(|| Policies::new(database));
        let before = (policies.checked, policies.compared);
        let scenarios: Vec<Arc<Scenario>> = self.scenarios().cloned().collect();
        let cases = database.tested.then(|| Cases::of(&scenarios, &database.people.defined));
        let around = Surroundings {
            database,
            people: database.people,
            classified: self.columns.classified.as_ref(),
            classified_changed,
            strict: given.written.strict_classification,
            cases: cases.as_ref(),
            cases_changed: tests_changed,
            wrong: given.wrong,
        };
        policies.update(&went, &came, &around);
        let done =
            Done { checked: policies.checked - before.0 + ceilings, compared: policies.compared - before.1 };
        self.policies = Some(policies);
        done
    }

    /// Its policies.
    pub(crate) fn policies(&self) -> Option<&Policies> {
        self.policies.as_ref()
    }

    /// The same, as they were checked.
    pub(crate) fn checked(&self) -> impl Iterator<Item = &CheckedPolicy> {
        self.policies.iter().flat_map(Policies::checked).map(AsRef::as_ref)
    }

    /// The same as values.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter().flat_map(Policies::checked).map(|checked| &checked.policy)
    }

    /// Its request ceilings as they were checked.
    pub(crate) fn ceilings(&self) -> impl Iterator<Item = &CheckedPolicy> {
        self.ceilings.iter().map(|(_, checked, _)| &**checked)
    }

    /// Everything found about policies of some files, in pieces about one policy each.
    pub(crate) fn about_policies(&self, files: &HashSet<SourceId>) -> impl Iterator<Item = &Found> {
        self.policies.iter().flat_map(|policies| policies.found(files))
    }

    /// Everything found about anything else, in pieces about one file each.
    pub(crate) fn about_others(&self) -> impl Iterator<Item = &Found> {
        let unclassified = self.policies.iter().map(Policies::unclassified);
        let ceilings = self.ceilings.iter().map(|(_, _, found)| found);
        let tests = self.tests.iter().map(|(_, _, found)| found);
        std::iter::once(&self.columns.found).chain(unclassified).chain(ceilings).chain(tests)
    }

    /// Files with policies about which something else was found than when this was asked last.
    pub(crate) fn take_dirty(&mut self) -> HashSet<SourceId> {
        self.policies.as_mut().map(|policies| std::mem::take(&mut policies.dirty)).unwrap_or_default()
    }

    /// Its test cases.
    pub(crate) fn scenarios(&self) -> impl Iterator<Item = &Arc<Scenario>> {
        self.tests.iter().flat_map(|(_, scenarios, _)| scenarios)
    }

    /// Checks those ceilings that are new, and says how many.
    fn check_ceilings(&mut self, database: &Database<'_>, given: Given<'_>) -> usize {
        let mut known = std::mem::take(&mut self.ceilings);
        let mut fresh = 0;
        let written = given.documents.ceilings.iter();
        for written in written.filter(|written| written.database.value == database.name) {
            let place = known.iter().position(|(known, ..)| Arc::ptr_eq(known, written));
            if let Some(place) = place {
                self.ceilings.push(known.swap_remove(place));
                continue;
            }
            fresh += 1;
            let mut sink = Sink::new();
            let checked = check::ceiling::ceiling(written, database, &mut sink);
            self.ceilings.push((Arc::clone(written), Arc::new(checked), sink.into()));
        }
        fresh
    }

    /// Looks up the names of cases that are new, and says whether there are other cases than before.
    fn resolve_tests(&mut self, database: &Database<'_>, given: Given<'_>) -> bool {
        let written: Vec<&Arc<WrittenTest>> =
            given.documents.tests.iter().filter(|test| test.database.value == database.name).collect();
        let known = std::mem::take(&mut self.tests);
        let same = known.len() == written.len()
            && known.iter().zip(&written).all(|((known, ..), written)| Arc::ptr_eq(known, written));
        let mut known: BTreeMap<_, _> =
            known.into_iter().map(|entry| (Arc::as_ptr(&entry.0), entry)).collect();
        for test in written {
            self.tests.push(known.remove(&Arc::as_ptr(test)).unwrap_or_else(|| {
                let mut sink = Sink::new();
                let scenarios = scenario::resolve(database, test, &mut sink);
                (Arc::clone(test), scenarios, sink.into())
            }));
        }
        !same
    }
}

impl Columns {
    /// Classifies the columns again if the project is another one, and says whether any is taken for something else.
    fn update(&mut self, database: &Database<'_>, given: Given<'_>) -> bool {
        let project = &given.documents.project;
        if self.project.as_ref().is_some_and(|known| Arc::ptr_eq(known, project)) {
            return false;
        }
        self.project = Some(Arc::clone(project));
        let mut sink = Sink::new();
        let written = &given.written.classification;
        let now = database.reach().map(|reach| Classified::of(reach, written, &mut sink));
        self.found = sink.into();
        let changed = self.classified != now;
        self.classified = now;
        changed
    }
}
