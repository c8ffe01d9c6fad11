//! Add, list, find, end.

use crate::session_id::SessionId;
use bytes::Bytes;
use daam_identity::UserPrincipal;
use daam_pgwire::startup::CancelKey;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::{Notify, mpsc};

/// Commands a session has not taken yet; more are dropped, because one of each kind is enough.
const COMMANDS: usize = 8;

/// What a session can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCommand {
    /// End, and tell the client why.
    Terminate {
        /// The reason.
        reason: String,
    },
    /// Cancel the running statement.
    Cancel,
}

/// One live session, as others see it.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub user: UserPrincipal,
    /// What the client calls itself.
    pub application: String,
    /// Since when.
    pub started: SystemTime,
    /// Statements it has run.
    pub statements: u64,
}

/// What became of a cancel request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// Handed to its session.
    Delivered,
    /// No session has that key, or not for this person.
    Unknown,
}

/// All live sessions.
#[derive(Debug, Default)]
pub struct Registry {
    sessions: Mutex<BTreeMap<SessionId, Entry>>,
    /// A session has moved to another generation, or left.
    moved: Notify,
}

#[derive(Debug)]
struct Entry {
    user: UserPrincipal,
    application: String,
    started: SystemTime,
    statements: Arc<AtomicU64>,
    key: CancelKey,
    commands: mpsc::Sender<SessionCommand>,
    /// The generation of the policy it acts on.
    generation: u64,
}

impl Registry {
    /// Without sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a session under a fresh cancel key; `minor` is the protocol version its client speaks. What it may do it
    /// has been told under the policy of no generation yet: it must look before it does anything.
    pub fn register(
        self: &Arc<Self>,
        id: SessionId,
        user: UserPrincipal,
        application: String,
        minor: u32,
    ) -> Result<Registration, getrandom::Error> {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let statements = Arc::new(AtomicU64::new(0));
        let mut sessions = self.lock();
        let key = fresh_key(&sessions, minor)?;
        let entry = Entry {
            user,
            application,
            started: SystemTime::now(),
            statements: Arc::clone(&statements),
            key: key.clone(),
            commands,
            generation: 0,
        };
        sessions.insert(id.clone(), entry);
        drop(sessions);
        Ok(Registration { id, key, statements, inbox, registry: Arc::clone(self) })
    }

    /// Every live session, oldest first.
    pub fn list(&self) -> Vec<SessionInfo> {
        self.lock()
            .iter()
            .map(|(id, entry)| SessionInfo {
                id: id.clone(),
                user: entry.user.clone(),
                application: entry.application.clone(),
                started: entry.started,
                statements: entry.statements.load(Ordering::Relaxed),
            })
            .collect()
    }

