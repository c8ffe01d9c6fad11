//! Certificates that must not be accepted although they have not ended, as serial numbers.
//!
//! Only ever added to by what the control plane says, so that one that is rolled back or hostile lets nobody in again;
//! forgotten when every certificate that was alive when they were last named has ended. Bounded: what is no serial
//! number is passed over, and of too many the oldest go, which is said.

use crate::kept_file;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

const FILE: &str = "revoked.json";

/// No certificate lives longer than twelve hours; the rest is for clocks.
const KEPT_SECONDS: i64 = 48 * 3600;
/// A serial number has at most 20 bytes.
const LONGEST: usize = 40;
const MOST: usize = 100_000;
/// How old what is on disk may be.
const NEWS_SECONDS: i64 = 3600;

/// Until what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Why the agent does not start with what is on disk.
#[derive(Debug, thiserror::Error)]
pub enum RevokedError {
    /// Disk.
    #[error("could not read `{FILE}` in the state directory, the list of revoked certificates")]
    Read(#[source] io::Error),
    /// Not what this module writes.
    #[error(
        "`{FILE}` in the state directory, the list of revoked certificates, is damaged; restore it, or remove it where the control plane can be reached, which tells what is revoked"
    )]
    Damaged(#[source] serde_json::Error),
}

/// Those in force, and whether they are on disk.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    held: Revocations,
    unwritten: bool,
    /// When to try again, after a failure.
    again: Option<Duration>,
}

impl Revoked {
    /// What is on disk; nothing if nothing ever was.
    pub(super) fn open(dir: &Path) -> Result<Self, RevokedError> {
        let held = match kept_file::read(dir, FILE).map_err(RevokedError::Read)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(RevokedError::Damaged)?,
            None => Revocations::default(),
        };
        Ok(Self { held, unwritten: false, again: None })
    }

    /// Takes these, too.
    pub(super) fn learn(&mut self, serials: BTreeSet<String>, now: i64) {
        if self.held.learn(serials, now) {
            self.unwritten = true;
            // It is worth a try at once.
            self.again = self.again.map(|_| Duration::ZERO);
        }
    }

    /// Writes down what is not; to be called again and again, because it may fail. `now` never goes back.
    pub(super) fn keep(&mut self, dir: &Path, now: Duration) {
        if !self.unwritten || self.again.is_some_and(|again| now < again) {
            return;
        }
        let written = serde_json::to_vec(&self.held)
            .map_err(io::Error::other)
            .and_then(|bytes| kept_file::replace(dir, FILE, &bytes));
        match written {
            Ok(()) => {
                self.unwritten = false;
                if self.again.take().is_some() {
                    tracing::info!(file = FILE, "is stored now");
                }
            }
            Err(error) => {
                if self.again.replace(now.saturating_add(RETRY)).is_none() {
                    tracing::error!(%error, file = FILE, "could not be stored; it is in force, and stored as soon as it can be");
                }
            }
        }
    }

    pub(super) fn serials(&self) -> BTreeSet<String> {
        self.held.serials()
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(super) struct Revocations {
    /// When each was last named, Unix time.
    named: BTreeMap<String, i64>,
}

/// A list without times is what earlier versions wrote.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Bare(BTreeSet<String>),
    Timed { named: BTreeMap<String, i64> },
}

impl From<Stored> for Revocations {
    fn from(stored: Stored) -> Self {
        let named = match stored {
            Stored::Bare(serials) => serials.into_iter().map(|serial| (serial, super::unix_now())).collect(),
            Stored::Timed { named } => named,
        };
        Self { named }
    }
}

impl Revocations {
    /// Takes these, too; whether that is worth writing down.
    pub(super) fn learn(&mut self, serials: BTreeSet<String>, now: i64) -> bool {
        let before = self.named.len();
        self.named.retain(|_, named| now.saturating_sub(*named) <= KEPT_SECONDS);
        let mut news = self.named.len() != before;
        for serial in serials.into_iter().filter(|serial| is_serial(serial)).take(MOST) {
            let named = self.named.insert(serial, now);
            news |= named.is_none_or(|named| now.saturating_sub(named) > NEWS_SECONDS);
        }
        if self.named.len() > MOST {
            tracing::error!(
                count = self.named.len(),
                most = MOST,
                "too many revoked certificates; the oldest are forgotten"
            );
            let mut times: Vec<i64> = self.named.values().copied().collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = times.get(MOST).copied().unwrap_or(now);
            let mut room = MOST - times.iter().filter(|time| **time > oldest).count().min(MOST);
            self.named.retain(|_, named| {
                let kept = *named > oldest || (*named == oldest && room > 0);
                room = room.saturating_sub(usize::from(*named == oldest));
                kept
            });
        }
        news
    }

