//! The privileges of the two roles.

use super::access::DirectTable;
use super::hex;
use super::table::ProtectedTable;
use crate::rewrite::SYSTEM_COLUMNS;
use daam_catalog::{Catalog, FunctionName, Identifier, Relation, RelationKind, RelationName};
use daam_model::Verb;
use daam_sql::quote;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// One privilege on one object, without the role it goes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    what: String,
}

impl Grant {
    fn new(privilege: &str, object: &str) -> Self {
        Self { what: format!("{privilege} ON {object}") }
    }

    pub(crate) fn sql(&self, role: &str) -> String {
        format!("GRANT {} TO {}", self.what, quote::identifier(role))
    }
}

/// A role name that stands for exactly this set of grants, on exactly these objects.
pub(crate) fn role_name(prefix: &str, grants: &[Grant], objects: &[&str]) -> String {
    let mut digest = Sha256::new();
    for grant in grants {
        digest.update(grant.what.as_bytes());
        digest.update([0]);
    }
    for object in objects {
        digest.update(object.as_bytes());
        digest.update([1]);
    }
    hex::after(prefix, digest.finalize().into_iter().take(8))
}

/// What the permission role holds.
pub(crate) fn permission(
    direct: &BTreeMap<RelationName, DirectTable>,
    protected: &BTreeMap<RelationName, ProtectedTable>,
    functions: &BTreeSet<FunctionName>,
    catalog: &Catalog,
) -> Vec<Grant> {
    let mut grants = BTreeSet::new();
    for (name, table) in direct {
        grants.insert(usage(&name.schema));
        let Some(relation) = catalog.relation(name) else { continue };
        for (verb, columns) in &table.verbs {
            grants.extend(match verb {
                Verb::Select if table.by_column => Some(by_column(relation, columns)),
                verb => privilege(relation, *verb, columns),
            });
        }
        sequences(relation, table.verbs.get(&Verb::Insert), &mut grants);
    }
    for sequence in read_sequences(direct, protected, catalog) {
        grants.insert(usage(&sequence.schema));
        grants.insert(Grant::new("SELECT", &format!("SEQUENCE {}", sequence.quoted())));
    }
    for (name, table) in protected {
        // The session names types and functions of the schema even where it reaches the table through views.
        grants.insert(usage(&name.schema));
        let Some(relation) = catalog.relation(name) else { continue };
        if table.verbs.contains_key(&Verb::Truncate) {
            grants.insert(Grant::new("TRUNCATE", &format!("TABLE {}", name.quoted())));
        }
        // Defaults are evaluated with the writer's rights, also through a view; so are functions of a filter.
        sequences(relation, table.verbs.get(&Verb::Insert), &mut grants);
        for function in &table.filter_functions {
            execute(function, catalog, &mut grants);
        }
    }
    for function in functions {
        execute(function, catalog, &mut grants);
    }
    grants.into_iter().collect()
}

/// What the view owner holds.
pub(crate) fn view_owner(
    protected: &BTreeMap<RelationName, ProtectedTable>,
    catalog: &Catalog,
) -> Vec<Grant> {
    let mut grants = BTreeSet::new();
    for (name, table) in protected {
        let Some(relation) = catalog.relation(name) else { continue };
        grants.insert(usage(&name.schema));
        grants.insert(Grant::new("SELECT", &format!("TABLE {}", name.quoted())));
        for (verb, columns) in &table.verbs {
            if matches!(verb, Verb::Insert | Verb::Update | Verb::Delete) {
                grants.extend(privilege(relation, *verb, columns));
            }
        }
        for read in &table.filter_relations {
            grants.insert(usage(&read.schema));
            grants.insert(Grant::new("SELECT", &format!("TABLE {}", read.quoted())));
        }
        for function in &table.filter_functions {
            execute(function, catalog, &mut grants);
        }
        grants.extend(
            table.columns.iter().filter_map(|column| type_schema(&column.data_type.sql)).map(|it| usage(&it)),
        );
    }
    grants.into_iter().collect()
}

fn usage(schema: &Identifier) -> Grant {
    Grant::new("USAGE", &format!("SCHEMA {}", schema.quoted()))
}

