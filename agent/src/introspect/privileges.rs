//! What the database's own GRANTs give to whom, for people who begin to write policies from it.
//!
//! Local output only: nothing of this is enforced or reported. Left out: owners, who are not constrained by grants,
//! superusers, and PostgreSQL's own roles.

use super::IntrospectError;
use super::queries::get;
use serde_json::{Value, json};
use tokio_postgres::Client;

const GRANTS: &str = "\
SELECT n.nspname::text, c.relname::text, g.rolname::text, lower(a.privilege_type), NULL::text, \
  has_schema_privilege(a.grantee, n.oid, 'USAGE') \
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, \
  aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a LEFT JOIN pg_roles g ON g.oid = a.grantee \
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.grantee <> c.relowner \
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
  AND (a.grantee = 0 OR NOT g.rolsuper AND g.rolname !~ '^pg_') \
UNION ALL \
SELECT n.nspname::text, c.relname::text, g.rolname::text, lower(a.privilege_type), t.attname::text, \
  has_schema_privilege(a.grantee, n.oid, 'USAGE') \
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, \
  aclexplode(t.attacl) a LEFT JOIN pg_roles g ON g.oid = a.grantee \
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT t.attisdropped AND a.grantee <> c.relowner \
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
  AND (a.grantee = 0 OR NOT g.rolsuper AND g.rolname !~ '^pg_') \
ORDER BY 3, 1, 2, 5, 4";

const MEMBERS: &str = "\
SELECT g.rolname::text, m.rolname::text FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid \
JOIN pg_roles m ON m.oid = a.member WHERE g.rolname !~ '^pg_' \
  OR g.rolname IN ('pg_read_all_data', 'pg_write_all_data') ORDER BY 1, 2";

/// The grants on user relations and the members of roles, as JSON. A grant without `role` is to PUBLIC, one without
/// `column` on the whole relation, one without `usage` gives nothing: its holder may not use the schema.
pub async fn read(client: &Client) -> Result<Value, IntrospectError> {
    const WHAT: &str = "grants";
    let failed = |source| IntrospectError::Query { what: WHAT, source };
    let mut grants = Vec::new();
    for row in client.query(GRANTS, &[]).await.map_err(failed)? {
        grants.push(json!({
            "schema": get::<String>(&row, 0, WHAT)?,
            "relation": get::<String>(&row, 1, WHAT)?,
            "role": get::<Option<String>>(&row, 2, WHAT)?,
            "privilege": get::<String>(&row, 3, WHAT)?,
            "column": get::<Option<String>>(&row, 4, WHAT)?,
            "usage": get::<bool>(&row, 5, WHAT)?,
        }));
    }
    let mut members = Vec::new();
    for row in client.query(MEMBERS, &[]).await.map_err(failed)? {
        members.push(json!({
            "role": get::<String>(&row, 0, WHAT)?,
            "member": get::<String>(&row, 1, WHAT)?,
        }));
    }
    Ok(json!({ "version": 1, "grants": grants, "members": members }))
}
