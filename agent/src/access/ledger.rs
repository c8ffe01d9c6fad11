//! The list of grants, their times, and what became of each.

use super::clock::{Budget, Reading, StoredBudget};
use super::judge::{Admitted, Facts, Refused, judge};
use super::{Requests, Unreadable};
use daam_api::link::{AccessGrant, AccessState, FromAgent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// All grants of the last list, in its order.
#[derive(Debug, Default)]
pub struct Ledger {
    version: u64,
    entries: Vec<Entry>,
    /// Grants of a list that could not be read.
    void: Vec<AccessState>,
}

#[derive(Debug)]
struct Entry {
    grant: AccessGrant,
    budget: Budget,
    /// It was in force once, so it goes on although the bundle may not be the latest any more.
    begun: bool,
    verdict: Result<Admitted, Refused>,
    phase: Phase,
}

/// Where a grant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    /// Its time has come, but the bundle may be an old one.
    Unattested,
    Active,
    Ended,
    Refused,
}

/// The list on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredAccess {
    version: u64,
    entries: Vec<StoredEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry {
    grant: AccessGrant,
    budget: StoredBudget,
    begun: bool,
}

impl Ledger {
    /// What was on disk. Nothing of it is in force before it was judged.
    pub fn restored(stored: StoredAccess, now: Reading) -> Self {
        let entry = |StoredEntry { grant, budget, begun }| Entry {
            budget: Budget::restored(grant.ends_at, budget, now),
            verdict: Err(Refused::NoBundle),
            phase: Phase::Refused,
            grant,
            begun,
        };
        Self {
            version: stored.version,
            entries: stored.entries.into_iter().map(entry).collect(),
            void: Vec::new(),
        }
    }

    /// For the disk.
    pub fn stored(&self, now: Reading) -> StoredAccess {
        let entry = |entry: &Entry| StoredEntry {
            grant: entry.grant.clone(),
            budget: entry.budget.stored(now),
            begun: entry.begun,
        };
        StoredAccess { version: self.version, entries: self.entries.iter().map(entry).collect() }
    }

    /// The version held.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is nothing to keep time for.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a list in place of the one held; false for an older one. A grant that was there already goes on with the time
    /// it has left.
    pub fn replace(&mut self, version: u64, grants: Vec<AccessGrant>, now: Reading) -> bool {
        if version < self.version {
            return false;
        }
        let mut held: BTreeMap<String, (AccessGrant, Budget, bool)> = std::mem::take(&mut self.entries)
            .into_iter()
            .map(|entry| (entry.grant.id.clone(), (entry.grant, entry.budget, entry.begun)))
            .collect();
        self.version = version;
        self.void.clear();
        self.entries = grants
            .into_iter()
            .map(|grant| {
                let before = held.remove(&grant.id);
                // The same request, whatever happened to its end; anything else begins anew.
                let before = before.filter(|(old, ..)| {
                    (&old.user_id, &old.what, old.starts_at) == (&grant.user_id, &grant.what, grant.starts_at)
                });
                let (budget, begun) = match before {
                    Some((_, budget, begun)) => (budget.moved_to(grant.ends_at, now), begun),
                    None => (Budget::until(grant.ends_at, now), false),
                };
                Entry { grant, budget, begun, verdict: Err(Refused::NoBundle), phase: Phase::Refused }
            })
            .collect();
        true
    }

    /// The next list counts, whatever its version.
    pub fn forget_version(&mut self) {
        self.version = 0;
    }

    /// A list came that cannot be read: nothing is in force any more.
    pub fn void(&mut self, list: Unreadable) {
        self.entries.clear();
        self.version = self.version.max(list.version.unwrap_or(0));
        let refused = |id| AccessState { id, state: "refused".to_owned(), reason: Some(list.why.clone()) };
        self.void = list.ids.into_iter().map(refused).collect();
    }

    /// Judges every grant again; without facts there is no bundle.
    pub fn judge(&mut self, facts: Option<Facts<'_>>) {
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &self.entries {
            let count = ids.entry(entry.grant.id.clone()).or_default();
            *count = count.saturating_add(1);
        }
        for entry in &mut self.entries {
            entry.verdict = match facts {
                _ if ids.get(&entry.grant.id).is_some_and(|count| *count > 1) => Err(Refused::Twice),
                Some(facts) => judge(&entry.grant, facts),
                None => Err(Refused::NoBundle),
            };
        }
    }

    /// Lets time pass; whether anything began, ended or changed otherwise. Nothing begins unless `may_start`.
    pub fn advance(&mut self, now: Reading, may_start: bool) -> bool {
        let mut changed = false;
        for entry in &mut self.entries {
            let phase = entry.at(now, may_start);
            entry.begun |= phase == Phase::Active;
            changed |= phase != entry.phase;
            entry.phase = phase;
        }
        changed
    }

    /// What is in force.
    pub fn requests(&self) -> Requests {
        let active = self.entries.iter().filter(|entry| entry.phase == Phase::Active);
        Requests::of(active.filter_map(|entry| entry.verdict.as_ref().ok().cloned()))
    }

    /// What the control plane is told.
    pub fn status(&self) -> FromAgent {
        let grants = self.entries.iter().map(Entry::state).chain(self.void.iter().cloned()).collect();
        FromAgent::AccessStatus { version: self.version, grants }
    }

    /// The grants, whatever became of them.
    pub fn grants(&self) -> impl Iterator<Item = &AccessGrant> {
        self.entries.iter().map(|entry| &entry.grant)
    }

    /// How long nothing begins or ends by itself.
    pub fn quiet_for(&self, now: Reading) -> Option<Duration> {
        self.entries.iter().filter_map(|entry| entry.next(now)).min()
    }
}

impl Entry {
    fn at(&self, now: Reading, may_start: bool) -> Phase {
        if self.budget.is_over(now) {
            Phase::Ended
        } else if self.verdict.is_err() {
            Phase::Refused
        } else if now.unix < self.grant.starts_at && !self.begun {
            Phase::Waiting
        } else if self.begun || may_start {
            Phase::Active
        } else {
            Phase::Unattested
        }
    }

    fn next(&self, now: Reading) -> Option<Duration> {
        match self.phase {
            Phase::Waiting => {
                let wait = u64::try_from(self.grant.starts_at.saturating_sub(now.unix)).unwrap_or(0);
                Some(Duration::from_secs(wait).min(self.budget.left(now)))
            }
            Phase::Active | Phase::Unattested => Some(self.budget.left(now)),
            Phase::Ended | Phase::Refused => None,
        }
    }

    fn state(&self) -> AccessState {
        let (state, reason) = match (self.phase, &self.verdict) {
            (Phase::Waiting, _) => ("waiting", None),
            (Phase::Unattested, _) => {
                ("waiting", Some("it is not known whether the policy bundle is the latest".to_owned()))
            }
            (Phase::Active, _) => ("active", None),
            (Phase::Ended, _) => ("ended", None),
            (Phase::Refused, Err(refused)) => ("refused", Some(refused.to_string())),
            (Phase::Refused, Ok(_)) => ("refused", None),
        };
        AccessState { id: self.grant.id.clone(), state: state.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests;
