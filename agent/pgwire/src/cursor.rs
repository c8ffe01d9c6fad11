//! Checked reading of one message body.
//!
//! A [`Cursor`] never sees beyond the message it was made for: short input, a missing NUL and left-over bytes are
//! errors, so a crafted message cannot smuggle another one through.

/// Why a message body is not what its type says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body ends too early.
    #[error("the message ends too early")]
    Short,
    /// Bytes remain after the last field.
    #[error("the message has bytes after its end")]
    Trailing,
    /// A string has no terminating NUL.
    #[error("a string in the message has no end")]
    Unterminated,
    /// A string that must be text is not UTF-8.
    #[error("a string in the message is not valid UTF-8")]
    NotUtf8,
    /// A count or length below what is possible.
    #[error("a length in the message is negative")]
    Negative,
    /// A one-byte selector with an unknown value.
    #[error("a field of the message has an unknown value")]
    UnknownValue,
    /// A message type this side may not send.
    #[error("the message type is not known")]
    UnknownType,
}

/// Reads fields from the front of a body.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(head)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, tail) = self.rest.split_first().ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(*first)
    }

    /// A big-endian 16-bit integer.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<2>().ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(i16::from_be_bytes(*head))
    }

    /// A big-endian 16-bit count, taken as unsigned as PostgreSQL does.
    pub fn count(&mut self) -> Result<usize, DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<2>().ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(usize::from(u16::from_be_bytes(*head)))
    }

    /// A big-endian 32-bit integer.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<4>().ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(i32::from_be_bytes(*head))
    }

    /// A big-endian 32-bit unsigned integer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<4>().ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(u32::from_be_bytes(*head))
    }

    /// A NUL-terminated string as bytes, without the NUL.
    pub fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(DecodeError::Unterminated)?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        Ok(text)
    }

    /// A NUL-terminated string that must be UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.string()?).map_err(|_| DecodeError::NotUtf8)
    }

    /// A length-prefixed value: `None` for SQL null (-1).
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| DecodeError::Negative)?;
        self.bytes(length).map(Some)
    }

    /// Refuses left-over bytes.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}
