//! SIGHUP: the scope is read again, strictly, and takes effect on live sessions.
//!
//! An invalid file changes nothing and says so in the local log. A tightened scope takes access away before the database
//! is looked at again, so a slow introspection does not keep a hole open. The old and new patterns are logged here and
//! nowhere else.

use crate::cause;
use crate::config::Config;
use crate::keeper::Keeper;
use crate::upkeep::Upkeep;
use daam_api::link::FromAgent;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// What a reload needs.
#[derive(Debug)]
pub struct Reload {
    /// The configuration file.
    pub path: PathBuf,
    /// The desired state.
    pub keeper: Arc<Keeper>,
    /// Introspection.
    pub upkeep: Arc<Upkeep>,
    /// The patterns in force, as written.
    pub patterns: Arc<Mutex<Vec<String>>>,
    /// Messages to the control plane.
    pub outbox: mpsc::Sender<FromAgent>,
}

impl Reload {
    /// Re-reads the scope and applies it; true if the file was accepted.
    pub async fn reload(&self) -> bool {
        let config = match Config::load(&self.path) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "the configuration was not reloaded; the previous scope stays in force");
                return false;
            }
        };
        let new = config.upstream.patterns;
        let old = std::mem::replace(
            &mut *self.patterns.lock().unwrap_or_else(PoisonError::into_inner),
            new.clone(),
        );
        self.keeper.set_scope(config.upstream.scope);
        tracing::info!(added = ?difference(&new, &old), removed = ?difference(&old, &new), "the scope was reloaded");
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

fn difference<'a>(of: &'a [String], without: &[String]) -> Vec<&'a str> {
    of.iter().filter(|text| !without.contains(text)).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_came_and_what_went() {
        let old = ["public.users".to_owned(), "public.orders".to_owned()];
        let new = ["public.users".to_owned(), "analytics.*".to_owned()];
        assert_eq!(difference(&new, &old), ["analytics.*"]);
        assert_eq!(difference(&old, &new), ["public.orders"]);
    }
}
