//! One developer's PostgreSQL session, from its first packet to its last.
//!
//! [`serve`] owns a client stream for as long as it lives. Everything it does is driven by one closed set of events:
//! bytes from the client, bytes from the database, a new policy, a timer, a command from outside. The roles it made
//! are removed on every way out. What it refuses: replication, start-up options that name a role, protocol versions
//! other than 3, databases other than its own, and people the policy does not let in.
//!
//! PostgreSQL enforces the policy; this module makes the permitted part work: it points statements at the session's
//! views, sees to it that the views exist, and keeps both sides' idea of what answers what in step.

mod checked;
mod core;
mod errand;
mod extended;
mod failure;
mod granted;
mod held;
mod interrupt;
mod limits;
mod live;
mod login;
mod maintenance;
mod names;
mod note;
mod path;
mod prepared;
mod replies;
mod requests;
mod session;
mod settings;
mod statement;
mod told;
mod trail;
mod views;
mod wires;
mod withhold;

use crate::context::ProxyContext;
use daam_identity::UserPrincipal;
use login::{Caller, Wish};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// Why, in words fit for a log.
    pub reason: String,
    /// Statements the client ran.
    pub statements: u64,
}

/// Whose session it is.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub user: UserPrincipal,
    /// Whether their computer is there; what it holds while it is not would stand in others' way.
    pub here: watch::Receiver<bool>,
}

impl From<UserPrincipal> for Person {
    /// Somebody who is always there.
    fn from(user: UserPrincipal) -> Self {
        Self { user, here: watch::channel(true).1 }
    }
}

/// Serves one client stream until it ends.
pub async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    person: impl Into<Person>,
    ctx: Arc<ProxyContext>,
) -> SessionEnd {
    let Person { user, here } = person.into();
    let (asked, inbox) = match login::wish(&mut stream).await {
        Ok(Wish::Session(asked, inbox)) => (asked, inbox),
        Ok(Wish::Cancel(key)) => {
            let outcome = ctx.sessions.cancel(&key, &user);
            return SessionEnd { reason: format!("cancel request: {outcome:?}"), statements: 0 };
        }
        Err(end) => return login::refuse(&mut stream, &end, &user, &ctx).await,
    };
    let admitted = match login::admit(&asked, &user, &ctx) {
        Ok(admitted) => admitted,
        Err(end) => return login::refuse(&mut stream, &end, &user, &ctx).await,
    };
    login::open(Caller { stream, inbox, asked, user, here }, admitted, ctx).await
}
