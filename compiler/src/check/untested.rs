//! Policies that no test case concerns, in projects that have tests.

use super::CheckedPolicy;
use crate::rule;
use crate::scenario::Cases;
use daam_diagnostic::Sink;

/// One finding per policy. A project that declares no tests has chosen to have none, and `daam policy test` says so.
pub(crate) fn untested(policy: &CheckedPolicy, cases: &Cases<'_>, sink: &mut Sink) {
    if cases.concern(&policy.policy) {
        return;
    }
    let name = policy.name.value.as_str();
    sink.push(
        rule::POLICY_UNTESTED
            .at(policy.name.at, format!("no test case says what the policy `{name}` is to do"))
            .help("add a case for one of its subjects on one of its relations")
            .about(format!("policy:{name}")),
    );
}
