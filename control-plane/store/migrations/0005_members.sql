-- Four roles; people who belong to several organizations; how they get in; their browser sessions.

ALTER TABLE users ADD COLUMN member_role TEXT NOT NULL DEFAULT 'member'
    CHECK (member_role IN ('admin', 'member', 'approver', 'auditor'));
UPDATE users SET member_role = role;
ALTER TABLE users DROP COLUMN role;
ALTER TABLE users RENAME COLUMN member_role TO role;

-- A person is whoever proves it by means of their own (a passkey, a link from the operator). A row of `users` is a
-- membership; it has no person until somebody takes it up.
CREATE TABLE people (
    id TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL
);
ALTER TABLE users ADD COLUMN person_id TEXT REFERENCES people (id);
CREATE UNIQUE INDEX users_of_person ON users (person_id, org_id);

-- `invite`: joins a membership nobody has taken up. `recovery`: made by the operator. `token`: made with an API token.
CREATE TABLE sign_in_links (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL CHECK (purpose IN ('invite', 'recovery', 'token')),
    token_id TEXT REFERENCES api_tokens (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL UNIQUE,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_in_links_of_user ON sign_in_links (org_id, user_id);

CREATE TABLE web_sessions (
    id TEXT PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    only_here BOOLEAN NOT NULL,
    method TEXT NOT NULL,
    token_id TEXT REFERENCES api_tokens (id) ON DELETE CASCADE,
    sha256 TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX web_sessions_of_user ON web_sessions (org_id, user_id);
