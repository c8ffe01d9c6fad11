//! The row-filter language: one boolean SQL expression over a table's columns and `subject.<attribute>`.
//!
//! Parsed from its own text, turned into a small tree of its own, and emitted from that tree only, with functions
//! and operators pinned to `pg_catalog`: the text itself never reaches other SQL. Refused: comments, several
//! expressions, parameters, aggregates, window and set-returning functions, volatile functions, system columns,
//! and every construct that is not listed here.
//!
//! In a subquery every reference is decided by the text alone, so that a new column elsewhere cannot change what
//! it means: a bare column belongs to the subquery's only table; a column of the filtered table is written with
//! that table's name (`customers.region`).

pub(crate) mod expression;
mod functions;
mod read;
mod subquery;
mod write;

use daam_catalog::{Identifier, RelationName};
use expression::{Expression, Item, Kind, Owner};
pub use functions::callable;
pub(crate) use functions::is_aggregate;
use std::collections::BTreeSet;
pub use write::{BuiltInTypes, UserTypes};

/// What kind of refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not an expression, or one that uses what filters must not use.
    Syntax,
    /// More than one expression, or a comment: text that would end the filter and begin something else.
    Breakout,
    /// A function that is not for filters.
    Function,
    /// A function whose answer changes within a statement.
    Volatile,
}

/// Why a text is not a row filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What kind of refusal it is.
    pub refusal: Refusal,
    /// What is wrong.
    pub message: String,
    /// Byte offset in the text.
    pub offset: usize,
    /// What would be right.
    pub help: Option<String>,
}

/// A column of the filtered table, as the filter uses it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnUse {
    /// Its name.
    pub name: Identifier,
    /// The table name it was written with, if any; must be the filtered table's.
    pub qualifier: Option<Identifier>,
    /// Byte offset in the text.
    pub offset: usize,
}

/// A relation a subquery reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelationUse {
    /// Its name; an unqualified one is in `public`.
    pub name: RelationName,
    /// Columns of it the filter names.
    pub columns: BTreeSet<Identifier>,
    /// Byte offset in the text.
    pub offset: usize,
}

/// A use of `subject.<name>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeUse {
    /// `email`, `id`, `groups` or a declared attribute.
    pub name: String,
    /// Byte offset in the text.
    pub offset: usize,
}

/// A function of a user schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FunctionUse {
    /// Its schema.
    pub schema: Identifier,
    /// Its name.
    pub name: Identifier,
    /// How many arguments it is called with.
    pub arguments: usize,
    /// Whether an argument reads a column, so that the answer differs from row to row.
    pub reads_row: bool,
    /// Byte offset in the text.
    pub offset: usize,
}

/// What `subject.<name>` stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectValue {
    /// A text.
    Text(String),
    /// A uuid, canonical.
    Uuid(String),
    /// An integer.
    Integer(i64),
    /// A boolean.
    Boolean(bool),
    /// A list of texts.
    TextArray(Vec<String>),
}

/// A filter with the subject's values in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The SQL condition.
    pub sql: String,
    /// Attributes the subject does not have; not empty means that `sql` is `false`.
    pub missing: BTreeSet<String>,
}

