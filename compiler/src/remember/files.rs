//! The settled findings of each file, kept as long as what was found in it and what the project says of findings is
//! what it was.

use super::kept::Kept;
use crate::day::Day;
use crate::findings::{FileFindings, Findings};
use crate::found::Found;
use crate::lint::{self, Owner, Owners, Settings, Waived};
use crate::load::{Documents, Files, Known};
use crate::syntax::project::WrittenProject;
use daam_diagnostic::{Diagnostic, SourceId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// All files as they were settled last, each by its path.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    project: Option<Arc<WrittenProject>>,
    complete: bool,
    others: BTreeMap<SourceId, Vec<Found>>,
    /// Files with a finding that says that some check could not run.
    hindered: BTreeSet<String>,
    /// What is told of files there is something to tell of.
    told: BTreeMap<String, Arc<FileFindings>>,
    /// Files with an error, and those with one that leaves open what a policy means.
    wrong: BTreeSet<String>,
    open: BTreeSet<String>,
    silenced: BTreeMap<String, Silenced>,
    /// What was found in `daam.yaml`, but for what it is told about itself.
    project_left: Vec<Diagnostic>,
    /// How many files were settled.
    pub(crate) settled: usize,
}

/// What was silenced in a file.
#[derive(Debug)]
struct Silenced {
    waived: Vec<Arc<Waived>>,
    suppressed: Vec<Arc<Waived>>,
    used: BTreeSet<usize>,
}

/// What a check found.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) files: &'a Files,
    pub(crate) documents: &'a Documents,
    pub(crate) today: Option<Day>,
    pub(crate) databases: &'a BTreeMap<String, Kept>,
    /// Files with policies about which something else was found than before.
    pub(crate) dirty: HashSet<SourceId>,
    /// What was found about anything but single policies.
    pub(crate) others: BTreeMap<SourceId, Vec<Found>>,
}

impl Settling {
    /// Settles what was found.
    pub(crate) fn settle(&mut self, mut report: Report<'_>) -> (Findings, Vec<Arc<Waived>>) {
        let project = &report.documents.project;
        let same = self.project.as_ref().is_some_and(|known| Arc::ptr_eq(known, project));
        self.project = Some(Arc::clone(project));
        let mut dirty = std::mem::take(&mut report.dirty);
        dirty.extend(&report.documents.read);
        dirty.extend(differing(&self.others, &report.others));
        if !same {
            dirty.extend(report.files.known().filter_map(|known| known.id));
        }
        for path in &report.documents.gone {
            self.forget(path);
        }
        let mut pieces = report.pieces(&dirty);
        for (id, pieces) in &pieces {
            let hinders = pieces.iter().flat_map(Found::iter).any(lint::hinders);
            mark(&mut self.hindered, report.files.sources.path(*id), hinders);
        }
        let complete = self.hindered.is_empty();
        if complete != self.complete {
            // Comments that silence nothing are told only if every check could run.
            let commented = report.files.known().filter(|known| !known.read.suppressions.is_empty());
            let more = commented.filter_map(|known| known.id).filter(|id| !dirty.contains(id)).collect();
            pieces.extend(report.pieces(&more));
        }
        self.complete = complete;
        let settings = Settings { project, today: report.today, complete };
        for (id, pieces) in &pieces {
            self.settle_file(*id, pieces, report.files, settings);
        }
        self.close(report.files, settings);
        self.others = report.others;
        let waived = self.silenced.values().flat_map(|silenced| &silenced.waived);
        let suppressed = self.silenced.values().flat_map(|silenced| &silenced.suppressed);
        let waived = waived.chain(suppressed).cloned().collect();
        let told = self.told.values().cloned().collect();
        (Findings::of(told, self.wrong.len(), self.open.len()), waived)
    }

