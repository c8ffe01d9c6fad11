-- Jobs of pipelines that act as a member, which of their tokens were used, and what was given for these.

CREATE TABLE workloads (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL,
    audience TEXT NOT NULL,
    claims TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lifetime BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX workloads_of_org ON workloads (org_id);

CREATE TABLE workload_uses (
    workload_id TEXT NOT NULL REFERENCES workloads (id) ON DELETE CASCADE,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (workload_id, sha256)
);

ALTER TABLE api_tokens ADD COLUMN workload_id TEXT REFERENCES workloads (id) ON DELETE CASCADE;
CREATE INDEX api_tokens_of_workload ON api_tokens (workload_id);