/// A checked row filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    root: Expression,
    items: Vec<Item>,
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let (root, items) = read::read(text)?;
        Ok(Self { root, items })
    }

    /// Its tree, for the type checker.
    pub(crate) fn parts(&self) -> (&Expression, &[Item]) {
        (&self.root, &self.items)
    }

    /// The filter as it is compared and stored: equal filters have equal canonical text, and it reads back.
    pub fn canonical(&self) -> String {
        write::canonical(&self.root, &self.items)
    }

    /// The conditions that all have to hold, each in canonical text; a filter that is no `AND` is the only one.
    pub fn conjuncts(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            match &node.kind {
                Kind::And(parts) => open.extend(parts),
                _ => drop(found.insert(write::canonical(node, &self.items))),
            }
        }
        found
    }

    /// Columns of the filtered table.
    pub fn columns(&self) -> Vec<ColumnUse> {
        let mut found = Vec::new();
        self.root.visit(&mut |node| {
            if let Kind::Column { owner: Owner::Row { qualifier }, name } = &node.kind {
                found.push(ColumnUse {
                    name: name.clone(),
                    qualifier: qualifier.clone(),
                    offset: node.offset,
                });
            }
        });
        found
    }

    /// Relations its subqueries read.
    pub fn relations(&self) -> Vec<RelationUse> {
        let mut found: Vec<RelationUse> = self
            .items
            .iter()
            .map(|item| RelationUse {
                name: item.relation.clone(),
                columns: BTreeSet::new(),
                offset: item.offset,
            })
            .collect();
        self.root.visit(&mut |node| {
            if let Kind::Column { owner: Owner::Item(index), name } = &node.kind
                && let Some(relation) = found.get_mut(*index)
            {
                relation.columns.insert(name.clone());
            }
        });
        found
    }

    /// Attributes of the subject.
    pub fn attributes(&self) -> Vec<AttributeUse> {
        let mut found = Vec::new();
        self.root.visit(&mut |node| {
            if let Kind::Subject { name } = &node.kind {
                found.push(AttributeUse { name: name.clone(), offset: node.offset });
            }
        });
        found
    }

    /// Functions of user schemas.
    pub fn functions(&self) -> Vec<FunctionUse> {
        let mut found = Vec::new();
        self.root.visit(&mut |node| {
            if let Kind::Call { schema: Some(schema), name, arguments, .. } = &node.kind {
                found.push(FunctionUse {
                    schema: schema.clone(),
                    name: name.clone(),
                    arguments: arguments.len(),
                    reads_row: arguments.iter().any(reads_row),
                    offset: node.offset,
                });
            }
        });
        found
    }

    /// Columns of the filtered table whose NULL makes a `<>` or `NOT IN` neither true nor false, unless the filter
    /// tests the same column for NULL somewhere.
    pub fn null_sensitive(&self) -> Vec<ColumnUse> {
        let mut found: Vec<ColumnUse> = Vec::new();
        let mut tested = BTreeSet::new();
        self.root.visit(&mut |node| match &node.kind {
            Kind::Binary { operator, left, right } if operator == "<>" => {
                found.extend([left, right].into_iter().filter_map(|side| own_column(side)));
            }
            Kind::In { negated: true, value, .. } => found.extend(own_column(value)),
            Kind::Test { value, test: "IS NULL" | "IS NOT NULL" } => {
                tested.extend(own_column(value).map(|used| used.name));
            }
            _ => {}
        });
        found.retain(|used| !tested.contains(&used.name));
        found
    }

    /// SQL for one subject: columns are written with `table_alias`; `resolve` gives the value of an attribute.
    /// `types` knows which operators belong to types that are not PostgreSQL's own.
    pub fn bind(
        &self,
        table_alias: &str,
        resolve: &dyn Fn(&str) -> Option<SubjectValue>,
        types: &dyn UserTypes,
    ) -> Bound {
        let used = self.attributes();
        let missing: BTreeSet<String> =
            used.into_iter().map(|used| used.name).filter(|name| resolve(name).is_none()).collect();
        if !missing.is_empty() {
            return Bound { sql: "false".to_owned(), missing };
        }
        Bound { sql: write::bound(&self.root, &self.items, table_alias, resolve, types), missing }
    }
}

fn reads_row(node: &Expression) -> bool {
    let mut found = false;
    node.visit(&mut |part| found |= matches!(part.kind, Kind::Column { .. }));
    found
}

/// The column of the filtered table an expression is.
fn own_column(node: &Expression) -> Option<ColumnUse> {
    match &node.kind {
        Kind::Column { owner: Owner::Row { qualifier }, name } => {
            Some(ColumnUse { name: name.clone(), qualifier: qualifier.clone(), offset: node.offset })
        }
        _ => None,
    }
}
