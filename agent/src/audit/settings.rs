//! What is recorded, where it goes, and what happens when it cannot.

/// Which statements are recorded. Sessions always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None.
    None,
    /// Those that were refused.
    Refused,
    /// All.
    All,
}

/// What happens when records cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritable {
    /// No new session; a running one ends with its next statement.
    Refuse,
    /// Everything goes on, and what is lost is counted.
    Continue,
}

/// What the control plane is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// Nothing.
    None,
    /// Records without what people wrote.
    Records,
    /// With statements, without literals and without names that are not in the schema report.
    Statements,
}

/// The `audit:` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// Which statements.
    pub statements: Level,
    /// Whether statements are kept as they came, too.
    pub literals: bool,
    /// The size a file may reach, in bytes.
    pub max_size: u64,
    /// How many files are kept.
    pub keep: usize,
    /// What the control plane is sent.
    pub upload: Upload,
    /// What happens when records cannot be written.
    pub unwritable: Unwritable,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            statements: Level::All,
            literals: false,
            max_size: 64 << 20,
            keep: 16,
            upload: Upload::Statements,
            unwritable: Unwritable::Refuse,
        }
    }
}
