//! Whether a log is whole.

use crate::checkpoint::{BadCheckpoint, Checkpoint, Signed};
use crate::entry::{Entry, Hash};
use crate::line::{BadLine, Begin, Line, StoredEntry};
use crate::tree::Frontier;
use daam_bundle::PublicKey;
use std::collections::BTreeMap;

/// How far a log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    org_id: String,
    head: Option<Hash>,
    frontier: Frontier,
}

impl Tip {
    /// Before the first entry.
    pub fn of_nothing(org_id: &str) -> Self {
        Self { org_id: org_id.to_owned(), head: None, frontier: Frontier::default() }
    }

    /// Where a checkpoint was made.
    pub fn at(checkpoint: &Checkpoint, frontier: Frontier) -> Result<Self, Fault> {
        let Checkpoint { size, root, .. } = checkpoint;
        if frontier.size() != *size || frontier.root() != *root {
            return Err(Fault::Cut { size: *size });
        }
        Ok(Self { org_id: checkpoint.org_id.clone(), head: checkpoint.head, frontier })
    }

    /// Takes the next entry, if it follows.
    pub fn follow(&mut self, entry: &Entry, stored: &str) -> Result<(), Fault> {
        let wanted = self.frontier.size().saturating_add(1);
        let found = u64::try_from(entry.seq).unwrap_or(0);
        if found > wanted {
            return Err(Fault::Missing { from: wanted, to: found.saturating_sub(1) });
        }
        if found < wanted {
            return Err(Fault::Disorder { found, wanted });
        }
        let hash = entry.hash(self.head, &self.org_id);
        if hash.to_string() != stored {
            return Err(Fault::Changed { seq: found });
        }
        self.head = Some(hash);
        self.frontier.push(hash.bytes());
        Ok(())
    }

    /// How many entries.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The hash of the last entry.
    pub fn head(&self) -> Option<Hash> {
        self.head
    }

    /// What is needed to go on from here.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// What is to be signed here.
    pub fn checkpoint(&self, org: &str, at: i64) -> Checkpoint {
        Checkpoint {
            org: org.to_owned(),
            org_id: self.org_id.clone(),
            size: self.size(),
            root: self.frontier.root(),
            head: self.head,
            at,
        }
    }

    fn fits(&self, checkpoint: &Checkpoint) -> Result<(), Fault> {
        if checkpoint.root == self.frontier.root() && checkpoint.head == self.head {
            return Ok(());
        }
        Err(Fault::Rewritten { size: checkpoint.size })
    }
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line.
    #[error("line {line}: {why}")]
    Line {
        /// Which.
        line: u64,
        /// Why.
        why: BadLine,
    },
    /// The first line is not the beginning, or another one is.
    #[error("the log does not begin as a log does, or begins twice")]
    Beginning,
    /// It begins later than at its first entry, and nobody signed that.
    #[error("entries up to {size} are gone, and no signed checkpoint stands in their place")]
    Cut {
        /// How many.
        size: u64,
    },
    /// Entries are gone.
    #[error("entries {from} to {to} are missing")]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Entries changed places, or one comes twice.
    #[error("entry {found} stands where entry {wanted} belongs")]
    Disorder {
        /// What is there.
        found: u64,
        /// What belongs there.
        wanted: u64,
    },
    /// An entry was edited.
    #[error("entry {seq}, or the hash of the one before it, was changed")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// Every hash fits, but not what was signed.
    #[error("the first {size} entries are not those that were signed: the log was written anew")]
    Rewritten {
        /// The checkpoint's size.
        size: u64,
    },
    /// The end is gone.
    #[error(
        "the log ends with entry {last}, but a checkpoint was signed over {signed} entries: its end was cut off"
    )]
    Truncated {
        /// Its last entry.
        last: u64,
        /// What was signed.
        signed: u64,
    },
    /// The end is gone, as the counter beside the log says.
    #[error("the log ends with entry {last}, but {counted} were written: its end was cut off")]
    Short {
        /// Its last entry.
        last: u64,
        /// How many there were.
        counted: u64,
    },
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
    /// Another organization's checkpoint.
    #[error("a checkpoint is of the organization `{found}`, the log of `{wanted}`")]
    OtherOrganization {
        /// Its organization.
        found: String,
        /// The log's.
        wanted: String,
    },
    /// A checkpoint that was kept is of entries that are no longer there, and what is left of them is not in the log.
    #[error(
        "a checkpoint was kept of the first {kept} entries, the log begins after entry {cut}, and nothing shows that it is the same log"
    )]
    Uncompared {
        /// The checkpoint's size.
        kept: u64,
        /// Entries that are gone.
        cut: u64,
    },
    /// A checkpoint was signed here and is not in the database any more.
    #[error(
        "a checkpoint over {size} entries was signed by this control plane and is not in its database: that was set back, or the log written anew"
    )]
    Forgotten {
        /// The checkpoint's size.
        size: u64,
    },
    /// Nothing is signed.
    #[error("no checkpoint speaks for this log: it could have been made by anybody")]
    Unsigned,
}

