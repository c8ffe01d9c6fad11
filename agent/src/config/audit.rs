//! `audit:`, all of it optional.

use super::Fault;
use super::fields::{self, Fields};
use super::tree::Node;
use crate::audit::{AuditSettings, Level, Unwritable, Upload};
use std::path::{Path, PathBuf};

/// The smallest file: a few hundred of the longest records.
const SMALLEST: u64 = 1 << 20;

/// `audit:`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditSection {
    /// The directory; `audit` in the state directory without it.
    pub path: Option<PathBuf>,
    /// Everything else.
    pub settings: AuditSettings,
}

impl AuditSection {
    pub(super) fn read(node: &Node, base: &Path, faults: &mut Vec<Fault>) -> Option<Self> {
        let section = Fields::open(node, "audit", faults)?;
        let (path, statements, literals) =
            (section.optional("path"), section.optional("statements"), section.optional("literals"));
        let (max_size, keep) = (section.optional("max_size"), section.optional("keep"));
        let (upload, failure) = (section.optional("upload"), section.optional("on_failure"));
        section.close(faults);
        let before = faults.len();
        let mut read = Self::default();
        let settings = &mut read.settings;
        read.path = path.and_then(|node| fields::path(node, "audit.path", base, faults));
        let levels = [("none", Level::None), ("refused", Level::Refused), ("all", Level::All)];
        set(&mut settings.statements, choice(statements, "audit.statements", &levels, faults));
        set(&mut settings.literals, literals.and_then(|node| fields::flag(node, "audit.literals", faults)));
        set(&mut settings.max_size, max_size.and_then(|node| size(node, faults)));
        set(&mut settings.keep, keep.and_then(|node| count(node, faults)));
        let uploads =
            [("none", Upload::None), ("records", Upload::Records), ("statements", Upload::Statements)];
        set(&mut settings.upload, choice(upload, "audit.upload", &uploads, faults));
        let failures = [("refuse", Unwritable::Refuse), ("continue", Unwritable::Continue)];
        set(&mut settings.unwritable, choice(failure, "audit.on_failure", &failures, faults));
        (faults.len() == before).then_some(read)
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn choice<T: Copy>(
    node: Option<&Node>,
    what: &str,
    choices: &[(&str, T)],
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let node = node?;
    let text = fields::text(node, what, faults)?;
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        faults.push(node.fault(format!("`{what}` is `{text}`, expected one of {}", names.join(", "))));
    }
    found
}

fn size(node: &Node, faults: &mut Vec<Fault>) -> Option<u64> {
    let text = fields::scalar(node);
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let shift = match unit.trim_start() {
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let bytes = shift.and_then(|shift| digits.parse::<u64>().ok()?.checked_mul(1 << shift));
    let fits = bytes.filter(|bytes| *bytes >= SMALLEST);
    if fits.is_none() {
        faults.push(
            node.fault("`audit.max_size` must be a size of at least 1 MiB, such as `64 MiB`".to_owned()),
        );
    }
    fits
}

fn count(node: &Node, faults: &mut Vec<Fault>) -> Option<usize> {
    let count = fields::scalar(node).parse::<usize>().ok().filter(|count| (2..=100_000).contains(count));
    if count.is_none() {
        faults.push(node.fault("`audit.keep` must be a number of files from 2 to 100000".to_owned()));
    }
    count
}
