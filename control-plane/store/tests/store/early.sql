-- A database as the program of migration 4 left it, filled: tables, what it knew of its migrations, and rows of two organizations.
-- It never changes, as those databases do not.

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

-- What ends with a token, an admin or a relay must be findable by it.

ALTER TABLE certificates ADD COLUMN token_id TEXT;
ALTER TABLE enrolment_tokens ADD COLUMN created_by TEXT;
ALTER TABLE relays ADD COLUMN removed_at BIGINT;

-- Every version of a trust file stays, because agents follow them one by one; the online key that signs freshness.

CREATE TABLE trust_versions (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    content TEXT NOT NULL,
    stored_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, version)
);
INSERT INTO trust_versions (org_id, version, content, stored_at) SELECT org_id, version, content, updated_at FROM trust;

CREATE TABLE freshness_keys (
    org_id TEXT PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    public_part TEXT NOT NULL,
    sealed_part TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What agents recorded: each chain as its agent wrote it, without what people typed unless the agent sent it along.

CREATE TABLE agent_audit_chains (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    chain TEXT NOT NULL,
    place BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    head TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    PRIMARY KEY (agent_id, chain)
);

CREATE TABLE agent_audit (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    agent_id TEXT NOT NULL,
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    session_id TEXT,
    user_id TEXT,
    refused BOOLEAN NOT NULL,
    line TEXT NOT NULL,
    statement TEXT,
    reason TEXT,
    after_gap BOOLEAN NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (agent_id, chain, seq),
    FOREIGN KEY (agent_id, chain) REFERENCES agent_audit_chains (agent_id, chain) ON DELETE CASCADE
);
CREATE INDEX agent_audit_by_time ON agent_audit (org_id, at);
CREATE INDEX agent_audit_by_user ON agent_audit (org_id, user_id, at);

INSERT INTO bootstrap (id, done_at) VALUES
    (1, 1790000000);

INSERT INTO organizations (id, slug, name, created_at, directory_version, audit_seq, audit_head) VALUES
    ('o1', 'calm-otter', 'Ana''s shop', 1790000000, 3, 3, 'c612464c41e4294cb1fdef8b5db59078b0ff30405b1b249b856c2f285f888266'),
    ('o2', 'sly-fox', 'Eve', 1790000000, 1, 0, '');

INSERT INTO org_keys (org_id, kind, public_part, sealed_part, created_at) VALUES
    ('o1', 'ca', 'certificate of o1', 'sealed ca', 1790000000),
    ('o1', 'ticket', 'ticket key', 'sealed ticket', 1790000000),
    ('o2', 'ca', 'certificate of o2', 'sealed ca', 1790000000),
    ('o2', 'ticket', 'ticket key', 'sealed ticket', 1790000000);

INSERT INTO users (id, org_id, email, role, group_names, attributes, disabled, created_at) VALUES
    ('u1', 'o1', 'ana@example.com', 'admin', '[]', '{}', FALSE, 1790000000),
    ('u2', 'o1', 'bo@example.com', 'member', '["eu"]', '{"tier":2}', FALSE, 1790000010),
    ('u3', 'o1', 'cy@example.com', 'member', '[]', '{}', TRUE, 1790000011),
    ('u4', 'o2', 'eve@example.com', 'admin', '[]', '{}', FALSE, 1790000000);

INSERT INTO api_tokens (id, org_id, user_id, name, sha256, created_at, expires_at) VALUES
    ('t1', 'o1', 'u1', 'bootstrap', 'e7f75a7bc386345ff1272d4b03fb2233db2a6f8ab3cc7a192f89fe6a01d6790a', 1790000000, 2790000000),
    ('t2', 'o1', 'u2', 'laptop', 'c809aeafe75fa70aac281f41d5608df10e7688ce6bc944dfa62f6c88631c2aa9', 1790000000, 2790000000),
    ('t3', 'o2', 'u4', 'bootstrap', '0de0a6f4f7881f90ba59bf1438e1b1f02554cd20af660df26d914913810d0181', 1790000000, 2790000000);

INSERT INTO databases (org_id, name, created_at, head_serial, head) VALUES
    ('o1', 'shop', 1790000000, 2, '{"serial":2}'),
    ('o1', 'empty', 1790000000, 0, NULL);

INSERT INTO agents (id, org_id, database_name, name, link_sha256, created_at, removed_at, bundle_serial) VALUES
    ('a1', 'o1', 'shop', 'one', 'c2a60a0c7d850f0633989748aadf007c83ed39a5b2c91bb6f96d6834fa43c976', 1790000000, NULL, 2),
    ('gone', 'o1', 'shop', 'old', '2c0e7cb39f25815bef269512f18144e408a6b682e580bdaf57f54c605fa2bd4a', 1790000000, 1790000020, 0);

INSERT INTO relays (id, org_id, name, link_sha256, created_at, address, seen_at) VALUES
    ('r1', 'o1', 'relay', 'a54d064685bc9f19031e4ccad8f0130f09b06af57c97d699b4043590dfc2774b', 1790000000, 'relay.example.com:443', 1790000000);

INSERT INTO certificates (org_id, serial, holder_kind, holder_id, not_after, revoked_at) VALUES
    ('o1', '01', 'agent', 'a1', 2790000000, NULL),
    ('o1', '02', 'user', 'u2', 1790043200, 1790000030);

INSERT INTO trust (org_id, version, content, updated_at) VALUES
    ('o1', 2, 'trust version 2', 1790000005);

INSERT INTO trust_versions (org_id, version, content, stored_at) VALUES
    ('o1', 1, 'trust version 1', 1790000000),
    ('o1', 2, 'trust version 2', 1790000005);

INSERT INTO bundles (org_id, database_name, epoch, serial, statement_sha256, file, uploaded_by, uploaded_at) VALUES
    ('o1', 'shop', 0, 1, 'aa', 'YnVuZGxlIDE=', 'u1', 1790000000),
    ('o1', 'shop', 0, 2, 'bb', 'YnVuZGxlIDI=', 'u1', 1790000006);

INSERT INTO schema_reports (org_id, database_name, agent_id, snapshot, received_at) VALUES
    ('o1', 'shop', 'a1', '{"relations":[]}', 1790000000);

INSERT INTO scope_violations (org_id, agent_id, policy_id, schema_name, table_name, site, first_at, last_at, hits) VALUES
    ('o1', 'a1', 'p', 'public', 'salaries', 'bundle', 1790000000, 1790000001, 2);

INSERT INTO sessions (org_id, agent_id, id, user_id, started_at, ended_at, reason, statements) VALUES
    ('o1', 'a1', 'open', 'u2', 1790000012, NULL, NULL, 0),
    ('o1', 'a1', 'ended', 'u2', 1790000011, 1790000015, 'left', 4),
    ('o1', 'gone', 'left behind', 'u2', 1790000013, NULL, NULL, 0);

INSERT INTO agent_audit_chains (org_id, agent_id, chain, place, last_seq, head, started_at) VALUES
    ('o1', 'a1', 'c', 1, 1, 'ff', 1790000000);

INSERT INTO agent_audit (org_id, agent_id, chain, seq, at, kind, session_id, user_id, refused, line, statement, reason, after_gap, received_at) VALUES
    ('o1', 'a1', 'c', 1, '2026-09-21T14:13:20Z', 'session.start', 'ended', 'u2', FALSE, '{}', NULL, NULL, FALSE, 1790000000);

INSERT INTO audit (org_id, seq, at, actor, action, target, detail, hash) VALUES
    ('o1', 1, 1790000000, 'user:ana@example.com', 'organization.create', 'calm-otter', '', '72423b292f85c27aca403971815574b5a4ca4a667f1209d34e9beada091a5e2e'),
    ('o1', 2, 1790000010, 'user:ana@example.com', 'user.put', 'bo@example.com', '{"groups":["eu"]}', '1474beff80c151d6f187fbfb88fdb5e9c6c033145b4b65f6024c64a87565cdfa'),
    ('o1', 3, 1790000020, 'user:ana@example.com', 'agent.remove', 'gone', '', 'c612464c41e4294cb1fdef8b5db59078b0ff30405b1b249b856c2f285f888266');
