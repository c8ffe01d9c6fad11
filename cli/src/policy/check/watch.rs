//! `--watch`: checks again whenever a file of the project changes.
//!
//! Files are looked at, not subscribed to: it works on every file system, network mounts included. The pause grows
//! with the time a look takes, so that a large project does not keep a processor busy.

use super::{CheckArgs, once, options};
use crate::error::CliError;
use crate::output;
use crate::policy::project::DiskFiles;
use daam_compiler::{FileSource as _, Workspace};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

const PAUSE: Duration = Duration::from_millis(200);

/// When a file was written last, and how long it is.
type Stamp = (Option<SystemTime>, u64);

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, CliError> {
    let project = &args.project.project;
    // A project that is not there is a mistake at the start, and a state that passes later.
    DiskFiles::open(project)?;
    let mut workspace = Workspace::new(options());
    let mut last = None;
    loop {
        let begun = Instant::now();
        let now = stamps(project);
        let pause = PAUSE.max(begun.elapsed() * 10);
        if last.as_ref() != Some(&now) {
            round(args, &mut workspace);
            last = Some(now);
        }
        std::thread::sleep(pause);
    }
}

fn round(args: &CheckArgs, workspace: &mut Workspace) {
    if output::is_terminal() {
        output::text_out("\x1b[2J\x1b[H");
    }
    let begun = Instant::now();
    let result = DiskFiles::open(&args.project.project).and_then(|files| once(args, &files, workspace, None));
    let took = begun.elapsed().as_millis();
    let verdict = match result {
        Ok(None) => "passed".to_owned(),
        Ok(Some(exit)) => format!("exit code {}", exit.number()),
        Err(error) => {
            output::failure(&error);
            format!("exit code {}", error.exit().number())
        }
    };
    output::progress(format!("checked in {took} ms: {verdict}; waiting for changes"));
}

fn stamps(project: &Path) -> BTreeMap<String, Stamp> {
    let Ok(files) = DiskFiles::open(project) else { return BTreeMap::new() };
    let stamp = |path: String| {
        let data = std::fs::metadata(project.join(&path)).ok();
        let written = data.as_ref().and_then(|data| data.modified().ok());
        (path, (written, data.map_or(0, |data| data.len())))
    };
    files.paths().into_iter().map(stamp).collect()
}