/// A verb, narrowed to columns unless it covers them all.
fn privilege(relation: &Relation, verb: Verb, columns: &BTreeSet<Identifier>) -> Option<Grant> {
    let word = verb.as_str().to_ascii_uppercase();
    let object = format!("TABLE {}", relation.name.quoted());
    if !verb.has_columns() || relation.columns.iter().all(|column| columns.contains(&column.name)) {
        return Some(Grant::new(&word, &object));
    }
    let names: Vec<String> = columns.iter().map(Identifier::quoted).collect();
    (!names.is_empty()).then(|| Grant::new(&format!("{word} ({})", names.join(", ")), &object))
}

/// SELECT on the columns there are, and on those every table has.
fn by_column(relation: &Relation, columns: &BTreeSet<Identifier>) -> Grant {
    let system: &[&str] = if relation.kind == RelationKind::View { &[] } else { &SYSTEM_COLUMNS };
    let names: Vec<String> =
        system.iter().map(|name| (*name).to_owned()).chain(columns.iter().map(Identifier::quoted)).collect();
    Grant::new(&format!("SELECT ({})", names.join(", ")), &format!("TABLE {}", relation.name.quoted()))
}

/// The sequences behind columns that are read as they are, all rows of them: where one stands says no more than the
/// greatest value does, and a dump of the table asks for it.
pub(crate) fn read_sequences(
    direct: &BTreeMap<RelationName, DirectTable>,
    protected: &BTreeMap<RelationName, ProtectedTable>,
    catalog: &Catalog,
) -> BTreeSet<RelationName> {
    let whole =
        direct.iter().filter_map(|(name, table)| Some((name, table.verbs.get(&Verb::Select)?.clone())));
    let masked = protected.iter().filter_map(|(name, table)| Some((name, shown(table)?)));
    let columns = whole.chain(masked).flat_map(|(name, read)| {
        let columns = catalog.relation(name).map(|relation| relation.columns.iter());
        columns.into_iter().flatten().filter(move |column| read.contains(&column.name))
    });
    columns.filter_map(|column| column.sequence.clone()).collect()
}

fn sequences(relation: &Relation, inserts: Option<&BTreeSet<Identifier>>, grants: &mut BTreeSet<Grant>) {
    if inserts.is_none() {
        return;
    }
    for sequence in relation.columns.iter().filter_map(|column| column.sequence.as_ref()) {
        grants.insert(usage(&sequence.schema));
        grants.insert(Grant::new("USAGE", &format!("SEQUENCE {}", sequence.quoted())));
    }
}

/// Columns whose values are all shown as they are. Where rows are hidden, what a sequence has come to would tell of
/// them.
fn shown(table: &ProtectedTable) -> Option<BTreeSet<Identifier>> {
    let selected = table.verbs.get(&Verb::Select).filter(|_| !table.is_filtered())?;
    Some(selected.iter().filter(|column| !table.is_masked(column.as_str())).cloned().collect())
}

/// EXECUTE, unless everyone has it: then there is nothing to grant, and perhaps no right to grant it.
fn execute(function: &FunctionName, catalog: &Catalog, grants: &mut BTreeSet<Grant>) {
    grants.insert(usage(&function.schema));
    if catalog.functions.get(function).is_some_and(|known| !known.public_execute) {
        let arguments = function.arguments.join(", ");
        let object = format!("ROUTINE {}.{}({arguments})", function.schema.quoted(), function.name.quoted());
        grants.insert(Grant::new("EXECUTE", &object));
    }
}

/// The schema a type's SQL names, if it is a user's.
fn type_schema(sql: &str) -> Option<Identifier> {
    let tokens = daam_sql::token::scan(sql).ok()?;
    let dot = tokens.next(0).and_then(|at| tokens.get(at)).filter(|token| token.is(sql, "."))?;
    let written = sql.get(..dot.start)?;
    let stored = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let name = stored.map_or_else(|| written.to_owned(), |quoted| quoted.replace("\"\"", "\""));
    Identifier::stored(name).ok().filter(|name| !daam_catalog::pattern::is_system_schema(name.as_str()))
}
