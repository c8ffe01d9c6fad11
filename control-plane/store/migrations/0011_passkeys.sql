-- Authenticators of people, and what is asked of one while somebody registers it or signs in by it.

CREATE TABLE passkeys (
    id TEXT PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    credential_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX passkeys_of_person ON passkeys (person_id);

-- `place` is the browser it began in, or the session.
CREATE TABLE passkey_ceremonies (
    place TEXT PRIMARY KEY,
    session_id TEXT REFERENCES web_sessions (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

ALTER TABLE web_sessions ADD COLUMN passkey_id TEXT REFERENCES passkeys (id);
CREATE INDEX web_sessions_of_passkey ON web_sessions (passkey_id);

-- An invite to a membership somebody has: whoever takes it up has it from then on, and nobody else.
ALTER TABLE sign_in_links ADD COLUMN replaces BOOLEAN NOT NULL DEFAULT FALSE;
