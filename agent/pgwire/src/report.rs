//! `ErrorResponse` and `NoticeResponse`: building them, and changing one field without touching the rest.
//!
//! Fields a server sent are kept as bytes, in order, so that what we pass on is what it said.

use crate::cursor::{Cursor, DecodeError};
use crate::frontend::{message, put_bytes};
use crate::sqlstate;
use bytes::{BufMut as _, Bytes};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The session ends.
    Fatal,
    /// For the reader's attention.
    Notice,
    /// Something to look into.
    Warning,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
        }
    }
}

/// The fields of an error or notice: code letter and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    fields: Vec<(u8, Vec<u8>)>,
}

impl Report {
    /// A report of ours.
    pub fn new(severity: Severity, code: &str, text: &str) -> Self {
        let name = severity.name();
        let mut report = Self { fields: Vec::with_capacity(6) };
        for (field, value) in [(b'S', name), (b'V', name), (b'C', code), (b'M', text)] {
            report.fields.push((field, value.as_bytes().to_vec()));
        }
        report
    }

    /// An error that leaves the session alive.
    pub fn error(code: &str, text: &str) -> Self {
        Self::new(Severity::Error, code, text)
    }

    /// An error that ends the session.
    pub fn fatal(code: &str, text: &str) -> Self {
        Self::new(Severity::Fatal, code, text)
    }

    /// A notice.
    pub fn notice(text: &str) -> Self {
        Self::new(Severity::Notice, "00000", text)
    }

    /// Adds the detail line.
    #[must_use]
    pub fn detail(self, text: impl Into<Option<String>>) -> Self {
        self.with(b'D', text.into())
    }

    /// Adds the hint line.
    #[must_use]
    pub fn hint(self, text: impl Into<Option<String>>) -> Self {
        self.with(b'H', text.into())
    }

    /// Adds the error position, 1-based, in characters.
    #[must_use]
    pub fn position(self, position: Option<usize>) -> Self {
        self.with(b'P', position.map(|at| at.to_string()))
    }

    fn with(mut self, field: u8, value: Option<String>) -> Self {
        if let Some(value) = value {
            self.set(field, value.into_bytes());
        }
        self
    }

    /// Reads the body of an `ErrorResponse` or `NoticeResponse`.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body);
        let mut fields = Vec::new();
        loop {
            let field = cursor.u8()?;
            if field == 0 {
                break;
            }
            fields.push((field, cursor.string()?.to_vec()));
        }
        cursor.finish()?;
        Ok(Self { fields })
    }

    /// A field's bytes.
    pub fn get(&self, field: u8) -> Option<&[u8]> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_slice())
    }

    /// Replaces a field in its place, or adds it at the end.
    pub fn set(&mut self, field: u8, value: Vec<u8>) {
        match self.fields.iter_mut().find(|(name, _)| *name == field) {
            Some((_, old)) => *old = value,
            None => self.fields.push((field, value)),
        }
    }

    /// The SQLSTATE, or XX000 if the server sent none.
    pub fn code(&self) -> &str {
        self.get(b'C').and_then(|code| std::str::from_utf8(code).ok()).unwrap_or(sqlstate::INTERNAL_ERROR)
    }

    /// The message, as far as it is text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.get(b'M').unwrap_or_default()).into_owned()
    }

    /// Whether the session ends with it.
    pub fn is_fatal(&self) -> bool {
        matches!(self.get(b'V').or_else(|| self.get(b'S')), Some(b"FATAL" | b"PANIC"))
    }

    /// The error position, if it has one.
    pub fn error_position(&self) -> Option<usize> {
        std::str::from_utf8(self.get(b'P')?).ok()?.parse().ok()
    }

    /// As an `ErrorResponse`.
    pub fn to_error(&self) -> Bytes {
        self.encode(b'E')
    }

    /// As a `NoticeResponse`.
    pub fn to_notice(&self) -> Bytes {
        self.encode(b'N')
    }

    fn encode(&self, tag: u8) -> Bytes {
        message(tag, |body| {
            for (field, value) in &self.fields {
                body.put_u8(*field);
                put_bytes(body, value);
            }
            body.put_u8(0);
        })
    }
}

#[cfg(test)]
mod tests;
