//! The agent's configuration file, read strictly.
//!
//! A key nobody knows, a key twice, a value of the wrong kind, a null, an anchor, an alias or a tag refuses the
//! file with its line and column: a misspelt `scope` must never mean *no scope*. Relative paths are relative to
//! the file. `control_plane`, `trust` and `agent` may be absent for commands that only look at the database.

mod audit;
pub mod environment;
mod fields;
mod sections;
mod tree;

pub use audit::AuditSection;
pub use sections::{AgentSection, ControlPlaneSection, TrustSection, UpstreamSection};

use crate::secret::Secret;
use fields::Fields;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;
const SECTIONS: &[&str] = &["agent", "audit", "control_plane", "trust", "upstream", "views"];

/// The whole file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it was read from.
    pub path: PathBuf,
    /// `agent:`.
    pub agent: Option<AgentSection>,
    /// `audit:`.
    pub audit: AuditSection,
    /// `control_plane:`.
    pub control_plane: Option<ControlPlaneSection>,
    /// `trust:`.
    pub trust: Option<TrustSection>,
    /// `upstream:`.
    pub upstream: UpstreamSection,
    /// `views.linger`.
    pub linger: Duration,
}

/// One fault in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// 1-based line.
    pub line: usize,
    /// 1-based column.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("`{0}` is larger than 1 MiB")]
    TooLarge(String),
    /// The file says something that is not accepted.
    #[error("{0}")]
    Faults(Faults),
}

/// Every fault of one file, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file as it was named.
    pub path: String,
    /// At least one.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{}:{}: {}", self.path, fault.line, fault.column, fault.message)?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_small(path)?, path)
    }

    /// Reads a text as if it were the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let refuse = |faults| Err(ConfigError::Faults(Faults { path: path.display().to_string(), faults }));
        let root = match tree::parse(text) {
            Ok(root) => root,
            Err(fault) => return refuse(vec![fault]),
        };
        let base = path.parent().unwrap_or(Path::new("."));
        let mut faults = Vec::new();
        let config = read(&root, path, base, &mut faults);
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => {
                faults.sort_by_key(|fault| (fault.line, fault.column));
                refuse(faults)
            }
        }
    }
}

fn read(root: &tree::Node, path: &Path, base: &Path, faults: &mut Vec<Fault>) -> Option<Config> {
    let mut top = Fields::open(root, "", SECTIONS, faults)?;
    let (agent, control_plane) = (top.optional("agent"), top.optional("control_plane"));
    let (trust, upstream, views) = (top.optional("trust"), top.required("upstream"), top.optional("views"));
    let audit = top.optional("audit");
    top.close(faults);
    let agent = agent.map(|node| AgentSection::read(node, base, faults));
    let control_plane = control_plane.map(|node| ControlPlaneSection::read(node, base, faults));
    let trust = trust.map(|node| TrustSection::read(node, base, faults));
    let audit = match audit {
        Some(node) => AuditSection::read(node, base, faults)?,
        None => AuditSection::default(),
    };
    let linger = match views {
        Some(node) => sections::linger(node, faults)?,
        None => sections::DEFAULT_LINGER,
    };
    let upstream = UpstreamSection::read(upstream?, base, faults)?;
    let complete = |section: bool| section.then_some(());
    complete(!matches!(agent, Some(None)))?;
    complete(!matches!(control_plane, Some(None)))?;
    complete(!matches!(trust, Some(None)))?;
    Some(Config {
        path: path.to_owned(),
        agent: agent.flatten(),
        audit,
        control_plane: control_plane.flatten(),
        trust: trust.flatten(),
        upstream,
        linger,
    })
}

/// A secret kept in a file, without the line end people's editors add.
pub fn read_secret(path: &Path) -> Result<Secret, ConfigError> {
    let text = read_small(path)?;
    Ok(Secret::new(text.trim().to_owned()))
}

/// A small text file.
pub fn read_small(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.display().to_string(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge(path.display().to_string()));
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests;
