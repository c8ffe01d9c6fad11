-- The databases a pipeline's jobs may reach, none named is every one their member may; and when a job last came.

ALTER TABLE workloads ADD COLUMN database_names TEXT;
ALTER TABLE workloads ADD COLUMN used_at BIGINT;
