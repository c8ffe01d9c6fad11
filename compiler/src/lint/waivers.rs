//! Waivers of `daam.yaml`: for rules that guard exposure, by object or policy, with an end.

use super::{Owners, Settings, Settled, Waived, WaivedBy, ended, holds, waivable};
use crate::rule;
use crate::syntax::lint::WrittenWaiver;
use daam_diagnostic::{Diagnostic, Sink};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is left after the waivers; what they silenced goes to `settled`.
pub(super) fn apply<'d>(
    found: Vec<&'d Diagnostic>,
    settings: Settings<'_>,
    owners: &Owners<'_>,
    settled: &mut Settled,
) -> Vec<&'d Diagnostic> {
    let waivers = &settings.project.waivers;
    if waivers.is_empty() {
        return found;
    }
    let mut left = Vec::new();
    for one in found {
        let by = waivers
            .iter()
            .enumerate()
            .find(|(_, waiver)| holds(waiver, settings) && meets(waiver, one, settings, owners));
        let Some((place, waiver)) = by else {
            left.push(one);
            continue;
        };
        settled.used.insert(place);
        settled.waived.push(Arc::new(Waived {
            diagnostic: one.clone(),
            by: WaivedBy::Waiver { owner: waiver.owner.clone() },
            at: waiver.at,
            reason: waiver.reason.clone(),
            until: Some(waiver.until.value),
        }));
    }
    left
}

/// Waivers that are wrong, and those that silenced nothing.
pub(super) fn judge(used: &BTreeSet<usize>, settings: Settings<'_>, sink: &mut Sink) {
    for (place, waiver) in settings.project.waivers.iter().enumerate() {
        let idle = settings.complete && !used.contains(&place);
        let found = wrong(waiver, settings).or_else(|| idle.then(|| unused(waiver)));
        sink.extend(found);
    }
}

fn meets(waiver: &WrittenWaiver, found: &Diagnostic, settings: Settings<'_>, owners: &Owners<'_>) -> bool {
    if waiver.rule.value.code != found.code {
        return false;
    }
    let owner = owners.of(found.at);
    let object = waiver.on.as_ref().is_none_or(|on| {
        found.subject.split_once(':').is_some_and(|(kind, name)| {
            matches!(kind, "column" | "relation" | "function") && name == on.value
        })
    });
    let policy = waiver.policy.as_ref().is_none_or(|policy| {
        let named =
            found.subject.strip_prefix("policy:").map(|rest| rest.split('/').next() == Some(&policy.value));
        named.unwrap_or_else(|| owner.and_then(|owner| owner.policy) == Some(&policy.value))
    });
    let database = waiver.database.as_ref().map_or(settings.project.databases.len() == 1, |database| {
        owner.is_some_and(|owner| owner.database == database.value)
    });
    object && policy && database
}

/// What keeps a waiver from waiving anything, if something does.
fn wrong(waiver: &WrittenWaiver, settings: Settings<'_>) -> Option<Diagnostic> {
    let meant = waiver.rule.value;
    if !waivable(meant) {
        let help = match meant.nature {
            rule::Nature::Fixed => "put right what the rule finds",
            _ => "set its level under `lint.levels`, or silence one finding by a comment with a reason",
        };
        let message =
            format!("`{}` is not waived: waivers are for rules that guard exposure", meant.code.slug);
        return Some(rule::NOT_SILENCEABLE.at(waiver.rule.at, message).help(help));
    }
    if ended(Some(waiver.until.value), settings.today) {
        let message = format!("the waiver of {} ended on this day", waiver.owner);
        return Some(
            rule::EXPIRED_WAIVER
                .at(waiver.until.at, message)
                .help("remove it, or let its owner renew it with a new reason"),
        );
    }
    if waiver.database.is_none() && settings.project.databases.len() > 1 {
        let message = "the project has several databases, and the waiver does not say which one it is for";
        return Some(rule::MISSING_KEY.at(waiver.at, message).help("add `database: …`"));
    }
    None
}

fn unused(waiver: &WrittenWaiver) -> Diagnostic {
    let message = format!("no finding of `{}` is waived by this", waiver.rule.value.code.slug);
    rule::UNUSED_WAIVER
        .at(waiver.rule.at, message)
        .help("remove it; it would silence a finding nobody has looked at")
}
