//! Certificates that must not be accepted although they have not ended, as serial numbers.
//!
//! Only ever added to by what the control plane says, so that one that is rolled back or hostile lets nobody in again;
//! forgotten when every certificate that was alive when they were last named has ended. Bounded: what is no serial
//! number is passed over, and of too many the oldest go, which is said.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// No certificate lives longer than twelve hours; the rest is for clocks.
const KEPT_SECONDS: i64 = 48 * 3600;
/// A serial number has at most 20 bytes.
const LONGEST: usize = 40;
const MOST: usize = 100_000;
/// How old what is on disk may be.
const NEWS_SECONDS: i64 = 3600;

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
    fn a_list_of_an_earlier_version_is_read() {
        let held: Revocations = serde_json::from_str(r#"["ab","cd"]"#).unwrap();
        assert_eq!(held.serials(), set(&["ab", "cd"]));
        let again: Revocations = serde_json::from_str(&serde_json::to_string(&held).unwrap()).unwrap();
        assert_eq!(again, held);
    }
}
