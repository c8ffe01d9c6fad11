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
