//! Ways to run a function with its owner's rights that no policy grants, and other doors PostgreSQL leaves open.

use crate::shop;
use daam_catalog::{Catalog, Function, FunctionName};
use daam_enforce::{Refusal, RewriteContext, Rewritten, rewrite};

fn add(catalog: &mut Catalog, schema: &str, name: &str, arguments: &[&str]) {
    let name = FunctionName {
        schema: shop::id(schema),
        name: shop::id(name),
        arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
    };
    let function = Function {
        security_definer: true,
        public_execute: true,
        returns: "text".to_owned(),
        ..Function::new(name.clone(), shop::id("shop_owner"))
    };
    catalog.functions.insert(name, function);
}

fn with_path(sql: &str, path: &[&str]) -> Result<Rewritten, Refusal> {
    let mut catalog = shop::catalog(170_000);
    add(&mut catalog, "other", "secret", &[]);
    add(&mut catalog, "public", "leak", &["notes"]);
    add(&mut catalog, "public", "leak_any", &["anyelement"]);
    add(&mut catalog, "public", "body_of", &["integer"]);
    let plan = shop::plan(&catalog);
    let path: Vec<_> = path.iter().map(|name| shop::id(name)).collect();
    rewrite(sql, &RewriteContext { plan: &plan, catalog: &catalog, search_path: &path })
}

fn refused(sql: &str, path: &[&str]) {
    match with_path(sql, path) {
        Err(refusal) => assert_eq!(refusal.sqlstate, "42501", "{sql}"),
        Ok(rewritten) => panic!("{sql} became {}", rewritten.sql),
    }
}

#[test]
fn a_path_changed_on_the_way_reaches_no_function() {
    for sql in [
        "SET search_path = public; SELECT first_email()",
        "SET LOCAL search_path = other; SELECT secret()",
        "SELECT set_config('search_path', 'other', false); SELECT secret()",
        "RESET ALL; SELECT first_email()",
        "ROLLBACK; SELECT first_email()",
        "PREPARE p AS SELECT secret()",
    ] {
        refused(sql, &["pg_catalog"]);
    }
    with_path("SELECT secret()", &["public"]).unwrap();
    refused("SELECT secret()", &["other"]);
    with_path("PREPARE p AS SELECT lower(body) FROM notes; SET search_path = other", &["public"]).unwrap();
}

#[test]
fn a_row_written_like_a_column_calls_no_function() {
    for sql in [
        "SELECT n.leak FROM notes n",
        "SELECT (n).leak FROM notes n",
        "SELECT public.notes.leak FROM public.notes",
        "SELECT (SELECT n).leak_any FROM notes n",
        "SELECT ((n)).leak_any FROM notes n",
    ] {
        refused(sql, &["public"]);
    }
    with_path("SELECT n.body_of, n.body, (n).body FROM notes n", &["public"]).unwrap();
}

#[test]
fn settings_are_set_with_set_alone() {
    refused("UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'", &["public"]);
    refused("UPDATE pg_catalog.pg_settings SET setting = 'x'", &["public"]);
    with_path("SELECT * FROM pg_settings", &["public"]).unwrap();
}

#[test]
fn what_others_send_is_not_for_everyone() {
    refused("LISTEN changes", &["public"]);
    with_path("UNLISTEN *", &["public"]).unwrap();
    with_path("NOTIFY changes, 'mine'", &["public"]).unwrap();
}

#[test]
fn a_setting_named_by_a_column_may_be_any_setting() {
    let dumped = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'x'";
    let rewritten = with_path(dumped, &["public"]).unwrap();
    assert!(
        rewritten.sql.starts_with("SELECT set_config(name, 'foreign-table', false)"),
        "{}",
        rewritten.sql
    );
    let class = rewritten.class;
    assert!(class.may_change_search_path() && class.may_begin_read_only());
    refused("SELECT set_config(name, setting, false) FROM pg_settings", &["public"]);
    refused("SELECT set_config(name, 'daam_p_1', false) FROM pg_settings", &["public"]);
    refused("SELECT set_config('role', 'none', false)", &["public"]);
    refused(&format!("{dumped}; SELECT secret()"), &["public"]);
}
