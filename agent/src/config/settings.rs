//! Every setting of the agent, once: the file's keys, the variables, the reference and the JSON Schema are made from this
//! table, so none of them can know a setting that the others do not.

/// What a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text that is not blank.
    Text,
    /// A path; in the file relative to it, in a variable absolute.
    Path,
    /// `address:port`.
    Socket,
    /// A list of `host:port`.
    Addresses,
    /// `https://…`, or `http://` to this machine.
    Url,
    /// `500ms`, `1s`, `2m`, `1h`.
    Duration,
    /// `64 MiB`.
    Size,
    /// A number of files.
    Count,
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of patterns.
    Patterns,
}

/// When a setting has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Whenever its section is; `daam-agent run` needs the section.
    Section,
    /// Always.
    Always,
    /// Never; this is what holds without it, in words or as a value.
    Otherwise(&'static str),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.key`.
    pub key: &'static str,
    /// The variable that says the same.
    pub variable: &'static str,
    /// What it has to be.
    pub kind: Kind,
    /// When it has to be there.
    pub need: Need,
    /// What it is for.
    pub about: &'static str,
    /// A value as it is written in the file.
    pub example: &'static str,
}

impl Setting {
    /// The section and the key in it.
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or((self.key, ""))
    }

    /// Whether SIGHUP reads it again.
    pub fn reloads(&self) -> bool {
        self.key == SCOPE
    }
}

/// The customer's boundary, which no two places may say.
pub const SCOPE: &str = "upstream.scope";

const fn setting(key: &'static str, variable: &'static str, kind: Kind, need: Need) -> Setting {
    Setting { key, variable, kind, need, about: "", example: "" }
}

const fn about(setting: Setting, about: &'static str, example: &'static str) -> Setting {
    Setting { about, example, ..setting }
}

