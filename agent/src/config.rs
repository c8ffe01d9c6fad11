//! The agent's configuration file, read strictly.
//!
//! A key nobody knows, a key twice, a value of the wrong kind, a null, an anchor, an alias or a tag refuses the
//! file with its line and column: a misspelt `scope` must never mean *no scope*. Relative paths are relative to
//! the file. `control_plane`, `trust` and `agent` may be absent for commands that only look at the database. Every setting
//! has a variable as well, see [`environment`]; all of them are in [`settings`].

mod audit;
pub mod environment;
mod fields;
pub mod reference;
mod sections;
pub mod settings;
mod tree;

pub use audit::AuditSection;
pub use sections::{AgentSection, ControlPlaneSection, TrustSection, UpstreamSection};

use crate::secret::Secret;
use environment::{Environment, FromVariable, UnknownVariable};
use fields::Fields;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, if there is one.
    pub path: Option<PathBuf>,
    /// What was written, by setting.
    pub written: BTreeMap<&'static str, String>,
    /// What came from variables.
    pub variables: Vec<FromVariable>,
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
    /// The variable it is in instead.
    pub variable: Option<&'static str>,
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
    /// The file or a variable says something that is not accepted.
    #[error("{0}")]
    Faults(Faults),
    /// A variable that nothing reads.
    #[error(transparent)]
    Environment(UnknownVariable),
}

/// Every fault, in order: first the file's, then the variables'.
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
            match fault.variable {
                Some(variable) => write!(f, "{end}{variable}: {}", fault.message)?,
                None => write!(f, "{end}{}:{}:{}: {}", self.path, fault.line, fault.column, fault.message)?,
            }
        }
        Ok(())
    }
}

impl Config {
    /// Reads the file, if there is one, and the variables of this process.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let environment = Environment::of_process()?;
        let text = path.map(read_small).transpose()?;
        Self::combine(text.as_deref().zip(path), &environment)
    }

    /// Reads a text as if it were the file at `path`, without variables.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Self::combine(Some((text, path)), &Environment::default())
    }

    /// Reads a file's text and variables.
    pub fn combine(file: Option<(&str, &Path)>, environment: &Environment) -> Result<Self, ConfigError> {
        let path = file.map(|(_, path)| path);
        let shown = path.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
        let refuse = |faults| Err(ConfigError::Faults(Faults { path: shown, faults }));
        let root = match file {
            Some((text, _)) => tree::parse(text),
            None => {
                Ok(tree::Node { line: 1, column: 1, variable: None, value: tree::Value::Map(Vec::new()) })
            }
        };
        let mut root = match root {
            Ok(root) => root,
            Err(fault) => return refuse(vec![fault]),
        };
        let mut faults = Vec::new();
        let variables = environment.apply(&mut root, path, &mut faults);
        let config = read(&root, path, variables, &mut faults);
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => {
                faults.sort_by_key(|fault| (fault.variable, fault.line, fault.column));
                refuse(faults)
            }
        }
    }

    /// Settings that are not what they were in `other`.
    pub fn differing(&self, other: &BTreeMap<&'static str, String>) -> Vec<&'static settings::Setting> {
        let differs = |setting: &&settings::Setting| self.written.get(setting.key) != other.get(setting.key);
        settings::SETTINGS.iter().filter(differs).collect()
    }
}

fn written(root: &tree::Node) -> BTreeMap<&'static str, String> {
    let child = |node: &'_ tree::Node, key: &str| match &node.value {
        tree::Value::Map(entries) => {
            entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
        }
        _ => None,
    };
    let found = |setting: &settings::Setting| {
        let (section, key) = setting.parts();
        Some((setting.key, child(&child(root, section)?, key)?.rendered()))
    };
    settings::SETTINGS.iter().filter_map(found).collect()
}

fn read(
    root: &tree::Node,
    path: Option<&Path>,
    variables: Vec<FromVariable>,
    faults: &mut Vec<Fault>,
) -> Option<Config> {
    let base = path.and_then(Path::parent).unwrap_or(Path::new("."));
    let mut top = Fields::open(root, "", faults)?;
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
        path: path.map(Path::to_owned),
        written: written(root),
        variables,
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
