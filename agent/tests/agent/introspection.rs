//! What introspection finds.

use crate::world::World;
use daam_agent::scope::ScopedCatalog;
use daam_catalog::{
    CastContext, ColumnRef, Generated, Identifier, Privilege, Relation, RelationKind, RelationName,
    RelationPattern, RowClass, Scope, TypeClass, UserTypeKind, Volatility,
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

/// What a lock says about types, with everything a column can be made of.
const TYPES: &str = "
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TYPE public.price AS (amount numeric(10,2), mood public.mood);
CREATE TYPE public.span AS RANGE (subtype = numeric);
CREATE DOMAIN public.strict_zip AS public.zip DEFAULT '1' NOT NULL;
CREATE TABLE public.odd (id int, handle citext, aliases citext[], price public.price, span public.span, zip public.strict_zip);
CREATE FUNCTION public.near(public.price, public.price) RETURNS boolean LANGUAGE sql STABLE LEAKPROOF AS 'SELECT true';
CREATE OPERATOR public.~~~ (LEFTARG = public.price, RIGHTARG = public.price, FUNCTION = public.near);
CREATE FUNCTION public.amount(public.price) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT ($1).amount';
CREATE CAST (public.price AS numeric) WITH FUNCTION public.amount(public.price) AS ASSIGNMENT;
CREATE INDEX ON public.odd (handle, (id + 1), aliases);
CREATE INDEX ON public.odd (id) WHERE id > 0;
ALTER TABLE public.odd ENABLE ROW LEVEL SECURITY;
INSERT INTO public.odd SELECT n FROM generate_series(1, 12000) n; ANALYZE public.odd;
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel VALUES ('public.odd'::regclass, 'pg_class'::regclass, 2, 'dlp', 'PII');
";

#[tokio::test(flavor = "multi_thread")]
async fn types_operators_and_casts_are_listed_with_those_of_extensions_that_columns_use() {
    let world = World::start().await;
    world.superuser.batch_execute(TYPES).await.unwrap();
    let catalog = world.catalog().await;
    let kind =
        |type_name: &str| catalog.types.get(&name("public", type_name)).map(|found| found.kind.clone());
    assert_eq!(kind("mood"), Some(UserTypeKind::Enum { labels: vec!["good".into(), "bad".into()] }));
    assert_eq!(kind("zip"), Some(UserTypeKind::Domain { base: "text".into(), not_null: false }));
    assert_eq!(kind("strict_zip"), Some(UserTypeKind::Domain { base: "public.zip".into(), not_null: true }));
    let fields = [("amount", "numeric(10,2)"), ("mood", "public.mood")];
    let fields = fields.map(|(name, sql)| (Identifier::stored(name).unwrap(), sql.to_owned())).to_vec();
    assert_eq!(kind("price"), Some(UserTypeKind::Composite { fields }));
    assert_eq!(kind("span"), Some(UserTypeKind::Range { subtype: "numeric".into() }));
    let citext = &catalog.types[&name("public", "citext")];
    assert_eq!((citext.category, citext.extension.as_ref().map(Identifier::as_str)), ('S', Some("citext")));
    assert_eq!(catalog.types.len(), 6, "neither hstore, which no column uses, nor rows and arrays");

    let operators: Vec<String> = catalog
        .operators
        .iter()
        .filter(|operator| !operator.function.arguments.iter().any(|argument| argument.contains("citext")))
        .map(|it| format!("{}.{} via {}", it.schema, it.name.as_str(), it.function))
        .collect();
    assert_eq!(operators, ["public.~~~ via public.near(public.price, public.price)"]);
    let equal =
        catalog.operators.iter().find(|it| it.name.as_str() == "=" && it.right == "public.citext").unwrap();
    assert_eq!((equal.left.as_deref(), equal.result.as_str()), (Some("public.citext"), "boolean"));
    assert!(!catalog.operators.iter().any(|it| it.right.contains("hstore")));
    let to_text = catalog.casts.iter().find(|it| it.from == "public.citext" && it.to == "text").unwrap();
    assert_eq!((to_text.context, &to_text.function), (CastContext::Implicit, &None));
    let amount = catalog.casts.iter().find(|it| it.from == "public.price").unwrap();
    assert_eq!(amount.context, CastContext::Assignment);
    assert!(catalog.casts.iter().all(|it| !it.from.contains("hstore")));

    let function = |text: &str| catalog.functions.values().find(|it| it.name.name.as_str() == text);
    assert!(function("near").unwrap().leakproof && function("near").unwrap().extension.is_none());
    assert_eq!(function("citext_eq").unwrap().extension.as_ref().unwrap().as_str(), "citext");
    assert!(function("citextin").is_none() && function("hstore_to_json").is_none());

    let odd = &catalog.relations[&name("public", "odd")];
    assert_eq!(odd.indexes.iter().map(|columns| names(columns)).collect::<Vec<_>>(), [["handle"]]);
    assert_eq!((odd.size, odd.row_security), (RowClass::Medium, true));
    assert_eq!(column(odd, "handle").security_label.as_deref(), Some("dlp: PII"));
    assert!(catalog.relations[&name("public", "users")].size == RowClass::Small);
    assert!(catalog.system.is_none(), "the report says nothing about the cluster");
    assert_eq!(world.full().await.unfiltered().system.as_ref().unwrap().len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_told_only_as_far_as_something_in_scope_is_made_of_them() {
    let world = World::start().await;
    let sql = "CREATE EXTENSION citext; CREATE SCHEMA far; CREATE TYPE far.kind AS ENUM ('far_a');
        CREATE TYPE public.unused AS ENUM ('unused_a'); CREATE TYPE public.mixed AS (kind far.kind);
        CREATE TABLE public.odd (handle citext, mood public.mood, mixed public.mixed);";
    world.superuser.batch_execute(sql).await.unwrap();
    let scope = |text: &str| Scope::Patterns(vec![RelationPattern::parse(text).unwrap()]);
    let types = |scoped: &ScopedCatalog| {
        scoped.catalog().types.keys().map(|name| name.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    let full = world.full().await;
    let odd = full.within(&scope("public.odd"));
    assert_eq!(types(&odd), ["citext", "mood"]);
    assert!(odd.catalog().operators.iter().any(|it| it.right == "public.citext"));
    assert!(!odd.report().to_string().contains("far_a"));
    assert!(types(&full.within(&scope("hr.*"))).is_empty());
    assert!(full.within(&scope("hr.*")).catalog().casts.is_empty());
    assert_eq!(types(&full.within(&scope("public.*"))), ["citext", "mood", "unused", "zip"]);
    assert_eq!(types(&full.within(&Scope::Absent)).len(), 6);
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

/// A name without a schema means a temporary object first, unless the path says that it comes last.
#[tokio::test(flavor = "multi_thread")]
async fn functions_that_look_for_names_where_their_caller_says_are_told_apart() {
    let world = World::start().await;
    let body = "AS 'SELECT true'";
    let pinned = |name: &str, path: &str| {
        format!(
            "CREATE FUNCTION public.{name}() RETURNS bool LANGUAGE sql STABLE SET search_path = {path} {body};"
        )
    };
    let sql = [
        format!("CREATE FUNCTION public.callers() RETURNS bool LANGUAGE sql STABLE {body};"),
        format!("CREATE FUNCTION public.moving() RETURNS bool LANGUAGE sql VOLATILE {body};"),
        pinned("temporary_first", "public"),
        pinned("temporary_first_too", "pg_temp, public"),
        pinned("temporary_last", "public, pg_temp"),
        pinned("only_built_in", "pg_catalog"),
        pinned("nothing", "''"),
        "CREATE FUNCTION public.bound() RETURNS bool LANGUAGE sql STABLE \
         BEGIN ATOMIC SELECT EXISTS (SELECT FROM public.orders); END; \
         CREATE FUNCTION public.calls() RETURNS bool LANGUAGE sql STABLE BEGIN ATOMIC SELECT public.callers(); END;"
            .to_owned(),
    ];
    world.superuser.batch_execute(&sql.concat()).await.unwrap();
    let catalog = world.catalog().await;
    let steerable: Vec<&str> = catalog
        .functions
        .values()
        .filter(|function| !function.security_definer && function.is_steerable())
        .map(|function| function.name.name.as_str())
        .collect();
    // `twice` of the fixture is one, too.
    assert_eq!(
        steerable,
        ["callers", "calls", "nothing", "only_built_in", "temporary_first", "temporary_first_too", "twice"]
    );
    let known = |name: &str| {
        let found = catalog.functions.values().find(|function| function.name.name.as_str() == name);
        found.unwrap().search_path.is_some()
    };
    assert!(known("bound") && known("nothing") && !known("moving"));
}
