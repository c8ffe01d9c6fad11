//! The file form keeps everything and refuses everything else.

use super::*;
use crate::catalog::{
    Column, ColumnRef, ForeignKey, Function, FunctionKind, Generated, Parameters, Privilege, Relation,
    RelationKind, RowClass, SearchPath, ServerVersion, ViewOptions, Volatility,
};
use crate::data_type::{DataType, TypeClass};
use crate::name::{FunctionName, Identifier, RelationName};
use crate::user_type::{CastContext, UserCast, UserOperator, UserType, UserTypeKind};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

fn identifier() -> impl Strategy<Value = Identifier> {
    "[a-zA-Z_\"./ é-]{1,12}".prop_map(|text| Identifier::stored(text).unwrap())
}

fn schema() -> impl Strategy<Value = Identifier> {
    prop_oneof![Just("public".to_owned()), Just("lock".to_owned()), "[a-oA-O./%é]{1,6}"]
        .prop_map(|text| Identifier::stored(text).unwrap())
}

fn relation_name() -> impl Strategy<Value = RelationName> {
    (schema(), identifier()).prop_map(|(schema, name)| RelationName { schema, name })
}

fn class() -> impl Strategy<Value = TypeClass> {
    use TypeClass as C;
    prop::sample::select(vec![
        C::Text,
        C::Uuid,
        C::Integer,
        C::Numeric,
        C::Float,
        C::Boolean,
        C::Date,
        C::Timestamp,
        C::TimestampTz,
        C::Time,
        C::Inet,
        C::Cidr,
        C::Json,
        C::Jsonb,
        C::Bytea,
        C::Array,
        C::Enum,
        C::Domain,
        C::Other,
    ])
}

fn column() -> impl Strategy<Value = Column> {
    let generated =
        prop_oneof![Just(Generated::No), Just(Generated::Identity), Just(Generated::From(vec![]))];
    let flags = (any::<bool>(), any::<bool>());
    let extras = (prop::option::of(relation_name()), prop::option::of("\\PC{0,8}"));
    (identifier(), "[a-z ]{1,8}", class(), generated, flags, extras).prop_map(
        |(name, sql, class, generated, (not_null, has_default), (sequence, comment))| Column {
            not_null,
            has_default,
            generated,
            sequence,
            security_label: comment.clone(),
            comment,
            ..Column::new(name, DataType { sql, class })
        },
    )
}

fn relation() -> impl Strategy<Value = Relation> {
    use RelationKind as K;
    let kinds = [K::Table, K::PartitionedTable, K::View, K::MaterializedView, K::ForeignTable];
    let kind = prop::sample::select(kinds.to_vec());
    let reads = prop::collection::btree_set(
        (relation_name(), identifier()).prop_map(|(relation, column)| ColumnRef { relation, column }),
        0..3,
    );
    let public = prop::collection::btree_set(
        prop::sample::select(vec![
            Privilege::Select,
            Privilege::Insert,
            Privilege::Truncate,
            Privilege::Execute,
        ]),
        0..3,
    );
    let links = (prop::collection::vec(relation_name(), 0..2), reads, public);
    let columns = prop::collection::btree_map(identifier(), column(), 0..5);
    (relation_name(), kind, identifier(), columns, links, any::<bool>(), prop::option::of("\\PC{0,8}"))
        .prop_map(|(name, kind, owner, columns, (parents, reads, public), triggers, comment)| {
            let mut columns: Vec<Column> =
                columns.into_iter().map(|(name, column)| Column { name, ..column }).collect();
            let names: Vec<Identifier> = columns.iter().map(|column| column.name.clone()).collect();
            for column in &mut columns {
                if let Generated::From(reads) = &mut column.generated {
                    reads.clone_from(&names);
                }
            }
            let foreign_keys = names
                .first()
                .map(|first| ForeignKey {
                    columns: vec![first.clone()],
                    references: name.clone(),
                    referenced: names.clone(),
                })
                .into_iter()
                .collect();
            let reads_of: BTreeSet<RelationName> = parents.iter().cloned().collect();
            let unique: Vec<_> = names.iter().rev().map(|name| vec![name.clone()]).collect();
            Relation {
                columns,
                primary_key: names,
                indexes: unique.clone(),
                unique,
                foreign_keys,
                parents,
                reads,
                rules: public.clone(),
                public,
                triggers,
                row_security: triggers,
                size: if triggers { RowClass::Empty } else { RowClass::Large },
                comment,
                scans: reads_of.clone(),
                calls: reads_of.iter().map(over_text).collect(),
                view: ViewOptions { security_barrier: triggers, security_invoker: !triggers },
                ..Relation::new(name, kind, owner)
            }
        })
}

