//! What is measured inside the process: nothing is read from a disk, so that only our own work counts.

use crate::project::{self, Size};
use daam_compiler::effects::{Question, Side, who_can};
use daam_compiler::{MemoryFiles, Options, Workspace};
use daam_model::effective::effective;
use daam_model::{Subject, Verb};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::Instant;

/// Measures everything and writes one line each.
pub(crate) fn run(size: Size, out: &mut impl Write) -> std::io::Result<()> {
    let started = Instant::now();
    let files = project::files(size);
    line(out, "generate", started)?;
    let mut memory = MemoryFiles::new();
    for (path, text) in files {
        memory = memory.with(path, text);
    }
    let mut workspace = Workspace::new(Options::default());
    let started = Instant::now();
    let checked = workspace.check(&memory);
    line(out, "check", started)?;
    for found in checked.diagnostics.iter().take(5) {
        writeln!(out, "# {} {} {}", found.code, checked.sources.path(found.at.source), found.message)?;
    }
    writeln!(out, "findings\t{}", checked.diagnostics.len())?;
    edits(&mut workspace, memory, out)?;
    let Some(database) = checked.databases.get("main") else { return Ok(()) };
    let subject = Subject::new("", "sam@acme.test").in_groups(["team-0000".to_owned()]);
    let started = Instant::now();
    let held = effective(&database.policies, &database.catalog, &subject, &BTreeSet::new());
    line(out, "explain", started)?;
    writeln!(out, "# {} relations", held.relations.len())?;
    let Some(relation) = held.relations.keys().next().cloned() else { return Ok(()) };
    let question = Question { verb: Verb::Select, relation, column: None, unmasked: false };
    let started = Instant::now();
    let answers = who_can(&Side::of(database), &question);
    line(out, "who-can", started)?;
    writeln!(out, "# {} answers", answers.len())
}

/// One file is edited, as somebody types; then the same project again.
fn edits(workspace: &mut Workspace, memory: MemoryFiles, out: &mut impl Write) -> std::io::Result<()> {
    let path = "policies/team-000/policy-00042.yaml";
    let mut memory = memory;
    for round in 0..20 {
        let text = format!(
            "kind: policy\nname: policy-00042\ndatabase: main\nsubjects: {{ groups: [team-{round:04}] }}\n\
             grants:\n  - {{ on: area_000.account_0000, allow: [select], rows: quantity < {round} }}\n"
        );
        memory = memory.with(path, text);
        let started = Instant::now();
        let checked = workspace.check(&memory);
        line(out, "edit", started)?;
        let started = Instant::now();
        drop(checked);
        line(out, "drop", started)?;
    }
    Ok(())
}

fn line(out: &mut impl Write, name: &str, started: Instant) -> std::io::Result<()> {
    writeln!(out, "{name}\t{:.1}", started.elapsed().as_secs_f64() * 1000.0)
}
