-- Requests that are done once, by the key their sender gave them.

CREATE TABLE idempotency_keys (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    credential TEXT NOT NULL,
    key_sha256 TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    status BIGINT,
    sealed_answer TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, credential, key_sha256)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (org_id, created_at);