/// A function of that name.
fn over_text(name: &RelationName) -> FunctionName {
    let RelationName { schema, name } = name.clone();
    FunctionName { schema, name, arguments: vec!["text".to_owned()] }
}

fn function() -> impl Strategy<Value = Function> {
    let volatility =
        prop::sample::select(vec![Volatility::Immutable, Volatility::Stable, Volatility::Volatile]);
    let arguments = prop::collection::vec("[a-z]{1,5}", 0..3);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (relation_name(), arguments, identifier(), volatility, flags).prop_map(
        |(RelationName { schema, name }, arguments, owner, volatility, flags)| Function {
            volatility,
            security_definer: flags.0,
            public_execute: flags.1,
            returns: "text".into(),
            returns_set: flags.2,
            leakproof: flags.2,
            extension: flags.1.then(|| owner.clone()),
            kind: if flags.2 { FunctionKind::Aggregate } else { FunctionKind::Function },
            parameters: Parameters {
                names: arguments.clone(),
                defaults: usize::from(flags.0),
                variadic: flags.1,
            },
            search_path: flags.0.then_some(if flags.1 { SearchPath::Pinned } else { SearchPath::Callers }),
            untrusted: flags.2.then(|| "plperlu".to_owned()),
            reaches: flags.1.then(|| "runs text as SQL".to_owned()),
            ..Function::new(FunctionName { schema, name, arguments }, owner)
        },
    )
}

fn user_type() -> impl Strategy<Value = (RelationName, UserType)> {
    let kind = prop_oneof![
        prop::collection::vec("\\PC{1,6}", 0..3).prop_map(|labels| UserTypeKind::Enum { labels }),
        any::<bool>().prop_map(|not_null| UserTypeKind::Domain { base: "text".into(), not_null }),
        prop::collection::vec((identifier(), "[a-z ]{1,8}"), 0..3)
            .prop_map(|fields| UserTypeKind::Composite { fields }),
        Just(UserTypeKind::Range { subtype: "integer".into() }),
        Just(UserTypeKind::Base),
    ];
    let rest = ("[A-Z]", any::<bool>(), prop::option::of(identifier()));
    (relation_name(), kind, rest).prop_map(|(name, kind, (category, preferred, extension))| {
        (name, UserType { kind, category: category.chars().next().unwrap(), preferred, extension })
    })
}

fn operator() -> impl Strategy<Value = UserOperator> {
    (schema(), "[+*/<>=~!@#%^&|-]{1,3}", prop::option::of("[a-z]{1,5}"), function()).prop_map(
        |(schema, name, left, function)| UserOperator {
            schema,
            name: Identifier::stored(name).unwrap(),
            left,
            right: "text".into(),
            result: "boolean".into(),
            function: function.name,
        },
    )
}

fn cast() -> impl Strategy<Value = UserCast> {
    use CastContext as C;
    let context = prop::sample::select(vec![C::Implicit, C::Assignment, C::Explicit]);
    ("[a-z]{1,5}", "[a-z]{1,5}", context, prop::option::of(function())).prop_map(
        |(from, to, context, function)| UserCast {
            from,
            to,
            context,
            function: function.map(|function| function.name),
        },
    )
}

