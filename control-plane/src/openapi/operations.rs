//! What each route of the API takes and gives, by type.

use crate::routes::Route;
use daam_api::v1::{
    AccessExtension, AccessRequest, AccessWord, Agent, AgentAuditRecord, AgentCertificateRequest, AuditEntry,
    AuditExport, AuditKey, AuditRetention, AuthorityList, Bootstrap, Bootstrapped, BundleAccepted,
    CertificateIssued, CertificateRequest, ConnectOffer, Connection, Database, DeviceSignIn, Enrol, Enrolled,
    FetchSignIn, FreshnessKey, IdentityLink, Invite, LinkCreated, NewAccessRequest, NewAuditExport,
    NewDeviceSignIn, NewEnrolment, NewInvite, NewProvider, NewSamlProvider, NewScimToken, NewToken,
    NewWebhook, NewWorkload, Provider, PutUser, Relay, RelayAddress, Requestable, RetireAuthority, ScimToken,
    ScimTokenCreated, SignInPolicy, SignedIn, Token, TokenCreated, TokenExchanged, User, UserStored, Webhook,
    WebhookCreated, WhoAmI, Workload,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// A body.
#[derive(Clone, Copy)]
pub(super) enum Body {
    None,
    Json(fn(&mut SchemaGenerator) -> Schema),
    Raw(&'static str),
}

/// A route's description.
pub(super) struct Operation {
    method: &'static str,
    path: &'static str,
    pub(super) summary: &'static str,
    pub(super) request: Body,
    pub(super) answer: (u16, Body),
    pub(super) queries: Vec<(&'static str, Value, &'static str)>,
    /// Whether it is a list that goes on at a cursor.
    pub(super) lists: bool,
}

const JSON: Body = Body::Raw("application/json");

impl Operation {
    fn of(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        let (request, answer, queries) = (Body::None, (204, Body::None), Vec::new());
        Self { method, path, summary, request, answer, queries, lists: false }
    }

    fn takes<T: JsonSchema>(self) -> Self {
        Self { request: Body::Json(SchemaGenerator::subschema_for::<T>), ..self }
    }

    fn takes_raw(self, media: &'static str) -> Self {
        Self { request: Body::Raw(media), ..self }
    }

    fn gives<T: JsonSchema>(self) -> Self {
        self.gives_with::<T>(200)
    }

    fn makes<T: JsonSchema>(self) -> Self {
        self.gives_with::<T>(201)
    }

    fn lists<T: JsonSchema>(self) -> Self {
        Self { lists: true, ..self.gives::<Vec<T>>() }
    }

    fn gives_with<T: JsonSchema>(self, status: u16) -> Self {
        Self { answer: (status, Body::Json(SchemaGenerator::subschema_for::<T>)), ..self }
    }

    fn gives_raw(self, status: u16, body: Body) -> Self {
        Self { answer: (status, body), ..self }
    }

    fn asks(mut self, name: &'static str, schema: Value, about: &'static str) -> Self {
        self.queries.push((name, schema, about));
        self
    }

    pub(super) fn is_of(&self, route: &Route) -> bool {
        self.method == route.method && self.path == route.path
    }
}

/// All of them.
pub(super) fn every() -> Vec<Operation> {
    [people(), sign_in(), access(), fabric(), policies(), evidence()].into_iter().flatten().collect()
}

fn people() -> Vec<Operation> {
    vec![
        Operation::of("POST", "/v1/bootstrap", "Make the first organization")
            .takes::<Bootstrap>()
            .makes::<Bootstrapped>(),
        Operation::of("GET", "/v1/whoami", "Who the token speaks for").gives::<WhoAmI>(),
        Operation::of("POST", "/v1/tokens", "Make an API token").takes::<NewToken>().makes::<TokenCreated>(),
        Operation::of("GET", "/v1/tokens", "API tokens").lists::<Token>(),
        Operation::of("DELETE", "/v1/tokens/{id}", "Delete an API token"),
        Operation::of("PUT", "/v1/users/{email}", "Create or replace a member")
            .takes::<PutUser>()
            .gives::<UserStored>(),
        Operation::of("GET", "/v1/users", "Members").lists::<User>(),
        Operation::of("POST", "/v1/invites", "Invite somebody").takes::<NewInvite>().makes::<LinkCreated>(),
        Operation::of("GET", "/v1/invites", "Open invites").lists::<Invite>(),
        Operation::of("DELETE", "/v1/invites/{id}", "Withdraw an invite"),
        Operation::of("POST", "/v1/scim-tokens", "Make a token for provisioning")
            .takes::<NewScimToken>()
            .makes::<ScimTokenCreated>(),
        Operation::of("GET", "/v1/scim-tokens", "Tokens for provisioning").lists::<ScimToken>(),
        Operation::of("DELETE", "/v1/scim-tokens/{id}", "Delete a token for provisioning"),
    ]
}

fn sign_in() -> Vec<Operation> {
    vec![
        Operation::of("POST", "/v1/identity-providers", "Add an identity provider")
            .takes::<NewProvider>()
            .makes::<Provider>(),
        Operation::of("GET", "/v1/identity-providers", "Identity providers").lists::<Provider>(),
        Operation::of("DELETE", "/v1/identity-providers/{id}", "Remove an identity provider"),
        Operation::of("POST", "/v1/saml-providers", "Add an identity provider by its SAML metadata")
            .takes::<NewSamlProvider>()
            .makes::<Provider>(),
        Operation::of("PUT", "/v1/saml-providers/{id}", "Replace a provider's SAML metadata, name and rules")
            .takes::<NewSamlProvider>()
            .gives::<Provider>(),
        Operation::of("GET", "/v1/identity-links", "Members' accounts at identity providers")
            .lists::<IdentityLink>(),
        Operation::of(
            "DELETE",
            "/v1/users/{email}/identity-links/{id}",
            "Remove a member's account at a provider, by the provider's id",
        ),
        Operation::of(
            "POST",
            "/v1/identity-providers/{id}/backchannel-logout",
            "Hear that somebody signed out",
        )
        .takes_raw("application/x-www-form-urlencoded")
        .gives_raw(200, Body::None),
        Operation::of("POST", "/v1/workloads", "Say whose jobs may act as a member")
            .takes::<NewWorkload>()
            .makes::<Workload>(),
        Operation::of("GET", "/v1/workloads", "Whose jobs may act as a member").lists::<Workload>(),
        Operation::of("DELETE", "/v1/workloads/{id}", "Trust those jobs no longer"),
        Operation::of("POST", "/v1/workloads/{id}/token", "Exchange a job's token (RFC 8693)")
            .takes_raw("application/x-www-form-urlencoded")
            .gives::<TokenExchanged>(),
        Operation::of("PUT", "/v1/sign-in-policy", "Say whether providers are the only way in")
            .takes::<SignInPolicy>()
            .gives::<SignInPolicy>(),
        Operation::of("POST", "/v1/sign-in/device", "Begin a sign-in that is approved in a browser")
            .takes::<NewDeviceSignIn>()
            .makes::<DeviceSignIn>(),
        Operation::of("POST", "/v1/sign-in/fetch", "Fetch an approved sign-in")
            .takes::<FetchSignIn>()
            .gives::<SignedIn>(),
        Operation::of("POST", "/v1/console-link", "Make a link that signs in to the console once")
            .makes::<LinkCreated>(),
    ]
}

fn access() -> Vec<Operation> {
    let word =
        |path, summary| Operation::of("POST", path, summary).takes::<AccessWord>().gives::<AccessRequest>();
    vec![
        Operation::of("GET", "/v1/databases/{db}/requestable", "What can be asked for")
            .lists::<Requestable>(),
        Operation::of("POST", "/v1/requests", "Ask for access")
            .takes::<NewAccessRequest>()
            .makes::<AccessRequest>(),
        Operation::of("GET", "/v1/requests", "Access requests").gives::<Vec<AccessRequest>>(),
        Operation::of("GET", "/v1/requests/{id}", "An access request").gives::<AccessRequest>(),
        word("/v1/requests/{id}/approve", "Approve a request"),
        word("/v1/requests/{id}/deny", "Deny a request"),
        word("/v1/requests/{id}/end", "End a request's access"),
        Operation::of("POST", "/v1/requests/{id}/extend", "Ask for more time")
            .takes::<AccessExtension>()
            .gives::<AccessRequest>(),
        Operation::of("POST", "/v1/webhooks", "Add a webhook")
            .takes::<NewWebhook>()
            .makes::<WebhookCreated>(),
        Operation::of("GET", "/v1/webhooks", "Webhooks").lists::<Webhook>(),
        Operation::of("DELETE", "/v1/webhooks/{id}", "Remove a webhook"),
    ]
}

fn fabric() -> Vec<Operation> {
    vec![
        Operation::of("GET", "/healthz", "Whether it answers").gives_raw(200, Body::Raw("text/plain")),
        Operation::of("GET", "/readyz", "Whether requests can be answered now; 503 while they cannot")
            .gives_raw(200, Body::Raw("text/plain")),
        Operation::of("GET", super::PATH, "This description").gives_raw(200, JSON),
        Operation::of("POST", "/v1/enrolment-tokens", "Make a one-time enrolment token")
            .takes::<NewEnrolment>()
            .makes::<TokenCreated>(),
        Operation::of("POST", "/v1/enrol", "Enrol an agent or relay").takes::<Enrol>().makes::<Enrolled>(),
        Operation::of("POST", "/v1/certificates", "A certificate for a key made on the device")
            .takes::<CertificateRequest>()
            .gives::<CertificateIssued>(),
        Operation::of("POST", "/v1/agent/certificate", "A new certificate for an agent")
            .takes::<AgentCertificateRequest>()
            .gives::<CertificateIssued>(),
        Operation::of("GET", "/v1/ca", "The organization's CA, PEM")
            .gives_raw(200, Body::Raw("application/x-pem-file")),
        Operation::of("GET", "/v1/authorities", "The organization's certificate authorities")
            .gives::<AuthorityList>(),
        Operation::of("POST", "/v1/authorities", "Have another certificate authority take the place")
            .makes::<AuthorityList>(),
        Operation::of("POST", "/v1/authorities/retire", "Retire the old certificate authority")
            .takes::<RetireAuthority>()
            .gives::<AuthorityList>(),
        connections(),
        Operation::of("GET", "/v1/connections/export", "The same as a file")
            .asks(
                "format",
                json!({ "type": "string", "enum": ["csv", "jsonl"] }),
                "Of what kind, CSV if absent",
            )
            .asks("user", json!({ "type": "string" }), "A member's address or id")
            .asks("database", json!({ "type": "string" }), "A database")
            .asks("agent", json!({ "type": "string" }), "An agent's id or name")
            .asks("reason", json!({ "type": "string" }), "Words of the reason it ended for, as one phrase")
            .asks("state", json!({ "type": "string", "enum": ["open", "ended"] }), "Whether it goes on")
            .asks("from", json!({ "type": "string", "format": "date" }), "Open on this day or later")
            .asks("to", json!({ "type": "string", "format": "date" }), "Open on this day or before")
            .gives_raw(200, Body::Raw("text/csv")),
        Operation::of("GET", "/v1/agents", "Agents").lists::<Agent>(),
        Operation::of("DELETE", "/v1/agents/{id}", "Remove an agent"),
        Operation::of("GET", "/v1/agents/{id}/audit", "What an agent recorded")
            .asks(
                "after",
                json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
                "The last record you have",
            )
            .asks("chain", json!({ "type": "string" }), "The chain it is of; every chain without it")
            .gives::<Vec<AgentAuditRecord>>(),
        Operation::of("GET", "/v1/agent/link", "An agent's link: a WebSocket").gives_raw(101, Body::None),
        Operation::of("GET", "/v1/relays", "Relays").lists::<Relay>(),
        Operation::of("DELETE", "/v1/relays/{id}", "Remove a relay"),
        Operation::of("PUT", "/v1/relay/address", "Say where a relay listens").takes::<RelayAddress>(),
    ]
}

fn policies() -> Vec<Operation> {
    let number = || json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX });
    vec![
        Operation::of("PUT", "/v1/trust", "Store a version of the trust file")
            .takes_raw("application/json")
            .gives_raw(200, JSON),
        Operation::of("GET", "/v1/trust", "The trust file").gives_raw(200, JSON),
        Operation::of("GET", "/v1/trust/{version}", "A version of the trust file").gives_raw(200, JSON),
        Operation::of("GET", "/v1/freshness-key", "The key freshness is said with").gives::<FreshnessKey>(),
        Operation::of("PUT", "/v1/databases/{db}/bundle", "Publish a bundle")
            .takes_raw("application/octet-stream")
            .asks("expect_head", number(), "The serial it must follow; 0 for the first")
            .gives::<BundleAccepted>(),
        Operation::of("GET", "/v1/databases/{db}/bundle", "The published bundle")
            .asks("serial", number(), "An earlier one")
            .gives_raw(200, Body::Raw("application/vnd.daam.bundle")),
        Operation::of("GET", "/v1/databases/{db}/schema", "The schema an agent reported last")
            .gives_raw(200, JSON),
        Operation::of("GET", "/v1/databases", "Databases").lists::<Database>(),
        Operation::of("POST", "/v1/databases/{db}/connect", "How to reach an agent").gives::<ConnectOffer>(),
    ]
}

