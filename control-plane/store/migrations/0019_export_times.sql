-- When the audit last arrived where it is collected, and when it last did not.

ALTER TABLE audit_exports ADD COLUMN sent_at BIGINT;
ALTER TABLE audit_exports ADD COLUMN failed_at BIGINT;
