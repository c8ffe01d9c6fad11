//! Grants that write more than a reader of the policy may expect.

use super::{CheckedGrant, CheckedMask, CheckedPolicy, Database};
use crate::rule;
use crate::syntax::policy::WrittenGrant;
use crate::tables::Tables;
use daam_catalog::{Column, Generated, Relation};
use daam_diagnostic::Sink;
use daam_model::{Grant, Verb};

/// `truncate`: no row filter is asked, and no trigger for the rows.
pub(super) fn privileged(written: &WrittenGrant, sink: &mut Sink) {
    for verb in written.allow.iter().filter(|verb| verb.value == Verb::Truncate) {
        let message = "`truncate` removes every row at once, whatever `rows` says and without row triggers";
        sink.push(rule::PRIVILEGED_VERB.at(verb.at, message).help("allow `delete` where that is enough"));
    }
}

/// Writes that are held instead of asked for, where the project wants them asked for.
pub(super) fn standing(policy: &CheckedPolicy, database: &Database<'_>, sink: &mut Sink) {
    if !database.protected || policy.policy.request.is_some() {
        return;
    }
    for grant in &policy.grants {
        if let Some(verb) = grant.allow.iter().find(|verb| **verb != Verb::Select) {
            let message = format!(
                "`{}` is held all the time, and the database `{}` is protected",
                verb.as_str(),
                database.name
            );
            sink.push(
                rule::STANDING_WRITE
                    .at(grant.at, message)
                    .help("move the verb into a policy with `request`, which is approved and ends"),
            );
        }
    }
}

/// `update` of columns that are masked for some of the same people, by one of the policies `together`.
pub(crate) fn masked(
    policy: &CheckedPolicy,
    together: &[&CheckedPolicy],
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    let masks: Vec<&CheckedMask> = together.iter().flat_map(|other| &other.masks).collect();
    for (grant, model) in policy.grants.iter().zip(&policy.policy.grants) {
        if !masks.is_empty() && grant.allow.contains(&Verb::Update) {
            overwritten((grant, model), &masks, tables, sink);
        }
    }
}

fn overwritten(
    (grant, model): (&CheckedGrant, &Grant),
    masks: &[&CheckedMask],
    tables: &Tables<'_>,
    sink: &mut Sink,
) {
    let narrowed = model.columns.get(&Verb::Update);
    let written = |column: &&Column| {
        !matches!(column.generated, Generated::From(_))
            && narrowed.is_none_or(|columns| columns.contains(&column.name))
    };
    let mut met = grant.relations(tables).flat_map(|relation| {
        let columns = relation.columns.iter().filter(written);
        columns.filter_map(move |column| Some((relation, column, mask_of(relation, column, masks)?)))
    });
    let Some((relation, column, mask)) = met.next() else { return };
    let more = match met.count() {
        0 => String::new(),
        number => format!(" (and {number} more columns)"),
    };
    let message = format!(
        "`update` covers `{}.{}`, which is masked for the same people{more}",
        relation.name, column.name
    );
    sink.push(
        rule::WRITE_TO_MASKED_COLUMN
            .at(grant.at, message)
            .label(mask.at, "masked here")
            .help("narrow the verb: `columns: { update: […] }`"),
    );
}

fn mask_of<'m>(relation: &Relation, column: &Column, masks: &[&'m CheckedMask]) -> Option<&'m CheckedMask> {
    let covers =
        |mask: &CheckedMask| mask.on.iter().any(|found| found.pattern.matches(&relation.name, &column.name));
    masks.iter().find(|mask| covers(mask)).copied()
}