    fn settle_file(&mut self, id: SourceId, pieces: &[Found], files: &Files, settings: Settings<'_>) {
        let path = files.sources.path(id);
        let Some(known) = files.get(path) else { return self.forget(path) };
        self.settled += 1;
        let mut found: Vec<&Diagnostic> = pieces.iter().flat_map(Found::iter).collect();
        lint::sort(&mut found);
        found.dedup();
        let settled =
            lint::settle(found, &known.read.suppressions, &owners(known, settings.project), settings);
        if settled.waived.is_empty() && settled.suppressed.is_empty() {
            self.silenced.remove(path);
        } else {
            let (waived, suppressed) = (settled.waived, settled.suppressed);
            let silenced = Silenced { waived, suppressed, used: settled.used };
            self.silenced.insert(path.to_owned(), silenced);
        }
        if known.is_project() {
            self.project_left = settled.left;
        } else {
            self.tell(id, path, settled.left);
        }
    }

    /// `daam.yaml` is told of its own waivers and levels too.
    fn close(&mut self, files: &Files, settings: Settings<'_>) {
        let used = self.silenced.values().flat_map(|silenced| &silenced.used).copied().collect();
        let mut found = lint::closing(&used, settings);
        found.extend(self.project_left.iter().cloned());
        lint::sort(&mut found);
        found.dedup();
        if let Some(id) = files.project_file() {
            self.tell(id, files.sources.path(id), found);
        }
    }

    /// What is told of the file: what was told, if it is the same.
    fn tell(&mut self, id: SourceId, path: &str, found: Vec<Diagnostic>) {
        if self.told.get(path).is_some_and(|told| told.source == id && told.found == found) {
            return;
        }
        let told = FileFindings { source: id, found };
        mark(&mut self.wrong, path, told.has_errors());
        mark(&mut self.open, path, told.leave_open());
        if told.found.is_empty() {
            self.told.remove(path);
        } else {
            self.told.insert(path.to_owned(), Arc::new(told));
        }
    }

    fn forget(&mut self, path: &str) {
        self.hindered.remove(path);
        self.told.remove(path);
        self.wrong.remove(path);
        self.open.remove(path);
        self.silenced.remove(path);
    }
}

impl Report<'_> {
    /// Everything found in some files, piece by piece in an order that depends on the files alone.
    fn pieces(&self, wanted: &HashSet<SourceId>) -> BTreeMap<SourceId, Vec<Found>> {
        let mut pieces: HashMap<SourceId, Vec<Found>> = HashMap::with_capacity(wanted.len());
        for kept in self.databases.values() {
            for found in kept.about_policies(wanted).filter(|found| !found.is_empty()) {
                if let Some(source) = found.source() {
                    pieces.entry(source).or_default().push(found.clone());
                }
            }
        }
        let mut out = BTreeMap::new();
        let mut wanted: Vec<SourceId> = wanted.iter().copied().collect();
        wanted.sort_unstable();
        for id in wanted {
            let known = self.files.get(self.files.sources.path(id));
            let mut here: Vec<Found> = known.map(|known| known.read.findings.clone()).into_iter().collect();
            here.extend(self.others.get(&id).into_iter().flatten().cloned());
            here.extend(pieces.remove(&id).unwrap_or_default());
            out.insert(id, here);
        }
        out
    }
}

fn mark(paths: &mut BTreeSet<String>, path: &str, marked: bool) {
    if marked {
        paths.insert(path.to_owned());
    } else {
        paths.remove(path);
    }
}

/// Which policy, or which database, a place of a file belongs to.
fn owners<'a>(known: &'a Known, project: &'a WrittenProject) -> Owners<'a> {
    let mut owners = Owners::default();
    for database in project.databases.values() {
        owners.add(database.name.at, Owner { policy: None, database: &database.name.value });
    }
    // A ceiling is no part of the policy that stands above it in the file.
    for policy in known.read.policies.iter().chain(&known.read.ceilings) {
        let owner = Owner { policy: Some(&policy.name.value), database: &policy.database.value };
        owners.add(policy.at, owner);
    }
    owners
}

/// Files with other pieces than before.
fn differing<'a>(
    before: &'a BTreeMap<SourceId, Vec<Found>>,
    after: &'a BTreeMap<SourceId, Vec<Found>>,
) -> impl Iterator<Item = SourceId> {
    let same = |id: &SourceId| match (before.get(id), after.get(id)) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is(b)),
        (None, None) => true,
        _ => false,
    };
    before.keys().chain(after.keys()).filter(move |id| !same(id)).copied()
}
