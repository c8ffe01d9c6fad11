//! The SQL an agent would plan for one person, and how it differs: the same planner, so what is shown is what is run.
//!
//! Left out are the roles' names, which are made from the grants, and the hash key, which no project has.

use crate::error::{CliError, Doing as _};
use daam_compiler::effects::Side;
use daam_enforce::plan::{HashKey, plan};
use daam_model::{Subject, effective};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Statements that keep the hash key; the rest is what the policies say.
const KEY_STATEMENTS: usize = 3;

/// One line for each statement's line, in the order they are run.
pub(super) fn sql(side: &Side<'_>, subject: &Subject) -> Result<Vec<String>, CliError> {
    let subject = subject.with_declared_attributes(&side.policies.attributes);
    let mut held = effective(side.policies, side.catalog, &subject, &BTreeSet::new());
    held.relations.retain(|name, _| side.scope.admits(name));
    let plan = plan(&held, side.catalog).doing("plan the SQL")?;
    let views = plan.install(&HashKey::new([0; 32])).into_iter().skip(KEY_STATEMENTS);
    let statements = plan.permission_grants().into_iter().chain(plan.view_owner_grants()).chain(views);
    let owner = plan.view_owner().unwrap_or_default().to_owned();
    let named = statements.map(|text| {
        let text = text.replace(plan.permission_role(), "permission_role");
        if owner.is_empty() { text } else { text.replace(&owner, "view_owner") }
    });
    Ok(named.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect())
}

/// What goes and what comes.
pub(super) fn difference(database: &str, old: &[String], new: &[String]) -> String {
    let (before, after): (BTreeSet<&String>, BTreeSet<&String>) =
        (old.iter().collect(), new.iter().collect());
    let gone = old.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let come = new.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let mut out = format!("{database}: planned SQL\n");
    let lines: Vec<String> = gone.chain(come).collect();
    if lines.is_empty() {
        out.push_str("  the same\n");
    }
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
    out
}
