//! What an agent remembers between bundles: the highest accepted, and the latest time that is proven.

use crate::digest::is_sha256_hex;
use crate::statement::MAX_EXACT;
use serde::{Deserialize, Serialize};

/// The last accepted statement of one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its epoch.
    pub epoch: u64,
    /// Its serial.
    pub serial: u64,
    /// Its digest.
    pub statement_sha256: String,
    /// A time that has certainly passed: no clock set back makes an expired bundle valid again.
    pub time_floor: i64,
    /// The highest version of the trust file seen, so that an earlier one does not come back; 0 if not recorded.
    #[serde(default)]
    pub trust_version: u64,
}

/// The lowest place in the order of bundles that may be accepted where nothing was accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minimum {
    /// The epoch.
    pub epoch: u64,
    /// The serial within it.
    pub serial: u64,
}

impl Minimum {
    /// Reads `EPOCH.SERIAL`, as enrolment tokens carry it.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, serial) = text.split_once('.')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse().ok().filter(|n| *n <= MAX_EXACT && digits(text));
        Some(Self { epoch: number(epoch)?, serial: number(serial)? })
    }
}

/// Why a text is not a head.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// Not JSON of the expected shape.
    #[error("the stored state is not readable")]
    Shape(#[source] serde_json::Error),
    /// A value nobody wrote.
    #[error("the stored state has an impossible `{0}`")]
    Field(&'static str),
}

impl Head {
    /// The form to store.
    pub fn to_json(&self) -> String {
        // Plain strings and numbers cannot fail to serialise; an empty head is refused when read.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Head::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, HeadError> {
        let head: Self = serde_json::from_str(text).map_err(HeadError::Shape)?;
        let time = u64::try_from(head.time_floor).is_ok_and(|seconds| seconds <= MAX_EXACT);
        let checks = [
            ("epoch", head.epoch <= MAX_EXACT),
            ("serial", head.serial <= MAX_EXACT),
            ("statement_sha256", is_sha256_hex(&head.statement_sha256)),
            ("time_floor", time),
            ("trust_version", head.trust_version <= MAX_EXACT),
        ];
        match checks.into_iter().find(|(_, holds)| !holds) {
            None => Ok(head),
            Some((field, _)) => Err(HeadError::Field(field)),
        }
    }
}
