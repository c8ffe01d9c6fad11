//! One policy: its subjects, and each of its parts in turn.

use super::grant::grant;
use super::mask::mask_rule;
use super::request::request;
use super::{CheckedPolicy, Database, lists, people, project, writes};
use crate::rule;
use crate::syntax::decode::Spanned;
use crate::syntax::policy::{WrittenPolicy, WrittenSubjects};
use daam_diagnostic::Sink;
use daam_model::{Policy, Subjects, Verb};
use std::collections::BTreeSet;

/// Checks a policy; what could not be checked is left out of the result, and reported.
pub(crate) fn policy(written: &WrittenPolicy, database: &Database<'_>, sink: &mut Sink) -> CheckedPolicy {
    let who = written.subjects.as_ref().or_else(|| written.request.as_ref().and_then(|r| r.who.as_ref()));
    let subjects = who.map(|who| subjects(who, database, sink)).unwrap_or_default();
    let request = written.request.as_ref().and_then(|terms| request(terms, database, sink));
    let mut grants = Vec::new();
    let mut model_grants = Vec::new();
    for written in &written.grants {
        let (model, checked) = grant(written, database, sink);
        model_grants.push(model);
        grants.push(checked);
    }
    let mut masks = Vec::new();
    let mut model_masks = Vec::new();
    for written in &written.masks {
        let (model, checked) = mask_rule(written, database, sink);
        model_masks.push(model);
        masks.push(checked);
    }
    super::filter_mask::compared(&grants, &masks, database.tables, sink);
    if written.blank {
        let message =
            format!("the policy `{}` grants nothing, masks nothing and limits nothing", written.name.value);
        sink.push(rule::GRANT_WITHOUT_EFFECT.at(written.name.at, message));
    }
    writes_nothing(written, sink);
    let policy = Policy {
        name: written.name.value.clone(),
        description: written.description.clone(),
        subjects,
        grants: model_grants,
        masks: model_masks,
        session: written.session.clone(),
        request,
        origin: database.origin(written.at),
    };
    CheckedPolicy { at: written.at, name: written.name.clone(), policy, grants, masks }
}

/// As [`policy`], with the rules that are for policies and not for request ceilings.
pub(crate) fn standing(written: &WrittenPolicy, database: &Database<'_>, sink: &mut Sink) -> CheckedPolicy {
    let checked = policy(written, database, sink);
    project::shadowed(&checked, sink);
    writes::standing(&checked, database, sink);
    checked
}

fn subjects(written: &WrittenSubjects, database: &Database<'_>, sink: &mut Sink) -> Subjects {
    people::subjects(written, database, sink);
    lists::repeated(&written.groups, "group", database.sources, sink);
    lists::repeated(&written.users, "address", database.sources, sink);
    if written.nobody {
        sink.push(
            rule::GRANT_WITHOUT_EFFECT
                .at(written.at, "nobody is meant: `everyone` is not set and no group or user is named"),
        );
    }
    Subjects { everyone: written.everyone, groups: values(&written.groups), users: values(&written.users) }
}

pub(super) fn values(list: &[Spanned<String>]) -> BTreeSet<String> {
    list.iter().map(|item| item.value.clone()).collect()
}

/// Verbs that its own sessions never have.
fn writes_nothing(written: &WrittenPolicy, sink: &mut Sink) {
    if written.session.read_only != Some(true) {
        return;
    }
    for verb in written.grants.iter().flat_map(|grant| &grant.allow).filter(|verb| verb.value != Verb::Select)
    {
        let message = format!(
            "`{}` is not held: `session: {{ read_only: true }}` of this policy takes it away",
            verb.value.as_str()
        );
        sink.push(rule::GRANT_WITHOUT_EFFECT.at(verb.at, message).help("leave out the verb, or the limit"));
    }
    if written.session.procedural == Some(true) {
        let message = "`procedural` is not held: `session: { read_only: true }` of this policy takes it away, because \
                       code that nobody looks at could end that";
        sink.push(rule::GRANT_WITHOUT_EFFECT.at(written.name.at, message).help("leave out one of the two"));
    }
}
