//! The trust file in force: the pinned one and, on disk, every signed successor that was followed.
//!
//! The configuration pins where to start. After that only root signatures lead on, one version at a time, each stored
//! before the next is looked at. At start the stored steps are followed again from the pin, so a file edited on disk is
//! worth nothing; and because a dropped step would bring back a revoked key, steps that do not hold refuse the start.
//! A pin with a later version, put there by hand, starts over from itself.

use crate::kept_file;
use daam_bundle::{ChainError, TrustChain, TrustFile};
use std::io;
use std::path::PathBuf;

const STEPS: &str = "trust-chain.json";

/// Why the stored trust files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustStoreError {
    /// Disk.
    #[error("could not read the stored trust files")]
    Read(#[source] io::Error),
    /// Not what this module writes.
    #[error(
        "the stored trust files are damaged; restore `{STEPS}` in the state directory, or pin the latest trust file in the configuration and remove it"
    )]
    Damaged,
    /// They do not follow from the pin.
    #[error(
        "the stored trust files do not follow from the pinned one; restore `{STEPS}`, or pin the latest trust file in the configuration and remove it"
    )]
    Chain(#[source] ChainError),
}

/// What following led to.
#[derive(Debug)]
pub struct Followed {
    /// How many versions were followed.
    pub steps: usize,
    /// Why it ended early.
    pub ended: Option<String>,
}

/// The chain of one agent.
#[derive(Debug)]
pub struct TrustStore {
    dir: PathBuf,
    chain: TrustChain,
    documents: Vec<String>,
}

impl TrustStore {
    /// Follows the stored steps from the pin.
    pub fn open(dir: PathBuf, pinned: TrustFile) -> Result<Self, TrustStoreError> {
        let stored = kept_file::read(&dir, STEPS).map_err(TrustStoreError::Read)?;
        let documents: Vec<String> = match stored {
            None => Vec::new(),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| TrustStoreError::Damaged)?,
        };
        let mut chain = TrustChain::of(pinned);
        for document in &documents {
            // Whether one has expired matters when something new comes, not here.
            let walk = chain.walk([document.as_str()], i64::MIN);
            if let Some(error) = walk.ended {
                return Err(TrustStoreError::Chain(error));
            }
            chain = walk.chain;
        }
        Ok(Self { dir, chain, documents })
    }

    /// The trust file in force.
    pub fn current(&self) -> &TrustFile {
        self.chain.current()
    }

    /// An earlier one that the chain came past.
    pub fn at(&self, version: u64) -> Option<&TrustFile> {
        self.chain.at(version)
    }

    /// Follows what is offered as far as it holds. A step that cannot be stored is not taken.
    pub fn follow(&mut self, offered: &[String], now_unix: i64) -> Followed {
        let mut steps = 0;
        for document in offered.iter().take(daam_bundle::trust::MAX_WALK) {
            let walk = self.chain.clone().walk([document.as_str()], i64::MIN);
            if let Some(error) = walk.ended {
                return Followed { steps, ended: Some(crate::cause::chain(&error)) };
            }
            if walk.accepted.is_empty() {
                continue;
            }
            self.documents.extend(walk.accepted);
            if let Err(error) = self.store() {
                self.documents.pop();
                return Followed { steps, ended: Some(format!("the step could not be stored: {error}")) };
            }
            self.chain = walk.chain;
            steps += 1;
        }
        let current = self.current();
        let ended = current.has_expired(now_unix).then(|| {
            format!(
                "version {} has expired; nothing new is accepted until a later one arrives",
                current.version()
            )
        });
        Followed { steps, ended }
    }

    fn store(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.documents).map_err(io::Error::other)?;
        kept_file::replace(&self.dir, STEPS, &bytes)
    }
}
