//! Waivers of `daam.yaml`: for rules that guard exposure, by object or policy, with an end.

use super::{Settings, Waived, WaivedBy, ended, holds, waivable};
use crate::rule;
use crate::syntax::lint::WrittenWaiver;
use daam_diagnostic::{Diagnostic, Sink};

/// What is left after the waivers; what they silenced goes to `silenced`, what is wrong with them to the sink.
pub(super) fn apply(
    found: Vec<Diagnostic>,
    settings: &Settings<'_>,
    complete: bool,
    silenced: &mut Vec<Waived>,
    sink: &mut Sink,
) -> Vec<Diagnostic> {
    let waivers = &settings.project.waivers;
    let mut hits = vec![0_usize; waivers.len()];
    let mut left = Vec::new();
    for one in found {
        let by = waivers
            .iter()
            .zip(&mut hits)
            .find(|(waiver, _)| holds(waiver, settings) && meets(waiver, &one, settings));
        let Some((waiver, hits)) = by else {
            left.push(one);
            continue;
        };
        *hits += 1;
        silenced.push(Waived {
            diagnostic: one,
            by: WaivedBy::Waiver { owner: waiver.owner.clone() },
            at: waiver.at,
            reason: waiver.reason.clone(),
            until: Some(waiver.until.value),
        });
    }
    for (waiver, hits) in waivers.iter().zip(hits) {
        let found = wrong(waiver, settings).or_else(|| (complete && hits == 0).then(|| unused(waiver)));
        if let Some(found) = found {
            sink.push(found);
        }
    }
    left
}

fn meets(waiver: &WrittenWaiver, found: &Diagnostic, settings: &Settings<'_>) -> bool {
    if waiver.rule.value.code != found.code {
        return false;
    }
    let owner = settings.owners.of(found.at);
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
fn wrong(waiver: &WrittenWaiver, settings: &Settings<'_>) -> Option<Diagnostic> {
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
