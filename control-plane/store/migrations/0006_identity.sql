-- Identity providers of organizations, who is who at them, and sign-ins that are under way.

ALTER TABLE organizations ADD COLUMN force_sso BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE identity_providers (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed_secret TEXT,
    rules TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX identity_providers_of_org ON identity_providers (org_id);

-- Who somebody is at a provider is its subject, never an e-mail address.
CREATE TABLE identity_links (
    provider_id TEXT NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, subject),
    UNIQUE (provider_id, user_id)
);

CREATE TABLE sign_in_flows (
    state_sha256 TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    provider_id TEXT NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    browser_sha256 TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verifier TEXT NOT NULL,
    return_to TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    invite_sha256 TEXT,
    expires_at BIGINT NOT NULL
);

CREATE TABLE logout_tokens (
    provider_id TEXT NOT NULL REFERENCES identity_providers (id) ON DELETE CASCADE,
    jti TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, jti)
);

ALTER TABLE web_sessions ADD COLUMN provider_id TEXT REFERENCES identity_providers (id);
ALTER TABLE web_sessions ADD COLUMN subject TEXT;
ALTER TABLE web_sessions ADD COLUMN provider_session TEXT;
ALTER TABLE api_tokens ADD COLUMN provider_id TEXT REFERENCES identity_providers (id);
ALTER TABLE api_tokens ADD COLUMN subject TEXT;
ALTER TABLE api_tokens ADD COLUMN provider_session TEXT;

-- A program's sign-in by way of a browser: first asked for, then approved by whoever is signed in there, then fetched once.
CREATE TABLE program_sign_ins (
    id TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    user_code TEXT UNIQUE,
    challenge TEXT,
    fetch_sha256 TEXT NOT NULL UNIQUE,
    org_id TEXT REFERENCES organizations (id) ON DELETE CASCADE,
    session_id TEXT REFERENCES web_sessions (id) ON DELETE CASCADE,
    denied BOOLEAN NOT NULL DEFAULT FALSE,
    asked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
