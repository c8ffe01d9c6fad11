//! Accepting developers' connections from the tunnel and handing each stream to the proxy.

use crate::context::ProxyContext;
use crate::proxy;
use daam_tunnel::{Incoming, Listener};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Accepts until the listener closes; every connection and stream is a task of `tasks`.
pub async fn accept(listener: Arc<Listener>, context: Arc<ProxyContext>, tasks: TaskTracker) {
    while let Some(incoming) = listener.accept().await {
        tasks.spawn(connection(incoming, Arc::clone(&context), tasks.clone()));
    }
}

async fn connection(incoming: Incoming, context: Arc<ProxyContext>, tasks: TaskTracker) {
    let mut told = false;
    while let Some(stream) = incoming.accept_stream().await {
        // A client tries several ways at once and keeps one: only the one it uses is news.
        if !std::mem::replace(&mut told, true) {
            tracing::info!(user = incoming.user.email, path = %incoming.path, "a developer connected");
        }
        let person = proxy::Person { user: incoming.user.clone(), here: incoming.presence() };
        let (email, context) = (incoming.user.email.clone(), Arc::clone(&context));
        tasks.spawn(async move {
            let end = proxy::serve(stream, person, context).await;
            tracing::info!(user = email, reason = end.reason, statements = end.statements, "a session ended");
        });
    }
}
