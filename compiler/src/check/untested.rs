//! Policies that no test case concerns, in projects that have tests.

use super::Database;
use crate::rule;
use crate::scenario::Scenario;
use crate::syntax::policy::WrittenPolicy;
use daam_diagnostic::Sink;
use daam_model::PolicySet;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One finding per policy. A project that declares no tests has chosen to have none, and `daam policy test` says so.
pub(crate) fn untested(
    written: &[Arc<WrittenPolicy>],
    set: &PolicySet,
    scenarios: &[Scenario],
    database: &Database<'_>,
    sink: &mut Sink,
) {
    if !database.tested {
        return;
    }
    let concerned: BTreeSet<&str> = set
        .policies
        .iter()
        .filter(|policy| scenarios.iter().any(|case| case.concerns(policy, &set.groups)))
        .map(|policy| policy.name.as_str())
        .collect();
    for policy in written.iter().filter(|policy| policy.database.value == database.name) {
        let name = policy.name.value.as_str();
        if !concerned.contains(name) {
            sink.push(
                rule::POLICY_UNTESTED
                    .at(policy.name.at, format!("no test case says what the policy `{name}` is to do"))
                    .help("add a case for one of its subjects on one of its relations")
                    .about(format!("policy:{name}")),
            );
        }
    }
}
