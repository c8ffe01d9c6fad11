//! The policies of one database, checked and compared, and what an edit makes necessary to do again.
//!
//! A policy is checked when it is new. It is compared again when it is new or when something the comparison looks at
//! changed: each comparison below says what that is, and is told of others nothing else. What a comparison gives is
//! kept with the policy.

use super::entry::{Compared, Entry, order};
use super::masking::Masking;
use super::touched::Touched;
use crate::check::conflicts::{Conflict, conflicts};
use crate::check::covered::Covered;
use crate::check::family::{self, Family};
use crate::check::joins::{self, Pairs};
use crate::check::sensitive::{self, Classified, Masks, Whom};
use crate::check::{CheckedPolicy, Database, People, project, untested, views, writes};
use crate::found::Found;
use crate::parallel;
use crate::scenario::Cases;
use crate::syntax::policy::WrittenPolicy;
use crate::tables::RelationId;
use daam_catalog::ColumnRef;
use daam_diagnostic::{Location, Sink, SourceId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// From this many policies on, all are sorted instead of putting each into its place.
const MANY: usize = 64;

/// Everything a comparison may look at besides policies, and whether it is what it was.
#[derive(Debug)]
pub(crate) struct Surroundings<'a, 'd> {
    pub(crate) database: &'a Database<'d>,
    pub(crate) people: &'a People,
    /// Nothing without a schema lock.
    pub(crate) classified: Option<&'a Classified>,
    pub(crate) classified_changed: bool,
    /// Where the project says that every column has to be classified.
    pub(crate) strict: Option<Location>,
    /// Nothing where no tests are declared.
    pub(crate) cases: Option<&'a Cases<'a>>,
    pub(crate) cases_changed: bool,
    /// Files with errors besides those of policies.
    pub(crate) wrong: &'a HashSet<SourceId>,
}

/// The policies of a database.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// In the order they are built in.
    entries: Vec<Entry>,
    next: u64,
    pairs: Pairs,
    parents: family::Parents,
    derived: views::Derived,
    readable: Covered<RelationId>,
    restricted: Covered<RelationId>,
    hashed: Covered<ColumnRef>,
    /// Those with masks.
    masking: Masking,
    /// Files with policies about which something else was found than before.
    pub(crate) dirty: HashSet<SourceId>,
    unclassified: Found,
    strict: Option<Location>,
    /// How many policies were checked, and how many comparisons made.
    pub(crate) checked: usize,
    pub(crate) compared: usize,
}

/// What happened to the policies.
#[derive(Debug)]
struct Edit<'a, 'd> {
    around: &'a Surroundings<'a, 'd>,
    /// Policies from this number on are new.
    first: u64,
    gone: Vec<Entry>,
}

impl Policies {
    /// None yet, of that database.
    pub(crate) fn new(database: &Database<'_>) -> Self {
        Self {
            pairs: Pairs::of(database.catalog),
            parents: family::Parents::of(database.tables),
            derived: views::Derived::of(database.tables),
            ..Self::default()
        }
    }

    /// All of them, in the order they are built in.
    pub(crate) fn checked(&self) -> impl Iterator<Item = &Arc<CheckedPolicy>> {
        self.entries.iter().map(|entry| &entry.checked)
    }

    /// Everything found about policies of some files.
    pub(crate) fn found(&self, files: &HashSet<SourceId>) -> impl Iterator<Item = &Found> {
        self.entries.iter().filter(|entry| files.contains(&entry.source())).flat_map(Entry::found)
    }

    /// Readable columns nobody said anything about.
    pub(crate) fn unclassified(&self) -> &Found {
        &self.unclassified
    }

    /// Where a policy of that name is: the last of them by path.
    pub(crate) fn named(&self, name: &str, database: &Database<'_>) -> Option<Location> {
        let from = self.entries.partition_point(|entry| entry.checked.name.value.as_str() < name);
        let same = self.entries.iter().skip(from).take_while(|entry| entry.checked.name.value == name);
        let place = |entry: &&Entry| (database.sources.path(entry.source()), entry.checked.at.span.start);
        same.max_by(|a, b| place(a).cmp(&place(b))).map(|entry| entry.checked.name.at)
    }

    /// Takes note of policies that went and came, and does again what that makes necessary.
    pub(crate) fn update(
        &mut self,
        went: &[&Arc<WrittenPolicy>],
        came: &[&Arc<WrittenPolicy>],
        around: &Surroundings<'_, '_>,
    ) {
        let first = self.next;
        let gone = self.take_out(went);
        self.put_in(came, around.database);
        let edit = Edit { around, first, gone };
        self.count(&edit);
        self.names(&edit);
        self.conflicts(&edit);
        self.readable(&edit);
        self.joins(&edit);
        self.family(&edit);
        self.together(&edit);
        let unclear = self.unclear(around.wrong);
        self.exposed(&edit, &unclear);
        self.siblings(&edit);
        self.untested(&edit);
        self.strict(&edit);
    }