/// Any catalogue a snapshot can hold.
pub(crate) fn any_catalog() -> impl Strategy<Value = Catalog> {
    let relations = prop::collection::vec(relation(), 0..5);
    let functions = prop::collection::vec(function(), 0..3);
    let types = prop::collection::btree_map(relation_name(), user_type().prop_map(|it| it.1), 0..4);
    let operators = prop::collection::vec(operator(), 0..3);
    let casts = prop::collection::vec(cast(), 0..3);
    let system = prop::option::of("[0-9a-f]{8}");
    (0_u32..190_000, relations, functions, types, operators, casts, system).prop_map(
        |(server, relations, functions, types, operators, casts, system)| {
            let by_operands = |it: UserOperator| ((it.schema.clone(), it.name.clone(), it.left.clone()), it);
            let operators: BTreeMap<_, _> = operators.into_iter().map(by_operands).collect();
            let casts: BTreeMap<_, _> =
                casts.into_iter().map(|it| ((it.from.clone(), it.to.clone()), it)).collect();
            Catalog {
                server: ServerVersion(server),
                relations: relations.into_iter().map(|relation| (relation.name.clone(), relation)).collect(),
                functions: functions.into_iter().map(|function| (function.name.clone(), function)).collect(),
                types,
                operators: operators.into_values().collect(),
                casts: casts.into_values().collect(),
                captured: system.as_ref().map(|_| "2026-11-22".to_owned()),
                system,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_catalogue_survives_its_file_form(catalog in any_catalog()) {
        prop_assert_eq!(from_json(&to_json(&catalog)).unwrap(), catalog);
    }

    #[test]
    fn no_json_makes_the_reader_panic(text in "\\PC{0,60}") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            prop_assert!(from_json(&value).is_err());
        }
    }
}

fn minimal() -> Value {
    json!({
        "version": 2,
        "server_version": 150_018,
        "relations": [{
            "schema": "public", "name": "users", "kind": "table", "owner": "app",
            "columns": [{ "name": "id", "type": "integer", "class": "integer" }]
        }],
        "functions": []
    })
}

/// The minimal snapshot with one value replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut snapshot = minimal();
    *snapshot.pointer_mut(pointer).unwrap() = value;
    snapshot
}

#[test]
fn absent_means_no_for_everything_that_is_usually_no() {
    let catalog = from_json(&minimal()).unwrap();
    let users = catalog.relation(&RelationName::stored("public", "users").unwrap()).unwrap();
    assert!(!users.columns[0].not_null && users.primary_key.is_empty() && !users.triggers);
    assert_eq!(catalog.server.major(), 15);
}

#[test]
fn what_is_not_a_snapshot_is_refused() {
    let refused = |value: &Value| from_json(value).unwrap_err();
    assert!(matches!(refused(&with("/version", json!(1))), SnapshotError::Version(1)));
    assert!(matches!(refused(&json!({})), SnapshotError::Shape(_)));
    let kind = with("/relations/0/kind", json!("sequence"));
    assert!(matches!(refused(&kind), SnapshotError::Shape(_)));
    let mut unknown = minimal();
    unknown["relations"][0]["colour"] = json!("red");
    assert!(matches!(refused(&unknown), SnapshotError::Shape(_)));
}

#[test]
fn impossible_catalogues_are_refused() {
    let refused = |value: &Value| from_json(value).unwrap_err();
    let system = with("/relations/0/schema", json!("pg_catalog"));
    assert!(matches!(refused(&system), SnapshotError::SystemSchema(_)));
    let empty = with("/relations/0/columns/0/name", json!(""));
    assert!(matches!(refused(&empty), SnapshotError::Name { .. }));
    let mut twice = minimal();
    let users = twice["relations"][0].clone();
    twice["relations"].as_array_mut().unwrap().push(users);
    assert!(matches!(refused(&twice), SnapshotError::Duplicate(_)));
    let mut column_twice = minimal();
    let id = column_twice["relations"][0]["columns"][0].clone();
    column_twice["relations"][0]["columns"].as_array_mut().unwrap().push(id);
    assert!(matches!(refused(&column_twice), SnapshotError::Duplicate(_)));
    let mut key = minimal();
    key["relations"][0]["primary_key"] = json!(["gone"]);
    assert!(matches!(refused(&key), SnapshotError::NoSuchColumn { .. }));
    let mut cast = minimal();
    let to_text = json!({ "from": "public.mood", "to": "text", "context": "implicit" });
    cast["casts"] = json!([to_text, to_text]);
    assert!(matches!(refused(&cast), SnapshotError::Duplicate(_)));
    let mut system_type = minimal();
    system_type["types"] = json!([{ "schema": "pg_catalog", "name": "mood", "definition": "base" }]);
    assert!(matches!(refused(&system_type), SnapshotError::SystemSchema(_)));
}
