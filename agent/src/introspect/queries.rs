//! The catalogue queries and their rows. They work on PostgreSQL 14 and later, with no privilege beyond CONNECT.

use super::IntrospectError;
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{Row, Transaction};

/// User schemas, as a condition on `n`.
macro_rules! user_schema {
    () => {
        "lower(left(n.nspname::text, 3)) <> 'pg_' AND n.nspname <> 'information_schema'"
    };
}
pub(super) use user_schema;

/// Whether names in the function `p` mean the same whoever calls: the path ends with the temporary schema, which is
/// otherwise searched first, for types even before `pg_catalog`; or the body was read when it was written. What such a
/// body calls has a path of its own to answer for.
macro_rules! pinned {
    () => {
        "EXISTS (SELECT 1 FROM pg_catalog.unnest(p.proconfig) c WHERE c ~ '^search_path=(.*, *)?\"?pg_temp\"?$') \
         OR (p.prosqlbody IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend b \
             WHERE b.classid = 'pg_proc'::pg_catalog.regclass AND b.objid = p.oid \
             AND b.refclassid = 'pg_proc'::pg_catalog.regclass AND b.refobjid >= 16384))"
    };
}

const RELATIONS: &str = concat!(
    "SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text, \
     obj_description(c.oid, 'pg_class'), \
     EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal), \
     ARRAY(SELECT a.privilege_type FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a \
           WHERE a.grantee = 0 \
           UNION SELECT a.privilege_type FROM pg_attribute t, aclexplode(t.attacl) a \
           WHERE t.attrelid = c.oid AND NOT t.attisdropped AND a.grantee = 0), \
     c.relrowsecurity, CASE WHEN c.relkind IN ('r', 'p', 'm') THEN c.reltuples ELSE -1 END, \
     EXISTS (SELECT 1 FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_barrier' \
             AND o.option_value::boolean), \
     EXISTS (SELECT 1 FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker' \
             AND o.option_value::boolean), \
     ARRAY(SELECT CASE r.ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' WHEN '4' THEN 'DELETE' END \
           FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type IN ('2', '3', '4') AND r.ev_enabled <> 'D') \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND ",
    user_schema!(),
    " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
       AND d.deptype = 'e')"
);

const COLUMNS: &str = concat!(
    "SELECT a.attrelid::int8, a.attname::text, format_type(a.atttypid, a.atttypmod), t.typtype::text, \
     t.typcategory::text, t.typname::text, tn.nspname = 'pg_catalog', a.attnotnull, \
     a.atthasdef OR a.attidentity <> '', a.attidentity <> '', a.attgenerated <> '', \
     col_description(a.attrelid, a.attnum), a.attnum::int4, \
     (SELECT string_agg(s.provider || ': ' || s.label, '; ' ORDER BY s.provider) FROM pg_seclabel s \
      WHERE s.classoid = 'pg_class'::regclass AND s.objoid = a.attrelid AND s.objsubid = a.attnum) \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace tn ON tn.oid = t.typnamespace \
     WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ",
    user_schema!(),
    " ORDER BY a.attrelid, a.attnum"
);

/// The columns a generated column reads. Up to 14 the dependency hangs on the column, later on its default.
const GENERATED: &str = "\
SELECT a.attrelid::int8, a.attnum::int4, s.attname::text \
FROM pg_attribute a JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid > 0 \
  AND d.refobjsubid <> a.attnum \
  AND ((d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid) \
    OR (d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum)) \
JOIN pg_attribute s ON s.attrelid = a.attrelid AND s.attnum = d.refobjsubid \
WHERE a.attgenerated <> '' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

/// Sequences: owned by the column (serial, identity), or merely used by its default.
const SEQUENCES: &str = "\
SELECT d.refobjid::int8, d.refobjsubid::int4, n.nspname::text, s.relname::text, true \
FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace \
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 \
  AND d.deptype IN ('a', 'i') \
UNION ALL \
SELECT f.adrelid::int8, f.adnum::int4, n.nspname::text, s.relname::text, false \
FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid \
  AND d.refclassid = 'pg_class'::regclass \
JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace \
ORDER BY 5, 3, 4";

/// Unique indexes over plain columns, without a predicate, that hold at every moment.
const KEYS: &str = "\
SELECT i.indrelid::int8, i.indisprimary, \
  ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o) \
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n WHERE k.o <= i.indnkeyatts ORDER BY k.o) \
FROM pg_index i WHERE i.indisunique AND i.indisvalid AND i.indimmediate AND i.indexprs IS NULL AND i.indpred IS NULL \
ORDER BY i.indrelid, NOT i.indisprimary, i.indexrelid";

