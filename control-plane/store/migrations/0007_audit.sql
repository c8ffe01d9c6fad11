-- What was signed of the audit, by which key, and how long entries are kept.

CREATE TABLE audit_keys (
    org_id TEXT PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    public_part TEXT NOT NULL,
    sealed_part TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE audit_checkpoints (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    size BIGINT NOT NULL,
    at BIGINT NOT NULL,
    signed TEXT NOT NULL,
    frontier TEXT NOT NULL,
    PRIMARY KEY (org_id, size)
);

ALTER TABLE organizations ADD COLUMN audit_keep_days BIGINT;
-- Entries up to this one are gone; the checkpoint of that size stands in their place.
ALTER TABLE organizations ADD COLUMN audit_cut BIGINT NOT NULL DEFAULT 0;