    pub(super) fn serials(&self) -> BTreeSet<String> {
        self.named.keys().cloned().collect()
    }
}

fn is_serial(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(serials: &[&str]) -> BTreeSet<String> {
        serials.iter().map(|serial| (*serial).to_owned()).collect()
    }

    #[test]
    fn what_was_revoked_stays_so_until_its_certificate_must_have_ended() {
        let mut held = Revocations::default();
        assert!(held.learn(set(&["ab"]), 1000));
        assert!(!held.learn(set(&["ab"]), 1010), "nothing new");
        // Not named any more: an honest control plane does so when the certificate has ended, a hostile one at once.
        held.learn(set(&["cd"]), 13 * 3600);
        assert_eq!(held.serials(), set(&["ab", "cd"]));
        held.learn(set(&["cd"]), 1011 + KEPT_SECONDS);
        assert_eq!(held.serials(), set(&["cd"]));
    }

    #[test]
    fn messages_of_any_size_leave_a_bounded_list_with_the_newest() {
        let mut held = Revocations::default();
        let many = |from: usize| (from..from + 80_000).map(|n| format!("{n:x}")).collect::<BTreeSet<_>>();
        held.learn(many(0), 1);
        held.learn(many(1_000_000), 2);
        assert_eq!(held.serials().len(), MOST);
        assert!(many(1_000_000).is_subset(&held.serials()));
        held.learn(set(&[&"a".repeat(41), "", "AB", "x\n", "../.."]), 3);
        assert_eq!(held.serials().len(), MOST);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Revoked::open(dir.path());
        assert!(open().unwrap().serials().is_empty(), "there never was one");
        for damaged in [&b""[..], b"[", b"{}", b"null", b"{\"named\":[1]}"] {
            kept_file::replace(dir.path(), FILE, damaged).unwrap();
            assert!(matches!(open(), Err(RevokedError::Damaged(_))), "{damaged:?}");
        }
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        std::fs::create_dir(dir.path().join(FILE)).unwrap();
        assert!(matches!(open(), Err(RevokedError::Read(_))));
    }

    #[test]
    fn what_could_not_be_written_is_written_as_soon_as_it_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let mut held = Revoked::open(dir.path()).unwrap();
        // A directory in the way of the new file stands for a full disk, whoever runs this.
        let full = dir.path().join(format!(".{FILE}.new"));
        std::fs::create_dir(&full).unwrap();
        held.learn(set(&["ab"]), 1000);
        let at = Duration::from_secs;
        held.keep(dir.path(), at(5));
        assert_eq!(held.serials(), set(&["ab"]), "in force all the same");
        assert!(Revoked::open(dir.path()).unwrap().serials().is_empty());
        // Said again it is nothing new, and still not written.
        held.learn(set(&["ab"]), 1010);
        std::fs::remove_dir(&full).unwrap();
        held.keep(dir.path(), at(64));
        assert!(Revoked::open(dir.path()).unwrap().serials().is_empty(), "not every second");
        held.keep(dir.path(), at(65));
        assert_eq!(Revoked::open(dir.path()).unwrap().serials(), set(&["ab"]));
        // What is new does not wait.
        std::fs::create_dir(&full).unwrap();
        held.learn(set(&["cd"]), 1020);
        held.keep(dir.path(), at(70));
        std::fs::remove_dir(&full).unwrap();
        held.learn(set(&["ef"]), 1021);
        held.keep(dir.path(), at(71));
        assert_eq!(Revoked::open(dir.path()).unwrap().serials(), set(&["ab", "cd", "ef"]));
    }

    #[test]
    fn a_list_of_an_earlier_version_is_read() {
        let held: Revocations = serde_json::from_str(r#"["ab","cd"]"#).unwrap();
        assert_eq!(held.serials(), set(&["ab", "cd"]));
        let again: Revocations = serde_json::from_str(&serde_json::to_string(&held).unwrap()).unwrap();
        assert_eq!(again, held);
    }
}