const FOREIGN_KEYS: &str = "\
SELECT c.conrelid::int8, c.confrelid::int8, \
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, o) \
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.o), \
  ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, o) \
    JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.o) \
FROM pg_constraint c WHERE c.contype = 'f' AND c.conparentid = 0 ORDER BY c.conrelid, c.oid";

const PARENTS: &str = "SELECT inhrelid::int8, inhparent::int8 FROM pg_inherits ORDER BY inhrelid, inhseqno";

/// What a view's definition reads. PostgreSQL forgets a whole-row reference beside column references, so a rule
/// that has one anywhere (attribute 0) counts as reading every column.
const VIEW_READS: &str = "\
SELECT r.ev_class::int8, d.refobjid::int8, a.attname::text \
FROM (SELECT oid, ev_class, position(':varattno 0 ' in ev_action::text) > 0 AS whole FROM pg_rewrite \
      WHERE rulename = '_RETURN') r \
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass \
  AND d.refobjid <> r.ev_class \
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum > 0 AND NOT a.attisdropped \
  AND (a.attnum = d.refobjsubid OR r.whole)";

/// The relations a view reads at all: a view that counts rows reads no column of them.
const VIEW_SCANS: &str = "\
SELECT r.ev_class::int8, d.refobjid::int8 FROM pg_rewrite r \
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass \
  AND d.refobjid <> r.ev_class WHERE r.rulename = '_RETURN' GROUP BY 1, 2";

/// The functions a view calls by name or through operators.
const VIEW_CALLS: &str = "\
SELECT r.ev_class::int8, coalesce(o.oprcode::oid, d.refobjid)::int8 FROM pg_rewrite r \
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
  AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) \
LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid \
WHERE r.rulename = '_RETURN' GROUP BY 1, 2";

/// What functions call, as far as PostgreSQL knows: the parts of aggregates, and bodies in standard SQL.
const FUNCTION_CALLS: &str = "\
SELECT d.objid::int8, d.refobjid::int8 FROM pg_depend d \
WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.objid >= 16384 GROUP BY 1, 2";

/// The relations functions read, as far as PostgreSQL knows. It does not tell whole rows from nothing, so every
/// column counts as read.
const FUNCTION_READS: &str = "\
SELECT d.objid::int8, d.refobjid::int8 FROM pg_depend d \
WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.objid >= 16384 GROUP BY 1, 2";

/// Functions; of those with their owner's rights and of those a row filter may call, whether their names are pinned. An
/// aggregate made of such a function runs with those rights where it matters.
const FUNCTIONS: &str = concat!(
    "SELECT n.nspname::text, p.proname::text, pg_get_userbyid(p.proowner)::text, p.provolatile::text, \
     p.prosecdef OR EXISTS (SELECT 1 FROM pg_aggregate g JOIN pg_proc q ON q.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, \
       g.aggserialfn, g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn) WHERE g.aggfnoid = p.oid AND q.prosecdef), \
     EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0), \
     coalesce(format_type(nullif(p.prorettype, 0), NULL), 'void'), p.proretset, \
     ARRAY(SELECT format_type(k.t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY k(t, o) ORDER BY k.o), p.proleakproof, e.extname::text, \
     p.oid::int8, p.prokind::text, p.pronargdefaults::int4, p.provariadic <> 0, \
     ARRAY(SELECT coalesce(a.name, '') FROM unnest(coalesce(p.proargnames, '{}')) WITH ORDINALITY a(name, o) \
           WHERE p.proargmodes IS NULL OR (p.proargmodes::text[])[a.o] IN ('i', 'b', 'v') ORDER BY a.o), \
     CASE WHEN p.prosecdef OR (p.prokind = 'f' AND p.provolatile <> 'v' AND e.extname IS NULL AND l.lanname NOT IN ('c', 'internal')) \
          THEN ",
    pinned!(),
    " END, \
     CASE WHEN NOT l.lanpltrusted THEN l.lanname::text END \
     FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang \
     LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
     LEFT JOIN pg_extension e ON e.oid = d.refobjid WHERE ",
    user_schema!()
);