    fn take_out(&mut self, went: &[&Arc<WrittenPolicy>]) -> Vec<Entry> {
        let mut gone = Vec::new();
        for written in went {
            let name = written.name.value.as_str();
            let from = self.entries.partition_point(|entry| entry.written.name.value.as_str() < name);
            let same = self.entries.iter().skip(from).take_while(|entry| entry.written.name.value == name);
            let mut places = same.enumerate().filter(|(_, entry)| Arc::ptr_eq(&entry.written, written));
            if let Some((place, _)) = places.next() {
                gone.push(self.entries.remove(from + place));
            }
        }
        gone
    }

    fn put_in(&mut self, came: &[&Arc<WrittenPolicy>], database: &Database<'_>) {
        let done = parallel::map(came, parallel::threads(), |written| {
            let mut sink = Sink::new();
            (crate::check::policy::standing(written, database, &mut sink), Found::from(sink))
        });
        self.checked += came.len();
        let tables = database.tables;
        let sources = database.sources;
        for (written, done) in came.iter().zip(done) {
            self.next += 1;
            let entry = Entry::new(self.next, written, done, &self.parents, tables);
            if came.len() > MANY {
                self.entries.push(entry);
                continue;
            }
            let earlier = |other: &Entry| order(&other.checked, &entry.checked, sources).is_lt();
            let place = self.entries.partition_point(earlier);
            self.entries.insert(place, entry);
        }
        if came.len() > MANY {
            self.entries.sort_by(|a, b| order(&a.checked, &b.checked, sources));
        }
    }

    /// Takes note of what came before what went, so that what is covered both times was never uncovered.
    fn count(&mut self, edit: &Edit<'_, '_>) {
        let (tables, sources) = (edit.around.database.tables, edit.around.database.sources);
        for entry in edit.gone.iter().filter(|entry| entry.facts.masks) {
            self.masking.remove(&entry.checked);
        }
        for entry in self.entries.iter().filter(|entry| edit.is_new(entry)) {
            project::read_by(&entry.checked).for_each(|id| self.readable.add(id));
            sensitive::restricted_by(&entry.checked).for_each(|id| self.restricted.add(id));
            self.pairs.hashed(&entry.checked, tables).iter().for_each(|column| self.hashed.add(column));
            if entry.facts.masks {
                self.masking.add(&entry.checked, sources);
            }
            self.dirty.insert(entry.source());
        }
        for entry in &edit.gone {
            project::read_by(&entry.checked).for_each(|id| self.readable.remove(id));
            sensitive::restricted_by(&entry.checked).for_each(|id| self.restricted.remove(id));
            self.pairs.hashed(&entry.checked, tables).iter().for_each(|column| self.hashed.remove(column));
            self.dirty.insert(entry.source());
        }
    }

    /// Names: looks at the policies of the same name.
    fn names(&mut self, edit: &Edit<'_, '_>) {
        if edit.is_empty(self.next) {
            return;
        }
        let mut found = Vec::new();
        let mut first: Option<&Entry> = None;
        for (place, entry) in self.entries.iter().enumerate() {
            let earlier = first.filter(|first| first.checked.name.value == entry.checked.name.value);
            if earlier.is_none() {
                first = Some(entry);
            }
            if entry.earlier != earlier.map(|earlier| earlier.id) || (edit.is_new(entry) && earlier.is_some())
            {
                let told = earlier.map(|earlier| project::duplicate(&entry.checked, &earlier.checked));
                found.push((place, earlier.map(|earlier| earlier.id), told.into_iter().collect::<Vec<_>>()));
            }
        }
        for (place, earlier, told) in found {
            if let Some(entry) = self.entries.get_mut(place) {
                entry.earlier = earlier;
                entry.compared.name = told.into();
                self.dirty.insert(entry.source());
            }
        }
    }

