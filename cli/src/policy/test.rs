//! `daam policy test`: the project's own expectations, evaluated as the agent would.
//!
//! A run that tested nothing is not a success: no test, and none that a filter left, are exit code 3.

mod live;
mod report;
mod stand_in;

use super::project::ProjectArgs;
use super::report::require_clean;
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_compiler::Checked;
use daam_compiler::scenario::{self, Coverage, Scenario, percent, to_lcov};
use regex::Regex;
use report::TestReport;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

/// Options of `daam policy test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy test
  daam policy test --run 'support|oncall' --report text --report junit=tests.xml
  daam policy test --coverage --threshold 80
  daam policy test --coverage=lcov=coverage.info
  daam policy test --list
  daam policy test --live --seed schema.sql --seed data.sql
  daam policy test --live --dsn postgresql://daam_agent:…@staging/shop

Cases with `sql:` need real rows: `--live` runs them, and asks a real PostgreSQL about every other expectation
too. Without it they count as skipped. The server is a private one, with the seeds in it or else the tables of the
schema lock, unless --dsn names one; whatever is asked is asked through a sandbox of its own and rolled back.
Coverage counts the clauses (grants, rows, restrict, masks, requests) that determined at least one assertion.
Exit codes: 0 all hold, 1 one failed, coverage is below the threshold or the project has errors, 2 no verdict,
3 no test matched, 4 schema lock missing or not usable.")]
pub struct TestArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Only this database.
    #[arg(long)]
    database: Option<String>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Only cases whose name this regular expression finds.
    #[arg(long, value_name = "REGEX")]
    run: Option<Regex>,
    /// Print the cases instead of running them.
    #[arg(long)]
    list: bool,
    /// `text`, `json`, `sarif`, `junit`, `github`, `gitlab` or `markdown`, each with `=PATH` to write a file; may be
    /// given several times.
    #[arg(long = "report", value_name = "FORMAT[=PATH]", default_value = "text")]
    reports: Vec<TestReport>,
    #[command(flatten)]
    coverage: CoverageArgs,
    #[command(flatten)]
    live: live::LiveArgs,
}

/// How much of the policies the tests depend on.
#[derive(Debug, Args)]
struct CoverageArgs {
    /// Report the coverage: `text`, `json` or `lcov`, each with `=PATH` to write a file; may be given several times.
    #[arg(long, value_name = "FORMAT[=PATH]", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    coverage: Vec<CoverageReport>,
    /// Fail when less than this part of the clauses is covered, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    threshold: Option<u8>,
}

#[derive(Debug, Clone)]
struct CoverageReport {
    format: fn(&[Coverage]) -> String,
    path: Option<PathBuf>,
}

impl FromStr for CoverageReport {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = match written.split_once('=') {
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (written, None),
        };
        let format: fn(&[Coverage]) -> String = match name {
            "text" => |all| all.iter().map(Coverage::to_text).collect(),
            "json" => |all| {
                let databases: Vec<_> = all.iter().map(Coverage::to_json).collect();
                format!("{}\n", serde_json::json!({ "version": 1, "databases": databases }))
            },
            "lcov" => to_lcov,
            other => {
                return Err(format!("`{other}` is not a format of coverage; there are text, json and lcov"));
            }
        };
        Ok(Self { format, path })
    }
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// It needs real rows, and was otherwise fine.
    Skipped,
}

/// One case that was run.
#[derive(Debug)]
struct Ran {
    database: String,
    name: String,
    file: String,
    line: usize,
    verdict: Verdict,
    failures: Vec<Said>,
}

/// What does not hold, and where it was expected.
#[derive(Debug)]
struct Said {
    file: String,
    line: usize,
    column: usize,
    message: String,
}

