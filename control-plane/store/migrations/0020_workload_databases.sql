-- The databases a pipeline's jobs may reach, none named is every one their member may; and when a job last came.

ALTER TABLE workloads ADD COLUMN database_names TEXT;
ALTER TABLE workloads ADD COLUMN used_at BIGINT;

-- The admin the trust ends with.
ALTER TABLE workloads ADD COLUMN made_by TEXT;
UPDATE workloads SET made_by = (SELECT u.id FROM users u WHERE u.org_id = workloads.org_id AND u.email = workloads.created_by);
