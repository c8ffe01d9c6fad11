-- Developers' sessions are searched by when they were, and end with their agent.

CREATE INDEX sessions_of_org ON sessions (org_id, started_at, agent_id, id);
UPDATE sessions SET ended_at = (SELECT a.removed_at FROM agents a WHERE a.id = sessions.agent_id), reason = 'the agent was removed'
    WHERE ended_at IS NULL AND agent_id IN (SELECT id FROM agents WHERE removed_at IS NOT NULL);
