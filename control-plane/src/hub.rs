//! Wakes the agent links of an organization. A wake-up carries nothing: whoever wakes reads the versions from the
//! store again, so a lost or doubled wake-up does no harm.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// One channel per organization.
#[derive(Debug, Default)]
pub struct Hub {
    channels: Mutex<BTreeMap<String, watch::Sender<()>>>,
}

impl Hub {
    /// Something of this organization changed.
    pub fn wake(&self, org: &str) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(org) {
            channel.send_replace(());
        }
    }

    /// Anything may have changed.
    pub fn wake_all(&self) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels.values() {
            channel.send_replace(());
        }
    }

    /// Learn of changes from now on.
    pub fn subscribe(&self, org: &str) -> watch::Receiver<()> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.entry(org.to_owned()).or_insert_with(|| watch::channel(()).0).subscribe()
    }
}
