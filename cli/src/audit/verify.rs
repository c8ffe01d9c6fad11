//! `daam audit verify`.

use super::kept::{self, Kept};
use crate::credentials::Login;
use crate::error::{CliError, Doing as _, Exit};
use crate::home::Home;
use crate::output;
use clap::Args;
use daam_bundle::PublicKey;
use daam_ledger::{Fault, Found, LONGEST_LINE, Line, Signed, Verifier};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `daam audit verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam audit verify
  daam audit verify audit-log.jsonl --key audit.pub
  daam audit verify audit-log.jsonl --key audit.pub --checkpoint checkpoints.jsonl

Without a file, the log is read from the control plane; the key and the latest checkpoint are remembered here, so a log
that is cut short or written anew later is found out. Exit code 1: the log is not whole.")]
pub struct VerifyArgs {
    /// A log that was taken out; the control plane's own, if absent.
    #[arg(value_name = "FILE")]
    log: Option<PathBuf>,
    /// A file with the public key; the one remembered here, if absent.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere, one per line.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// Believe a log although a checkpoint kept here is of entries that are gone and cannot be compared; the latest takes its
    /// place.
    #[arg(long)]
    accept_uncompared: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies.
pub(super) async fn run(args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let home = Home::find()?;
    let mut checkpoints = Vec::new();
    for path in &args.checkpoints {
        checkpoints.extend(read_checkpoints(path)?);
    }
    let (key, found) = match &args.log {
        Some(path) => of_file(args, &home, path, checkpoints)?,
        None => of_control_plane(args, &home, checkpoints).await?,
    };
    let found = found.map_err(|fault| not_whole(&fault))?;
    remember(&home, &key, &found)?;
    report(&found, args.json)?;
    Ok(ExitCode::SUCCESS)
}

type Judged = (PublicKey, Result<Found, Fault>);

fn of_file(
    args: &VerifyArgs,
    home: &Home,
    path: &Path,
    mut checkpoints: Vec<Signed>,
) -> Result<Judged, CliError> {
    let doing = format!("read `{}`", path.display());
    let mut lines = BufReader::new(File::open(path).doing(&doing)?);
    let mut next = || -> Result<Option<String>, CliError> {
        let mut text = Vec::new();
        let longest = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX).saturating_add(1);
        (&mut lines).take(longest).read_until(b'\n', &mut text).doing(&doing)?;
        // What is not text is not a line of a log, and the verifier says where.
        let line = (!text.is_empty()).then(|| String::from_utf8_lossy(&text).trim_end().to_owned());
        Ok(line)
    };
    let first = next()?.unwrap_or_default();
    let remembered = match Line::parse(&first) {
        Ok(Line::Begin(begin)) => kept::load(home, &begin.org)?,
        _ => None,
    };
    let key = match (&args.key, &remembered) {
        (Some(path), _) => read_key(path)?,
        (None, Some(kept)) => key_of(&kept.key)?,
        (None, None) => {
            return Err(CliError::usage("no key is known for this log")
                .remedy("give `--key FILE` with what `daam audit key` printed"));
        }
    };
    checkpoints.extend(remembered.and_then(|kept| kept.checkpoint));
    let mut verifier =
        Verifier::new(key.clone(), checkpoints).believing_what_is_uncompared(args.accept_uncompared);
    let mut line = Some(first);
    while let Some(text) = line {
        if let Err(fault) = verifier.read(&text) {
            return Ok((key, Err(fault)));
        }
        line = next()?;
    }
    Ok((key, verifier.finish()))
}

async fn of_control_plane(
    args: &VerifyArgs,
    home: &Home,
    mut checkpoints: Vec<Signed>,
) -> Result<Judged, CliError> {
    let login = Login::load(home)?;
    let plane = login.control_plane()?;
    let remembered = kept::load(home, &login.org)?;
    let told = key_of(&plane.audit_key().await?.public)?;
    let key = match (&args.key, &remembered) {
        (Some(path), _) => read_key(path)?,
        (None, Some(kept)) => key_of(&kept.key)?,
        (None, None) => told.clone(),
    };
    if key != told {
        let message =
            format!("the control plane signs its audit with `{}`, not with the key known here", told.keyid());
        return Err(CliError::new(Exit::Signature, message).remedy(
            "ask its operator why the key changed; a log that was written anew has another key, too",
        ));
    }
    checkpoints.extend(remembered.and_then(|kept| kept.checkpoint));
    let mut verifier =
        Verifier::new(key.clone(), checkpoints).believing_what_is_uncompared(args.accept_uncompared);
    let mut answer = plane.audit_log().await?;
    let mut lines = Lines::default();
    while let Some(bytes) = answer.chunk().await.doing("read the log from the control plane")? {
        if let Err(fault) = lines.read(&bytes, &mut verifier) {
            return Ok((key, Err(fault)));
        }
    }
    if !lines.rest.is_empty() {
        return Err(CliError::usage("the log from the control plane ends in the middle of a line"));
    }
    Ok((key, verifier.finish()))
}

/// Lines as they come, in pieces of any size. No more is held of one than the longest may have.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn read(&mut self, bytes: &[u8], verifier: &mut Verifier) -> Result<(), Fault> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            // One that is too long is not waited for to its end: the verifier says where it is.
            if piece.ends_with(b"\n") || self.rest.len() > LONGEST_LINE {
                let text = String::from_utf8_lossy(&self.rest).trim_end_matches('\n').to_owned();
                self.rest.clear();
                verifier.read(&text)?;
            }
        }
        Ok(())
    }
}

/// Later checkpoints only: an older log does not make this device forget.
fn remember(home: &Home, key: &PublicKey, found: &Found) -> Result<(), CliError> {
    let size = |signed: &Option<Signed>| signed.as_ref().map_or(0, |signed| signed.unverified().size);
    let before = kept::load(home, &found.org)?;
    let checkpoint = match before.and_then(|kept| kept.checkpoint) {
        Some(signed) if signed.unverified().size >= size(&found.latest) => Some(signed),
        _ => found.latest.clone(),
    };
    kept::store(home, &found.org, &Kept { key: key.to_base64(), checkpoint })
}

fn report(found: &Found, json: bool) -> Result<(), CliError> {
    let Found { org, first, last, signed, checkpoints, before_cut, latest: _ } = found;
    if json {
        let answer = serde_json::json!({
            "org": org, "whole": true, "first": first, "last": last, "signed": signed,
            "checkpoints": checkpoints, "before_cut": before_cut,
        });
        output::line(serde_json::to_string_pretty(&answer).doing("write JSON")?);
        return Ok(());
    }
    output::line(format!("the audit of {org} is whole: entries {first} to {last}, signed up to {signed}"));
    if *before_cut > 0 {
        let told = format!(
            "{before_cut} checkpoint(s) are of entries that are no longer kept and were not compared"
        );
        output::progress(told);
    }
    Ok(())
}

fn not_whole(fault: &Fault) -> CliError {
    if let Fault::Uncompared { .. } = fault {
        let said = format!("the audit cannot be compared with what is kept here: {fault}");
        return CliError::new(Exit::Findings, said).remedy(
            "ask its operator which version removed these entries: an early one left nothing of them, and then `--accept-uncompared` believes the log as it is",
        );
    }
    CliError::new(Exit::Findings, format!("the audit is not whole: {fault}")).remedy(
        "keep this log and the checkpoints as they are, and compare with a backup from before the last good check",
    )
}

fn read_key(path: &Path) -> Result<PublicKey, CliError> {
    let text = std::fs::read_to_string(path).doing(format_args!("read the key `{}`", path.display()))?;
    key_of(text.trim())
}

fn key_of(text: &str) -> Result<PublicKey, CliError> {
    PublicKey::from_text(text).doing("understand the audit's public key")
}

fn read_checkpoints(path: &Path) -> Result<Vec<Signed>, CliError> {
    let text = std::fs::read_to_string(path).doing(format_args!("read `{}`", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .doing(format_args!("understand `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_bundle::SigningKey;
    use daam_ledger::{BadLine, Begin};

    #[test]
    fn a_line_without_an_end_is_refused_and_not_held() {
        let mut verifier = Verifier::new(SigningKey::generate().unwrap().public(), []);
        let mut lines = Lines::default();
        let begin = Line::Begin(Begin::at_the_first("calm-otter", "o")).write();
        for byte in begin.as_bytes() {
            lines.read(&[*byte], &mut verifier).unwrap();
        }
        let piece = vec![b'x'; 64 * 1024];
        let pieces = LONGEST_LINE / piece.len();
        for _ in 0..pieces {
            lines.read(&piece, &mut verifier).unwrap();
        }
        assert_eq!(lines.read(&piece, &mut verifier), Err(Fault::Line { line: 2, why: BadLine::TooLong }));
        assert!(lines.rest.capacity() < 3 * LONGEST_LINE);
    }
}
