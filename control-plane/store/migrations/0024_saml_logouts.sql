-- Notices of logouts that providers were sent and have not answered.

CREATE TABLE saml_logouts (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    provider_id TEXT NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
CREATE INDEX saml_logouts_of_org ON saml_logouts (org_id, expires_at);
