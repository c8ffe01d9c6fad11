//! Every metric there is: what is served and what the page on the control plane lists.

/// What its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value at this moment.
    Gauge,
    /// One that only grows while the process lives.
    Counter,
    /// How long things took, in seconds.
    Histogram,
}

impl Kind {
    /// As the format says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it says.
    pub help: &'static str,
}

macro_rules! families {
    ($($id:ident: $kind:ident $name:literal = $help:literal;)*) => {
        $(pub(super) const $id: Family = Family {
            name: concat!("daam_control_plane_", $name),
            kind: Kind::$kind,
            help: $help,
        };)*
        /// Every one.
        pub const FAMILIES: &[Family] = &[$($id),*];
    };
}

families! {
    BUILD: Gauge "build_info" = "1, with the program's version";
    READY: Gauge "ready" = "1 while /readyz answers 200";
    DRAINING: Gauge "draining" = "1 while the server is about to stop";
    REQUESTS: Counter "requests_total" = "requests answered, by method, route pattern and class of status";
    TOOK: Histogram "request_duration_seconds" = "from a request's head to the head of its answer, by method and route pattern";
    LIMITED: Counter "rate_limited_total" = "requests refused because they came too often, by whose: credential or address";
    LINKS: Gauge "links" = "agents' links open at this server";
    PUSHED: Counter "pushes_total" = "messages told to agents because something changed";
    PUSHED_BYTES: Counter "pushed_bytes_total" = "bytes of these";
    PUSH_DELAY: Histogram "push_delay_seconds" = "from hearing of a change to having told it to an agent";
    USERS: Gauge "directory_users" = "members of all organizations";
    ORGANIZATIONS: Gauge "organizations" = "organizations";
    CONNECTIONS: Gauge "connections" = "sessions of developers that began and did not end";
    WEB_SESSIONS: Gauge "web_sessions" = "sessions in the console";
    PENDING: Gauge "requests_pending" = "access requests nobody decided yet";
    NOTICES: Gauge "outbox_backlog" = "webhook calls and letters to be delivered";
    NOTICE_AGE: Gauge "outbox_oldest_seconds" = "age of the oldest of these, 0 if there is none";
    NOTICES_LOST: Gauge "outbox_given_up" = "webhook calls and letters given up within the last week";
    DELIVERED: Counter "outbox_delivered_total" = "webhook calls and letters this server delivered";
    UNDELIVERED: Counter "outbox_failures_total" = "attempts of this server to deliver one that failed";
    EXPORTS: Gauge "otlp_receivers" = "organizations that send their audit somewhere";
    EXPORTS_FAILING: Gauge "otlp_receivers_failing" = "of these, how many receivers did not take the last message";
    EXPORT_BACKLOG: Gauge "otlp_backlog" = "audit entries still to be sent to them";
    EXPORTED_AT: Gauge "otlp_last_success_timestamp_seconds" = "when this server last had entries taken, Unix time, 0 if never";
    EXPORT_FAILURES: Counter "otlp_failures_total" = "attempts of this server to send entries that failed";
    UNSIGNED: Gauge "checkpoint_age_seconds" = "age of the latest checkpoint of the organization whose unsigned entries wait longest, 0 if all are signed";
    BROKEN: Counter "audit_broken_total" = "times an audit was not signed because it is not whole";
    POOL: Gauge "database_connections" = "connections to the database, by state: used or idle";
    POOL_MOST: Gauge "database_connections_max" = "the most of them";
    DATABASE_ERRORS: Counter "database_errors_total" = "queries that failed";
    DATABASE_UP: Gauge "database_up" = "1 if the database answered for this page; without it, what is counted there is left out";
    TLS_END: Gauge "tls_not_after_timestamp_seconds" = "last second of the server's own certificate, Unix time; left out where a proxy does TLS";
    TLS_BROKEN: Gauge "tls_files_broken" = "1 while the TLS files cannot be used and the certificate read before still is";
    CA_END: Gauge "authority_not_after_timestamp_seconds" = "last second of the certificate authority that ends first, Unix time";
}
