//! Whether records follow each other without a gap.

use crate::chain::Chain;
use crate::hash::Hash;
use crate::record::{BadRecord, Record};

/// What is wrong with a record or its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no whole record.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// Records are missing before it.
    #[error("records {from} to {to} are missing")]
    Gap {
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// It comes again, or after one that comes after it.
    #[error("record {found} stands where {expected} belongs: out of order, or there twice")]
    Order {
        /// What should come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// It follows another record than the one before it.
    #[error("record {0} does not follow the one before it: another history was put in its place")]
    Fork(u64),
    /// The chain does not begin as chains do.
    #[error("record 1 does not begin a chain")]
    Beginning,
    /// The chain ends too early or otherwise than somebody remembers.
    #[error("record {seq} with hash {hash} was written and is not there")]
    Truncated {
        /// The remembered record.
        seq: u64,
        /// Its hash.
        hash: Hash,
    },
}

/// Takes the lines of a set in order. A set may begin anywhere: old files are removed in time.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    first: u64,
    end: Option<Chain>,
    remembered: Option<(u64, Hash)>,
    met: bool,
}

impl Verifier {
    /// Without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a record that somebody has seen: without it, records cut off at the end would not show.
    #[must_use]
    pub fn remembering(self, seq: u64, hash: Hash) -> Self {
        Self { remembered: Some((seq, hash)), ..self }
    }

    /// The first record's place, 0 for none yet.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The chain's end so far.
    pub fn end(&self) -> Option<&Chain> {
        self.end.as_ref()
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &str) -> Result<Record, Fault> {
        let record = Record::parse(line)?;
        self.place(&record)?;
        if self.remembered == Some((record.seq(), record.hash())) {
            self.met = true;
        }
        if self.end.is_none() {
            self.first = record.seq();
        }
        self.end = Some(Chain::after(&record));
        Ok(record)
    }

    /// Whether a record may come after what came.
    fn place(&self, record: &Record) -> Result<(), Fault> {
        let seq = record.seq();
        let Some(end) = &self.end else {
            let begins = record.prev() == Hash::ZERO;
            return if seq == 0 || (seq == 1) != begins { Err(Fault::Beginning) } else { Ok(()) };
        };
        let expected = end.last().saturating_add(1);
        if seq > expected {
            return Err(Fault::Gap { from: expected, to: seq.saturating_sub(1) });
        }
        if seq < expected {
            return Err(Fault::Order { expected, found: seq });
        }
        if record.prev() != end.head() {
            return Err(Fault::Fork(seq));
        }
        Ok(())
    }

    /// After the last line: whether the remembered record came. One from before the set began is out of question.
    pub fn finish(&self) -> Result<(), Fault> {
        match self.remembered {
            Some((seq, hash)) if seq > 0 && !self.met && (self.end.is_none() || seq >= self.first) => {
                Err(Fault::Truncated { seq, hash })
            }
            _ => Ok(()),
        }
    }
}