/// Runs it.
pub async fn run(args: &TestArgs) -> Result<ExitCode, CliError> {
    let checked = args.project.check()?;
    require_clean(&checked)?;
    let cases = chosen(args, &checked);
    if cases.is_empty() {
        output::progress(nothing(args));
        return Ok(Exit::NoInputs.into());
    }
    if args.list {
        for (database, case) in &cases {
            let (file, line, _) = place(&checked, case.at);
            output::line(format!("{database}: {}  ({file}:{line})", case.name));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (mut ran, coverages) = evaluated(args, &checked, &cases);
    if args.live.live {
        live::run(&args.live, &args.project.project, &checked, &cases, &mut ran).await?;
    }
    for report in &args.reports {
        report.write(&ran, &args.project.project)?;
    }
    let short = covered(args, &coverages)?;
    let count = |verdict: Verdict| ran.iter().filter(|one| one.verdict == verdict).count();
    if count(Verdict::Failed) > 0 || short {
        return Ok(Exit::Findings.into());
    }
    if count(Verdict::Passed) == 0 {
        output::progress("no test was run: every case that matched needs real rows (`--live`)");
        return Ok(Exit::NoInputs.into());
    }
    Ok(ExitCode::SUCCESS)
}

/// What comes of the cases without a server.
fn evaluated(args: &TestArgs, checked: &Checked, cases: &[(&str, &Scenario)]) -> (Vec<Ran>, Vec<Coverage>) {
    let mut coverages: Vec<Coverage> = checked
        .databases
        .iter()
        .filter(|(name, _)| args.database.as_ref().is_none_or(|only| only == *name))
        .map(|(_, database)| Coverage::of(database))
        .collect();
    let mut ran = Vec::new();
    for (name, case) in cases {
        let Some(database) = checked.databases.get(*name) else { continue };
        let outcome = scenario::run(database, case);
        if let Some(coverage) = coverages.iter_mut().find(|coverage| coverage.database == *name) {
            coverage.add(&outcome);
        }
        let verdict = match (&outcome.failures, &case.live) {
            (failures, _) if !failures.is_empty() => Verdict::Failed,
            (_, Some(_)) => Verdict::Skipped,
            _ => Verdict::Passed,
        };
        let (file, line, _) = place(checked, case.at);
        let said = |failure: scenario::Failure| said(checked, failure.at, failure.message);
        let failures = outcome.failures.into_iter().map(said).collect();
        ran.push(Ran {
            database: (*name).to_owned(),
            name: case.name.clone(),
            file,
            line,
            verdict,
            failures,
        });
    }
    (ran, coverages)
}

/// Reports the coverage; tells whether it is below the threshold.
fn covered(args: &TestArgs, coverages: &[Coverage]) -> Result<bool, CliError> {
    for report in &args.coverage.coverage {
        let rendered = (report.format)(coverages);
        match &report.path {
            None => output::text_out(&rendered),
            Some(path) => std::fs::write(path, rendered)
                .doing(format_args!("write the coverage `{}`", path.display()))?,
        }
    }
    let Some(threshold) = args.coverage.threshold else { return Ok(false) };
    let (covered, all) = coverages
        .iter()
        .map(Coverage::covered)
        .fold((0, 0), |(covered, all), (more, whole)| (covered + more, all + whole));
    let reached = percent(covered, all);
    let short = reached < usize::from(threshold);
    if short {
        output::progress(format!(
            "{covered} of {all} clauses are covered ({reached}%), which is below {threshold}%; \
             `--coverage` names the others"
        ));
    }
    Ok(short)
}

fn chosen<'a>(args: &TestArgs, checked: &'a Checked) -> Vec<(&'a str, &'a Scenario)> {
    let all = checked
        .databases
        .iter()
        .flat_map(|(name, database)| database.scenarios.iter().map(move |case| (name.as_str(), &**case)));
    all.filter(|(database, case)| {
        args.database.as_ref().is_none_or(|only| only == database)
            && args.filter.as_ref().is_none_or(|filter| case.name.contains(filter.as_str()))
            && args.run.as_ref().is_none_or(|run| run.is_match(&case.name))
    })
    .collect()
}

fn nothing(args: &TestArgs) -> String {
    if args.filter.is_some() || args.run.is_some() || args.database.is_some() {
        "no test matched; `daam policy test --list` shows them all".to_owned()
    } else {
        "there is no test; `databases.<name>.tests` in daam.yaml names them".to_owned()
    }
}

fn said(checked: &Checked, at: daam_diagnostic::Location, message: String) -> Said {
    let (file, line, column) = place(checked, at);
    Said { file, line, column, message }
}

fn place(checked: &Checked, at: daam_diagnostic::Location) -> (String, usize, usize) {
    let position = checked.sources.position(at.source, at.span.start);
    (checked.sources.path(at.source).to_owned(), position.line, position.column)
}
