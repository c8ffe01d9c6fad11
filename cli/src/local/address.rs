//! How a client is told where the endpoint is: libpq variables and a connection URL.

use crate::control_plane::percent;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where an endpoint listens and what a client must say.
#[derive(Debug, Clone)]
pub struct Address {
    /// The host, or the directory of the socket.
    pub host: Host,
    /// The port (part of the socket's name for a Unix socket).
    pub port: u16,
    /// The user to name; the session is the certificate's whatever is named.
    pub user: String,
    /// The database to name.
    pub database: String,
}

/// The host part.
#[derive(Debug, Clone)]
pub enum Host {
    /// A Unix socket in that directory.
    Directory(PathBuf),
    /// 127.0.0.1, with the password.
    Loopback(String),
}

impl Address {
    /// The connection URL.
    pub fn url(&self) -> String {
        let (user, database) = (percent(&self.user), percent(&self.database));
        match &self.host {
            Host::Directory(dir) => {
                let dir = percent(&dir.to_string_lossy());
                format!("postgresql://{user}@/{database}?host={dir}&port={}", self.port)
            }
            Host::Loopback(password) => {
                let password = percent(password);
                format!("postgresql://{user}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
            }
        }
    }

    /// The environment of a client program. Variables that would lead it elsewhere are set to nothing.
    pub fn environment(&self) -> BTreeMap<&'static str, Option<String>> {
        let (host, password) = match &self.host {
            Host::Directory(dir) => (dir.to_string_lossy().into_owned(), None),
            Host::Loopback(password) => ("127.0.0.1".to_owned(), Some(password.clone())),
        };
        BTreeMap::from([
            ("PGHOST", Some(host)),
            ("PGPORT", Some(self.port.to_string())),
            ("PGUSER", Some(self.user.clone())),
            ("PGDATABASE", Some(self.database.clone())),
            ("PGPASSWORD", password),
            ("DATABASE_URL", Some(self.url())),
            ("PGSSLMODE", Some("disable".to_owned())),
            ("PGHOSTADDR", None),
            ("PGSERVICE", None),
            ("PGPASSFILE", None),
            ("PGREQUIRESSL", None),
            ("PGCHANNELBINDING", None),
            ("PGREQUIREAUTH", None),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: Host) -> Address {
        Address { host, port: 5432, user: "sam@acme.test".to_owned(), database: "shop".to_owned() }
    }

    #[test]
    fn urls_survive_odd_characters() {
        let unix = address(Host::Directory("/run/a b".into()));
        assert_eq!(unix.url(), "postgresql://sam%40acme.test@/shop?host=%2Frun%2Fa%20b&port=5432");
        let tcp = address(Host::Loopback("p/w".to_owned()));
        assert_eq!(tcp.url(), "postgresql://sam%40acme.test:p%2Fw@127.0.0.1:5432/shop?sslmode=disable");
    }

    #[test]
    fn a_socket_has_no_password_and_inherited_settings_are_cleared() {
        let environment = address(Host::Directory("/run/x".into())).environment();
        assert_eq!(environment["PGPASSWORD"], None);
        assert_eq!(environment["PGSERVICE"], None);
        assert_eq!(environment["PGHOST"].as_deref(), Some("/run/x"));
    }
}
