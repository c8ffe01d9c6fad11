-- Sessions that ended are forgotten with the audit; the oldest are found without a look at all of them.

CREATE INDEX sessions_ended ON sessions (org_id, ended_at);