    /// Columns with two masks: looks at all policies with masks, in order.
    fn conflicts(&mut self, edit: &Edit<'_, '_>) {
        let masks = |entry: &&Entry| entry.facts.masks;
        let came = self.entries.iter().filter(|entry| edit.is_new(entry));
        if !came.chain(&edit.gone).any(|entry| entry.facts.masks) {
            return;
        }
        let masking = self.entries.iter().filter(masks);
        let found = conflicts(masking.map(|entry| (entry.id, &*entry.checked)));
        let mut found: HashMap<u64, Vec<Conflict>> = found.into_iter().collect();
        let mut changed = Vec::new();
        for (place, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.facts.masks) {
            let now = found.remove(&entry.id).unwrap_or_default();
            if now != entry.conflicts || edit.is_new(entry) {
                changed.push((place, now));
            }
        }
        if changed.iter().all(|(_, now)| now.is_empty()) {
            self.set(changed.into_iter().map(|(place, now)| (place, now, Found::default())));
            return;
        }
        let by_id: HashMap<u64, &CheckedPolicy> =
            self.entries.iter().filter(masks).map(|entry| (entry.id, &*entry.checked)).collect();
        let tables = edit.around.database.tables;
        let told = changed.iter().map(|(place, now)| {
            let second = self.entries.get(*place);
            let told = now.iter().filter_map(|one| {
                let a = by_id.get(&one.first.0)?.masks.get(one.first.1)?;
                let b = second?.checked.masks.get(one.second)?;
                project::conflict((a, b), one, tables)
            });
            Found::from(told.collect::<Vec<_>>())
        });
        let told: Vec<Found> = told.collect();
        self.compared += changed.len();
        self.set(changed.into_iter().zip(told).map(|((place, now), told)| (place, now, told)));
    }

    fn set(&mut self, changed: impl Iterator<Item = (usize, Vec<Conflict>, Found)>) {
        for (place, conflicts, told) in changed {
            if let Some(entry) = self.entries.get_mut(place) {
                entry.conflicts = conflicts;
                entry.compared.conflicts = told;
                self.dirty.insert(entry.source());
            }
        }
    }

    /// Masks and writes of what nobody reads: looks at which relations anybody reads.
    fn readable(&mut self, edit: &Edit<'_, '_>) {
        let changed = self.readable.take_change();
        let places = self.places(edit, changed, |_| true);
        let (tables, readable) = (edit.around.database.tables, &self.readable);
        let found = self.compare(&places, |policy, sink| {
            project::masks_not_granted(policy, readable, sink);
            project::writes_without_select(policy, readable, tables, sink);
        });
        self.keep(&places, found, |compared| &mut compared.readable);
    }

    /// Foreign keys: looks at which of their columns anybody hashes.
    fn joins(&mut self, edit: &Edit<'_, '_>) {
        let changed = self.hashed.take_change();
        let places = self.places(edit, changed, |entry| entry.facts.masks);
        let (tables, pairs, hashed) = (edit.around.database.tables, &self.pairs, &self.hashed);
        let found = self.compare(&places, |policy, sink| joins::broken(policy, pairs, hashed, tables, sink));
        self.keep(&places, found, |compared| &mut compared.joins);
    }

    /// Partitions: looks at all policies that grant relations with children.
    fn family(&mut self, edit: &Edit<'_, '_>) {
        let came = self.entries.iter().filter(|entry| edit.is_new(entry));
        let changed = came.chain(&edit.gone).any(|entry| entry.facts.parent);
        let places = self.places(edit, changed, |entry| entry.facts.child);
        let places: Vec<usize> = places
            .into_iter()
            .filter(|place| self.entries.get(*place).is_some_and(|entry| entry.facts.child))
            .collect();
        if places.is_empty() {
            return;
        }
        let tables = edit.around.database.tables;
        let family = Family::of(self.checked().map(AsRef::as_ref), &self.parents);
        let found = self.compare(&places, |policy, sink| family::bypassed(policy, &family, tables, sink));
        self.keep(&places, found, |compared| &mut compared.family);
    }

    /// Masks over what a policy grants: looks at the policies with masks for some of the same people.
    fn together(&mut self, edit: &Edit<'_, '_>) {
        let came = self.entries.iter().filter(|entry| edit.is_new(entry));
        let touched = Touched::by_masks(came.chain(&edit.gone));
        let places =
            self.places(edit, !touched.is_empty(), |entry| touched.meets(&entry.checked.policy.subjects));
        if places.is_empty() {
            return;
        }
        let (tables, sources) = (edit.around.database.tables, edit.around.database.sources);
        let (masking, derived) = (&self.masking, &self.derived);
        let found = self.compare(&places, |policy, sink| {
            let together = masking.certain(&policy.policy.subjects, sources);
            writes::masked(policy, &together, tables, sink);
            views::exposed(policy, &together, derived, tables, sink);
        });
        self.keep(&places, found, |compared| &mut compared.together);
    }

    /// Files in which something is wrong.
    fn unclear(&self, wrong: &HashSet<SourceId>) -> HashSet<SourceId> {
        let of_policies = self.entries.iter().filter(|entry| entry.is_wrong()).map(Entry::source);
        wrong.iter().copied().chain(of_policies).collect()
    }

