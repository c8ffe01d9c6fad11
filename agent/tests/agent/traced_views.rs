//! What views read and call: through other views, through functions as far as the server knows, and whole rows.

use crate::world::World;
use daam_catalog::{Catalog, FunctionKind, Identifier, RelationName, SearchPath};

const VIEWS: &str = "
CREATE FUNCTION public.peek() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT email FROM public.users LIMIT 1';
CREATE FUNCTION public.peek_pinned() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS 'SELECT email FROM public.users LIMIT 1';
CREATE FUNCTION public.standard(bigint) RETURNS text LANGUAGE sql STABLE
  BEGIN ATOMIC SELECT email FROM public.users WHERE id = $1; END;
CREATE FUNCTION public.through() RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT public.peek(); END;
CREATE FUNCTION public.plain() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE FUNCTION public.fixed() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION public.many(a int, b int DEFAULT 1, VARIADIC c text[] DEFAULT '{}') RETURNS int
  LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION public.alike(text, text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT true';
CREATE OPERATOR public.~~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = public.alike);
CREATE PROCEDURE public.tidy() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE public.total(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION public.step(text, int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT email FROM public.users LIMIT 1';
CREATE AGGREGATE public.peeking(int) (sfunc = public.step, stype = text);
CREATE VIEW public.by_call AS SELECT id, public.peek() AS p FROM public.orders;
CREATE VIEW public.by_standard AS SELECT public.standard(user_id) AS s FROM public.orders;
CREATE VIEW public.by_through AS SELECT public.through() AS t;
CREATE VIEW public.by_operator AS SELECT 'a' OPERATOR(public.~~~) 'b'::text AS same;
CREATE VIEW public.over_call AS SELECT p FROM public.by_call;
CREATE VIEW public.plain_call AS SELECT public.plain() AS n, public.fixed() AS f;
CREATE MATERIALIZED VIEW public.stored AS SELECT public.plain() AS n, public.fixed() AS f;
CREATE VIEW public.over_stored AS SELECT n FROM public.stored;
CREATE VIEW public.counted AS SELECT count(*) AS n FROM public.users;
CREATE VIEW public.over_counted AS SELECT n + 1 AS n FROM public.counted;
CREATE VIEW public.as_text AS SELECT u::text AS t FROM public.users u;
CREATE VIEW public.as_json AS SELECT to_jsonb(u) AS j, u.id FROM public.users u;
CREATE VIEW public.as_row AS SELECT row_to_json(u) AS j, u.id FROM (SELECT * FROM public.users) u;
CREATE VIEW public.in_aggregate AS SELECT count(email) AS n FROM public.users;
CREATE VIEW public.in_case AS SELECT CASE WHEN email LIKE 'a%' THEN 1 END AS n FROM public.users;
CREATE VIEW public.in_condition AS SELECT id FROM public.users WHERE email LIKE 'a%';
CREATE VIEW public.in_subquery AS SELECT id, (SELECT max(u.email) FROM public.users u) AS m FROM public.orders;
CREATE VIEW public.behind WITH (security_barrier = on) AS SELECT id FROM public.users;
";

fn relation<'a>(catalog: &'a Catalog, name: &str) -> &'a daam_catalog::Relation {
    &catalog.relations[&RelationName::stored("public", name).unwrap()]
}

async fn catalog() -> (World, std::sync::Arc<Catalog>) {
    let world = World::start().await;
    world.superuser.batch_execute(VIEWS).await.unwrap();
    let catalog = world.catalog().await;
    (world, catalog)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_column_is_read_however_a_view_computes_with_it() {
    let (_world, catalog) = catalog().await;
    let reads = |view: &str, column: &str| {
        let column = Identifier::stored(column).unwrap();
        let users = RelationName::stored("public", "users").unwrap();
        relation(&catalog, view).reads.iter().any(|read| read.relation == users && read.column == column)
    };
    for view in [
        "as_text",
        "as_json",
        "as_row",
        "in_aggregate",
        "in_case",
        "in_condition",
        "in_subquery",
        "by_standard",
    ] {
        assert!(reads(view, "email"), "{view}");
    }
    // A whole row is every column of it.
    for view in ["as_text", "as_json", "as_row"] {
        assert!(reads(view, "name") && reads(view, "region"), "{view}");
    }
    assert!(!reads("behind", "email") && !reads("in_aggregate", "name"));
    let counted = RelationName::stored("public", "users").unwrap();
    for view in ["counted", "over_counted"] {
        assert!(relation(&catalog, view).scans.contains(&counted), "{view}");
    }
    assert!(relation(&catalog, "in_aggregate").scans.is_empty(), "what is read is not said twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_tells_the_functions_that_run_with_other_rights_than_its_readers() {
    let (_world, catalog) = catalog().await;
    let calls = |view: &str| -> Vec<String> {
        relation(&catalog, view).calls.iter().map(ToString::to_string).collect()
    };
    assert_eq!(calls("by_call"), ["public.peek()"]);
    assert_eq!(calls("over_call"), ["public.peek()"]);
    assert_eq!(calls("by_through"), ["public.peek()"]);
    assert_eq!(calls("by_operator"), ["public.alike(text, text)"]);
    assert_eq!(calls("plain_call"), Vec::<String>::new(), "it runs with the rights of who reads the view");
    assert_eq!(calls("stored"), ["public.plain()"], "it ran with the rights of who made the rows");
    assert_eq!(calls("over_stored"), ["public.plain()"]);
    assert!(relation(&catalog, "behind").view.security_barrier);
    assert!(!relation(&catalog, "by_call").view.security_barrier);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_with_its_readers_rights_is_told_apart() {
    let (world, catalog) = catalog().await;
    if catalog.server.major() < 15 {
        return;
    }
    let sql = "CREATE VIEW public.theirs WITH (security_invoker = true) AS SELECT id FROM public.users";
    world.superuser.batch_execute(sql).await.unwrap();
    let catalog = world.catalog().await;
    assert!(relation(&catalog, "theirs").view.security_invoker);
    assert!(!relation(&catalog, "behind").view.security_invoker);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_tell_how_they_are_called_and_where_they_look_for_names() {
    let (_world, catalog) = catalog().await;
    let function =
        |name: &str| catalog.functions.values().find(|function| function.name.name.as_str() == name).unwrap();
    let many = &function("many").parameters;
    assert_eq!(
        (many.names.as_slice(), many.defaults, many.variadic),
        (&["a", "b", "c"].map(str::to_owned)[..], 2, true)
    );
    assert_eq!(function("standard").parameters, daam_catalog::Parameters::default());
    assert_eq!(function("peek").search_path, Some(SearchPath::Callers));
    assert_eq!(function("peek_pinned").search_path, Some(SearchPath::Pinned));
    assert_eq!(function("plain").search_path, None);
    assert_eq!(
        (function("tidy").kind, function("total").kind),
        (FunctionKind::Procedure, FunctionKind::Aggregate)
    );
    assert_eq!((function("plain").kind, &function("plain").untrusted), (FunctionKind::Function, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_made_of_a_function_with_other_rights_has_them_too() {
    let (_world, catalog) = catalog().await;
    let definer = |name: &str| {
        let mut named = catalog.functions.values().filter(|known| known.name.name.as_str() == name);
        let found = named.next().unwrap();
        found.security_definer && found.public_execute
    };
    assert!(definer("peeking") && definer("step") && !definer("total"));
}
