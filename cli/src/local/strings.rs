//! How tools that are not started by daam are told where the endpoint is: `daam connect --print`.
//!
//! Each tool has its own quoting; a value it could misread is quoted, or refused where the tool has no way to say it.
//! A Unix socket is refused for tools that know only TCP.

use crate::control_plane::percent;
use crate::error::CliError;
use crate::local::address::{Address, Host};
use clap::ValueEnum;

/// What `--print` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    /// A `postgresql://` URL, for libpq and most drivers.
    Url,
    /// A command for the shell.
    Psql,
    /// A `jdbc:` URL; needs `--tcp`.
    Jdbc,
    /// A connection string for Npgsql.
    Dotnet,
    /// A URL for `schema.prisma` or `DATABASE_URL`.
    Prisma,
    /// The argument of DBeaver's `-con`; needs `--tcp`.
    Dbeaver,
}

impl Address {
    /// What the tool wants to be told.
    pub fn told_to(&self, tool: Tool) -> Result<String, CliError> {
        match tool {
            Tool::Url => Ok(self.url()),
            Tool::Psql => Ok(self.psql()),
            Tool::Jdbc => self.jdbc(),
            Tool::Dotnet => Ok(self.dotnet()),
            Tool::Prisma => Ok(self.prisma()),
            Tool::Dbeaver => self.dbeaver(),
        }
    }

    fn psql(&self) -> String {
        let (host, password) = match &self.host {
            Host::Directory(dir) => (dir.to_string_lossy().into_owned(), None),
            Host::Loopback(password) => ("127.0.0.1".to_owned(), Some(password)),
        };
        let Self { port, user, database, .. } = self;
        let conninfo = format!(
            "host={} port={port} user={} dbname={} sslmode=disable",
            libpq(&host),
            libpq(user),
            libpq(database)
        );
        let command = format!("psql {}", shell(&conninfo));
        match password {
            // Not an argument: every user of the computer sees those.
            Some(password) => format!("PGPASSWORD={} {command}", shell(password)),
            None => command,
        }
    }

    fn jdbc(&self) -> Result<String, CliError> {
        let password = self.password("JDBC")?;
        let (user, database) = (percent(&self.user), percent(&self.database));
        let password = percent(password);
        Ok(format!(
            "jdbc:postgresql://127.0.0.1:{}/{database}?user={user}&password={password}&sslmode=disable",
            self.port
        ))
    }

    fn dotnet(&self) -> String {
        let (host, password) = match &self.host {
            Host::Directory(dir) => (dir.to_string_lossy().into_owned(), None),
            Host::Loopback(password) => ("127.0.0.1".to_owned(), Some(password)),
        };
        let password = password.map(|password| format!(";Password={}", ado(password))).unwrap_or_default();
        format!(
            "Host={};Port={};Database={};Username={}{password};SSL Mode=Disable",
            ado(&host),
            self.port,
            ado(&self.database),
            ado(&self.user)
        )
    }

    fn prisma(&self) -> String {
        let (user, database) = (percent(&self.user), percent(&self.database));
        match &self.host {
            // It wants a host before the path even when there is a socket.
            Host::Directory(dir) => {
                let dir = percent(&dir.to_string_lossy());
                format!("postgresql://{user}@localhost:{}/{database}?host={dir}", self.port)
            }
            Host::Loopback(_) => self.url(),
        }
    }

    fn dbeaver(&self) -> Result<String, CliError> {
        let password = self.password("DBeaver")?;
        let Self { user, database, port, .. } = self;
        for value in [user, database] {
            if value.contains(['|', '=', '\\']) {
                return Err(CliError::usage(format!("DBeaver's `-con` cannot say `{value}`"))
                    .remedy("use `--print jdbc` and paste the URL into a new connection"));
            }
        }
        Ok(format!(
            "driver=postgresql|name=daam {database}|host=127.0.0.1|port={port}|database={database}|user={user}|password={password}|savePassword=false|connect=true"
        ))
    }

    fn password(&self, tool: &str) -> Result<&str, CliError> {
        match &self.host {
            Host::Loopback(password) => Ok(password),
            Host::Directory(_) => Err(CliError::usage(format!("{tool} cannot use a Unix socket"))
                .remedy("add `--tcp`, which listens on 127.0.0.1 with a random password")),
        }
    }
}

/// One value of a libpq connection string.
fn libpq(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// One word of a POSIX shell.
fn shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// One value of an ADO.NET connection string: in the kind of quotes it does not contain, else its own are doubled.
fn ado(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '/' | '+');
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: &str = r#"o'b"r;i=en\ & co@acme.test"#;

    fn socket() -> Address {
        Address {
            host: Host::Directory("/run/a b".into()),
            port: 5432,
            user: ODD.into(),
            database: "sh op".into(),
        }
    }

    fn tcp() -> Address {
        Address { host: Host::Loopback("p'w;\"d%".into()), port: 15432, ..socket() }
    }

    #[test]
    fn every_tools_own_quoting_is_used() {
        let told = |address: &Address, tool| address.told_to(tool).unwrap();
        let user = "o%27b%22r%3Bi%3Den%5C%20%26%20co%40acme.test";
        assert_eq!(
            told(&tcp(), Tool::Jdbc),
            format!(
                "jdbc:postgresql://127.0.0.1:15432/sh%20op?user={user}&password=p%27w%3B%22d%25&sslmode=disable"
            )
        );
        assert_eq!(
            told(&tcp(), Tool::Dotnet),
            r#"Host=127.0.0.1;Port=15432;Database="sh op";Username="o'b""r;i=en\ & co@acme.test";Password="p'w;""d%";SSL Mode=Disable"#
        );
        assert_eq!(
            told(&socket(), Tool::Prisma),
            format!("postgresql://{user}@localhost:5432/sh%20op?host=%2Frun%2Fa%20b")
        );
        assert_eq!(told(&tcp(), Tool::Prisma), tcp().url());
    }

    /// What a shell and libpq make of it is asked of a shell and libpq in the tests of the whole; this is their rule.
    #[test]
    fn a_password_is_never_an_argument() {
        let told = tcp().told_to(Tool::Psql).unwrap();
        assert!(told.starts_with(r#"PGPASSWORD='p'\''w;"d%' psql '"#), "{told}");
        assert!(!socket().told_to(Tool::Psql).unwrap().contains("PGPASSWORD"));
    }

    #[test]
    fn what_a_tool_cannot_say_is_refused_with_what_can_be_done() {
        for tool in [Tool::Jdbc, Tool::Dbeaver] {
            let refused = socket().told_to(tool).unwrap_err().report();
            assert!(refused.contains("Unix socket") && refused.contains("--tcp"), "{refused}");
        }
        let refused = tcp().told_to(Tool::Dbeaver).unwrap_err().report();
        assert!(refused.contains("--print jdbc"), "{refused}");
        let plain = Address { user: "sam@acme.test".into(), database: "shop".into(), ..tcp() };
        assert!(plain.told_to(Tool::Dbeaver).unwrap().contains("|user=sam@acme.test|"));
    }
}
