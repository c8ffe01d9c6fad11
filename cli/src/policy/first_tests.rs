//! The first tests of a project that was written from a database: what its policies give, said as expectations.
//!
//! The answers come from the evaluator, and are run before they are written: a project never begins with a test that
//! fails.

use super::brownfield::quoted;
use daam_catalog::{Identifier, RelationName};
use daam_compiler::effects::{Class, Condition, Index, Question, Side, who_can};
use daam_compiler::{CompiledDatabase, MemoryFiles, check, scenario};
use daam_diagnostic::Severity;
use daam_model::{EffectivePolicy, Verb};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Relations a case shows; those with masks come first.
const SHOWN: usize = 5;
/// Columns whose readers are listed.
const LISTED: usize = 10;

/// The test file; nothing if there is no policy. The project's errors, if it has any.
pub fn propose(database: &str, files: &BTreeMap<String, String>) -> Result<Option<String>, String> {
    let compiled = compile(database, files)?;
    if compiled.policies.policies.is_empty() {
        return Ok(None);
    }
    let mut text = format!("kind: test\ndatabase: {database}\ncases:\n");
    let side = Side::of(&compiled);
    let index = Index::of(&side);
    let mut masked = BTreeSet::new();
    for policy in &compiled.policies.policies {
        let class =
            policy.subjects.groups.first().map_or(Class::Everyone, |group| Class::Group(group.clone()));
        let held = index.evaluate(&compiled.catalog, &class, &Condition::Standing);
        if held.relations.is_empty() {
            continue;
        }
        case(&mut text, &policy.name, policy.subjects.groups.first().map(String::as_str), &held);
        for (name, access) in &held.relations {
            let read = access.verbs.get(&Verb::Select);
            let columns =
                access.masks.keys().filter(|column| read.is_some_and(|read| read.contains(*column)));
            masked.extend(columns.map(|column| (name.clone(), column.clone())));
        }
    }
    for (relation, column) in masked.into_iter().take(LISTED) {
        readers(&mut text, &side, relation, column);
    }
    let mut all = files.clone();
    all.insert(format!("tests/{database}.yaml"), text.clone());
    let compiled = compile(database, &all)?;
    let mut failed = String::new();
    for case in &compiled.scenarios {
        for mismatch in scenario::run(&compiled, case).failures {
            let _ = writeln!(failed, "{}: {mismatch:?}", case.name);
        }
    }
    if failed.is_empty() { Ok(Some(text)) } else { Err(failed) }
}

/// Who reads a masked column all the same: by another policy, or through a view over it.
fn readers(text: &mut String, side: &Side<'_>, relation: RelationName, column: Identifier) {
    let written = format!("{relation}.{column}");
    let question = Question { verb: Verb::Select, relation, column: Some(column), unmasked: true };
    let answers = who_can(side, &question);
    let standing = answers.iter().filter(|answer| answer.condition == Condition::Standing);
    let who: BTreeSet<String> = standing.map(|answer| quoted(&answer.class.to_string())).collect();
    let name = if who.is_empty() {
        format!("nobody reads {written} as it is")
    } else {
        format!("who reads {written} as it is")
    };
    let _ = writeln!(
        text,
        "  - name: {}\n    who_can: {{ select: {}, unmasked: true, exactly: [{}] }}",
        quoted(&name),
        quoted(&written),
        who.into_iter().collect::<Vec<_>>().join(", ")
    );
}

fn compile(database: &str, files: &BTreeMap<String, String>) -> Result<CompiledDatabase, String> {
    let files = files.iter().fold(MemoryFiles::new(), |files, (path, text)| files.with(path, text));
    let mut checked = check(&files);
    let errors: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .map(|found| format!("{} {} {}", checked.sources.path(found.at.source), found.code, found.message))
        .collect();
    let compiled = checked.databases.remove(database).filter(|_| errors.is_empty());
    compiled.ok_or_else(|| errors.join("\n"))
}

fn case(text: &mut String, policy: &str, group: Option<&str>, held: &EffectivePolicy) {
    let who = group.map_or_else(String::new, |group| format!(", groups: [{}]", quoted(group)));
    let _ = writeln!(
        text,
        "  - name: {}\n    as: {{ email: somebody@example.test{who} }}\n    expect:",
        quoted(&format!("what the grants gave {policy}"))
    );
    let mut relations: Vec<_> = held.relations.iter().collect();
    relations.sort_by_key(|(name, access)| (access.masks.is_empty(), (*name).clone()));
    for (name, access) in relations.into_iter().take(SHOWN) {
        let _ = write!(text, "      {}: {{ ", quoted(&name.to_string()));
        let verbs: Vec<String> =
            access.verbs.keys().map(|verb| format!("{}: allow", verb.as_str())).collect();
        text.push_str(&verbs.join(", "));
        let read = access.verbs.get(&Verb::Select);
        let masks: Vec<String> = access
            .masks
            .iter()
            .filter(|(column, _)| read.is_some_and(|read| read.contains(*column)))
            .map(|(column, mask)| {
                format!("{}: \"mask:{}\"", quoted(&column.to_string()), mask.mask().preset())
            })
            .collect();
        if !masks.is_empty() {
            let _ = write!(text, ", columns: {{ {} }}", masks.join(", "));
        }
        text.push_str(" }\n");
    }
}