    /// Sensitive columns: looks at what is masked for some of the same people, and whether the file has errors.
    fn exposed(&mut self, edit: &Edit<'_, '_>, unclear: &HashSet<SourceId>) {
        let mut turned = HashSet::new();
        for entry in &mut self.entries {
            let now = unclear.contains(&entry.source());
            if entry.facts.unclear != now {
                turned.insert(entry.id);
            }
            entry.facts.unclear = now;
        }
        let Some(classified) = edit.around.classified else { return };
        let came = self.entries.iter().filter(|entry| edit.is_new(entry));
        let touched = Touched::by_columns(edit.gone.iter(), came);
        let (people, all) = (edit.around.people, edit.around.classified_changed);
        let places = self.places(edit, all || !turned.is_empty() || !touched.is_empty(), |entry| {
            all || turned.contains(&entry.id) || touched.meets_members(&entry.checked.policy.subjects, people)
        });
        if places.is_empty() {
            return;
        }
        let asked = places.iter().filter_map(|place| self.entries.get(*place)).map(|entry| &*entry.checked);
        let masking = |whom: Whom<'_>| match whom {
            Whom::Everyone => self.masking.everyone(),
            Whom::Group(name) => self.masking.group(name),
            Whom::User(name) => self.masking.user(name),
        };
        let masks = Masks::of(asked, masking, people);
        let tables = edit.around.database.tables;
        // What a file with errors masks is not known yet: a slip in a mask would be told twice.
        let found = self.compare(&places, |policy, sink| {
            if !unclear.contains(&policy.at.source) {
                sensitive::exposed(policy, classified, &masks, tables, sink);
            }
        });
        self.keep(&places, found, |compared| &mut compared.exposed);
    }

    /// Tables filtered in part: looks at which relations anybody restricts.
    fn siblings(&mut self, edit: &Edit<'_, '_>) {
        let changed = self.restricted.take_change();
        let places = self.places(edit, changed, |_| true);
        let (tables, restricted) = (edit.around.database.tables, &self.restricted);
        let found =
            self.compare(&places, |policy, sink| sensitive::siblings(policy, restricted, tables, sink));
        self.keep(&places, found, |compared| &mut compared.siblings);
    }

    /// Tests: looks at all cases.
    fn untested(&mut self, edit: &Edit<'_, '_>) {
        let places = self.places(edit, edit.around.cases_changed, |_| true);
        let found = match edit.around.cases {
            Some(cases) => self.compare(&places, |policy, sink| untested::untested(policy, cases, sink)),
            None => vec![Found::default(); places.len()],
        };
        self.keep(&places, found, |compared| &mut compared.untested);
    }

    /// Columns nobody classified, where the project wants to know: looks at all policies.
    fn strict(&mut self, edit: &Edit<'_, '_>) {
        let moved = self.strict != edit.around.strict;
        self.strict = edit.around.strict;
        let changed = moved || edit.around.classified_changed || !edit.is_empty(self.next);
        let (Some(at), Some(classified)) = (self.strict, edit.around.classified) else {
            self.unclassified = Found::default();
            return;
        };
        if !changed {
            return;
        }
        let mut sink = Sink::new();
        let policies = self.entries.iter().map(|entry| &*entry.checked);
        sensitive::unclassified(policies, classified, at, edit.around.database.tables, &mut sink);
        self.unclassified = Found::from(sink).or_old(&self.unclassified);
    }

    /// The places of policies to compare again: those that are new, and if something changed, those it affects.
    fn places(&self, edit: &Edit<'_, '_>, changed: bool, affected: impl Fn(&Entry) -> bool) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        let again = entries.filter(|(_, entry)| edit.is_new(entry) || (changed && affected(entry)));
        again.map(|(place, _)| place).collect()
    }

    /// What a comparison finds about the policies at these places.
    fn compare(&self, places: &[usize], look: impl Fn(&CheckedPolicy, &mut Sink) + Sync) -> Vec<Found> {
        parallel::map(places, parallel::threads(), |place| {
            let mut sink = Sink::new();
            if let Some(entry) = self.entries.get(*place) {
                look(&entry.checked, &mut sink);
            }
            Found::from(sink)
        })
    }

    fn keep(&mut self, places: &[usize], found: Vec<Found>, slot: impl Fn(&mut Compared) -> &mut Found) {
        self.compared += places.len();
        for (place, found) in places.iter().zip(found) {
            if let Some(entry) = self.entries.get_mut(*place) {
                let source = entry.source();
                let slot = slot(&mut entry.compared);
                let found = found.or_old(slot);
                if !found.is(slot) {
                    self.dirty.insert(source);
                }
                *slot = found;
            }
        }
    }
}

impl Edit<'_, '_> {
    fn is_new(&self, entry: &Entry) -> bool {
        entry.id > self.first
    }

    /// Whether nothing went and nothing came; `last` is the last number given.
    fn is_empty(&self, last: u64) -> bool {
        self.gone.is_empty() && self.first == last
    }
}
