//! What introspection finds.

use crate::world::World;
use daam_catalog::{
    ColumnRef, Generated, Identifier, Privilege, Relation, RelationKind, RelationName, TypeClass, Volatility,
};

fn name(schema: &str, name: &str) -> RelationName {
    RelationName::stored(schema, name).unwrap()
}

fn column<'a>(relation: &'a Relation, column: &str) -> &'a daam_catalog::Column {
    relation.column(&Identifier::stored(column).unwrap()).unwrap()
}

fn names(list: &[Identifier]) -> Vec<&str> {
    list.iter().map(Identifier::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_says_what_the_database_contains() {
    let world = World::start().await;
    let catalog = world.catalog().await;
    assert!(catalog.server.major() >= 14);

    let users = &catalog.relations[&name("public", "users")];
    assert_eq!((users.kind, users.owner.as_str()), (RelationKind::Table, "shop_owner"));
    assert_eq!(names(&users.primary_key), ["id"]);
    assert_eq!(users.unique.iter().map(|key| names(key)).collect::<Vec<_>>(), [["email"]]);
    assert_eq!(users.comment.as_deref(), Some("people"));
    assert_eq!(column(users, "email").comment.as_deref(), Some("where to write"));
    let types: Vec<(&str, &str, TypeClass)> = users
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.data_type.sql.as_str(), column.data_type.class))
        .collect();
    assert_eq!(
        types,
        [
            ("id", "bigint", TypeClass::Integer),
            ("email", "text", TypeClass::Text),
            ("name", "character varying(40)", TypeClass::Text),
            ("initials", "text", TypeClass::Text),
            ("mood", "public.mood", TypeClass::Enum),
            ("zip", "public.zip", TypeClass::Domain),
            ("tags", "text[]", TypeClass::Array),
            ("region", "text", TypeClass::Text),
        ]
    );
    assert_eq!(column(users, "id").generated, Generated::Identity);
    assert_eq!(column(users, "id").sequence, Some(name("public", "users_id_seq")));
    assert_eq!(
        column(users, "initials").generated,
        Generated::From(vec![Identifier::stored("name").unwrap()])
    );
    assert!(column(users, "region").has_default && column(users, "region").not_null);

    let orders = &catalog.relations[&name("public", "orders")];
    assert_eq!(column(orders, "id").sequence, Some(name("public", "orders_id_seq")));
    assert_eq!(orders.foreign_keys[0].references, name("public", "users"));
    assert_eq!(names(&orders.foreign_keys[0].columns), ["user_id"]);

    assert_eq!(catalog.relations[&name("public", "events")].kind, RelationKind::PartitionedTable);
    assert_eq!(catalog.relations[&name("public", "events_2026")].parents, [name("public", "events")]);
    assert_eq!(catalog.relations[&name("public", "totals")].kind, RelationKind::MaterializedView);
    assert!(catalog.relations[&name("public", "notice")].public.contains(&Privilege::Select));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_read_base_columns_through_other_views_and_through_whole_rows() {
    let world = World::start().await;
    let catalog = world.catalog().await;
    let email = ColumnRef { relation: name("public", "users"), column: Identifier::stored("email").unwrap() };
    for view in ["contacts", "mails", "whole"] {
        assert!(catalog.relations[&name("public", view)].reads.contains(&email), "{view}");
    }
    assert!(!catalog.relations[&name("public", "totals")].reads.contains(&email));
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_listed_with_what_makes_them_dangerous() {
    let world = World::start().await;
    let catalog = world.catalog().await;
    let functions: Vec<_> = catalog
        .functions
        .values()
        .map(|f| (f.name.to_string(), f.security_definer, f.public_execute, f.volatility, f.returns.as_str()))
        .collect();
    assert_eq!(
        functions,
        [
            ("public.leak()".to_owned(), true, true, Volatility::Volatile, "integer"),
            ("public.twice(integer)".to_owned(), false, true, Volatility::Immutable, "integer"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn system_schemas_temporary_tables_and_extensions_are_left_out() {
    let world = World::start().await;
    world.superuser.batch_execute("CREATE TEMP TABLE scratch (id int)").await.unwrap();
    let catalog = world.catalog().await;
    let schemas: std::collections::BTreeSet<&str> =
        catalog.relations.keys().map(|name| name.schema.as_str()).collect();
    assert_eq!(schemas.into_iter().collect::<Vec<_>>(), ["hr", "public"]);
}
