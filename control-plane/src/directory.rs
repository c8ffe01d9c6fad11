//! The directories of organizations as links tell them: read from the store once for every version, however many agents
//! wait for it, and told as what changed wherever an agent holds what it changed from.
//!
//! An agent holds a directory of ours if it says the version and what it is known by: a version alone may have been given
//! to something else by somebody else. In doubt it gets the whole.

use crate::app::App;
use crate::link::text::Text;
use crate::problem::Refusal;
use daam_api::directory::{EntryDigest, entry, whole};
use daam_api::link::{DirectoryUser, ToAgent};
use daam_store::{StoreError, TenantScope};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// So many versions are known by what they were.
const KNOWN_VERSIONS: usize = 256;
/// So many texts are kept: the whole, and for agents that are a little behind each other.
const TEXTS: usize = 8;
/// A text that nobody asked for this long is not kept.
const KEPT: Duration = Duration::from_secs(30);

/// One organization's, by versions.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    version: u64,
    /// The earliest version that changes are known from.
    from: u64,
    users: BTreeMap<String, Entry>,
    /// What versions are known by.
    digests: BTreeMap<u64, String>,
    /// How holders of what are told this version: all agents of an organization wait for the same.
    texts: HashMap<Option<u64>, Text>,
    asked: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    user: DirectoryUser,
    changed_in: u64,
    digest: EntryDigest,
}

impl Directory {
    /// The present one takes the place of what was known.
    fn next(&mut self, version: u64, users: Vec<DirectoryUser>) {
        let mut before = std::mem::take(&mut self.users);
        let goes_on = self.version > 0 && self.version <= version;
        for user in users {
            let known = before.remove(&user.id).filter(|known| goes_on && known.user == user);
            let present = known.unwrap_or_else(|| Entry { digest: entry(&user), user, changed_in: version });
            self.users.insert(present.user.id.clone(), present);
        }
        // Nobody leaves a directory; if somebody did, or the store went back, no change tells it.
        if !goes_on || !before.is_empty() {
            self.from = version;
            self.digests.clear();
        }
        self.texts.clear();
        self.version = version;
        self.digests.insert(version, whole(self.users.values().map(|entry| &entry.digest)));
        while self.digests.len() > KNOWN_VERSIONS {
            self.digests.pop_first();
        }
    }

    /// Whether that version was known by this.
    pub(crate) fn was(&self, version: u64, digest: &str) -> bool {
        self.digests.get(&version).is_some_and(|known| known == digest)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// For an agent that holds a version of ours; nothing if that is the present one. The whole for any other agent.
    pub(crate) fn told(&mut self, held: Option<u64>) -> Result<Option<Text>, Refusal> {
        let held = held.filter(|held| *held == self.version || (self.from..self.version).contains(held));
        self.asked = Some(Instant::now());
        if let Some(text) = self.texts.get(&held) {
            return Ok(Some(text.clone()));
        }
        let Some(news) = self.news(held) else { return Ok(None) };
        let text = Text::of(&news)?;
        if self.texts.len() >= TEXTS {
            self.texts.clear();
        }
        self.texts.insert(held, text.clone());
        Ok(Some(text))
    }

    fn news(&self, held: Option<u64>) -> Option<ToAgent> {
        let version = self.version;
        match held {
            Some(held) if held == version => None,
            Some(from) if (self.from..version).contains(&from) => {
                let changed = self.users.values().filter(|entry| entry.changed_in > from);
                let users = changed.map(|entry| entry.user.clone()).collect();
                let digest = self.digests.get(&version).cloned().unwrap_or_default();
                Some(ToAgent::DirectoryDelta { from, version, users, digest })
            }
            _ => Some(ToAgent::DirectoryUpdate { version, users: self.users() }),
        }
    }

    /// Lets go of texts that nobody asked for lately.
    fn rest(&mut self) {
        if self.asked.is_none_or(|asked| asked.elapsed() >= KEPT) {
            self.texts = HashMap::new();
        }
    }

    pub(crate) fn users(&self) -> Vec<DirectoryUser> {
        self.users.values().map(|entry| entry.user.clone()).collect()
    }
}

type Shared = Arc<tokio::sync::Mutex<Directory>>;

/// Those that links ask for.
#[derive(Debug, Default)]
pub(crate) struct Directories(Mutex<HashMap<String, Shared>>);

impl Directories {
    fn of(&self, scope: &TenantScope) -> Shared {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(scope.org().to_owned()).or_default())
    }

