//! `daam policy diff`: what a change of policies changes for people.

mod planned;

use super::as_findings::{Form, changes, in_form};
use super::ask::PersonArgs;
use super::project::ProjectArgs;
use super::report::{format_and_path, prefix};
use super::side::{Place, PlaneArgs, State, base, working_tree};
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::{Args, ValueEnum};
use daam_catalog::RelationPattern;
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
  daam policy diff deployed:shop --fail-on widen
  daam policy diff --subject group:support --resource 'public.*'
  daam policy diff --sql --groups support --attr region=eu
  daam policy diff bundle:shop.daam dir:. --report markdown=comment.md
  daam policy diff git:v1 git:v2 --fail-on lost

Without OLD it is the commit the branch started from: where it left the branch a pipeline names as its target, or
the default branch. Effects are compared, not text: who can do what, through which mask and filter, standing or on request.
A filter that is neither clearly narrower nor clearly wider counts as one that may widen, and so does a mask that
another policy's grant was under. A new column that an old pattern covers is access too, marked as schema-driven.
A bundle has no schema and no scope; those of the other side count, or of the project.
What a request would give is compared as well, ad hoc requests by their ceilings; a relation that is out of scope or
gone from the schema has left management, which is lost access of its own kind.
Exit codes: 0 no effect changed, 10 changed and nothing widened, 11 widened or may widen, 12 access lost (with
--fail-on lost or any, where nothing widened), 1 a side has errors (other than about what
it exposes), 2 no verdict, 3 no such database or bundle.
With --fail-on only what it names fails: `widen` 11, `lost` 11 and 12, `any` 10 to 12.")]
pub struct DiffArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// `git:REF`, `dir:PATH`, `bundle:FILE` or `deployed:DATABASE`.
    #[arg(value_name = "OLD")]
    old: Option<Place>,
    /// As OLD; by default the files of the project as they are.
    #[arg(value_name = "NEW")]
    new: Option<Place>,
    /// Only this database.
    #[arg(long)]
    database: Option<String>,
    /// `text`, `json`, `sarif`, `github`, `gitlab`, `junit` or `markdown`, each with `=PATH` to write a file; may be given
    /// several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<DiffReport>,
    /// What fails; without it every change does.
    #[arg(long, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// Only what concerns `everyone`, `group:NAME` or `user:EMAIL`.
    #[arg(long, value_name = "WHO")]
    subject: Option<String>,
    /// Only relations this pattern covers.
    #[arg(long, value_name = "SCHEMA.TABLE", value_parser = pattern)]
    resource: Option<RelationPattern>,
    /// Also show how the SQL differs that an agent would plan for a person.
    #[arg(long)]
    sql: bool,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    plane: PlaneArgs,
}

fn pattern(text: &str) -> Result<RelationPattern, String> {
    RelationPattern::parse(text).map_err(|error| error.to_string())
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Access that widened or may have.
    Widen,
    /// That, and access that was lost.
    Lost,
    /// Every change of an effect.
    Any,
}

/// How changes are written; the text leads from the root of the repository to the project.
type Format = fn(&[Diff], &str) -> String;

#[derive(Debug, Clone)]
struct DiffReport {
    format: Format,
    path: Option<PathBuf>,
}

impl FromStr for DiffReport {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = format_and_path(written)?;
        let format: Format = match name {
            "text" => |diffs, _| to_text(diffs),
            "markdown" => |diffs, _| to_markdown(diffs),
            "json" => |diffs, _| format!("{}\n", to_json(diffs)),
            "sarif" => |diffs, prefix| in_form(changes(diffs), Form::Sarif, prefix),
            "github" => |diffs, prefix| in_form(changes(diffs), Form::Github, prefix),
            "gitlab" => |diffs, prefix| in_form(changes(diffs), Form::Gitlab, prefix),
            "junit" => |diffs, prefix| in_form(changes(diffs), Form::Junit, prefix),
            other => {
                return Err(format!(
                    "`{other}` is not a format of diffs; there are text, json, sarif, github, gitlab, junit and markdown"
                ));
            }
        };
        Ok(Self { format, path })
    }
}

/// Runs it.
pub async fn run(args: &DiffArgs) -> Result<ExitCode, CliError> {
    let directory = &args.project.project;
    let place = args.old.clone().unwrap_or_else(|| base(directory));
    let old = place.read(directory, &args.plane).await?;
    let new = match &args.new {
        Some(place) => place.read(directory, &args.plane).await?,
        None => working_tree(&args.project)?,
    };
    let (diffs, sql) = compare(args, &old, &new)?;
    for report in &args.reports {
        let rendered = (report.format)(&diffs, &prefix(directory));
        match &report.path {
            None => output::text_out(&rendered),
            Some(path) => {
                std::fs::write(path, rendered).doing(format_args!("write `{}`", path.display()))?;
            }
        }
    }
    output::text_out(&sql);
    Ok(verdict(args.fail_on, &diffs).map_or(ExitCode::SUCCESS, Exit::into))
}

fn verdict(fail_on: Option<FailOn>, diffs: &[Diff]) -> Option<Exit> {
    let lost = matches!(fail_on, Some(FailOn::Lost | FailOn::Any));
    if diffs.iter().any(Diff::widens) {
        Some(Exit::Widened)
    } else if lost && diffs.iter().any(Diff::loses) {
        Some(Exit::Lost)
    } else if diffs.iter().any(Diff::changed) && matches!(fail_on, None | Some(FailOn::Any)) {
        Some(Exit::Changed)
    } else {
        None
    }
}

fn compare(args: &DiffArgs, old: &State, new: &State) -> Result<(Vec<Diff>, String), CliError> {
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
    let mut sql = String::new();
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
        let (before, after) = (old.side(name, frame, &none), new.side(name, frame, &none));
        let mut found = diff(&before, &after);
        if old.names().contains(&name) && !new.names().contains(&name) {
            found = found.without_database();
        }
        diffs.push(found.only(args.subject.as_deref(), args.resource.as_ref()));
        if args.sql {
            let subject = args.person.subject(frame)?;
            sql.push_str(&planned::difference(
                name,
                &planned::sql(&before, &subject)?,
                &planned::sql(&after, &subject)?,
            ));
        }
    }
    Ok((diffs, sql))
}