/// What fires the functions whose names are not pinned: relations by schema and name, event triggers by name alone.
pub(crate) const STEERABLE_TRIGGERS: &str = concat!(
    "SELECT pg_catalog.format('%I.%I()', n.nspname, p.proname), pg_catalog.quote_ident(n.nspname), p.prosecdef, \
     pg_catalog.pg_get_userbyid(p.proowner)::text, t.schema::text, t.name::text \
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
     JOIN (SELECT g.tgfoid AS function, r.nspname AS schema, c.relname AS name FROM pg_catalog.pg_trigger g \
           JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace r ON r.oid = c.relnamespace \
           WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND r.nspname !~ '^pg_' \
           UNION ALL SELECT e.evtfoid, NULL, e.evtname FROM pg_catalog.pg_event_trigger e WHERE e.evtenabled <> 'D') t \
       ON t.function = p.oid \
     WHERE l.lanname NOT IN ('c', 'internal') AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
       WHERE d.classid = 'pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e') AND NOT (",
    pinned!(),
    ") ORDER BY 1, 5, 6"
);

/// Types people create: without arrays, rows of tables and multiranges, which PostgreSQL makes itself. A domain's
/// base is what it was declared over, which may be another domain.
const TYPES: &str = concat!(
    "SELECT n.nspname::text, t.typname::text, t.typtype::text, t.typcategory::text, t.typispreferred, e.extname::text, \
     coalesce(format_type(nullif(t.typbasetype, 0), t.typtypmod), format_type(r.rngsubtype, NULL)), t.typnotnull, \
     ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder), \
     ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 \
           AND NOT a.attisdropped ORDER BY a.attnum), \
     ARRAY(SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = t.typrelid \
           AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) \
     FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
     LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_range r ON r.rngtypid = t.oid \
     LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' \
     LEFT JOIN pg_extension e ON e.oid = d.refobjid \
     WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r') AND (t.typrelid = 0 OR c.relkind = 'c') \
     AND NOT EXISTS (SELECT 1 FROM pg_type i WHERE i.typarray = t.oid) AND ",
    user_schema!()
);

const OPERATORS: &str = concat!(
    "SELECT n.nspname::text, o.oprname::text, format_type(nullif(o.oprleft, 0), NULL), format_type(o.oprright, NULL), \
     format_type(o.oprresult, NULL), fn.nspname::text, p.proname::text, \
     ARRAY(SELECT format_type(k.t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY k(t, o) ORDER BY k.o), \
     EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid \
       AND d.deptype = 'e') \
     FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace \
     JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_namespace fn ON fn.oid = p.pronamespace WHERE o.oprright <> 0 AND ",
    user_schema!()
);

/// Casts made after the server was initialised. And types whose values are checked by functions that run with their
/// owner's rights, as casts to themselves: domains, and what is made of them.
const CASTS: &str = concat!(
    "\
WITH RECURSIVE made_of(part, whole) AS ( \
  SELECT t.typbasetype, t.oid FROM pg_type t WHERE t.typtype = 'd' \
  UNION ALL SELECT t.typelem, t.oid FROM pg_type t WHERE t.typelem <> 0 \
  UNION ALL SELECT r.rngsubtype, r.rngtypid FROM pg_range r \
  UNION ALL SELECT r.rngtypid, r.rngmultitypid FROM pg_range r \
  UNION ALL SELECT a.atttypid, c.reltype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
    WHERE c.relkind = 'c' AND a.attnum > 0 AND NOT a.attisdropped), \
checked(type, function) AS ( \
  SELECT k.contypid, coalesce(o.oprcode, d.refobjid) FROM pg_constraint k \
    JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = k.oid \
    LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid \
    WHERE k.contypid <> 0 AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) \
  UNION SELECT m.whole, c.function FROM checked c JOIN made_of m ON m.part = c.type) \
