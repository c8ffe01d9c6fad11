-- Identity providers that speak SAML: what their metadata pins, what a session is called there, and the session a
-- sign-in began in, because no cookie of it comes back with the answer.

ALTER TABLE identity_providers ADD COLUMN saml TEXT;
ALTER TABLE web_sessions ADD COLUMN name_id TEXT;
ALTER TABLE sign_in_flows ADD COLUMN session_id TEXT;
