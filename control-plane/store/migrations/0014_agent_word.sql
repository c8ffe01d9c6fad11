-- The key an agent enrolled with, and its signatures under what it recorded.

ALTER TABLE agents ADD COLUMN audit_key TEXT;
ALTER TABLE agent_audit ADD COLUMN signature TEXT;
