//! What the command says when it cannot do what was asked: one sentence, a remedy, an exit code.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// The exit codes of every command, one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Findings, a failed test, or access denied.
    Findings,
    /// Wrong use, configuration, or an operation that failed: no verdict.
    Usage,
    /// Nothing matched.
    NoInputs,
    /// The schema lock is missing or stale.
    SchemaLock,
    /// Effects changed, and nothing widened.
    Changed,
    /// Access widened, or may have.
    Widened,
    /// Access was lost.
    Lost,
    /// A signature or the threshold was refused.
    Signature,
    /// The bundle is older than, or a sibling of, the published one.
    Rollback,
    /// The bundle has expired.
    Expired,
    /// A fault of ours.
    Internal,
    /// The exit code of a program that was run, passed on.
    Passed(u8),
}

impl Exit {
    /// The number.
    pub fn number(self) -> u8 {
        match self {
            Self::Findings => 1,
            Self::Usage => 2,
            Self::NoInputs => 3,
            Self::SchemaLock => 4,
            Self::Changed => 10,
            Self::Widened => 11,
            Self::Lost => 12,
            Self::Signature => 20,
            Self::Rollback => 21,
            Self::Expired => 22,
            Self::Internal => 70,
            Self::Passed(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// A failure of a command.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    message: String,
    remedy: Option<String>,
    detail: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
    signed_out: bool,
}

impl CliError {
    /// A failure with a sentence: lower case, no full stop.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), remedy: None, detail: None, source: None, signed_out: false }
    }

    /// Wrong use or an operation that failed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A refusal by a policy or by the control plane.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Exit::Findings, message)
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn remedy(mut self, text: impl Into<String>) -> Self {
        self.remedy = Some(text.into());
        self
    }

    /// Lines to show below, such as the end of a log.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// The cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The sign-in has ended: trying again does not help.
    #[must_use]
    pub fn signed_out(mut self) -> Self {
        self.signed_out = true;
        self
    }

    /// Whether trying again can help.
    pub fn is_final(&self) -> bool {
        self.signed_out || self.exit == Exit::Findings
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The message and its causes, in one line.
    pub fn sentence(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.ends_with(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        text
    }

    /// Everything the reader gets.
    pub fn report(&self) -> String {
        let mut text = format!("error: {}\n", self.sentence());
        if let Some(detail) = &self.detail {
            for line in detail.lines() {
                text.push_str("  | ");
                text.push_str(line);
                text.push('\n');
            }
        }
        if let Some(remedy) = &self.remedy {
            text.push_str("help: ");
            text.push_str(remedy);
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CliError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|error| -> &(dyn Error + 'static) { error })
    }
}

/// Turns an operation's error into a sentence about what was being done.
pub trait Doing<T> {
    /// `doing` completes "could not …".
    fn doing(self, doing: impl fmt::Display) -> Result<T, CliError>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl fmt::Display) -> Result<T, CliError> {
        self.map_err(|error| CliError::usage(format!("could not {doing}")).because(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_sentence_its_cause_and_the_remedy() {
        let error = CliError::usage("could not read `x`")
            .because(std::io::Error::other("gone"))
            .detail("a\nb")
            .remedy("create it");
        assert_eq!(error.report(), "error: could not read `x`: gone\n  | a\n  | b\nhelp: create it\n");
        assert_eq!(error.exit().number(), 2);
    }
}
