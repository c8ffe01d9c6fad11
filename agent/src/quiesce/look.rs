//! What the database says: whose views and locks of the held tables are left.

use crate::session_id::SessionId;
use crate::upkeep::Connected;
use daam_catalog::RelationName;
use std::collections::BTreeSet;

/// Sessions by the names of their roles: holders of a lock on a relation, and owners of temporary views that depend on
/// it. What a transaction has not committed shows by its locks.
const USERS: &str = "\
WITH held AS (SELECT pg_catalog.to_regclass(t.name)::oid AS id FROM pg_catalog.unnest($1::text[]) t(name)) \
SELECT a.usename::text FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
  JOIN held ON held.id = l.relation \
  WHERE l.locktype = 'relation' AND pg_catalog.starts_with(a.usename::text, 'daam_s_') \
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
UNION \
SELECT pg_catalog.pg_get_userbyid(v.relowner)::text FROM held \
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = held.id \
  JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid \
  JOIN pg_catalog.pg_class v ON v.oid = r.ev_class \
  WHERE v.relpersistence = 't' AND pg_catalog.starts_with(pg_catalog.pg_get_userbyid(v.relowner)::text, 'daam_o_')";

/// Sessions, of whichever agent, that have a view or a lock of one of the relations.
pub(super) async fn users(
    connected: &Connected,
    tables: &BTreeSet<RelationName>,
) -> Result<BTreeSet<SessionId>, tokio_postgres::Error> {
    let names: Vec<String> = tables.iter().map(RelationName::quoted).collect();
    let rows = connected.client.query(USERS, &[&names]).await?;
    let mut found = BTreeSet::new();
    for row in rows {
        found.extend(session(row.try_get(0)?));
    }
    Ok(found)
}

/// The session a role belongs to: `daam_s_<id>` or `daam_o_<id>_<n>`.
fn session(role: &str) -> Option<SessionId> {
    let rest = role.strip_prefix("daam_s_").or_else(|| role.strip_prefix("daam_o_"))?;
    SessionId::parse(rest.split('_').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_names_its_session() {
        let id = SessionId::fresh();
        assert_eq!(session(&format!("daam_s_{id}")), Some(id.clone()));
        assert_eq!(session(&format!("daam_o_{id}_3")), Some(id.clone()));
        assert_eq!(session(&format!("daam_p_{id}")), None);
        assert_eq!(session("daam_s_x"), None);
    }
}
