-- More than one certificate authority while one takes the place of another. The earliest is the one there was; what agents
-- say they believe is counted by the organization's version of all this.

CREATE TABLE authorities (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    certificate TEXT NOT NULL,
    sealed_part TEXT,
    handover TEXT,
    created_at BIGINT NOT NULL,
    issues_since BIGINT,
    retired_at BIGINT,
    PRIMARY KEY (org_id, number)
);
INSERT INTO authorities (org_id, number, certificate, sealed_part, created_at, issues_since)
    SELECT org_id, 1, public_part, sealed_part, created_at, created_at FROM org_keys WHERE kind = 'ca';
DELETE FROM org_keys WHERE kind = 'ca';

ALTER TABLE organizations ADD COLUMN authorities_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE agents ADD COLUMN authorities_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE agents ADD COLUMN authorities_refused TEXT;
ALTER TABLE certificates ADD COLUMN authority BIGINT NOT NULL DEFAULT 1;
