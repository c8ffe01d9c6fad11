//! What an agent holds of the directory, by what it was told.

use daam_api::link::{DirectoryUser, ToAgent};
use std::collections::BTreeMap;

/// A directory as an agent keeps it.
#[derive(Debug, Default)]
pub(crate) struct HeldDirectory {
    pub(crate) version: u64,
    users: BTreeMap<String, DirectoryUser>,
}

impl HeldDirectory {
    pub(crate) fn digest(&self) -> String {
        let entries: Vec<_> = self.users.values().map(daam_api::directory::entry).collect();
        daam_api::directory::whole(entries.iter())
    }

    /// The whole that a change makes; anything else as it is.
    pub(crate) fn take(&mut self, message: ToAgent) -> ToAgent {
        match message {
            ToAgent::DirectoryDelta { from, version, users, digest } => {
                assert_eq!(from, self.version, "a change of what is held");
                self.users.extend(users.into_iter().map(|user| (user.id.clone(), user)));
                self.version = version;
                assert_eq!(self.digest(), digest);
                ToAgent::DirectoryUpdate { version, users: self.users.values().cloned().collect() }
            }
            other => {
                if let ToAgent::DirectoryUpdate { version, users }
                | ToAgent::DirectoryReplaced { version, users, .. } = &other
                {
                    self.users = users.iter().map(|user| (user.id.clone(), user.clone())).collect();
                    self.version = *version;
                }
                other
            }
        }
    }
}
