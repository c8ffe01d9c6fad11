-- Where an organization's audit goes as OpenTelemetry logs, and how far it got.

CREATE TABLE audit_exports (
    org_id TEXT PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    header_names TEXT NOT NULL,
    sealed_headers TEXT NOT NULL,
    after_seq BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT NOT NULL DEFAULT 0,
    failure TEXT,
    created_at BIGINT NOT NULL
);
