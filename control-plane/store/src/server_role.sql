-- A superuser is above row-level security, so a server that was given one acts as somebody who is not.
DO $role$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'daam_control_plane') THEN
        BEGIN
            CREATE ROLE daam_control_plane NOLOGIN NOSUPERUSER NOBYPASSRLS;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another server of this cluster, at the same moment
        END;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO daam_control_plane', current_schema());
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO daam_control_plane', current_schema());
END
$role$;
