//! Wakes the agent links of an organization. A wake-up carries nothing but how many there were: whoever wakes reads the
//! versions from the store again, so a lost or doubled wake-up does no harm. The count tells whether what somebody else
//! read is late enough: a reading that began at a count has everything that was stored before it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// How many wake-ups there were, and when the last one came that anybody was woken by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wakes {
    pub(crate) count: u64,
    pub(crate) at: Option<Instant>,
}

/// One channel per organization.
#[derive(Debug, Default)]
pub struct Hub {
    channels: Mutex<BTreeMap<String, watch::Sender<Wakes>>>,
}

impl Hub {
    /// Something of this organization changed.
    pub fn wake(&self, org: &str) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(org) {
            channel.send_modify(woken);
        }
    }

    /// Anything may have changed.
    pub fn wake_all(&self) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels.values() {
            channel.send_modify(woken);
        }
    }

    /// Learn of changes from now on.
    pub(crate) fn subscribe(&self, org: &str) -> watch::Receiver<Wakes> {
        self.at(org, watch::Sender::subscribe)
    }

    /// A count that no reading has yet that began before now. Nobody is woken.
    pub(crate) fn mark(&self, org: &str) -> u64 {
        self.at(org, |channel| {
            channel.send_if_modified(|count| {
                one_more(count);
                false
            });
            channel.borrow().count
        })
    }

    /// For a reading that begins now.
    pub(crate) fn count(&self, org: &str) -> u64 {
        self.at(org, |channel| channel.borrow().count)
    }

    fn at<T>(&self, org: &str, of: impl FnOnce(&watch::Sender<Wakes>) -> T) -> T {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        of(channels.entry(org.to_owned()).or_insert_with(|| watch::channel(Wakes::default()).0))
    }
}

fn woken(wakes: &mut Wakes) {
    one_more(wakes);
    wakes.at = Some(Instant::now());
}

fn one_more(wakes: &mut Wakes) {
    wakes.count = wakes.count.saturating_add(1);
}
