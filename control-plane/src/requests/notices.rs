//! What people are told of requests, in the outbox's form. It names who, which database, which policy and where to look;
//! reasons, tables, columns and values stay in the control plane.

use crate::app::App;
use crate::clock::rfc3339;
use daam_store::{Act, Change, Decision, Notice};
use serde::{Deserialize, Serialize};

/// The request that it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) id: &'a str,
    pub(super) database: &'a str,
    pub(super) name: &'a str,
    pub(super) requester: &'a str,
    pub(super) org: &'a str,
}

/// What a webhook gets, and what a letter is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Such as `request.asked`.
    #[serde(rename = "type")]
    pub(crate) event: String,
    /// RFC 3339.
    pub(crate) timestamp: String,
    pub(crate) data: Data,
}

/// About what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) organization: String,
    pub(crate) request: String,
    pub(crate) database: String,
    pub(crate) name: String,
    pub(crate) requester: String,
    pub(crate) url: String,
}

/// Somebody asked: webhooks, and all who may decide, however many they are.
pub(super) fn asked(app: &App, about: &About<'_>, approvers: &[&str]) -> Notice {
    notice(app, about, "request.asked", approvers)
}

/// Somebody asked for more time.
pub(super) fn extension_asked(app: &App, about: &About<'_>, approvers: &[&str]) -> Notice {
    notice(app, about, "request.extension-asked", approvers)
}

/// It was decided, or ended: webhooks, and who asked unless they did it themselves.
pub(super) fn decided(app: &App, about: &About<'_>, change: &Change, own: bool) -> Notice {
    let event = match (change.act, change.standing.decision, change.round) {
        (Act::Approve, _, 0) => "request.approved",
        (Act::Approve, ..) => "request.extended",
        (Act::Deny, Decision::Denied, _) => "request.denied",
        (Act::Deny, ..) => "request.extension-denied",
        _ => "request.ended",
    };
    let to: &[&str] = if own { &[] } else { &[about.requester] };
    notice(app, about, event, to)
}

fn notice(app: &App, about: &About<'_>, event: &str, addresses: &[&str]) -> Notice {
    let told = Told {
        event: event.to_owned(),
        timestamp: rfc3339(app.now()),
        data: Data {
            organization: about.org.to_owned(),
            request: about.id.to_owned(),
            database: about.database.to_owned(),
            name: about.name.to_owned(),
            requester: about.requester.to_owned(),
            url: app.base().url(&format!("/requests/{}", about.id)),
        },
    };
    // Plain texts cannot fail to serialise.
    let body = serde_json::to_string(&told).unwrap_or_default();
    let addresses = if app.mailer().is_some() { addresses } else { &[] };
    Notice { emails: addresses.iter().map(|email| (*email).to_owned()).collect(), body }
}
