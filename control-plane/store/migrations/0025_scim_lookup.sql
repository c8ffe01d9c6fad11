-- What members are looked up by, as digests: what the provider calls them, and their addresses. Whom it described before
-- there was this table is looked at with every look-up, until it describes them again.

CREATE TABLE scim_keys (
    org_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value_sha256 TEXT NOT NULL,
    PRIMARY KEY (org_id, name, value_sha256, user_id)
);
CREATE INDEX scim_keys_of_user ON scim_keys (user_id);
ALTER TABLE scim_users ADD COLUMN keyed BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX scim_users_not_keyed ON scim_users (org_id) WHERE NOT keyed;
CREATE INDEX users_in_order ON users (org_id, id);
