//! `daam policy fmt`: files of a project in one form.

use super::difference::difference;
use super::project::{DiskFiles, ProjectArgs};
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use clap::Args;
use daam_compiler::format::format;
use daam_compiler::{FileSource as _, PROJECT_FILE, is_yaml};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam policy fmt`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam policy fmt
  daam policy fmt --check
  daam policy fmt --diff policies/support.yaml
  daam policy fmt - < policies/support.yaml

The form: `kind` and the other keys of a document in their order, two spaces a level, lists below their key, no quotes
nobody needs, brackets kept while they fit into 100 columns, one blank line at most, one between documents. Comments
stay with what they are about. A file is left alone unless it says the same before and after.
Exit codes: 0 done, 1 a file is not formatted (with --check or --diff), 2 a file cannot be formatted, 3 no files.")]
pub struct FmtArgs {
    #[command(flatten)]
    project: ProjectArgs,
    /// Files; by default all of the project. `-` reads standard input and writes standard output.
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
        let stdin = path == Path::new("-");
        let text = read(path, stdin)?;
        match format(&text) {
            Ok(formatted) => {
                changed |= formatted != text;
                put(args, (!stdin).then_some(path), &text, &formatted)?;
            }
            Err(error) => {
                refused = true;
                output::progress(format!("error: `{}` cannot be formatted: {error}", path.display()));
            }
        }
    }
    if refused {
        return Ok(Exit::Usage.into());
    }
    let failed = changed && (args.check || args.diff);
    Ok(if failed { Exit::Findings.into() } else { ExitCode::SUCCESS })
}

fn read(path: &Path, stdin: bool) -> Result<String, CliError> {
    if !stdin {
        return std::fs::read_to_string(path).doing(format_args!("read `{}`", path.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).doing("read standard input as UTF-8 text")?;
    Ok(text)
}

/// Writes, shows or tells; without a path the text came from standard input.
fn put(args: &FmtArgs, path: Option<&PathBuf>, text: &str, formatted: &str) -> Result<(), CliError> {
    let shown = path.map_or_else(|| "-".to_owned(), |path| path.display().to_string());
    if !(args.check || args.diff) && path.is_none() {
        output::text_out(formatted);
    } else if text == formatted {
        return Ok(());
    } else if args.diff {
        output::text_out(&difference(&shown, text, formatted));
    } else if args.check {
        output::line(format!("not formatted: {shown}"));
    } else if let Some(path) = path {
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
        let kind = |text: String| text.lines().any(|line| line.starts_with("kind:"));
        is_yaml(path) && (path == PROJECT_FILE || files.read(path).is_ok_and(kind))
    };
    Ok(paths.iter().filter(|path| ours(path)).map(|path| project.project.join(path)).collect())
}
