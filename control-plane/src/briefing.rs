//! What the links of one organization share: the versions there are, read from the store once for every change however
//! many links wait for it, and the texts of what is told, written once however many agents are told it.
//!
//! A link names the count of the wake-up it answers ([`crate::hub`]) and is given a reading that began no earlier; so
//! sharing makes nobody miss a change. What one organization shares no other's link can ask for: both the shared and the
//! asking are known by a [`TenantScope`].

use crate::app::App;
use crate::link::End;
use crate::link::text::Text;
use crate::routes::relays::announced_after;
use daam_api::link::ToAgent;
use daam_store::{Briefing, TenantScope};
use std::collections::{BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub(crate) mod texts;

use texts::Texts;

/// So long one reading does for all who only look whether something was missed.
const RECENT: Duration = Duration::from_secs(1);
/// What nobody asked for this long is not kept.
const KEPT: Duration = Duration::from_secs(30);

/// Those of all organizations.
#[derive(Debug, Default)]
pub(crate) struct Briefings(Mutex<HashMap<String, Arc<Shared>>>);

impl Briefings {
    fn of(&self, scope: &TenantScope) -> Arc<Shared> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(scope.org().to_owned()).or_default())
    }

    /// Lets go of the texts that nobody asked for lately.
    pub(crate) fn rest(&self) {
        let all: Vec<Arc<Shared>> =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        for shared in all {
            // Held by somebody who uses them now, otherwise.
            if let Ok(mut texts) = shared.texts.try_lock() {
                texts.rest();
            }
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    present: Mutex<Option<Arc<Present>>>,
    reading: tokio::sync::Mutex<()>,
    texts: tokio::sync::Mutex<Texts>,
}

impl Shared {
    fn present(&self) -> Option<Arc<Present>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One reading.
#[derive(Debug)]
pub(crate) struct Present {
    count: u64,
    began: Instant,
    now: i64,
    read: Briefing,
    revoked: Arc<Revoked>,
}

impl Deref for Present {
    type Target = Briefing;

    fn deref(&self) -> &Briefing {
        &self.read
    }
}

impl Present {
    /// What time it was when this was read: what was alive then is judged by that.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Who is no longer let in, as agents are told.
    pub(crate) fn revoked_text(&self) -> &Arc<Revoked> {
        &self.revoked
    }
}

/// Certificates that ended early.
#[derive(Debug)]
pub(crate) struct Revoked {
    serials: BTreeSet<String>,
    pub(crate) text: Text,
}

impl Revoked {
    fn of(serials: &BTreeSet<String>, before: Option<&Arc<Self>>) -> Result<Arc<Self>, End> {
        if let Some(before) = before.filter(|before| before.serials == *serials) {
            return Ok(Arc::clone(before));
        }
        let text = Text::of(&ToAgent::IdentityRevoked { serials: serials.clone() })?;
        Ok(Arc::new(Self { serials: serials.clone(), text }))
    }

    /// Whether it says what the other one says, or what nobody has to be told.
    pub(crate) fn is_known(&self, told: Option<&Arc<Self>>) -> bool {
        told.map_or(self.serials.is_empty(), |told| {
            std::ptr::eq(Arc::as_ptr(told), self) || told.serials == self.serials
        })
    }
}

/// A reading that began no earlier than this count.
pub(crate) async fn at_least(app: &App, scope: &TenantScope, count: u64) -> Result<Arc<Present>, End> {
    let shared = app.briefings().of(scope);
    let late_enough = || shared.present().filter(|present| present.count >= count);
    if let Some(present) = late_enough() {
        return Ok(present);
    }
    // Whoever comes first reads; the others find it, and those who came while it was read wait for the next one.
    let _reading = shared.reading.lock().await;
    if let Some(present) = late_enough() {
        return Ok(present);
    }
    let (count, began, now) = (app.hub().count(scope.org()), Instant::now(), app.now());
    let read = app.db().briefing(scope, (announced_after(now), now)).await?;
    let before = shared.present();
    let revoked = Revoked::of(read.revoked(), before.as_ref().map(|before| &before.revoked))?;
    let present = Arc::new(Present { count, began, now, read, revoked });
    *shared.present.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&present));
    Ok(present)
}

