//! The operating-system user the server runs as.

use crate::PostgresError;
use std::path::Path;
use std::process::Command;

/// A user to drop to; absent when this process is not root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Nobody when not root; otherwise the first of `postgres`, `nobody` that exists.
    pub fn unprivileged() -> Result<Option<Self>, PostgresError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").map_err(PostgresError::io("read /etc/passwd"))?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|wanted| passwd.lines().find_map(|line| parse(line, wanted)))
            .map(Some)
            .ok_or(PostgresError::NoAccount)
    }

    /// Makes a command run as this user, outside our terminal's process group.
    pub(crate) fn apply(account: Option<Self>, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        if let Some(account) = account {
            command.uid(account.uid).gid(account.gid);
        }
        command.process_group(0);
    }

    /// Hands a path to this user.
    pub(crate) fn own(account: Option<Self>, path: &Path) -> Result<(), PostgresError> {
        match account {
            None => Ok(()),
            Some(account) => std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid))
                .map_err(PostgresError::io("hand the cluster directory to the server's user")),
        }
    }
}

fn parse(line: &str, wanted: &str) -> Option<Account> {
    let mut fields = line.split(':');
    if fields.next()? != wanted {
        return None;
    }
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passwd_line_gives_user_and_group() {
        let line = "postgres:x:107:115:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(parse(line, "postgres"), Some(Account { uid: 107, gid: 115 }));
        assert_eq!(parse(line, "nobody"), None);
        assert_eq!(parse("postgres:x:nan", "postgres"), None);
    }
}
