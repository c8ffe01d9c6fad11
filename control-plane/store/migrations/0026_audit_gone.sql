-- What is left of audit entries that are no longer kept: their hashes, by which a checkpoint that somebody kept is compared.

CREATE TABLE audit_gone (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (org_id, seq)
);
