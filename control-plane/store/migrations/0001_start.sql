-- One text for SQLite and PostgreSQL: TEXT, BIGINT (unix seconds) and BOOLEAN only; JSON and files are TEXT.

CREATE TABLE bootstrap (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    done_at BIGINT NOT NULL
);

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    directory_version BIGINT NOT NULL DEFAULT 1,
    audit_seq BIGINT NOT NULL DEFAULT 0,
    audit_head TEXT NOT NULL DEFAULT ''
);

CREATE TABLE org_keys (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('ca', 'ticket')),
    public_part TEXT NOT NULL,
    sealed_part TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, kind)
);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    group_names TEXT NOT NULL DEFAULT '[]',
    attributes TEXT NOT NULL DEFAULT '{}',
    disabled BOOLEAN NOT NULL DEFAULT FALSE,
    created_at BIGINT NOT NULL,
    UNIQUE (org_id, email)
);

CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX api_tokens_of_user ON api_tokens (user_id);

CREATE TABLE enrolment_tokens (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('agent', 'relay')),
    database_name TEXT,
    sha256 TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE TABLE databases (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    head_serial BIGINT NOT NULL DEFAULT 0,
    head TEXT,
    PRIMARY KEY (org_id, name)
);

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    database_name TEXT NOT NULL,
    name TEXT NOT NULL,
    link_sha256 TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    removed_at BIGINT,
    link_id TEXT,
    seen_at BIGINT NOT NULL DEFAULT 0,
    addresses TEXT NOT NULL DEFAULT '[]',
    agent_version TEXT NOT NULL DEFAULT '',
    bundle_serial BIGINT NOT NULL DEFAULT 0,
    bundle_refused TEXT,
    directory_version BIGINT NOT NULL DEFAULT 0,
    FOREIGN KEY (org_id, database_name) REFERENCES databases (org_id, name) ON DELETE CASCADE
);
CREATE INDEX agents_of_database ON agents (org_id, database_name);

CREATE TABLE relays (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    link_sha256 TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    address TEXT,
    seen_at BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE certificates (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    serial TEXT NOT NULL,
    holder_kind TEXT NOT NULL CHECK (holder_kind IN ('user', 'agent')),
    holder_id TEXT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (org_id, serial)
);
CREATE INDEX certificates_of_holder ON certificates (org_id, holder_kind, holder_id);

CREATE TABLE trust (
    org_id TEXT PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    content TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE bundles (
    org_id TEXT NOT NULL,
    database_name TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    serial BIGINT NOT NULL,
    statement_sha256 TEXT NOT NULL,
    file TEXT NOT NULL,
    uploaded_by TEXT NOT NULL,
    uploaded_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, database_name, epoch, serial),
    FOREIGN KEY (org_id, database_name) REFERENCES databases (org_id, name) ON DELETE CASCADE
);

CREATE TABLE schema_reports (
    org_id TEXT NOT NULL,
    database_name TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, database_name),
    FOREIGN KEY (org_id, database_name) REFERENCES databases (org_id, name) ON DELETE CASCADE
);

CREATE TABLE scope_violations (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    policy_id TEXT NOT NULL,
    schema_name TEXT NOT NULL,
    table_name TEXT NOT NULL,
    site TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    hits BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX scope_violations_of_agent ON scope_violations (org_id, agent_id, last_at);

CREATE TABLE sessions (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    reason TEXT,
    statements BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (agent_id, id)
);

CREATE TABLE audit (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (org_id, seq)
);
