-- From what a credential comes, so that it ends together with that.

ALTER TABLE api_tokens ADD COLUMN created_by TEXT;
ALTER TABLE api_tokens ADD COLUMN parent_id TEXT REFERENCES api_tokens (id) ON DELETE CASCADE;
ALTER TABLE api_tokens ADD COLUMN session_id TEXT;
CREATE INDEX api_tokens_of_parent ON api_tokens (parent_id);
CREATE INDEX api_tokens_of_session ON api_tokens (session_id);
ALTER TABLE sign_in_links ADD COLUMN made_by TEXT;
