//! The single checks.

use super::{Finding, Severity};
use crate::introspect::STEERABLE_TRIGGERS;
use crate::shown;
use daam_catalog::{Catalog, Function, RelationName, Scope, ServerVersion};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Client;

/// The first minor release of each major that closes known leaks of statistics and privileges.
const FLOORS: [(u32, u32); 4] = [(14, 19), (15, 14), (16, 10), (17, 6)];
const OLDEST: u32 = 14;

pub(super) fn server(version: ServerVersion) -> Vec<Finding> {
    let (major, minor) = (version.major(), version.0 % 10_000);
    if major < OLDEST {
        return vec![Finding {
            severity: Severity::Broken,
            what: format!("the server is PostgreSQL {major}, which is not supported"),
            remedy: format!("upgrade to PostgreSQL {OLDEST} or later"),
        }];
    }
    let below = FLOORS.iter().find(|(floor, least)| *floor == major && minor < *least);
    below
        .map(|(_, least)| Finding {
            severity: Severity::Open,
            what: format!(
                "the server is PostgreSQL {major}.{minor}; planner statistics can show hidden rows (CVE-2025-8713)"
            ),
            remedy: format!("upgrade to PostgreSQL {major}.{least} or later"),
        })
        .into_iter()
        .collect()
}

pub(super) fn public_relations(catalog: &Catalog) -> Vec<Finding> {
    let open = catalog.public_relations();
    open.map(|relation| {
        let rights: Vec<&str> = relation.public.iter().map(|right| right.as_str()).collect();
        Finding {
            severity: Severity::Open,
            what: format!("PUBLIC has {} on {}", rights.join(", "), relation.name),
            remedy: format!("REVOKE ALL ON {} FROM PUBLIC;", shown::sql(&relation.name.quoted())),
        }
    })
    .collect()
}

pub(super) fn definer_functions(catalog: &Catalog) -> Vec<Finding> {
    let open = catalog.public_definers().map(|function| Finding {
        severity: Severity::Open,
        what: format!(
            "PUBLIC may execute {}, which runs with the rights of `{}` (SECURITY DEFINER)",
            function.name, function.owner
        ),
        remedy: format!("REVOKE EXECUTE ON ROUTINE {} FROM PUBLIC;", written(function)),
    });
    // Of no consequence where nobody but the owner may call it.
    let steerable = catalog.public_definers().filter(|function| function.is_steerable());
    let steerable = steerable.map(|function| Finding {
        severity: Severity::Advice,
        what: format!(
            "{} runs with the rights of `{}` and looks for names where its caller says",
            function.name, function.owner
        ),
        remedy: format!("ALTER ROUTINE {} SET search_path = pg_catalog, pg_temp;", written(function)),
    });
    open.chain(steerable).collect()
}

/// Functions that triggers fire and that look for names where the session says.
pub(super) async fn triggers(client: &Client, scope: &Scope) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let mut functions: BTreeMap<(String, String, Option<String>), BTreeSet<String>> = BTreeMap::new();
    for row in client.query(STEERABLE_TRIGGERS, &[]).await? {
        let (function, schema) = (shown::sql(row.try_get(0)?), shown::sql(row.try_get(1)?));
        let definer: bool = row.try_get(2)?;
        let owner: String = row.try_get(3)?;
        let (relation_schema, name): (Option<String>, String) = (row.try_get(4)?, row.try_get(5)?);
        let fired_by = match relation_schema {
            None => format!("event trigger `{name}`"),
            Some(relation_schema) => match RelationName::stored(&relation_schema, &name) {
                Ok(relation) if scope.admits(&relation) => relation.to_string(),
                _ => continue,
            },
        };
        functions.entry((function, schema, definer.then_some(owner))).or_default().insert(fired_by);
    }
    let finding = |((function, schema, owner), fired_by): (_, BTreeSet<String>)| {
        let rights = match owner {
            Some(owner) => format!("with the rights of `{owner}`"),
            None => "with the rights of the session".to_owned(),
        };
        let fired_by = fired_by.into_iter().collect::<Vec<_>>().join(", ");
        Finding {
            severity: Severity::Advice,
            what: format!(
                "{function}, fired by {fired_by}, runs {rights} and looks for names where the session says"
            ),
            remedy: format!("ALTER FUNCTION {function} SET search_path = {schema}, pg_temp;"),
        }
    };
    Ok(functions.into_iter().map(finding).collect())
}

fn written(function: &Function) -> String {
    let name = &function.name;
    shown::sql(&format!("{}.{}({})", name.schema.quoted(), name.name.quoted(), name.arguments.join(", ")))
}

