-- Row-level security on every table of tenants. What is right already is not touched, so that a start locks nothing.
-- Whoever adds a table with an `org_id` gets the wall for nothing; a row below is for one that is looked into before it
-- is known of which organization something is, or for all organizations.
SELECT pg_advisory_xact_lock(7305809);
DO $walls$
DECLARE
    wall record;
BEGIN
    FOR wall IN
        SELECT c.oid AS id, c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS up,
            (SELECT obj_description(p.oid, 'pg_policy') FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'reach') AS present,
            format('%s OR current_setting(''daam.reach'', true) = ANY (%L::text[])',
                COALESCE(s.own, 'org_id = current_setting(''daam.org'', true)'),
                array_append(COALESCE(s.reach, '{}'), 'migration')) AS rule
        FROM pg_class c
        LEFT JOIN (VALUES
            ('organizations', 'id = current_setting(''daam.org'', true)', '{arrival,upkeep}'::text[]),
            ('program_sign_ins', 'org_id IS NULL OR org_id = current_setting(''daam.org'', true)', '{arrival}'),
            ('logout_tokens', 'EXISTS (SELECT 1 FROM identity_providers p WHERE p.id = provider_id)', '{arrival}'),
            ('users', NULL, '{arrival}'),
            ('api_tokens', NULL, '{arrival}'),
            ('enrolment_tokens', NULL, '{arrival}'),
            ('scim_tokens', NULL, '{arrival}'),
            ('relays', NULL, '{arrival}'),
            ('sign_in_links', NULL, '{arrival}'),
            ('sign_in_flows', NULL, '{arrival}'),
            ('web_sessions', NULL, '{arrival}'),
            ('identity_providers', NULL, '{arrival}'),
            ('workloads', NULL, '{arrival}'),
            ('agents', NULL, '{arrival,upkeep}'),
            ('org_keys', NULL, '{upkeep}'),
            ('audit_checkpoints', NULL, '{upkeep}'),
            ('audit_exports', NULL, '{upkeep}'),
            ('webhooks', NULL, '{upkeep}'),
            ('notices', NULL, '{upkeep}')
        ) AS s (name, own, reach) ON s.name = c.relname
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
            AND (s.own IS NOT NULL OR EXISTS (
                SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped))
    LOOP
        IF NOT wall.up THEN
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', wall.name);
        END IF;
        IF wall.present IS DISTINCT FROM wall.rule THEN
            EXECUTE format('DROP POLICY IF EXISTS reach ON %I', wall.name);
            EXECUTE format('CREATE POLICY reach ON %I USING (%s) WITH CHECK (%s)', wall.name, wall.rule, wall.rule);
            EXECUTE format('COMMENT ON POLICY reach ON %I IS %L', wall.name, wall.rule);
        END IF;
    END LOOP;
END
$walls$;
