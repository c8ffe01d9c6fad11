//! SIGHUP: the scope is read again, strictly, and takes effect on live sessions.
//!
//! An invalid file changes nothing and says so in the local log. A tightened scope takes access away before the database
//! is looked at again, so a slow introspection does not keep a hole open. The old and new patterns are logged here and
//! nowhere else. The reload is handled once every live session has moved; the log and `/health/detailed` say when.

use crate::cause;
use crate::config::Config;
use crate::keeper::Keeper;
use crate::sessions::Registry;
use crate::upkeep::Upkeep;
use daam_api::link::FromAgent;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long sessions may take to move before the log says that some have not.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a reload needs.
#[derive(Debug)]
pub struct Reload {
    /// The configuration file, if there is one.
    pub path: Option<PathBuf>,
    /// What the agent started with, by setting.
    pub started: BTreeMap<&'static str, String>,
    /// The desired state.
    pub keeper: Arc<Keeper>,
    /// Introspection.
    pub upkeep: Arc<Upkeep>,
    /// Live sessions.
    pub sessions: Arc<Registry>,
    /// The patterns in force, as written.
    pub patterns: Arc<Mutex<Vec<String>>>,
    /// Messages to the control plane.
    pub outbox: mpsc::Sender<FromAgent>,
}

impl Reload {
    /// Re-reads the scope and applies it; true if the file was accepted.
    pub async fn reload(&self) -> bool {
        let begun = Instant::now();
        let config = match Config::load(self.path.as_deref()) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "the configuration was not reloaded; the previous scope stays in force");
                return false;
            }
        };
        let waiting = waiting(&config, &self.started);
        if !waiting.is_empty() {
            tracing::warn!(settings = ?waiting, "these settings have changed and take effect with a restart only");
        }
        let new = config.upstream.patterns;
        let old = std::mem::replace(
            &mut *self.patterns.lock().unwrap_or_else(PoisonError::into_inner),
            new.clone(),
        );
        let generation = self.keeper.set_scope(config.upstream.scope);
        tracing::info!(added = ?difference(&new, &old), removed = ?difference(&old, &new), "the scope was reloaded");
        let sessions = self.sessions.count();
        if tokio::time::timeout(PATIENCE, self.sessions.reached(generation)).await.is_ok() {
            let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(generation, sessions, milliseconds, "the scope is in force on every session");
        } else {
            tracing::error!(
                generation,
                "some sessions have not moved to the scope; they read nothing until they have"
            );
        }
        if let Err(error) = self.upkeep.refresh().await {
            tracing::warn!(
                error = cause::chain(&error),
                "introspection after the reload failed; the last catalogue stays, filtered by the new scope"
            );
        }
        if self.outbox.try_send(self.keeper.schema_report()).is_err() {
            tracing::warn!("the schema report waits for the next link");
        }
        true
    }
}

/// Settings that are not what the agent runs with.
fn waiting(config: &Config, started: &BTreeMap<&'static str, String>) -> Vec<&'static str> {
    config
        .differing(started)
        .into_iter()
        .filter(|setting| !setting.reloads())
        .map(|setting| setting.key)
        .collect()
}

fn difference<'a>(of: &'a [String], without: &[String]) -> Vec<&'a str> {
    of.iter().filter(|text| !without.contains(text)).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_wait_for_a_restart_are_named_and_the_scope_is_not_among_them() {
        let read = |text: &str| Config::parse(text, std::path::Path::new("a.yaml")).unwrap();
        let before = read("upstream: { dsn_file: dsn, scope: [a.b] }\nviews: { linger: 1s }\n");
        let same = read("views:\n  linger: '1s'\nupstream: { dsn_file: dsn, scope: [] }\n");
        assert_eq!(waiting(&same, &before.written), Vec::<&str>::new());
        let other = read("upstream: { dsn_file: other }\naudit: { keep: 3 }\n");
        assert_eq!(waiting(&other, &before.written), ["audit.keep", "upstream.dsn_file", "views.linger"]);
    }

    #[test]
    fn the_log_says_what_came_and_what_went() {
        let old = ["public.users".to_owned(), "public.orders".to_owned()];
        let new = ["public.users".to_owned(), "analytics.*".to_owned()];
        assert_eq!(difference(&new, &old), ["analytics.*"]);
        assert_eq!(difference(&old, &new), ["public.orders"]);
    }
}