SELECT format_type(c.castsource, NULL), format_type(c.casttarget, NULL), c.castcontext::text, n.nspname::text, p.proname::text, \
  ARRAY(SELECT format_type(k.t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY k(t, o) ORDER BY k.o), \
  EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
FROM pg_cast c LEFT JOIN pg_proc p ON p.oid = c.castfunc LEFT JOIN pg_namespace n ON n.oid = p.pronamespace \
WHERE c.oid >= 16384 \
UNION ALL \
SELECT format_type(c.type, NULL), format_type(c.type, NULL), 'e', n.nspname::text, p.proname::text, \
  ARRAY(SELECT format_type(k.t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY k(t, o) ORDER BY k.o), false \
FROM checked c JOIN pg_type t ON t.oid = c.type AND t.typcategory <> 'A' \
  JOIN pg_proc p ON p.oid = c.function AND p.prosecdef JOIN pg_namespace n ON n.oid = p.pronamespace WHERE ",
    user_schema!()
);

/// The plain columns every index over all rows begins with.
const INDEXES: &str = "\
SELECT i.indrelid::int8, \
  ARRAY(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(n, o) \
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n \
    WHERE k.o <= i.indnkeyatts AND k.o < coalesce((SELECT min(x.o) FROM unnest(i.indkey::int2[]) \
      WITH ORDINALITY x(n, o) WHERE x.n = 0), 1000) ORDER BY k.o) \
FROM pg_index i WHERE i.indisvalid AND i.indpred IS NULL ORDER BY i.indrelid, i.indexrelid";

/// All rows of one snapshot.
pub(super) struct Facts {
    pub(super) version: i32,
    pub(super) relations: Vec<Row>,
    pub(super) columns: Vec<Row>,
    pub(super) generated: Vec<Row>,
    pub(super) sequences: Vec<Row>,
    pub(super) keys: Vec<Row>,
    pub(super) foreign_keys: Vec<Row>,
    pub(super) parents: Vec<Row>,
    pub(super) view_reads: Vec<Row>,
    pub(super) view_scans: Vec<Row>,
    pub(super) view_calls: Vec<Row>,
    pub(super) function_calls: Vec<Row>,
    pub(super) function_reads: Vec<Row>,
    pub(super) functions: Vec<Row>,
    pub(super) bodies: Vec<Row>,
    pub(super) types: Vec<Row>,
    pub(super) operators: Vec<Row>,
    pub(super) casts: Vec<Row>,
    pub(super) indexes: Vec<Row>,
    pub(super) system: Option<String>,
}

impl Facts {
    pub(super) async fn read(transaction: &Transaction<'_>) -> Result<Self, IntrospectError> {
        let rows = async |what, sql| {
            transaction.query(sql, &[]).await.map_err(|source| IntrospectError::Query { what, source })
        };
        let version = rows("version", "SELECT current_setting('server_version_num')::int4").await?;
        Ok(Self {
            version: version.first().map(|row| get(row, 0, "version")).transpose()?.unwrap_or(0),
            relations: rows("relations", RELATIONS).await?,
            columns: rows("columns", COLUMNS).await?,
            generated: rows("generated columns", GENERATED).await?,
            sequences: rows("sequences", SEQUENCES).await?,
            keys: rows("keys", KEYS).await?,
            foreign_keys: rows("foreign keys", FOREIGN_KEYS).await?,
            parents: rows("partitions", PARENTS).await?,
            view_reads: rows("views", VIEW_READS).await?,
            view_scans: rows("views", VIEW_SCANS).await?,
            view_calls: rows("views", VIEW_CALLS).await?,
            function_calls: rows("functions", FUNCTION_CALLS).await?,
            function_reads: rows("functions", FUNCTION_READS).await?,
            functions: rows("functions", FUNCTIONS).await?,
            bodies: rows("functions", super::bodies::BODIES).await?,
            types: rows("types", TYPES).await?,
            operators: rows("operators", OPERATORS).await?,
            casts: rows("casts", CASTS).await?,
            indexes: rows("indexes", INDEXES).await?,
            system: system(transaction).await?,
        })
    }
}

/// What tells this database from every other, where the server lets us ask: managed ones may not. The number outlives
/// a change of the name, and is the same on a replica.
async fn system(transaction: &Transaction<'_>) -> Result<Option<String>, IntrospectError> {
    const WHAT: &str = "system identifier";
    let failed = |source| IntrospectError::Query { what: WHAT, source };
    let sql = "SELECT CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE') THEN 'yes' END";
    let allowed: Option<String> = get(&transaction.query_one(sql, &[]).await.map_err(failed)?, 0, WHAT)?;
    if allowed.is_none() {
        return Ok(None);
    }
    let sql = "SELECT system_identifier::text || '/' || (SELECT oid::text FROM pg_catalog.pg_database \
               WHERE datname = pg_catalog.current_database()) FROM pg_catalog.pg_control_system()";
    get(&transaction.query_one(sql, &[]).await.map_err(failed)?, 0, WHAT)
}

/// A value of a row; a type that does not fit is an error of that query, not a panic.
pub(super) fn get<T: FromSqlOwned>(
    row: &Row,
    index: usize,
    what: &'static str,
) -> Result<T, IntrospectError> {
    row.try_get(index).map_err(|source| IntrospectError::Query { what, source })
}
