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
