-- Access that people ask for, what was said about it, what agents made of it; and notices that are on their way.

ALTER TABLE databases ADD COLUMN access_version BIGINT NOT NULL DEFAULT 0;

-- Whether a request is in force or its time is over is worked out from these, never stored.
CREATE TABLE access_requests (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    database_name TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    asked TEXT NOT NULL,
    reason TEXT NOT NULL,
    seconds BIGINT NOT NULL,
    wanted_start BIGINT,
    created_at BIGINT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0,
    decision TEXT NOT NULL DEFAULT 'pending' CHECK (decision IN ('pending', 'approved', 'denied', 'revoked')),
    starts_at BIGINT,
    ends_at BIGINT,
    round BIGINT NOT NULL DEFAULT 0,
    approved_round BIGINT,
    extend_to BIGINT,
    extend_reason TEXT,
    FOREIGN KEY (org_id, database_name) REFERENCES databases (org_id, name) ON DELETE CASCADE
);
CREATE INDEX access_requests_of_database ON access_requests (org_id, database_name, decision);
CREATE INDEX access_requests_of_user ON access_requests (org_id, user_id);

CREATE TABLE access_events (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    request_id TEXT NOT NULL REFERENCES access_requests (id) ON DELETE CASCADE,
    place BIGINT NOT NULL,
    round BIGINT NOT NULL,
    act TEXT NOT NULL CHECK (act IN ('approve', 'deny', 'extend', 'end')),
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (request_id, place)
);

CREATE TABLE access_reports (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    request_id TEXT NOT NULL REFERENCES access_requests (id) ON DELETE CASCADE,
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    reason TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (request_id, agent_id)
);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    sealed_secret TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhooks_of_org ON webhooks (org_id);

-- To a webhook or to an address. Gone once delivered; kept for a week once given up.
CREATE TABLE notices (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    webhook_id TEXT REFERENCES webhooks (id) ON DELETE CASCADE,
    email TEXT,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    given_up BOOLEAN NOT NULL DEFAULT FALSE,
    failure TEXT
);
CREATE INDEX notices_due ON notices (given_up, next_at);