/// The same, for whoever looks for what no wake-up told: it is of the last moment as well.
pub(crate) async fn recent(app: &App, scope: &TenantScope, count: u64) -> Result<Arc<Present>, End> {
    let present = app.briefings().of(scope).present();
    let is_recent = |present: &Arc<Present>| present.count >= count && present.began.elapsed() < RECENT;
    match present.filter(is_recent) {
        Some(present) => Ok(present),
        None => at_least(app, scope, app.hub().mark(scope.org())).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use crate::rates::RateConfig;
    use crate::routes::make_organization;
    use crate::server::{Config, Transport, open};
    use crate::traffic::Traffic;
    use daam_api::v1::Bootstrap;
    use daam_store::{Caller, Stored, UserAuth, UserChange};
    use std::collections::BTreeMap;
    use tokio::task::JoinSet;

    async fn world(dir: &tempfile::TempDir) -> (Arc<App>, [UserAuth; 2]) {
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: dir.path().join("data"),
            database_url: None,
            transport: Transport::Loopback,
            public_url: None,
            private_providers: false,
            checkpoint_file: None,
            mail: None,
            traffic: Traffic::default(),
            rates: RateConfig::default(),
            metrics: None,
            clock: Clock::system(),
        };
        let app = open(&config, true).await.unwrap();
        let admin = async |name: &str| {
            let request =
                Bootstrap { organization: name.to_owned(), admin_email: "ana@example.com".to_owned() };
            let made = make_organization(&app, &request).await.unwrap();
            match app.db().authenticate(&made.token, app.now()).await.unwrap() {
                Some(Caller::User(user)) => user,
                other => panic!("{other:?}"),
            }
        };
        let admins = [admin("one").await, admin("other").await];
        (Arc::new(app), admins)
    }

    async fn put(app: &App, by: &UserAuth, email: &str) -> u64 {
        let (groups, attributes) = (BTreeSet::new(), BTreeMap::new());
        let change =
            UserChange { email, role: None, groups: &groups, attributes: &attributes, disabled: false };
        match app.db().put_user(by.scope(), &change, app.now()).await.unwrap() {
            Stored::Done(stored) => stored.directory_version,
            Stored::LastAdmin => panic!("last admin"),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_wakes_is_given_what_was_changed_before_however_many_read_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (app, [ana, eve]) = world(&dir).await;
        let mut changes = JoinSet::new();
        for number in 0..60 {
            let (app, ana) = (Arc::clone(&app), ana.clone());
            changes.spawn(async move {
                let version = put(&app, &ana, &format!("u{number}@example.com")).await;
                app.hub().count(ana.scope().org());
                app.hub().wake(ana.scope().org());
                let count = app.hub().count(ana.scope().org());
                let present = at_least(&app, ana.scope(), count).await.unwrap();
                assert!(present.directory_version() >= version);
                let marked = recent(&app, ana.scope(), app.hub().mark(ana.scope().org())).await.unwrap();
                assert!(marked.directory_version() >= version && marked.count >= count);
            });
        }
        changes.join_all().await;
        // Nothing of it is another organization's.
        let theirs = at_least(&app, eve.scope(), 0).await.unwrap();
        assert_eq!(theirs.directory_version(), app.db().directory_version(eve.scope()).await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_who_answer_one_wake_up_share_one_reading() {
        let dir = tempfile::tempdir().unwrap();
        let (app, [ana, _]) = world(&dir).await;
        let count = app.hub().mark(ana.scope().org());
        let mut links = JoinSet::new();
        for _ in 0..200 {
            let (app, ana) = (Arc::clone(&app), ana.clone());
            links.spawn(async move { at_least(&app, ana.scope(), count).await.unwrap() });
        }
        let read = links.join_all().await;
        assert!(read.iter().all(|present| Arc::ptr_eq(present, &read[0])));
        assert!(Arc::ptr_eq(&recent(&app, ana.scope(), count).await.unwrap(), &read[0]));
        let later = at_least(&app, ana.scope(), app.hub().mark(ana.scope().org())).await.unwrap();
        assert!(!Arc::ptr_eq(&later, &read[0]) && Arc::ptr_eq(&later.revoked, &read[0].revoked));
    }
}
