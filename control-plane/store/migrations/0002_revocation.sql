-- What ends with a token, an admin or a relay must be findable by it.

ALTER TABLE certificates ADD COLUMN token_id TEXT;
ALTER TABLE enrolment_tokens ADD COLUMN created_by TEXT;
ALTER TABLE relays ADD COLUMN removed_at BIGINT;