/// A whole log, as far as it was read. Only a [`Verifier`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The organization's slug.
    pub org: String,
    /// The first entry that is there, if any are.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// How far signatures reach.
    pub signed: u64,
    /// Checkpoints that were compared.
    pub checkpoints: usize,
    /// Checkpoints from before the first entry that is kept that could not be compared, if that was allowed.
    pub before_cut: usize,
    /// The latest checkpoint of the log, to be kept elsewhere.
    pub latest: Option<Signed>,
}

/// Reads a log from its first line to its last.
#[derive(Debug)]
pub struct Verifier {
    key: PublicKey,
    /// Kept elsewhere, by size.
    kept: BTreeMap<u64, Vec<Signed>>,
    state: Option<Reading>,
    line: u64,
    uncompared: bool,
}

#[derive(Debug)]
struct Reading {
    org: String,
    tip: Tip,
    begins_at: u64,
    /// The entries that are gone, as far as their hashes were read.
    gone: Tip,
    signed: u64,
    checkpoints: usize,
    latest: Option<Signed>,
}

impl Verifier {
    /// Of a log whose checkpoints this key signs, with checkpoints that were kept elsewhere.
    pub fn new(key: PublicKey, kept: impl IntoIterator<Item = Signed>) -> Self {
        let mut by_size: BTreeMap<u64, Vec<Signed>> = BTreeMap::new();
        for signed in kept {
            by_size.entry(signed.unverified().size).or_default().push(signed);
        }
        Self { key, kept: by_size, state: None, line: 0, uncompared: false }
    }

    /// Whether a log is believed although a kept checkpoint of early entries cannot be compared: whoever wrote it anew and
    /// had it signed could have taken them away for this.
    #[must_use]
    pub fn believing_what_is_uncompared(self, uncompared: bool) -> Self {
        Self { uncompared, ..self }
    }

    /// Takes the next line.
    pub fn read(&mut self, text: &str) -> Result<(), Fault> {
        self.line = self.line.saturating_add(1);
        let line = Line::parse(text).map_err(|why| Fault::Line { line: self.line, why })?;
        match (line, self.state.take()) {
            (Line::Begin(begin), None) => self.state = Some(self.begin(begin)?),
            (Line::Gone(hashes), Some(mut reading)) => {
                hashes.iter().try_for_each(|hash| self.gone(&mut reading, *hash))?;
                self.state = Some(reading);
            }
            (Line::Entry(StoredEntry { entry, hash }), Some(mut reading)) => {
                reading.tip.follow(&entry, &hash)?;
                self.compare_kept(&mut reading)?;
                self.state = Some(reading);
            }
            (Line::Checkpoint(signed), Some(mut reading)) => {
                let last = reading.tip.size();
                let size = signed.unverified().size;
                if size > last {
                    return Err(Fault::Truncated { last, signed: size });
                }
                compare(&self.key, &mut reading, &signed)?;
                reading.latest = Some(signed);
                self.state = Some(reading);
            }
            _ => return Err(Fault::Beginning),
        }
        Ok(())
    }

