//! The settled findings of each file, kept as long as what was found in it and what the project says of findings is
//! what it was.

use crate::day::Day;
use crate::findings::{FileFindings, Findings};
use crate::found::Found;
use crate::lint::{self, Owner, Owners, Settings, Settled, Waived};
use crate::load::{Documents, Files, Known};
use crate::syntax::project::WrittenProject;
use daam_diagnostic::{Diagnostic, Severity, SourceId};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// All files as they were settled last.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    files: HashMap<SourceId, File>,
    project: Option<Arc<WrittenProject>>,
    /// How many files were settled.
    pub(crate) settled: usize,
}

/// One file.
#[derive(Debug, Default)]
struct File {
    /// Which reading of the file it was.
    reading: usize,
    pieces: Vec<Found>,
    /// Whether a finding says that some check could not run.
    hinders: bool,
    complete: bool,
    settled: Settled,
    /// What was told; nothing where there is nothing to tell.
    told: Option<Arc<FileFindings>>,
    wrong: bool,
}

/// What a check found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) files: &'a Files,
    pub(crate) documents: &'a Documents,
    pub(crate) today: Option<Day>,
}

impl Settling {
    /// Settles what was found: `pieces` by the file they are in, in any order that depends on the files alone.
    pub(crate) fn settle(
        &mut self,
        mut pieces: Vec<(SourceId, Found)>,
        given: Given<'_>,
    ) -> (Findings, Vec<Arc<Waived>>) {
        let project = &given.documents.project;
        let same = self.project.as_ref().is_some_and(|known| Arc::ptr_eq(known, project));
        self.project = Some(Arc::clone(project));
        // Stable: the pieces of a file stay in their order.
        pieces.sort_by_key(|(source, _)| *source);
        let mut before = std::mem::take(&mut self.files);
        let mut changed = Vec::new();
        for known in given.files.known() {
            let Some(id) = known.id else { continue };
            let mut file = before.remove(&id).unwrap_or_default();
            let from = pieces.partition_point(|(source, _)| *source < id);
            let here =
                || pieces.iter().skip(from).take_while(|(source, _)| *source == id).map(|(_, piece)| piece);
            let mut now =
                std::iter::once(&known.read.findings).chain(here()).filter(|piece| !piece.is_empty());
            let equal = file.pieces.iter().all(|old| now.next().is_some_and(|new| new.is(old)));
            if !equal || now.next().is_some() || !same || file.reading != known.reading {
                file.pieces = std::iter::once(&known.read.findings)
                    .chain(here())
                    .filter(|piece| !piece.is_empty())
                    .cloned()
                    .collect();
                file.hinders = file.pieces.iter().flat_map(Found::iter).any(lint::hinders);
                file.reading = known.reading;
                changed.push(id);
            }
            self.files.insert(id, file);
        }
        let complete = !self.files_in_order(given.files).any(|(_, file)| file.hinders);
        let settings = Settings { project, today: given.today, complete };
        let changed: BTreeSet<SourceId> = changed.into_iter().collect();
        for known in given.files.known() {
            let Some((id, file)) = known.id.and_then(|id| Some((id, self.files.get_mut(&id)?))) else {
                continue;
            };
            let comments = !known.read.suppressions.is_empty();
            if changed.contains(&id) || (comments && file.complete != complete) {
                self.settled += 1;
                file.settle(id, known, project, settings);
            }
        }
        self.close(given.files, settings);
        self.gathered(given.files)
    }

    fn files_in_order<'s>(&'s self, files: &'s Files) -> impl Iterator<Item = (SourceId, &'s File)> {
        files.known().filter_map(|known| known.id).filter_map(|id| Some((id, self.files.get(&id)?)))
    }

    /// What the project's own waivers and levels are told, in their file.
    fn close(&mut self, files: &Files, settings: Settings<'_>) {
        let used: BTreeSet<usize> =
            self.files_in_order(files).flat_map(|(_, file)| &file.settled.used).copied().collect();
        let closing = lint::closing(&used, settings);
        let Some(id) = files.project_file() else { return };
        if let Some(file) = self.files.get_mut(&id) {
            let mut found: Vec<Diagnostic> =
                closing.into_iter().chain(file.settled.left.iter().cloned()).collect();
            lint::sort(&mut found);
            found.dedup();
            file.tell(id, found);
        }
    }

    fn gathered(&self, files: &Files) -> (Findings, Vec<Arc<Waived>>) {
        let (mut told, mut errors, mut waived, mut suppressed) = (Vec::new(), 0, Vec::new(), Vec::new());
        for (_, file) in self.files_in_order(files) {
            told.extend(file.told.clone());
            errors += usize::from(file.wrong);
            waived.extend(file.settled.waived.iter().cloned());
            suppressed.extend(file.settled.suppressed.iter().cloned());
        }
        waived.append(&mut suppressed);
        (Findings::of(told, errors), waived)
    }
}

impl File {
    fn settle(&mut self, id: SourceId, known: &Known, project: &WrittenProject, settings: Settings<'_>) {
        self.complete = settings.complete;
        let mut found: Vec<&Diagnostic> = self.pieces.iter().flat_map(Found::iter).collect();
        lint::sort(&mut found);
        found.dedup();
        let mut owners = Owners::default();
        for database in project.databases.values() {
            owners.add(database.name.at, Owner { policy: None, database: &database.name.value });
        }
        // A ceiling is no part of the policy that stands above it in the file.
        for policy in known.read.policies.iter().chain(&known.read.ceilings) {
            let owner = Owner { policy: Some(&policy.name.value), database: &policy.database.value };
            owners.add(policy.at, owner);
        }
        self.settled = lint::settle(found, &known.read.suppressions, &owners, settings);
        // Those of `daam.yaml` are told together with what the project itself is told.
        if !known.is_project() {
            let left = std::mem::take(&mut self.settled.left);
            self.tell(id, left);
        }
    }

    /// What is told of the file: what was told, if it is the same.
    fn tell(&mut self, id: SourceId, found: Vec<Diagnostic>) {
        if self.told.as_ref().is_some_and(|told| told.found == found) {
            return;
        }
        self.wrong = found.iter().any(|found| found.severity == Severity::Error);
        let told = FileFindings { source: id, found };
        self.told = Some(told).filter(|told| !told.found.is_empty()).map(Arc::new);
    }
}
