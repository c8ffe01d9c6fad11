//! A protected relation: its columns as the session sees them and the rows each verb reaches.

use super::{PlanError, RelationObject};
use daam_catalog::{
    Catalog, DataType, FunctionName, Generated, Identifier, Relation, RelationKind, RelationName,
};
use daam_model::{AttributeValue, EffectiveMask, Mask, RelationAccess, RowFilter, Subject, Verb};
use daam_sql::{Filter, SubjectValue, UserTypes};
use std::collections::{BTreeMap, BTreeSet};

/// The name the base table has inside view definitions.
pub(crate) const ALIAS: &str = "daam_base";

/// Which view of a protected relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViewKind {
    /// For reading.
    Read,
    /// For UPDATE, and for INSERT and DELETE where nothing speaks against it.
    Write,
    /// For INSERT into a row-filtered relation.
    Insert,
    /// For DELETE where it reaches other rows than UPDATE.
    Delete,
    /// For COPY FROM; it holds no rows.
    Copy,
}

/// A column of a protected relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedColumn {
    pub(crate) name: Identifier,
    pub(crate) data_type: DataType,
    pub(crate) mask: Option<EffectiveMask>,
    /// Generated from other columns.
    pub(crate) computed: bool,
}

impl ProtectedColumn {
    /// Its name.
    pub fn name(&self) -> &Identifier {
        &self.name
    }

    /// The preset that is applied to it, if any.
    pub fn mask(&self) -> Option<&Mask> {
        // The plan keeps only masks that fit the column's class; see `protect`.
        self.mask.as_ref().map(EffectiveMask::mask)
    }
}

/// A relation the session reads and writes through views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedTable {
    pub(crate) name: RelationName,
    pub(crate) kind: RelationKind,
    pub(crate) columns: Vec<ProtectedColumn>,
    pub(crate) verbs: BTreeMap<Verb, BTreeSet<Identifier>>,
    /// SQL conditions; an absent verb reaches every row.
    pub(crate) rows: BTreeMap<Verb, String>,
    /// What the conditions read and call besides the table itself.
    pub(crate) filter_relations: BTreeSet<RelationName>,
    pub(crate) filter_functions: BTreeSet<FunctionName>,
    pub(crate) has_children: bool,
    /// The sequences its columns draw values from.
    pub(crate) sequences: BTreeSet<RelationName>,
    /// The columns by which a stored row is found again, if there are any.
    pub(crate) key: Vec<Identifier>,
    /// What it and the relations of its conditions were when the plan was made.
    pub(crate) objects: BTreeMap<RelationName, RelationObject>,
}

impl ProtectedTable {
    /// All columns in the table's order.
    pub fn columns(&self) -> &[ProtectedColumn] {
        &self.columns
    }

    /// Granted verbs with their columns.
    pub fn verbs(&self) -> &BTreeMap<Verb, BTreeSet<Identifier>> {
        &self.verbs
    }

    /// Whether a column may be read.
    pub fn reads(&self, column: &Identifier) -> bool {
        self.verbs.get(&Verb::Select).is_some_and(|columns| columns.contains(column))
    }

    /// Whether a column can be read only masked.
    pub fn is_masked(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known.name.as_str() == column && known.mask.is_some())
    }

    /// Whether any row filter applies.
    pub fn is_filtered(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Other relations its row filters read.
    pub fn reads_besides(&self) -> impl Iterator<Item = &RelationName> {
        self.filter_relations.iter()
    }

    /// The view a verb goes through.
    pub fn view_for(&self, verb: Verb) -> ViewKind {
        match verb {
            Verb::Select | Verb::Truncate => ViewKind::Read,
            Verb::Insert if self.is_filtered() => ViewKind::Insert,
            Verb::Delete if self.condition(Verb::Delete) != self.condition(Verb::Update) => ViewKind::Delete,
            Verb::Insert | Verb::Update | Verb::Delete => ViewKind::Write,
        }
    }

    /// The rows a verb reaches. Rows that cannot be read cannot be written either: a write view carries SELECT
    /// for WHERE and RETURNING.
    pub(crate) fn condition(&self, verb: Verb) -> Option<String> {
        let read = self.verbs.contains_key(&Verb::Select).then(|| self.rows.get(&Verb::Select)).flatten();
        let own = (verb != Verb::Select).then(|| self.rows.get(&verb)).flatten();
        match (read, own) {
            (Some(read), Some(own)) if read != own => Some(format!("({read}) AND ({own})")),
            (Some(one), _) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }
}

/// Works out how a relation is protected.
pub(super) fn protect(
    relation: &Relation,
    access: &RelationAccess,
    subject: &Subject,
    catalog: &Catalog,
    notices: &mut BTreeSet<String>,
) -> Result<ProtectedTable, PlanError> {
    let columns = relation
        .columns
        .iter()
        .map(|column| ProtectedColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            computed: matches!(column.generated, Generated::From(_)),
            mask: access
                .masks
                .get(&column.name)
                .map(|mask| EffectiveMask::new(mask.fit(column.data_type.class))),
        })
        .collect();
    let mut table = ProtectedTable {
        name: relation.name.clone(),
        kind: relation.kind,
        columns,
        verbs: access.verbs.clone(),
        rows: BTreeMap::new(),
        filter_relations: BTreeSet::new(),
        filter_functions: BTreeSet::new(),
        has_children: catalog.relations.values().any(|other| other.parents.contains(&relation.name)),
        sequences: relation.columns.iter().filter_map(|column| column.sequence.clone()).collect(),
        key: super::write_back::key(relation),
        objects: BTreeMap::new(),
    };
    // Of inherited tables a key says nothing about the children; of partitions it does.
    if table.has_children && relation.kind == RelationKind::Table {
        table.key = Vec::new();
    }
    for (verb, filter) in &access.rows {
        if access.verbs.contains_key(verb)
            && let Some(condition) = condition(&mut table, filter, subject, catalog, notices)?
        {
            table.rows.insert(*verb, condition);
        }
    }
    // TRUNCATE knows no rows: where any verb is filtered it would remove what the session may not even see.
    if table.is_filtered() {
        table.verbs.remove(&Verb::Truncate);
    }
    Ok(table)
}