    /// The answer, once every line was read.
    pub fn finish(self) -> Result<Found, Fault> {
        let Some(Reading { org, tip, begins_at, gone, signed, checkpoints, latest }) = self.state else {
            return Err(Fault::Beginning);
        };
        let last = tip.size();
        for kept in self.kept.values().flatten() {
            let said = kept.verify(&self.key)?;
            same_organization(said, &org, &tip)?;
            if said.size > last {
                return Err(Fault::Truncated { last, signed: said.size });
            }
        }
        if checkpoints == 0 {
            return Err(Fault::Unsigned);
        }
        // What is left of the entries counts once it led to where the log begins.
        let compared = gone.size() == begins_at;
        let uncompared = || self.kept.range(..begins_at).filter(|_| !compared);
        if let Some((kept, _)) = uncompared().next_back().filter(|_| !self.uncompared) {
            return Err(Fault::Uncompared { kept: *kept, cut: begins_at });
        }
        let before_cut = uncompared().map(|(_, kept)| kept.len()).sum();
        let first = begins_at.saturating_add(1);
        Ok(Found { org, first, last, signed, checkpoints, before_cut, latest })
    }

    fn begin(&self, begin: Begin) -> Result<Reading, Fault> {
        let Begin { org, org_id, head, frontier, anchor, .. } = begin;
        let size = frontier.size();
        let gone = Tip::of_nothing(&org_id);
        let tip = Tip { org_id, head, frontier };
        let mut reading =
            Reading { org, tip, begins_at: size, gone, signed: 0, checkpoints: 0, latest: None };
        match anchor {
            None if size == 0 && head.is_none() => {}
            Some(signed) if signed.unverified().size == size => {
                compare(&self.key, &mut reading, &signed)?;
                reading.latest = Some(signed);
            }
            _ => return Err(Fault::Cut { size }),
        }
        self.compare_kept(&mut reading)?;
        Ok(reading)
    }

    /// One of the entries that are gone. Whether it was what its hash says cannot be seen any more; that it was there when a
    /// checkpoint was made can.
    fn gone(&self, reading: &mut Reading, hash: Hash) -> Result<(), Fault> {
        let Reading { tip, begins_at, gone, .. } = reading;
        if tip.size() != *begins_at || gone.size() >= *begins_at {
            return Err(Fault::Beginning);
        }
        gone.head = Some(hash);
        gone.frontier.push(hash.bytes());
        if gone.size() == *begins_at {
            return if gone == tip { Ok(()) } else { Err(Fault::Rewritten { size: *begins_at }) };
        }
        for kept in self.kept.get(&gone.size()).into_iter().flatten() {
            let said = kept.verify(&self.key)?;
            same_organization(said, &reading.org, &reading.gone)?;
            reading.gone.fits(said)?;
            reading.checkpoints = reading.checkpoints.saturating_add(1);
        }
        Ok(())
    }

    fn compare_kept(&self, reading: &mut Reading) -> Result<(), Fault> {
        let here = self.kept.get(&reading.tip.size());
        here.into_iter().flatten().try_for_each(|signed| compare(&self.key, reading, signed))
    }
}

/// A checkpoint against the log at the same place. One that stands later than where it was made proves nothing, and is
/// not how logs are written.
fn compare(key: &PublicKey, reading: &mut Reading, signed: &Signed) -> Result<(), Fault> {
    let said = signed.verify(key)?;
    same_organization(said, &reading.org, &reading.tip)?;
    if said.size != reading.tip.size() {
        return Err(Fault::Rewritten { size: said.size });
    }
    reading.tip.fits(said)?;
    reading.signed = said.size;
    reading.checkpoints = reading.checkpoints.saturating_add(1);
    Ok(())
}

fn same_organization(said: &Checkpoint, org: &str, tip: &Tip) -> Result<(), Fault> {
    if said.org == org && said.org_id == tip.org_id {
        return Ok(());
    }
    Err(Fault::OtherOrganization { found: said.org.clone(), wanted: org.to_owned() })
}

#[cfg(test)]
mod tests;
