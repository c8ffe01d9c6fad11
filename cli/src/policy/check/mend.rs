//! `--fix`: writes what the compiler's repair proved, or shows it.

use super::selection::SelectionArgs;
use crate::error::{CliError, Doing as _, Exit};
use crate::output;
use crate::policy::difference::difference;
use clap::Args;
use daam_compiler::diff::to_text;
use daam_compiler::repair::{RepairError, Repaired, repair};
use daam_compiler::{Checked, FileSource, Workspace};
use daam_diagnostic::Applicability;
use std::path::Path;

/// What is repaired.
#[derive(Debug, Args)]
pub(super) struct MendArgs {
    /// Apply fixes that widen no access.
    #[arg(long)]
    fix: bool,
    /// Apply fixes that may change what people can see, too.
    #[arg(long)]
    unsafe_fixes: bool,
    /// Show what fixes would change, and write nothing.
    #[arg(long)]
    diff: bool,
}

impl MendArgs {
    /// Whether anything is to be repaired.
    pub(super) fn wanted(&self) -> bool {
        self.fix || self.unsafe_fixes || self.diff
    }

    /// Repairs the project; what is wrong afterwards, and whether something would have changed but was only shown.
    pub(super) fn run(
        &self,
        project: &Path,
        source: &dyn FileSource,
        selection: &SelectionArgs,
    ) -> Result<(Checked, bool), CliError> {
        let limit = if self.unsafe_fixes { Applicability::Unsafe } else { Applicability::Safe };
        let wanted = |found: &_| selection.takes(found);
        let mut workspace = Workspace::new(super::options());
        let mut check = |source: &dyn FileSource| workspace.check(source);
        let repaired = repair(source, &mut check, limit, &wanted).map_err(refused)?;
        if self.diff {
            for (path, text) in &repaired.texts {
                let before = source.read(path).doing(format_args!("read `{path}`"))?;
                output::text_out(&difference(path, &before, text));
            }
            let changes = !repaired.texts.is_empty();
            return Ok((workspace.check(source), changes));
        }
        for (path, text) in &repaired.texts {
            let path = project.join(path);
            std::fs::write(&path, text).doing(format_args!("write `{}`", path.display()))?;
        }
        tell(&repaired);
        Ok((repaired.checked, false))
    }
}

fn tell(repaired: &Repaired) {
    let files = repaired.texts.len();
    output::progress(format!(
        "{} applied in {}",
        many(repaired.applied, "fix", "fixes"),
        many(files, "file", "files")
    ));
    if repaired.unproved > 0 {
        let held = many(repaired.unproved, "safe fix was", "safe fixes were");
        output::progress(format!(
            "{held} held back: as long as the project has errors, nothing proves that no access widens; \
             `--unsafe-fixes` applies them"
        ));
    }
    if !repaired.settled {
        output::progress("the fixes did not come to rest; run it again or edit by hand");
    }
}

fn many(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn refused(error: RepairError) -> CliError {
    match error {
        RepairError::Widens(diffs) => CliError::new(
            Exit::Widened,
            "the fixes would widen access; no file was written",
        )
        .detail(to_text(&diffs))
        .remedy("look at `daam policy check --fix --diff --unsafe-fixes`, then apply what you mean by hand"),
        RepairError::Breaks(message) => {
            CliError::new(Exit::Findings, "the fixes would leave a project with errors; no file was written")
                .detail(message)
        }
    }
}