/// The user types of a filter's columns.
struct TypesOf<'a> {
    table: &'a RelationName,
    catalog: &'a Catalog,
}

impl UserTypes for TypesOf<'_> {
    fn column(&self, relation: Option<&RelationName>, column: &Identifier) -> Option<String> {
        let relation = self.catalog.relation(relation.unwrap_or(self.table))?;
        Some(relation.column(column)?.data_type.sql.clone())
    }

    fn operator(&self, data_type: &str, symbol: &str) -> Option<Identifier> {
        let mut own = self.catalog.operators.iter().filter(|operator| {
            operator.name.as_str() == symbol
                && operator.left.as_deref() == Some(data_type)
                && operator.right == data_type
        });
        own.next().map(|operator| operator.schema.clone())
    }
}

/// Any of the permissive clauses (all rows if there is none) and all of the restrictive ones.
fn condition(
    table: &mut ProtectedTable,
    filter: &RowFilter,
    subject: &Subject,
    catalog: &Catalog,
    notices: &mut BTreeSet<String>,
) -> Result<Option<String>, PlanError> {
    let mut bind = |clauses: &[daam_model::FilterClause]| -> Result<BTreeSet<String>, PlanError> {
        let mut bound = BTreeSet::new();
        for clause in clauses {
            let parsed = Filter::parse(&clause.text).map_err(|source| PlanError::Filter {
                relation: table.name.clone(),
                file: clause.origin.file.clone(),
                line: clause.origin.line,
                source: Box::new(source),
            })?;
            table.filter_relations.extend(parsed.relations().into_iter().map(|used| used.name));
            for used in parsed.functions() {
                let overloads = catalog.functions.keys();
                let named = overloads.filter(|known| known.schema == used.schema && known.name == used.name);
                table.filter_functions.extend(named.cloned());
            }
            let types = TypesOf { table: &table.name, catalog };
            let sql = parsed.bind(ALIAS, &|name| value(subject, name), &types);
            if !sql.missing.is_empty() {
                let names: Vec<String> = sql.missing.iter().map(|name| format!("`{name}`")).collect();
                notices.insert(format!(
                    "a row filter of `{}` reaches no rows, because you have no attribute {}",
                    table.name,
                    names.join(", ")
                ));
            }
            bound.insert(sql.sql);
        }
        Ok(bound)
    };
    let any = bind(&filter.any)?;
    let mut parts = bind(&filter.all)?;
    if !any.is_empty() {
        parts.insert(joined(any, " OR "));
    }
    Ok((!parts.is_empty()).then(|| joined(parts, " AND ")))
}

fn joined(parts: BTreeSet<String>, word: &str) -> String {
    let parts: Vec<String> = parts.into_iter().collect();
    match parts.as_slice() {
        [one] => one.clone(),
        _ => format!("({})", parts.join(word)),
    }
}

fn value(subject: &Subject, name: &str) -> Option<SubjectValue> {
    match name {
        "email" => Some(SubjectValue::Text(subject.email.clone())),
        "id" => Some(SubjectValue::Text(subject.id.clone())),
        "groups" => Some(SubjectValue::TextArray(subject.groups.iter().cloned().collect())),
        _ => subject.attributes.get(name).map(|value| match value {
            AttributeValue::Text(text) => SubjectValue::Text(text.clone()),
            AttributeValue::Uuid(text) => SubjectValue::Uuid(text.clone()),
            AttributeValue::Integer(number) => SubjectValue::Integer(*number),
            AttributeValue::Boolean(flag) => SubjectValue::Boolean(*flag),
        }),
    }
}
