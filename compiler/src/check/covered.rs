//! What some policy or other covers, counted, so that a policy that changes is taken out and put in again without a
//! look at the others.

use std::collections::BTreeMap;

/// How often each thing is covered.
#[derive(Debug)]
pub(crate) struct Covered<K> {
    times: BTreeMap<K, usize>,
    /// How often those were covered that were touched since it was asked last.
    before: BTreeMap<K, usize>,
}

impl<K> Default for Covered<K> {
    fn default() -> Self {
        Self { times: BTreeMap::new(), before: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Covered<K> {
    /// Once more.
    pub(crate) fn add(&mut self, key: &K) {
        let times = self.times.get(key).copied().unwrap_or(0);
        self.before.entry(key.clone()).or_insert(times);
        self.times.insert(key.clone(), times + 1);
    }

    /// Once less.
    pub(crate) fn remove(&mut self, key: &K) {
        let Some(times) = self.times.get(key).copied() else { return };
        self.before.entry(key.clone()).or_insert(times);
        if times > 1 {
            self.times.insert(key.clone(), times - 1);
        } else {
            self.times.remove(key);
        }
    }

    /// Whether it is covered at all.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.times.contains_key(key)
    }

    /// Whether anything is covered that was not when this was asked last, or the other way round.
    pub(crate) fn take_change(&mut self) -> bool {
        let before = std::mem::take(&mut self.before);
        before.into_iter().any(|(key, times)| (times > 0) != self.times.contains_key(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_something_that_begins_or_ends_to_be_covered() {
        let mut covered = Covered::default();
        covered.add(&1);
        assert!(covered.contains(&1) && covered.take_change());
        covered.remove(&1);
        covered.add(&1);
        covered.add(&1);
        assert!(!covered.take_change());
        covered.remove(&1);
        assert!(!covered.take_change());
        covered.remove(&1);
        covered.remove(&1);
        assert!(!covered.contains(&1) && covered.take_change());
    }
}