    /// The sessions of one person.
    pub fn by_user(&self, user_id: &str) -> Vec<SessionInfo> {
        let mut sessions = self.list();
        sessions.retain(|session| session.user.user_id == user_id);
        sessions
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns once every session that is there acts on that generation of the policy or a later one.
    pub async fn reached(&self, generation: u64) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // From here on nothing is missed.
            moved.as_mut().enable();
            if self.lock().values().all(|entry| entry.generation >= generation) {
                return;
            }
            moved.await;
        }
    }

    /// The oldest generation that a session acts on; none without sessions.
    pub fn oldest_generation(&self) -> Option<u64> {
        self.lock().values().map(|entry| entry.generation).min()
    }

    /// Ends one session; false if there is no such session.
    pub fn terminate(&self, id: &SessionId, reason: &str) -> bool {
        self.end(|entry_id, _| entry_id == id, reason) > 0
    }

    /// Ends every session of one person; how many there were.
    pub fn terminate_user(&self, user_id: &str, reason: &str) -> usize {
        self.end(|_, entry| entry.user.user_id == user_id, reason)
    }

    /// Ends every session; how many there were.
    pub fn terminate_all(&self, reason: &str) -> usize {
        self.end(|_, _| true, reason)
    }

    /// Hands a cancel request to its session.
    pub fn cancel(&self, key: &CancelKey, user: &UserPrincipal) -> CancelOutcome {
        let sessions = self.lock();
        let found = sessions.values().find(|entry| {
            entry.key.pid == key.pid
                && same(&entry.key.secret, &key.secret)
                && entry.user.org == user.org
                && entry.user.user_id == user.user_id
        });
        match found {
            Some(entry) => {
                // A full queue already holds a cancel or an end.
                let _ = entry.commands.try_send(SessionCommand::Cancel);
                CancelOutcome::Delivered
            }
            None => CancelOutcome::Unknown,
        }
    }

    fn end(&self, which: impl Fn(&SessionId, &Entry) -> bool, reason: &str) -> usize {
        let sessions = self.lock();
        let mut count = 0;
        for (_, entry) in sessions.iter().filter(|(id, entry)| which(id, entry)) {
            count += 1;
            let commands = entry.commands.clone();
            let command = SessionCommand::Terminate { reason: reason.to_owned() };
            if let Err(mpsc::error::TrySendError::Full(command)) = commands.try_send(command) {
                tokio::spawn(async move { commands.send(command).await });
            }
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place in the registry; dropping it leaves.
#[derive(Debug)]
pub struct Registration {
    id: SessionId,
    key: CancelKey,
    statements: Arc<AtomicU64>,
    inbox: mpsc::Receiver<SessionCommand>,
    registry: Arc<Registry>,
}

impl Registration {
    /// The key the client is told.
    pub fn key(&self) -> &CancelKey {
        &self.key
    }

    /// Says which generation of the policy the session acts on from now on.
    pub fn moved_to(&self, generation: u64) {
        if let Some(entry) = self.registry.lock().get_mut(&self.id) {
            entry.generation = generation;
        }
        self.registry.moved.notify_waiters();
    }

    /// Counts a statement.
    pub fn count_statement(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Statements so far.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// The next command; never ends while this lives.
    pub async fn command(&mut self) -> SessionCommand {
        match self.inbox.recv().await {
            Some(command) => command,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.id);
        self.registry.moved.notify_waiters();
    }
}

/// A key no other session has.
fn fresh_key(sessions: &BTreeMap<SessionId, Entry>, minor: u32) -> Result<CancelKey, getrandom::Error> {
    let mut random = [0_u8; 36];
    loop {
        getrandom::fill(&mut random)?;
        let (pid, secret) = random.split_at(4);
        let pid = pid.iter().fold(0_i32, |pid, byte| (pid << 8) | i32::from(*byte)) & i32::MAX;
        let secret = if minor >= 2 { secret } else { secret.get(..4).unwrap_or_default() };
        if pid != 0 && sessions.values().all(|entry| entry.key.pid != pid) {
            return Ok(CancelKey { pid, secret: Bytes::copy_from_slice(secret) });
        }
    }
}

/// Compares without telling how much was right.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserPrincipal {
        UserPrincipal {
            org: "acme".to_owned(),
            user_id: id.to_owned(),
            email: format!("{id}@acme.example"),
            device: "laptop".to_owned(),
            databases: daam_identity::Databases::Any,
        }
    }

    fn enter(registry: &Arc<Registry>, who: &str, minor: u32) -> Registration {
        registry.register(SessionId::fresh(), user(who), "psql".to_owned(), minor).unwrap()
    }

    #[tokio::test]
    async fn only_the_owner_with_the_right_key_cancels() {
        let registry = Arc::new(Registry::new());
        let mut session = enter(&registry, "ann", 2);
        let key = session.key().clone();
        assert_eq!(key.secret.len(), 32);
        assert_eq!(registry.cancel(&key, &user("bob")), CancelOutcome::Unknown);
        let wrong = CancelKey { pid: key.pid, secret: Bytes::from_static(b"nope") };
        assert_eq!(registry.cancel(&wrong, &user("ann")), CancelOutcome::Unknown);
        assert_eq!(registry.cancel(&key, &user("ann")), CancelOutcome::Delivered);
        assert_eq!(session.command().await, SessionCommand::Cancel);
        assert_eq!(enter(&registry, "ann", 0).key().secret.len(), 4);
    }

    #[tokio::test]
    async fn ending_a_person_ends_all_their_sessions_even_behind_full_queues() {
        let registry = Arc::new(Registry::new());
        let mut one = enter(&registry, "ann", 0);
        let _two = enter(&registry, "ann", 0);
        let _other = enter(&registry, "bob", 0);
        let key = one.key().clone();
        for _ in 0..COMMANDS * 2 {
            registry.cancel(&key, &user("ann"));
        }
        assert_eq!(registry.terminate_user("ann", "account disabled"), 2);
        loop {
            match one.command().await {
                SessionCommand::Cancel => {}
                SessionCommand::Terminate { reason } => break assert_eq!(reason, "account disabled"),
            }
        }
    }

    #[tokio::test]
    async fn a_generation_is_reached_when_the_last_session_has_moved_or_left() {
        let registry = Arc::new(Registry::new());
        registry.reached(7).await;
        let (one, two) = (enter(&registry, "ann", 0), enter(&registry, "bob", 0));
        one.moved_to(7);
        assert_eq!(registry.oldest_generation(), Some(0));
        let waiting = tokio::spawn({
            let registry = Arc::clone(&registry);
            async move { registry.reached(7).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
        one.moved_to(8);
        registry.reached(7).await;
    }

    #[test]
    fn a_dropped_registration_leaves_the_list() {
        let registry = Arc::new(Registry::new());
        let session = enter(&registry, "ann", 0);
        session.count_statement();
        assert_eq!(registry.by_user("ann").first().map(|info| info.statements), Some(1));
        drop(session);
        assert_eq!(registry.count(), 0);
    }
}
