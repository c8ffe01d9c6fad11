//! One finding.

use crate::code::{RuleCode, Severity};
use crate::source::SourceMap;
use crate::span::Location;
use sha2::{Digest, Sha256};

/// Whether a suggested edit may be applied without thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applicability {
    /// It provably widens no access.
    Safe,
    /// It may change what people can see.
    Unsafe,
    /// Only for reading.
    Display,
}

impl Applicability {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unsafe => "unsafe",
            Self::Display => "display",
        }
    }
}

/// A replacement of one range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub at: Location,
    /// By what.
    pub text: String,
}

/// A suggested change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// How far it can be trusted.
    pub applicability: Applicability,
    /// Its edits, which do not overlap.
    pub edits: Vec<Edit>,
}

/// A further place that explains the finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub at: Location,
    /// What is there.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule that was broken.
    pub code: RuleCode,
    /// How bad it is here.
    pub severity: Severity,
    /// The headline.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// The primary place.
    pub at: Location,
    /// Further places.
    pub labels: Vec<Label>,
    /// Suggested changes.
    pub fixes: Vec<Fix>,
    /// The logical path, e.g. `policy:support/grants`.
    pub subject: String,
}

impl Diagnostic {
    /// A finding with a headline and a place.
    pub fn new(code: RuleCode, severity: Severity, at: Location, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            help: None,
            at,
            labels: Vec::new(),
            fixes: Vec::new(),
            subject: String::new(),
        }
    }

    /// Adds help.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Adds help if there is any.
    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    /// Adds a further place.
    #[must_use]
    pub fn label(mut self, at: Location, text: impl Into<String>) -> Self {
        self.labels.push(Label { at, text: text.into() });
        self
    }

    /// Suggests replacing the primary place.
    #[must_use]
    pub fn replace(mut self, applicability: Applicability, text: impl Into<String>) -> Self {
        let edits = vec![Edit { at: self.at, text: text.into() }];
        self.fixes.push(Fix { applicability, edits });
        self
    }

    /// Names what in the project it is about.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// A name for this finding that survives edits elsewhere in the file: no line numbers go in.
    pub fn fingerprint(&self, sources: &SourceMap) -> String {
        let mut hash = Sha256::new();
        for part in
            [self.code.to_string().as_str(), sources.path(self.at.source), &self.subject, &self.message]
        {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
    }
}
