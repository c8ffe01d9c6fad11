//! Who is linked to this server, and what is only recorded: that links are alive, and what agents say they enforce. A
//! thousand agents say that of the same change in the same moment, so it is stored for all of them together, a moment
//! later. What is lost with a server the agents say again in their next hello.

use crate::app::App;
use crate::authorities;
use daam_store::{AgentAuth, Enforced, ServerRun, StoreError, TenantScope};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often a link is recorded to be alive.
const ALIVE: Duration = Duration::from_secs(5);
/// What is said within this is stored together.
const TOGETHER: Duration = Duration::from_millis(200);

/// The links of this server.
#[derive(Debug)]
pub(crate) struct Roll {
    run: ServerRun,
    here: Mutex<HashMap<String, Organization>>,
    said: Notify,
}

#[derive(Debug)]
struct Organization {
    scope: TenantScope,
    links: usize,
    enforced: BTreeMap<String, Enforced>,
    /// Ended, and could not be recorded so.
    ended: Vec<(AgentAuth, String)>,
}

impl Organization {
    fn has_something(&self) -> bool {
        self.links > 0 || !self.enforced.is_empty() || !self.ended.is_empty()
    }
}

impl Default for Roll {
    fn default() -> Self {
        Self { run: ServerRun::begin(), here: Mutex::default(), said: Notify::new() }
    }
}

impl Roll {
    /// One more link of an agent.
    pub(crate) fn enter(self: &Arc<Self>, agent: &AgentAuth) -> Linked {
        self.at(agent.scope(), |here| here.links = here.links.saturating_add(1));
        Linked { roll: Arc::clone(self), scope: agent.scope().clone(), id: self.run.link_id() }
    }

    /// An agent says what it enforces.
    pub(crate) fn enforces(&self, agent: &AgentAuth, said: Enforced) {
        self.at(agent.scope(), |here| {
            let before = here.enforced.remove(agent.agent_id()).unwrap_or_default();
            here.enforced.insert(agent.agent_id().to_owned(), said.after(before));
        });
        self.said.notify_one();
    }

    /// A link ended, and it could not be recorded.
    pub(crate) fn ended(&self, agent: &AgentAuth, id: &str) {
        self.at(agent.scope(), |here| here.ended.push((agent.clone(), id.to_owned())));
    }

    fn at<T>(&self, scope: &TenantScope, change: impl FnOnce(&mut Organization) -> T) -> T {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let new =
            || Organization { scope: scope.clone(), links: 0, enforced: BTreeMap::new(), ended: Vec::new() };
        change(here.entry(scope.org().to_owned()).or_insert_with(new))
    }

    /// Everything of each organization that `of` takes out of it.
    fn each<T>(&self, mut of: impl FnMut(&mut Organization) -> Option<T>) -> Vec<(TenantScope, T)> {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let each = here.values_mut().filter_map(|here| Some((here.scope.clone(), of(here)?))).collect();
        here.retain(|_, organization| organization.has_something());
        each
    }
}

/// One link, as long as it lasts.
#[derive(Debug)]
pub(crate) struct Linked {
    roll: Arc<Roll>,
    scope: TenantScope,
    id: String,
}

impl Linked {
    /// What the link is known by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        self.roll.at(&self.scope, |here| here.links = here.links.saturating_sub(1));
    }
}

/// Until the server stops.
pub(crate) async fn keep(app: Arc<App>) {
    let mut tick = interval(ALIVE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop().cancelled() => break,
            _ = tick.tick() => {
                alive(&app).await;
                app.briefings().rest();
                app.directories().rest();
            }
            () = app.roll().said.notified() => {
                tokio::select! {
                    () = app.stop().cancelled() => {}
                    () = sleep(TOGETHER) => {}
                }
                enforced(&app).await;
            }
        }
    }
    enforced(&app).await;
}

async fn alive(app: &App) {
    for (scope, ended) in app.roll().each(|here| Some(std::mem::take(&mut here.ended))) {
        let recorded = async {
            app.db().links_seen(&scope, &app.roll().run, app.now()).await?;
            for (agent, id) in &ended {
                app.db().agent_disconnected(agent, id).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = recorded.await {
            tracing::warn!(org = scope.org(), %error, "could not record which agents are here; trying again");
            // What was recorded already is recorded again, which changes nothing.
            app.roll().at(&scope, |here| here.ended.extend(ended));
        }
    }
}

async fn enforced(app: &App) {
    let said =
        app.roll().each(|here| Some(std::mem::take(&mut here.enforced)).filter(|said| !said.is_empty()));
    for (scope, said) in said {
        let stored = async {
            app.db().agents_enforce(&scope, &said).await?;
            // It may be what a new authority waited for.
            if said.values().any(|said| said.authorities.is_some()) {
                authorities::go_on(app, &scope).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = stored.await {
            tracing::warn!(org = scope.org(), %error, "could not record what agents enforce; trying again");
            app.roll().at(&scope, |here| {
                for (agent, before) in said {
                    let later = here.enforced.remove(&agent).unwrap_or_default();
                    here.enforced.insert(agent, later.after(before));
                }
            });
            app.roll().said.notify_one();
        }
    }
}
