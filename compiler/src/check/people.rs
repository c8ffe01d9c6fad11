//! Who is meant: groups that exist, that have members, that can approve.
//!
//! Membership is known where the repository says it: `kind: group` lists members, `kind: directory` counts those of
//! the identity provider. Without a `kind: directory` no group is called unknown: most groups live elsewhere.

use super::Database;
use crate::rule;
use crate::syntax::decode::Spanned;
use crate::syntax::policy::WrittenSubjects;
use crate::syntax::scalar;
use crate::syntax::session::WrittenRequest;
use daam_diagnostic::{Applicability, Sink, suggest};
use std::collections::{BTreeMap, BTreeSet};

/// What the project knows about groups.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct People {
    /// `kind: group`: members by group.
    pub(crate) defined: BTreeMap<String, BTreeSet<String>>,
    /// `kind: directory`: how many members each group has; nothing without such a document.
    directory: Option<BTreeMap<String, u64>>,
    /// The groups of `defined` by member.
    member_of: BTreeMap<String, BTreeSet<String>>,
}

impl People {
    /// What the documents say.
    pub(crate) fn new(
        defined: BTreeMap<String, BTreeSet<String>>,
        directory: Option<BTreeMap<String, u64>>,
    ) -> Self {
        let mut member_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (group, members) in &defined {
            for member in members {
                member_of.entry(member.clone()).or_default().insert(group.clone());
            }
        }
        Self { defined, directory, member_of }
    }

    /// The groups the repository puts a person in.
    pub(crate) fn groups_of(&self, person: &str) -> impl Iterator<Item = &str> {
        self.member_of.get(person).into_iter().flatten().map(String::as_str)
    }

    /// How many members a group has, where that is known.
    pub(crate) fn members(&self, group: &str) -> Option<u64> {
        match self.defined.get(group) {
            Some(members) => u64::try_from(members.len()).ok(),
            None => self.directory.as_ref()?.get(group).copied(),
        }
    }

    fn knows(&self, group: &str) -> bool {
        self.defined.contains_key(group)
            || self.directory.as_ref().is_none_or(|directory| directory.contains_key(group))
    }

    /// Whether the directory is listed and has no such group.
    pub(crate) fn is_unknown(&self, group: &str) -> bool {
        !self.knows(group)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let listed = self.directory.iter().flat_map(BTreeMap::keys);
        self.defined.keys().chain(listed).map(String::as_str)
    }
}

/// Groups that do not exist, and subjects that are nobody.
pub(super) fn subjects(written: &WrittenSubjects, database: &Database<'_>, sink: &mut Sink) {
    groups(&written.groups, database, sink);
    let empty = |group: &Spanned<String>| database.people.members(&group.value) == Some(0);
    let named = !written.everyone && written.users.is_empty() && !written.groups.is_empty();
    if named && written.groups.iter().all(empty) {
        sink.push(
            rule::GRANT_WITHOUT_EFFECT.at(written.at, "nobody is meant: the groups named have no members"),
        );
    }
}

/// Groups that do not exist.
fn groups(written: &[Spanned<String>], database: &Database<'_>, sink: &mut Sink) {
    for group in written.iter().filter(|group| !database.people.knows(&group.value)) {
        let message = format!("there is no group `{}` in the directory or in this repository", group.value);
        let mut diagnostic =
            rule::UNKNOWN_SUBJECT.at(group.at, message).about(format!("group:{}", group.value));
        diagnostic = match suggest::nearest(&group.value, database.people.names()) {
            Some(near) => diagnostic
                .help(format!("did you mean `{near}`?"))
                .replace(Applicability::Unsafe, scalar::quoted(near)),
            None => diagnostic.help("if it is new, list it in the `kind: directory` document"),
        };
        sink.push(diagnostic);
    }
}

/// Approvers that exist and are enough.
pub(super) fn approvers(written: &WrittenRequest, database: &Database<'_>, sink: &mut Sink) {
    let Some(approvers) = &written.approvers else { return };
    groups(&approvers.groups, database, sink);
    let members = approvers
        .groups
        .iter()
        .try_fold(0_u64, |sum, group| Some(sum.saturating_add(database.people.members(&group.value)?)));
    let Some(members) = members.filter(|_| !approvers.groups.is_empty()) else { return };
    if members < u64::from(approvers.count) {
        let message = format!(
            "{} approval(s) are needed and the groups named have {members} member(s) in all",
            approvers.count
        );
        sink.push(
            rule::APPROVER_GROUP_EMPTY
                .at(approvers.at, message)
                .help("name a group with enough members: a request could never be approved"),
        );
    }
}
