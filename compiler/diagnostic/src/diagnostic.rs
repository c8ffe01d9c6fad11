//! One finding.

use crate::code::{RuleCode, Severity};
use crate::source::SourceMap;
use crate::span::Location;

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

impl Fix {
    /// What it does, in a few words.
    pub fn title(&self, sources: &SourceMap) -> String {
        let [edit] = self.edits.as_slice() else { return format!("change {} places", self.edits.len()) };
        let one_line = |text: &str| {
            let line = text.trim().lines().next().unwrap_or("");
            let cut: String = line.chars().take(60).collect();
            if cut.len() < text.trim().len() { format!("{cut}…") } else { cut }
        };
        let (old, new) = (one_line(sources.slice(edit.at)), one_line(&edit.text));
        match (old.is_empty(), new.is_empty()) {
            (false, false) => format!("replace `{old}` by `{new}`"),
            (false, true) => format!("remove `{old}`"),
            (true, false) => format!("insert `{new}`"),
            (true, true) => "change white space".to_owned(),
        }
    }
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
    /// Texts the finding is about, for its fingerprint.
    pub arguments: Vec<String>,
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
            arguments: Vec::new(),
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

    /// Names something the finding is about that stays the same when the message does not. Without any, the texts
    /// in backticks of the message count.
    #[must_use]
    pub fn argument(mut self, text: impl Into<String>) -> Self {
        self.arguments.push(text.into());
        self
    }
}