/// All settings, by key.
pub const SETTINGS: [Setting; 22] = [
    about(
        setting("agent.advertise", "DAAM_AGENT_ADVERTISE", Kind::Addresses, Need::Otherwise("[]")),
        "Addresses told to clients, `host:port`. Without any, clients come through relays only.",
        "[db.internal:6432]",
    ),
    about(
        setting("agent.away", "DAAM_AGENT_AWAY", Kind::Duration, Need::Otherwise("30m")),
        "How long an idle session is kept for a developer's computer that sleeps or is offline, in ms, s, m or h, up to 12 h; transactions are ended after 45 s, and nothing is kept for less.",
        "2h",
    ),
    about(
        setting("agent.database", "DAAM_AGENT_DATABASE", Kind::Text, Need::Section),
        "The database as policies name it (`database:` in a policy).",
        "shop",
    ),
    about(
        setting(
            "agent.hash_key_file",
            "DAAM_AGENT_HASH_KEY_FILE",
            Kind::Path,
            Need::Otherwise("a key of the agent's own making, kept in the state directory"),
        ),
        "The key of the `hash` mask: a file with exactly 64 hexadecimal digits.",
        "/etc/daam-agent/hash.hex",
    ),
    about(
        setting("agent.health", "DAAM_AGENT_HEALTH", Kind::Socket, Need::Otherwise("127.0.0.1:9464")),
        "Where health and metrics are served (TCP). They name the scope: keep the address local.",
        "127.0.0.1:9465",
    ),
    about(
        setting("agent.listen", "DAAM_AGENT_LISTEN", Kind::Socket, Need::Section),
        "Where the tunnel listens: UDP, and TCP on the same port if it is free.",
        "0.0.0.0:6432",
    ),
    about(
        setting("agent.name", "DAAM_AGENT_NAME", Kind::Text, Need::Section),
        "A name for people, shown by the control plane.",
        "shop-1",
    ),
    about(
        setting("agent.state_dir", "DAAM_AGENT_STATE_DIR", Kind::Path, Need::Section),
        "Where identity, bundle, directory and audit are kept; nobody else may write there.",
        "/var/lib/daam-agent",
    ),
    about(
        setting("audit.keep", "DAAM_AUDIT_KEEP", Kind::Count, Need::Otherwise("16")),
        "How many audit files are kept, 2 to 100000; the oldest goes when there are more.",
        "32",
    ),
    about(
        setting("audit.literals", "DAAM_AUDIT_LITERALS", Kind::Flag, Need::Otherwise("false")),
        "Whether statements are also kept as they came, in these files only.",
        "true",
    ),
    about(
        setting("audit.max_size", "DAAM_AUDIT_MAX_SIZE", Kind::Size, Need::Otherwise("64 MiB")),
        "The size of one audit file, in KiB, MiB or GiB, at least 1 MiB.",
        "128 MiB",
    ),
    about(
        setting(
            "audit.on_failure",
            "DAAM_AUDIT_ON_FAILURE",
            Kind::Choice(&["refuse", "continue"]),
            Need::Otherwise("refuse"),
        ),
        "What happens to sessions while records cannot be written.",
        "continue",
    ),
    about(
        setting(
            "audit.path",
            "DAAM_AUDIT_PATH",
            Kind::Path,
            Need::Otherwise("`audit` in the state directory"),
        ),
        "The directory of the audit files, of its own.",
        "/var/log/daam-agent",
    ),
    about(
        setting(
            "audit.statements",
            "DAAM_AUDIT_STATEMENTS",
            Kind::Choice(&["none", "refused", "all"]),
            Need::Otherwise("all"),
        ),
        "Which statements are recorded; sessions always are.",
        "refused",
    ),
    about(
        setting(
            "audit.upload",
            "DAAM_AUDIT_UPLOAD",
            Kind::Choice(&["none", "records", "statements"]),
            Need::Otherwise("statements"),
        ),
        "What the control plane is sent: nothing, records without texts, or records with statements without literals.",
        "records",
    ),
    about(
        setting(
            "control_plane.enrolment_token_file",
            "DAAM_CONTROL_PLANE_ENROLMENT_TOKEN_FILE",
            Kind::Path,
            Need::Section,
        ),
        "A file with the one-time token; read until the agent is enrolled.",
        "/etc/daam-agent/enrolment-token",
    ),
    about(
        setting("control_plane.url", "DAAM_CONTROL_PLANE_URL", Kind::Url, Need::Section),
        "The control plane. `http://` is accepted for a loopback address only.",
        "https://daam.example",
    ),
    about(
        setting("trust.file", "DAAM_TRUST_FILE", Kind::Path, Need::Section),
        "The policy keys and thresholds the agent starts from.",
        "/etc/daam-agent/trust.json",
    ),
    about(
        setting("trust.identity_ca", "DAAM_TRUST_IDENTITY_CA", Kind::Path, Need::Section),
        "The organization's identity CA, PEM.",
        "/etc/daam-agent/identity-ca.pem",
    ),
    about(
        setting("upstream.dsn_file", "DAAM_UPSTREAM_DSN_FILE", Kind::Path, Need::Always),
        "A file with the DSN of the agent's own role.",
        "/etc/daam-agent/dsn",
    ),
    about(
        setting(
            SCOPE,
            "DAAM_UPSTREAM_SCOPE",
            Kind::Patterns,
            Need::Otherwise("everything but PostgreSQL's own schemas"),
        ),
        "What daam may know of: `schema.table` patterns with `*` inside a segment. `[]` is nothing at all.",
        "[public.users, analytics.*]",
    ),
    about(
        setting("views.linger", "DAAM_VIEWS_LINGER", Kind::Duration, Need::Otherwise("1s")),
        "How long what a session holds of a table stays after its last transaction, in ms, s, m or h; `0` is at once.",
        "250ms",
    ),
];

/// The setting of that key.
pub fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The keys of a section; of the file itself, the sections.
pub(super) fn keys(section: &str) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = SETTINGS
        .iter()
        .map(Setting::parts)
        .filter(|(within, _)| section.is_empty() || *within == section)
        .map(|(within, key)| if section.is_empty() { within } else { key })
        .collect();
    keys.dedup();
    keys
}
