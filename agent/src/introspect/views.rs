//! What views read and call, through other views and through functions as far as PostgreSQL knows what those do.
//!
//! PostgreSQL keeps no record of what a function with a body in a string reads. Such a function is harmless in a view,
//! because it runs with the rights of who reads the view; not if it is SECURITY DEFINER, and not in a materialized
//! view, whose rows were made with its owner's rights. Those calls are kept.

use super::IntrospectError;
use super::assemble::identifier;
use super::queries::{Facts, get};
use daam_catalog::{
    ColumnRef, Function, FunctionName, Privilege, Relation, RelationKind, RelationName, Volatility,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// A view, a table or a function, by oid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Relation(i64),
    Function(i64),
}

/// What each of them has to do with others directly.
#[derive(Debug, Default)]
struct Graph {
    edges: BTreeMap<Node, BTreeSet<Node>>,
    reads: BTreeMap<Node, BTreeSet<ColumnRef>>,
    scans: BTreeMap<Node, BTreeSet<RelationName>>,
}

/// What one view has to do with others, directly or not.
#[derive(Debug, Default)]
struct Traced {
    reads: BTreeSet<ColumnRef>,
    scans: BTreeSet<RelationName>,
    calls: BTreeSet<FunctionName>,
    rules: BTreeSet<Privilege>,
}

/// Writes it into the relations.
pub(super) fn trace(
    relations: &mut BTreeMap<i64, Relation>,
    functions: &BTreeMap<i64, Function>,
    facts: &Facts,
) -> Result<(), IntrospectError> {
    let mut graph = Graph::default();
    for row in &facts.view_reads {
        graph.column(row, relations)?;
    }
    for row in &facts.view_scans {
        let (view, base) = pair(row)?;
        graph.scan(Node::Relation(view), base, relations);
    }
    for row in &facts.view_calls {
        let (view, function) = pair(row)?;
        graph.edges.entry(Node::Relation(view)).or_default().insert(Node::Function(function));
    }
    for row in &facts.function_calls {
        let (function, called) = pair(row)?;
        graph.edges.entry(Node::Function(function)).or_default().insert(Node::Function(called));
    }
    for row in &facts.function_reads {
        let (function, base) = pair(row)?;
        graph.all_columns(Node::Function(function), base, relations);
    }
    let is_view =
        |relation: &Relation| matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
    let views: Vec<i64> =
        relations.iter().filter(|(_, relation)| is_view(relation)).map(|(oid, _)| *oid).collect();
    for view in views {
        let mut traced = graph.trace(view, relations, functions);
        traced.scans.retain(|name| !traced.reads.iter().any(|read| read.relation == *name));
        if let Some(relation) = relations.get_mut(&view) {
            relation.rules.extend(traced.rules);
            (relation.reads, relation.scans, relation.calls) = (traced.reads, traced.scans, traced.calls);
        }
    }
    Ok(())
}

fn pair(row: &Row) -> Result<(i64, i64), IntrospectError> {
    const WHAT: &str = "dependencies";
    Ok((get(row, 0, WHAT)?, get(row, 1, WHAT)?))
}

impl Graph {
    fn column(&mut self, row: &Row, relations: &BTreeMap<i64, Relation>) -> Result<(), IntrospectError> {
        let (view, base) = pair(row)?;
        let Some(relation) = relations.get(&base) else { return Ok(()) };
        let column = identifier(get(row, 2, "views")?, "column")?;
        let read = ColumnRef { relation: relation.name.clone(), column };
        self.reads.entry(Node::Relation(view)).or_default().insert(read);
        Ok(())
    }

    fn scan(&mut self, who: Node, base: i64, relations: &BTreeMap<i64, Relation>) {
        let Some(relation) = relations.get(&base) else { return };
        self.scans.entry(who).or_default().insert(relation.name.clone());
        self.edges.entry(who).or_default().insert(Node::Relation(base));
    }

    fn all_columns(&mut self, who: Node, base: i64, relations: &BTreeMap<i64, Relation>) {
        self.scan(who, base, relations);
        let Some(relation) = relations.get(&base) else { return };
        let columns = relation
            .columns
            .iter()
            .map(|column| ColumnRef { relation: relation.name.clone(), column: column.name.clone() });
        self.reads.entry(who).or_default().extend(columns);
    }

    fn trace(
        &self,
        view: i64,
        relations: &BTreeMap<i64, Relation>,
        functions: &BTreeMap<i64, Function>,
    ) -> Traced {
        let mut traced = Traced::default();
        let mut seen = BTreeSet::new();
        // Beside each: whether its rows are made beforehand, with the rights of an owner.
        let mut open = vec![(Node::Relation(view), false)];
        while let Some((node, stored)) = open.pop() {
            let stored = match node {
                Node::Relation(oid) => {
                    traced
                        .rules
                        .extend(relations.get(&oid).into_iter().flat_map(|one| one.rules.iter().copied()));
                    stored
                        || relations.get(&oid).is_some_and(|one| one.kind == RelationKind::MaterializedView)
                }
                Node::Function(oid) => {
                    let called = functions.get(&oid).filter(|function| acts_for_another(function, stored));
                    traced.calls.extend(called.map(|function| function.name.clone()));
                    stored
                }
            };
            if !seen.insert((node, stored)) {
                continue;
            }
            traced.reads.extend(self.reads.get(&node).into_iter().flatten().cloned());
            traced.scans.extend(self.scans.get(&node).into_iter().flatten().cloned());
            open.extend(self.edges.get(&node).into_iter().flatten().map(|next| (*next, stored)));
        }
        traced
    }
}

/// Whether what the function reads is read with other rights than those of who reads the view.
fn acts_for_another(function: &Function, stored: bool) -> bool {
    let may_read = function.volatility != Volatility::Immutable && function.extension.is_none();
    function.security_definer || stored && may_read
}

#[cfg(test)]
mod tests {
    use super::*;
    use daam_catalog::Identifier;

    fn relation(name: &str, kind: RelationKind) -> Relation {
        Relation::new(RelationName::stored("public", name).unwrap(), kind, Identifier::stored("o").unwrap())
    }

    fn column(relation: &str, column: &str) -> ColumnRef {
        ColumnRef {
            relation: RelationName::stored("public", relation).unwrap(),
            column: Identifier::stored(column).unwrap(),
        }
    }

    #[test]
    fn a_view_over_views_reads_the_base_columns() {
        use RelationKind::{Table, View};
        let relations = BTreeMap::from([
            (1, relation("users", Table)),
            (2, relation("a", View)),
            (3, relation("b", View)),
            (4, relation("c", View)),
        ]);
        let mut graph = Graph::default();
        for (view, base, name) in [(2, 1, "email"), (3, 2, "mail"), (4, 3, "mail")] {
            let read = column(relations[&base].name.name.as_str(), name);
            graph.reads.entry(Node::Relation(view)).or_default().insert(read);
            graph.scan(Node::Relation(view), base, &relations);
        }
        let functions = BTreeMap::new();
        assert!(graph.trace(4, &relations, &functions).reads.contains(&column("users", "email")));
        assert_eq!(graph.trace(2, &relations, &functions).reads.len(), 1);
    }
}
