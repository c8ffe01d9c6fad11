//! `daam policy diff`: what a change of policies changes for people.

use super::project::ProjectArgs;
use super::side::{Place, State, working_tree};
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::{Args, ValueEnum};
use daam_compiler::diff::{Diff, diff, to_json, to_markdown, to_text};
use daam_model::PolicySet;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Options of `daam policy diff`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy diff
  daam policy diff git:main
  daam policy diff bundle:shop.daam dir:. --report markdown=comment.md
  daam policy diff git:v1 git:v2 --fail-on lost

Effects are compared, not text: who can do what, through which mask and filter, standing or on request.
A filter that is neither clearly narrower nor clearly wider counts as one that may widen, and so does a mask that
another policy's grant was under. A new column that an old pattern covers is access too, marked as schema-driven.
A bundle has no schema and no scope; those of the other side count, or of the project.
Exit codes: 0 no effect changed, 10 changed and nothing widened, 11 widened or may widen, 12 access lost (with
--fail-on lost, where nothing widened), 1 a side has errors, 2 no verdict.")]
pub struct DiffArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// `git:REF`, `dir:PATH` or `bundle:FILE`.
    #[arg(value_name = "OLD", default_value = "git:HEAD")]
    old: Place,
    /// As OLD; by default the files of the project as they are.
    #[arg(value_name = "NEW")]
    new: Option<Place>,
    /// Only this database.
    #[arg(long)]
    database: Option<String>,
    /// `text`, `json` or `markdown`, each with `=PATH` to write a file; may be given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<DiffReport>,
    /// What else fails.
    #[arg(long, value_name = "WHAT")]
    fail_on: Option<FailOn>,
}

/// What fails beside widening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Access that was lost.
    Lost,
}

#[derive(Debug, Clone)]
struct DiffReport {
    format: fn(&[Diff]) -> String,
    path: Option<PathBuf>,
}

impl FromStr for DiffReport {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = match written.split_once('=') {
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (written, None),
        };
        let format: fn(&[Diff]) -> String = match name {
            "text" => to_text,
            "markdown" => to_markdown,
            "json" => |diffs| format!("{}\n", to_json(diffs)),
            other => {
                return Err(format!("`{other}` is not a format of diffs; there are text, json and markdown"));
            }
        };
        Ok(Self { format, path })
    }
}

/// Runs it.
pub fn run(args: &DiffArgs) -> Result<ExitCode, CliError> {
    let directory = &args.project.project;
    let old = args.old.read(directory)?;
    let new = match &args.new {
        Some(place) => place.read(directory)?,
        None => working_tree(&args.project)?,
    };
    let diffs = compare(args, &old, &new)?;
    for report in &args.reports {
        let rendered = (report.format)(&diffs);
        match &report.path {
            None => output::text_out(&rendered),
            Some(path) => {
                std::fs::write(path, rendered).doing(format_args!("write `{}`", path.display()))?;
            }
        }
    }
    let exit = if diffs.iter().any(Diff::widens) {
        Exit::Widened
    } else if args.fail_on == Some(FailOn::Lost) && diffs.iter().any(Diff::loses) {
        Exit::Lost
    } else if diffs.iter().any(Diff::changed) {
        Exit::Changed
    } else {
        return Ok(ExitCode::SUCCESS);
    };
    Ok(exit.into())
}

fn compare(args: &DiffArgs, old: &State, new: &State) -> Result<Vec<Diff>, CliError> {
    let bundled: Vec<&str> = [old, new]
        .into_iter()
        .filter(|state| matches!(state, State::Bundle(_)))
        .flat_map(State::names)
        .collect();
    if let [one, other] = bundled.as_slice()
        && one != other
    {
        return Err(CliError::usage(format!("the bundles are for `{one}` and for `{other}`"))
            .remedy("compare two bundles of one database"));
    }
    let names: BTreeSet<&str> = old.names().into_iter().chain(new.names()).collect();
    let wanted = |name: &&str| {
        args.database.as_ref().is_none_or(|only| only == name)
            && (bundled.is_empty() || bundled.contains(name))
    };
    let names: Vec<&str> = names.into_iter().filter(wanted).collect();
    if names.is_empty() {
        return Err(CliError::new(Exit::NoInputs, "no database of that name is on either side"));
    }
    let mut diffs = Vec::new();
    for name in names {
        let project;
        let frame = if let Some(frame) = new.frame(name).or_else(|| old.frame(name)) {
            frame
        } else {
            project = working_tree(&args.project)?;
            project.frame(name).ok_or_else(|| {
                CliError::usage(format!("the schema of `{name}` is not known"))
                    .remedy("name a project that has its schema lock with `--project DIR`")
            })?
        };
        let none = PolicySet { database: name.to_owned(), ..PolicySet::default() };
        diffs.push(diff(&old.side(name, frame, &none), &new.side(name, frame, &none)));
    }
    Ok(diffs)
}
