//! A small shop, and short ways to write policies over it.

use super::*;
use crate::mask::Mask;
use crate::policy::{Grant, MaskRule, Subjects};
use daam_catalog::{
    Column, ColumnPattern, DataType, Function, Generated, Relation, RelationKind, RelationPattern, TypeClass,
    Volatility,
};

pub(super) fn name(text: &str) -> RelationName {
    let (schema, name) = text.split_once('.').unwrap();
    RelationName::stored(schema, name).unwrap()
}

pub(super) fn identifier(text: &str) -> Identifier {
    Identifier::stored(text).unwrap()
}

pub(super) fn columns(names: &[&str]) -> BTreeSet<Identifier> {
    names.iter().map(|name| identifier(name)).collect()
}

pub(super) fn column(name: &str, class: TypeClass) -> Column {
    Column::new(identifier(name), DataType { sql: "text".into(), class })
}

pub(super) fn generated(name: &str, class: TypeClass, from: &[&str]) -> Column {
    let from = from.iter().map(|name| identifier(name)).collect();
    Column { generated: Generated::From(from), ..column(name, class) }
}

pub(super) fn relation(text: &str, kind: RelationKind, columns: Vec<Column>) -> Relation {
    Relation { columns, ..Relation::new(name(text), kind, identifier("owner")) }
}

pub(super) fn read(relation: &str, column: &str) -> ColumnRef {
    ColumnRef { relation: name(relation), column: identifier(column) }
}

pub(super) fn catalog(relations: Vec<Relation>) -> Catalog {
    let relations = relations.into_iter().map(|relation| (relation.name.clone(), relation)).collect();
    Catalog { relations, ..Catalog::default() }
}

/// Customers with a chain of generated columns, partitioned orders, a view, a materialized view, an overloaded
/// function.
pub(super) fn shop() -> Catalog {
    use TypeClass::{Integer, Numeric, Text};
    let customers = vec![
        column("id", Integer),
        column("region", Text),
        column("email", Text),
        column("phone", Text),
        generated("email_lower", Text, &["email"]),
        generated("email_length", Integer, &["email_lower"]),
    ];
    let order_columns = || vec![column("id", Integer), column("customer", Text), column("total", Numeric)];
    let child = |name: &str, parent: &str| Relation {
        parents: vec![self::name(parent)],
        ..relation(name, RelationKind::Table, order_columns())
    };
    let view = |name: &str, kind, reads: &[ColumnRef]| Relation {
        reads: reads.iter().cloned().collect(),
        ..relation(name, kind, vec![column("a", Text)])
    };
    let reads_customers = [read("public.customers", "email"), read("public.customers", "region")];
    let mut catalog = catalog(vec![
        relation("public.customers", RelationKind::Table, customers),
        relation("public.orders", RelationKind::PartitionedTable, order_columns()),
        child("public.orders_1", "public.orders"),
        child("public.orders_2", "public.orders"),
        child("public.orders_1a", "public.orders_1"),
        view("public.customer_list", RelationKind::View, &reads_customers),
        view("public.order_report", RelationKind::MaterializedView, &[read("public.orders_1", "total")]),
        view("public.outside", RelationKind::View, &[read("hidden.people", "ssn")]),
    ]);
    for arguments in [vec!["integer".to_owned()], vec!["uuid".to_owned()]] {
        let name = FunctionName { schema: identifier("public"), name: identifier("order_total"), arguments };
        let function = Function {
            volatility: Volatility::Stable,
            returns: "numeric".into(),
            ..Function::new(name.clone(), identifier("owner"))
        };
        catalog.functions.insert(name, function);
    }
    catalog
}

pub(super) fn set<const N: usize>(policies: [Policy; N]) -> PolicySet {
    PolicySet { database: "shop".into(), policies: policies.into(), ..PolicySet::default() }
}

/// Resolves for a person every fixture policy applies to.
pub(super) fn resolve(set: &PolicySet, catalog: &Catalog) -> EffectivePolicy {
    let subject = Subject::new("1", "sam@acme.test").in_groups(["support"]);
    effective(set, catalog, &subject, &BTreeSet::new())
}

/// A policy for everyone.
pub(super) fn policy(name: &str) -> Policy {
    Policy {
        name: name.into(),
        description: String::new(),
        subjects: Subjects { everyone: true, ..Subjects::default() },
        grants: vec![],
        masks: vec![],
        session: SessionLimits::default(),
        request: None,
        origin: origin(name, 1),
    }
}

pub(super) fn origin(policy: &str, line: u32) -> Origin {
    Origin { file: format!("policies/{policy}.yaml"), line }
}

pub(super) fn grant(on: &str, allow: &[Verb]) -> Grant {
    Grant {
        on: vec![RelationPattern::parse(on).unwrap()],
        allow: allow.iter().copied().collect(),
        ..Grant::default()
    }
}

impl Grant {
    pub(super) fn columns(mut self, verb: Verb, names: &[&str]) -> Self {
        self.columns.insert(verb, columns(names));
        self
    }

    pub(super) fn rows(mut self, text: &str) -> Self {
        self.rows = Some(text.into());
        self
    }

    pub(super) fn restrict(mut self, text: &str) -> Self {
        self.restrict = Some(text.into());
        self
    }
}

impl Policy {
    pub(super) fn grant(mut self, mut grant: Grant) -> Self {
        let line = u32::try_from(self.grants.len()).unwrap() + 10;
        grant.origin = origin(&self.name, line);
        self.grants.push(grant);
        self
    }

    pub(super) fn mask(mut self, on: &str, with: Mask) -> Self {
        let line = u32::try_from(self.masks.len()).unwrap() + 100;
        let origin = origin(&self.name, line);
        self.masks.push(MaskRule { on: vec![ColumnPattern::parse(on).unwrap()], with, origin });
        self
    }

    pub(super) fn functions(self, patterns: &[&str]) -> Self {
        let functions = patterns.iter().map(|text| RelationPattern::parse(text).unwrap()).collect();
        self.grant(Grant { functions, ..Grant::default() })
    }

    pub(super) fn for_groups(mut self, groups: &[&str]) -> Self {
        self.subjects.everyone = false;
        self.subjects.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self
    }

    pub(super) fn for_users(mut self, users: &[&str]) -> Self {
        self.subjects.everyone = false;
        self.subjects.users = users.iter().map(|user| (*user).to_owned()).collect();
        self
    }
}
