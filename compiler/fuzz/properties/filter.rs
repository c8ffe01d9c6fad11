//! A row filter of any content: refused, or read; then its canonical text is a filter that says the same, and what
//! reaches the server is one condition whatever the subject's values are.

use daam_catalog::{
    Catalog, Column, DataType, Identifier, Relation, RelationKind, RelationName, ServerVersion, TypeClass,
};
use daam_sql::typing::{AttributeKind, Environment, Judgement, Universe, judge};
use daam_sql::{BuiltInTypes, Filter, SubjectValue};
use std::collections::BTreeSet;
use std::sync::OnceLock;

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(text.is_char_boundary(error.offset), "a place outside the text");
            return;
        }
    };
    let canonical = filter.canonical();
    let again = Filter::parse(&canonical).expect("canonical text is a filter");
    assert_eq!(again.canonical(), canonical, "canonical text has two forms");
    assert_eq!(again.conjuncts(), filter.conjuncts());
    assert_eq!(names(&again), names(&filter), "canonical text is about something else");
    let (one, other) = (judged(&filter), judged(&again));
    assert_eq!(faults(&other), faults(&one), "canonical text has other types: {canonical}");
    assert_eq!((other.depends.len(), other.leaky.len()), (one.depends.len(), one.leaky.len()));
    let places = one.errors.iter().map(|error| error.offset).chain(one.leaky.iter().copied());
    assert!(places.into_iter().all(|offset| text.is_char_boundary(offset)), "a place outside the text");
    bound(&filter);
}

fn names(filter: &Filter) -> BTreeSet<String> {
    let columns =
        filter.columns().into_iter().map(|used| format!("column {:?} {}", used.qualifier, used.name));
    let relations = filter.relations().into_iter().map(|used| format!("{} {:?}", used.name, used.columns));
    let attributes = filter.attributes().into_iter().map(|used| format!("subject {}", used.name));
    let functions = filter
        .functions()
        .into_iter()
        .map(|used| format!("{}.{} {}", used.schema, used.name, used.arguments));
    columns.chain(relations).chain(attributes).chain(functions).collect()
}

fn faults(judgement: &Judgement) -> Vec<&str> {
    let mut faults: Vec<&str> = judgement.errors.iter().map(|error| error.message.as_str()).collect();
    faults.sort_unstable();
    faults
}

fn judged(filter: &Filter) -> Judgement {
    static KNOWN: OnceLock<(Relation, Universe)> = OnceLock::new();
    let (relation, universe) = KNOWN.get_or_init(|| {
        let catalog = Catalog { server: ServerVersion(170_000), ..Catalog::default() };
        (wide(), Universe::of(&catalog, &[]))
    });
    let find = |name: &RelationName| (name.schema.as_str() == "public").then_some(relation);
    let attribute = |name: &str| match name {
        "id" | "email" | "region" => Some(AttributeKind::Text),
        "tenant" => Some(AttributeKind::Uuid),
        "level" => Some(AttributeKind::Integer),
        "staff" => Some(AttributeKind::Boolean),
        "groups" => Some(AttributeKind::TextList),
        _ => None,
    };
    judge(filter, universe, &Environment { relation, find: &find, attribute: &attribute })
}

/// A column of almost every type.
fn wide() -> Relation {
    let columns = [
        ("id", "integer"),
        ("tenant_id", "uuid"),
        ("region", "text"),
        ("email", "character varying(80)"),
        ("created_at", "timestamp with time zone"),
        ("day", "date"),
        ("price", "numeric(10,2)"),
        ("active", "boolean"),
        ("data", "jsonb"),
        ("tags", "text[]"),
        ("span", "tstzrange"),
        ("address", "inet"),
        ("at", "time without time zone"),
        ("age", "interval"),
        ("raw", "bytea"),
        ("cost", "money"),
        ("bits", "bit varying"),
        ("search", "tsvector"),
        ("place", "point"),
        ("code", "character(4)"),
        ("big", "bigint"),
        ("rate", "double precision"),
    ];
    let name = |text: &str| Identifier::stored(text).expect("a name");
    let column = |(of, sql): (&str, &str)| {
        Column::new(name(of), DataType { sql: sql.to_owned(), class: TypeClass::Other })
    };
    let orders = RelationName { schema: name("public"), name: name("orders") };
    Relation {
        columns: columns.into_iter().map(column).collect(),
        ..Relation::new(orders, RelationKind::Table, name("owner"))
    }
}

/// With values, without any, and with hostile ones: always one condition on the server.
fn bound(filter: &Filter) {
    let absent = filter.bind("t", &|_| None, &BuiltInTypes);
    assert!(absent.missing.is_empty() || absent.sql == "false", "an absent attribute opens something");
    let hostile = "x') OR true; -- \\ $$ \u{e9}'";
    for kind in 0..5 {
        let value = |_: &str| {
            Some(match kind {
                0 => SubjectValue::Text(hostile.to_owned()),
                1 => SubjectValue::Uuid("00000000-0000-0000-0000-000000000000".to_owned()),
                2 => SubjectValue::Integer(i64::MIN),
                3 => SubjectValue::Boolean(true),
                _ => SubjectValue::TextArray(vec![hostile.to_owned(), String::new()]),
            })
        };
        let bound = filter.bind("t", &value, &BuiltInTypes);
        assert!(bound.missing.is_empty());
        one_condition(&bound.sql);
        if filter.attributes().is_empty() {
            break;
        }
    }
}

fn one_condition(sql: &str) {
    let statement = format!("SELECT 1 FROM public.orders t WHERE {sql}");
    match daam_sql::parse(&statement) {
        Ok(statements) => {
            assert_eq!(statements.len(), 1, "several statements: {statement}");
            let select = statements.first().and_then(|raw| raw.child("stmt")).expect("a statement");
            let clauses: BTreeSet<&str> = select.each_child().map(|(field, _)| field).collect();
            assert_eq!(
                clauses,
                BTreeSet::from(["from_clause", "target_list", "where_clause"]),
                "{statement}"
            );
        }
        // What is pinned is written longer and nests deeper than what was read.
        Err(daam_sql::ParseError::TooDeep) => {}
        Err(error) => panic!("PostgreSQL does not read `{statement}`: {error}"),
    }
}
