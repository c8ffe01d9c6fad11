//! Reading what was written: sets of files in the order of their records, line by line, never more than a line at once.

use daam_audit::{Fault, Hash, LONGEST_LINE, Record, Verifier};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";

/// The file that begins with this record; names sort as records do.
pub(super) fn file_name(first: u64) -> String {
    format!("{PREFIX}{first:020}{SUFFIX}")
}

/// The audit files of a directory, oldest first.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text without its line feed, no longer than a record can be and a little.
    pub text: String,
    /// Bytes of it in the file.
    pub length: u64,
    /// Whether it has its line feed.
    pub whole: bool,
}

/// The lines of one file.
#[derive(Debug)]
pub struct Lines {
    reader: BufReader<File>,
}

impl Lines {
    /// From the beginning.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(File::open(path)?) })
    }

    /// From an offset, which must be the beginning of a line.
    pub(super) fn open_at(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { reader: BufReader::new(file) })
    }

    /// The next line. Bytes that are no text come as replacement characters, and so do not verify.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX).saturating_add(2);
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        let whole = bytes.last() == Some(&b'\n');
        if whole {
            bytes.pop();
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(Line { text, length: u64::try_from(read).unwrap_or(u64::MAX), whole }))
    }
}

/// The end of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last whole line.
    pub(super) last: Option<String>,
    /// Bytes up to its end.
    pub(super) whole: u64,
    /// Bytes behind it.
    pub(super) torn: u64,
}

pub(super) fn tail(path: &Path) -> io::Result<Tail> {
    let mut lines = Lines::open(path)?;
    let mut tail = Tail::default();
    while let Some(line) = lines.next_line()? {
        if line.whole {
            tail.whole = tail.whole.saturating_add(line.length);
            tail.last = Some(line.text);
        } else {
            tail.torn = tail.torn.saturating_add(line.length);
        }
    }
    Ok(tail)
}

/// `SEQ:HASH`, as `audit verify` prints the end of a chain.
pub fn head(text: &str) -> Option<(u64, Hash)> {
    let (seq, hash) = text.trim().split_once(':')?;
    Some((seq.parse().ok()?, Hash::parse(hash)?))
}

/// Puts files in the order of their first records. Files without a readable one come last, by name.
pub fn in_order(mut paths: Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
    paths.sort();
    let mut placed = Vec::new();
    for path in paths {
        let first = Lines::open(&path)?.next_line()?;
        let seq = first
            .and_then(|line| Record::parse_public(&line.text).ok())
            .map_or(u64::MAX, |record| record.seq());
        placed.push((seq, path));
    }
    placed.sort();
    Ok(placed.into_iter().map(|(_, path)| path).collect())
}

/// What a set comes to.
#[derive(Debug)]
pub struct Verified {
    /// The state after the last good record.
    pub verifier: Verifier,
    /// Good records.
    pub records: u64,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// Looks at every record of a set up to the first that is wrong; `seen` gets each good one.
pub fn verify(
    paths: &[PathBuf],
    remembered: Option<(u64, Hash)>,
    mut seen: impl FnMut(&Record),
) -> io::Result<Verified> {
    let mut verifier = Verifier::new();
    if let Some((seq, hash)) = remembered {
        verifier = verifier.remembering(seq, hash);
    }
    let mut set = Verified { verifier, records: 0, finding: None };
    for path in paths {
        let mut lines = Lines::open(path)?;
        let mut number = 0;
        while let Some(line) = lines.next_line()? {
            number += 1;
            match judge(&mut set.verifier, &line) {
                Ok(record) => {
                    set.records += 1;
                    seen(&record);
                }
                Err(what) => {
                    set.finding = Some(Finding { file: path.clone(), line: number, what });
                    return Ok(set);
                }
            }
        }
    }
    if let (Err(fault), Some(last)) = (set.verifier.finish(), paths.last()) {
        set.finding = Some(Finding { file: last.clone(), line: 0, what: fault.to_string() });
    }
    Ok(set)
}

fn judge(verifier: &mut Verifier, line: &Line) -> Result<Record, String> {
    if !line.whole && line.text.len() <= LONGEST_LINE {
        return Err("the file ends in the middle of a record: a crash, or something cut it off".to_owned());
    }
    verifier.line(&line.text).map_err(|fault: Fault| fault.to_string())
}
