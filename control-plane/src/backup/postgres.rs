//! PostgreSQL's own tools, told what they have to know of us: where the database is, without its password on a command line
//! that others can see, and that they are to reach everybody's rows.

use super::BackupError;
use reqwest::Url;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// Row-level security lets a backup read and a restore write all of it.
const REACH: &str = "-c daam.reach=migration";
const LONGEST: usize = 2000;

/// Writes the database into a file, as it is at one moment.
pub(super) async fn dump(url: &str, to: &Path) -> Result<(), BackupError> {
    let mut command = tool("pg_dump", url)?;
    command.args(["--format=custom", "--enable-row-security", "--no-owner", "--no-privileges"]);
    run("pg_dump", command.arg("--file").arg(to)).await
}

/// Puts such a file into a database that is empty, all of it or nothing.
pub(super) async fn put_back(url: &str, from: &Path) -> Result<(), BackupError> {
    let mut command = tool("pg_restore", url)?;
    command.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]);
    run("pg_restore", command.arg(from)).await
}

fn tool(program: &'static str, url: &str) -> Result<Command, BackupError> {
    let mut url = Url::parse(url).map_err(|_| BackupError::Url)?;
    let mut command = Command::new(program);
    if let Some(password) = url.password().and_then(plain) {
        command.env("PGPASSWORD", password);
        url.set_password(None).map_err(|()| BackupError::Url)?;
    }
    command.env("PGOPTIONS", REACH).arg(format!("--dbname={url}")).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// A part of a URL, its percent signs resolved.
fn plain(part: &str) -> Option<String> {
    let url = Url::parse(&format!("x://x?p={}", part.replace('+', "%2B"))).ok()?;
    url.query_pairs().next().map(|(_, plain)| plain.into_owned())
}

async fn run(program: &'static str, command: &mut Command) -> Result<(), BackupError> {
    let output = command.output().await.map_err(|source| BackupError::Tool { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().chars().take(LONGEST).collect();
    Err(BackupError::Failed { program, said })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_password_is_on_no_command_line() {
        let command =
            tool("pg_dump", "postgres://daam:s%25c+r%20t@db.internal/daam?sslmode=require").unwrap();
        let command = command.as_std();
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["--dbname=postgres://daam@db.internal/daam?sslmode=require"]);
        let password = command.get_envs().find(|(name, _)| *name == "PGPASSWORD").unwrap().1;
        assert_eq!(password, Some(OsStr::new("s%c+r t")));
    }
}
