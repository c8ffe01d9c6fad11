-- Whom an admin disabled, provisioning does not enable.

ALTER TABLE users ADD COLUMN barred BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE users SET barred = TRUE WHERE disabled AND NOT EXISTS (SELECT 1 FROM scim_users s WHERE s.user_id = users.id);
