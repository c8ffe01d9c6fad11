//! `daam policy fmt`: files of a project in one form.

use super::difference::difference;
use super::project::{DiskFiles, ProjectArgs};
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_compiler::format::format;
use daam_compiler::{FileSource as _, PROJECT_FILE};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam policy fmt`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy fmt
  daam policy fmt --check
  daam policy fmt --diff policies/support.yaml

White space at line ends, blank lines, the end of the file and the place of `kind` are put right. Comments, quoting
and indentation stay as they are, and a file is left alone unless it says the same before and after.
Exit codes: 0 done, 1 a file is not formatted (with --check or --diff), 2 a file cannot be formatted, 3 no files.")]
pub struct FmtArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Files; by default all of the project.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only tell which files are not formatted.
    #[arg(long)]
    check: bool,
    /// Only show what would change.
    #[arg(long)]
    diff: bool,
}

/// Runs it.
pub fn run(args: &FmtArgs) -> Result<ExitCode, CliError> {
    let paths = if args.paths.is_empty() { project_files(&args.project)? } else { args.paths.clone() };
    if paths.is_empty() {
        return Err(CliError::new(Exit::NoInputs, "the project has no files to format"));
    }
    let (mut changed, mut refused) = (false, false);
    for path in &paths {
        let shown = path.display();
        let text = std::fs::read_to_string(path).doing(format_args!("read `{shown}`"))?;
        match format(&text) {
            Ok(formatted) if formatted == text => {}
            Ok(formatted) => {
                changed = true;
                put(args, path, &text, &formatted)?;
            }
            Err(error) => {
                refused = true;
                output::progress(format!("error: `{shown}` cannot be formatted: {error}"));
            }
        }
    }
    if refused {
        return Ok(Exit::Usage.into());
    }
    let failed = changed && (args.check || args.diff);
    Ok(if failed { Exit::Findings.into() } else { ExitCode::SUCCESS })
}

fn put(args: &FmtArgs, path: &Path, text: &str, formatted: &str) -> Result<(), CliError> {
    let shown = path.display();
    if args.diff {
        output::text_out(&difference(&shown.to_string(), text, formatted));
    } else if args.check {
        output::line(format!("not formatted: {shown}"));
    } else {
        std::fs::write(path, formatted).doing(format_args!("write `{shown}`"))?;
        output::line(format!("formatted: {shown}"));
    }
    Ok(())
}

/// Files with documents of ours; other YAML that happens to be there is not ours to change.
fn project_files(project: &ProjectArgs) -> Result<Vec<PathBuf>, CliError> {
    let files = DiskFiles::open(&project.project)?;
    let mut paths = files.paths();
    paths.sort();
    let ours = |path: &String| {
        let yaml = [".yaml", ".yml"].iter().any(|extension| path.ends_with(extension));
        let kind = |text: String| text.lines().any(|line| line.starts_with("kind:"));
        yaml && (path == PROJECT_FILE || files.read(path).is_ok_and(kind))
    };
    Ok(paths.iter().filter(|path| ours(path)).map(|path| project.project.join(path)).collect())
}