    /// Lets go of texts that nobody asked for lately.
    pub(crate) fn rest(&self) {
        let all: Vec<Shared> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        for shared in all {
            // Held by somebody who uses it now, otherwise.
            if let Ok(mut directory) = shared.try_lock() {
                directory.rest();
            }
        }
    }
}

/// The organization's directory, no older than this version; others wait for as long as it is held.
pub(crate) async fn at_least(
    app: &App,
    scope: &TenantScope,
    version: u64,
) -> Result<OwnedMutexGuard<Directory>, StoreError> {
    let mut known = app.directories().of(scope).lock_owned().await;
    // Whoever comes first reads; the others find it.
    if known.version < version {
        let (version, users) = app.db().directory(scope).await?;
        known.next(version, users);
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn user(id: &str, group: &str) -> DirectoryUser {
        DirectoryUser {
            id: id.to_owned(),
            email: format!("{id}@x.org"),
            disabled: false,
            groups: BTreeSet::from([group.to_owned()]),
            attributes: BTreeMap::new(),
        }
    }

    fn changed(told: Option<ToAgent>) -> (u64, Vec<String>) {
        match told {
            Some(ToAgent::DirectoryDelta { from, users, .. }) => {
                (from, users.into_iter().map(|user| user.id).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_agent_is_told_what_changed_since_what_it_holds_and_the_whole_where_that_is_not_known() {
        let mut directory = Directory::default();
        directory.next(5, vec![user("a", "x"), user("b", "x")]);
        let then = directory.digests[&5].clone();
        directory.next(6, vec![user("a", "y"), user("b", "x")]);
        directory.next(9, vec![user("a", "y"), user("b", "x"), user("c", "x")]);
        assert_eq!(directory.news(Some(9)), None);
        assert_eq!(changed(directory.news(Some(6))), (6, vec!["c".to_owned()]));
        assert_eq!(changed(directory.news(Some(5))), (5, vec!["a".to_owned(), "c".to_owned()]));
        for unknown in [None, Some(4), Some(10)] {
            let told = directory.news(unknown);
            assert!(
                matches!(&told, Some(ToAgent::DirectoryUpdate { version: 9, users }) if users.len() == 3),
                "{told:?}"
            );
        }
        // Written once, however many are told it.
        let texts: Vec<Text> = [None, Some(4), Some(10), Some(6), Some(6)]
            .map(|held| directory.told(held).unwrap().unwrap())
            .to_vec();
        assert!(texts[0] == texts[1] && texts[1] == texts[2] && texts[3] == texts[4] && texts[2] != texts[3]);
        assert_eq!((directory.texts.len(), directory.told(Some(9)).unwrap()), (2, None));
        assert!(directory.was(5, &then));
        assert!(!directory.was(6, &then) && !directory.was(5, "") && !directory.was(4, &then));
        // Somebody is gone, or the store went back: no change tells that.
        directory.next(10, vec![user("a", "y")]);
        assert!(matches!(directory.news(Some(9)), Some(ToAgent::DirectoryUpdate { .. })));
        directory.next(7, vec![user("a", "y")]);
        assert!(matches!(directory.news(Some(6)), Some(ToAgent::DirectoryUpdate { version: 7, .. })));
        assert!(!directory.was(5, &then));
    }
}
