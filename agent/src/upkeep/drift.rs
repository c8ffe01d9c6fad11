//! Whether the database's definitions have changed since the last look, by one cheap query.
//!
//! A new column must not stay unmasked until the next full introspection because a table-wide grant covers it. The
//! query hashes the row versions of the catalogues a policy depends on; temporary objects, which sessions make all the
//! time, do not count. ANALYZE and VACUUM change no row version there.

use tokio_postgres::Client;

const FINGERPRINT: &str = "\
SELECT pg_catalog.concat_ws(' ', \
  (SELECT sum(hashtextextended(concat_ws(',', c.xmin, c.oid, a.xmin, a.attnum), 0)) \
     FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND c.oid >= 16384), \
  (SELECT sum(hashtextextended(concat_ws(',', p.xmin, p.oid), 0)) FROM pg_catalog.pg_proc p \
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.oid >= 16384 AND n.nspname !~ '^pg_'), \
  (SELECT sum(hashtextextended(concat_ws(',', c.xmin, c.oid), 0)) FROM pg_catalog.pg_constraint c \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace WHERE c.oid >= 16384 AND n.nspname !~ '^pg_'), \
  (SELECT sum(hashtextextended(concat_ws(',', r.xmin, r.oid), 0)) FROM pg_catalog.pg_rewrite r \
     JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE r.oid >= 16384 AND c.relpersistence <> 't'), \
  (SELECT sum(hashtextextended(concat_ws(',', i.xmin, i.inhrelid, i.inhparent), 0)) FROM pg_catalog.pg_inherits i \
     JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relpersistence <> 't'), \
  (SELECT sum(hashtextextended(concat_ws(',', o.xmin, o.oid), 0)) FROM pg_catalog.pg_operator o WHERE o.oid >= 16384), \
  (SELECT sum(hashtextextended(concat_ws(',', k.xmin, k.oid), 0)) FROM pg_catalog.pg_cast k WHERE k.oid >= 16384), \
  (SELECT sum(hashtextextended(concat_ws(',', n.xmin, n.oid), 0)) FROM pg_catalog.pg_namespace n \
     WHERE n.oid >= 16384 AND n.nspname !~ '^pg_'))";

/// A text that differs whenever a definition changed.
pub(super) async fn fingerprint(client: &Client) -> Result<String, tokio_postgres::Error> {
    client.query_one(FINGERPRINT, &[]).await?.try_get(0)
}