const ROLE: &str = "\
SELECT quote_ident(current_user), rolsuper, rolcreaterole, quote_ident(current_database()), \
  has_database_privilege(current_database(), 'TEMPORARY WITH GRANT OPTION') \
    OR has_database_privilege('public', current_database(), 'TEMPORARY'), \
  has_database_privilege(current_database(), 'CONNECT WITH GRANT OPTION') \
    OR has_database_privilege('public', current_database(), 'CONNECT') \
FROM pg_catalog.pg_roles WHERE rolname = current_user";

/// User relations the agent may not grant on, by owner.
const OWNERS: &str = "\
SELECT pg_catalog.quote_ident(o.rolname), o.rolsuper, \
  pg_catalog.array_agg(pg_catalog.format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname) \
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
JOIN pg_catalog.pg_roles o ON o.oid = c.relowner \
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
  AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') \
  AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION') \
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
    AND d.deptype = 'e') \
GROUP BY 1, 2 ORDER BY 1";

const SCHEMAS: &str = "\
SELECT pg_catalog.quote_ident(n.nspname), \
  EXISTS (SELECT 1 FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'), \
  pg_catalog.has_schema_privilege(n.oid, 'USAGE WITH GRANT OPTION') \
    OR EXISTS (SELECT 1 FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.grantee = 0 AND a.privilege_type = 'USAGE') \
FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1";

/// What the agent's own role lacks, and what PUBLIC has on schemas.
pub(super) async fn own_role(client: &Client) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let mut findings = Vec::new();
    let row = client.query_one(ROLE, &[]).await?;
    let (role, database) = (shown::sql(row.try_get(0)?), shown::sql(row.try_get(3)?));
    let superuser: bool = row.try_get(1)?;
    if superuser {
        findings.push(Finding {
            severity: Severity::Advice,
            what: format!(
                "the agent's role {role} is a superuser; CREATEROLE and membership of the owners are enough"
            ),
            remedy: format!("ALTER ROLE {role} NOSUPERUSER CREATEROLE;"),
        });
    } else if !row.try_get::<_, bool>(2)? {
        findings.push(broken(
            format!("the agent's role {role} may not create roles"),
            format!("ALTER ROLE {role} CREATEROLE;"),
        ));
    }
    for (column, right) in [(4, "TEMPORARY"), (5, "CONNECT")] {
        if !row.try_get::<_, bool>(column)? {
            findings.push(broken(
                format!("neither PUBLIC nor the agent can give sessions {right} on the database"),
                format!("GRANT {right} ON DATABASE {database} TO {role} WITH GRANT OPTION;"),
            ));
        }
    }
    for row in client.query(OWNERS, &[]).await? {
        let owner = shown::sql(row.try_get(0)?);
        let relations: Vec<String> = row.try_get(2)?;
        let relations: Vec<String> = relations.iter().map(|name| shown::sql(name)).collect();
        // Membership of a superuser would give the agent everything; the right to pass rights on is enough.
        let remedy = if row.try_get(1)? {
            let each =
                relations.iter().map(|name| format!("GRANT ALL ON {name} TO {role} WITH GRANT OPTION;"));
            each.collect::<Vec<_>>().join("\n")
        } else {
            format!("GRANT {owner} TO {role};")
        };
        let (count, example) = (relations.len(), relations.first().map(String::as_str).unwrap_or_default());
        findings.push(broken(
            format!(
                "the agent's role {role} may not grant on {count} relation(s) of {owner}, e.g. {example}"
            ),
            remedy,
        ));
    }
    findings.extend(schemas(client, &role).await?);
    Ok(findings)
}

async fn schemas(client: &Client, role: &str) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let mut findings = Vec::new();
    for row in client.query(SCHEMAS, &[]).await? {
        let schema = shown::sql(row.try_get(0)?);
        if row.try_get(1)? {
            findings.push(Finding {
                severity: Severity::Open,
                what: format!("PUBLIC may create objects in schema {schema}"),
                remedy: format!("REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;"),
            });
        }
        if !row.try_get::<_, bool>(2)? {
            findings.push(broken(
                format!("neither PUBLIC nor the agent can give sessions USAGE on schema {schema}"),
                format!("GRANT USAGE ON SCHEMA {schema} TO {role} WITH GRANT OPTION;"),
            ));
        }
    }
    Ok(findings)
}

fn broken(what: String, remedy: String) -> Finding {
    Finding { severity: Severity::Broken, what, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_below_the_floor_is_named_with_the_release_to_go_to() {
        assert!(server(ServerVersion(150_018)).is_empty());
        assert!(server(ServerVersion(180_000)).is_empty());
        assert!(server(ServerVersion(150_013))[0].remedy.contains("15.14"));
        assert_eq!(server(ServerVersion(130_020))[0].severity, Severity::Broken);
    }
}
