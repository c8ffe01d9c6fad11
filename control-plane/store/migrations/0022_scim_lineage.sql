-- The API token a SCIM token was made with, and ends with; none if a person made it.

-- Of those that are older nobody knows: none of them counts as made by a person.
ALTER TABLE scim_tokens ADD COLUMN by_person BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE scim_tokens ADD COLUMN token_id TEXT REFERENCES api_tokens (id) ON DELETE CASCADE;
CREATE INDEX scim_tokens_of_token ON scim_tokens (token_id);