fn evidence() -> Vec<Operation> {
    let number = || json!({ "type": "integer" });
    let text = || json!({ "type": "string" });
    vec![
        Operation::of("GET", "/v1/audit", "Entries of the audit, the latest first")
            .asks("text", text(), "Words that are in an entry")
            .asks("action", text(), "How the action begins")
            .asks("since", number(), "Not before, unix seconds")
            .asks("until", number(), "Not after, unix seconds")
            .asks("before", number(), "Only entries before this one")
            .asks("limit", json!({ "type": "integer", "minimum": 1, "maximum": 500 }), "Most entries")
            .gives::<Vec<AuditEntry>>(),
        Operation::of("GET", "/v1/audit/export", "Entries of the audit as a file")
            .asks("format", json!({ "enum": ["csv", "jsonl"] }), "Which")
            .asks("q", text(), "Words that are in an entry")
            .asks("action", text(), "How the action begins")
            .asks("from", text(), "The first day")
            .asks("to", text(), "The last day")
            .gives_raw(200, Body::Raw("*/*")),
        Operation::of("GET", "/v1/audit/log", "The whole log as evidence")
            .gives_raw(200, Body::Raw("application/jsonl")),
        Operation::of("GET", "/v1/audit/checkpoints", "Signed checkpoints, the latest first")
            .asks("before", json!({ "type": "integer", "minimum": 0 }), "Only of fewer entries")
            .gives_raw(200, JSON),
        Operation::of("POST", "/v1/audit/checkpoints", "Sign what is there").gives_raw(200, JSON),
        Operation::of("GET", "/v1/audit/key", "The key checkpoints are verified with").gives::<AuditKey>(),
        Operation::of("PUT", "/v1/audit/otlp", "Send the audit somewhere as OpenTelemetry logs")
            .takes::<NewAuditExport>()
            .gives::<AuditExport>(),
        Operation::of("GET", "/v1/audit/otlp", "Where the audit is sent, and how far it got")
            .gives::<AuditExport>(),
        Operation::of("DELETE", "/v1/audit/otlp", "Send the audit nowhere any more"),
        Operation::of("GET", "/v1/audit/retention", "How long entries are kept").gives::<AuditRetention>(),
        Operation::of("PUT", "/v1/audit/retention", "Say how long entries are kept")
            .takes::<AuditRetention>()
            .gives::<AuditRetention>(),
    ]
}

fn connections() -> Operation {
    Operation::of("GET", "/v1/connections", "Who was connected where and when, latest first")
        .lists::<Connection>()
        .asks("user", json!({ "type": "string" }), "A member's address or id")
        .asks("database", json!({ "type": "string" }), "A database")
        .asks("agent", json!({ "type": "string" }), "An agent's id or name")
        .asks("reason", json!({ "type": "string" }), "Words of the reason it ended for, as one phrase")
        .asks("state", json!({ "type": "string", "enum": ["open", "ended"] }), "Whether it goes on")
        .asks("since", json!({ "type": "integer" }), "Open at this time or later, Unix seconds")
        .asks("until", json!({ "type": "integer" }), "Open at this time or before, Unix seconds")
}
