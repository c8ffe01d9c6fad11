//! Ways to run a function with its owner's rights that no policy grants, and other doors PostgreSQL leaves open.

use crate::shop;
use daam_catalog::{CastContext, Catalog, Function, FunctionName, UserCast, UserOperator};
use daam_enforce::{Refusal, RewriteContext, Rewritten, numbered_types, rewrite};

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
    add(&mut catalog, "public", "leak", &["public.notes"]);
    add(&mut catalog, "public", "leak_any", &["anyelement"]);
    add(&mut catalog, "public", "leak_pair", &["public.pair", "integer"]);
    add(&mut catalog, "public", "body_of", &["integer"]);
    add(&mut catalog, "public", "secret_of", &["text"]);
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
    // By ways nobody sees: a view whose expression sets it, a function that does.
    refused("SELECT secret()", &["public"]);
    refused("SELECT secret()", &["other"]);
    with_path("SELECT pg_catalog.secret()", &["other"]).unwrap();
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
        // The rows of a typed table have a type that stands alone; its other arguments have defaults.
        "SELECT t.leak_pair FROM t",
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
    // Through a view of one's own it would be another name.
    refused("CREATE TEMP VIEW s AS SELECT name, setting FROM pg_settings", &["public"]);
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
    assert!(rewritten.class.may_change_search_path());
    for value in ["off", "SJIS", "pg_catalog", "view, off", ""] {
        let sql = format!("SELECT set_config(x.n, '{value}', false) FROM (VALUES ('a' || 'b')) x(n)");
        refused(&sql, &["public"]);
    }
    refused("SELECT set_config(name, setting, false) FROM pg_settings", &["public"]);
    refused("SELECT set_config(name, 'daam_p_1', false) FROM pg_settings", &["public"]);
    refused("SELECT set_config('role', 'none', false)", &["public"]);
    refused(&format!("{dumped}; SELECT secret()"), &["public"]);
}

#[test]
fn texts_are_read_by_the_server_as_by_the_agent_however_a_setting_is_spelt() {
    for sql in [
        "SET standard_conforming_strings = off",
        "SET U&\"standard\\005fconforming_strings\" = off",
        "SET LOCAL standard_conforming_strings TO E'o\\x66f'",
        "SELECT set_config(E'standard\\x5fconforming_strings', 'off', false)",
        "SELECT set_config('standard_conforming_strings', lower('OFF'), false)",
        "SELECT set_config('standard_' || 'conforming_strings', 'off', false)",
        "SET client_encoding = 'SJIS'",
        "SET U&\"client\\005fencoding\" = 'sjis'",
        "SET NAMES E'\\x53JIS'",
        "SELECT set_config('client_encoding', 'BIG5', false)",
    ] {
        let refusal = with_path(sql, &["public"]).unwrap_err();
        assert!(matches!(refusal.sqlstate, "0A000" | "42501"), "{sql}: {refusal:?}");
    }
    for sql in [
        "SET standard_conforming_strings = on",
        "SET standard_conforming_strings TO DEFAULT",
        "RESET client_encoding",
        "SET client_encoding = 'UTF8'",
        "SET NAMES 'latin1'",
        "SET client_encoding TO 'WIN1252'",
        "SELECT set_config('client_encoding', 'utf-8', false)",
    ] {
        with_path(sql, &["public"]).unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
    }
}

#[test]
fn what_runs_later_does_not_change_the_path() {
    refused("PREPARE s AS SELECT set_config('search_path', 'public', false)", &["pg_catalog"]);
    refused("DECLARE c CURSOR FOR SELECT set_config('search_path', 'public', false)", &["pg_catalog"]);
    with_path("SELECT set_config('search_path', '', false)", &["public"]).unwrap();
    with_path("PREPARE s AS SELECT set_config('work_mem', '4MB', false)", &["public"]).unwrap();
}

/// As [`with_path`], with operators made of functions that everyone may execute, and of one nobody may.
fn with_operators(sql: &str) -> Result<Rewritten, Refusal> {
    let mut catalog = shop::catalog(170_000);
    for (function, symbol) in [("peek", "####"), ("same", "="), ("shut", "@@@@")] {
        add(&mut catalog, "other", function, &["integer", "integer"]);
        let made = catalog.functions.values_mut().find(|known| known.name.name.as_str() == function).unwrap();
        made.public_execute = function != "shut";
        catalog.operators.insert(UserOperator {
            schema: shop::id("other"),
            name: shop::id(symbol),
            left: Some("integer".to_owned()),
            right: "integer".to_owned(),
            result: "text".to_owned(),
            function: made.name.clone(),
        });
    }
    let plan = shop::plan(&catalog);
    rewrite(sql, &RewriteContext { plan: &plan, catalog: &catalog, search_path: &[shop::id("public")] })
}

#[test]
fn an_operator_of_postgresqls_symbols_calls_none_either() {
    let mut catalog = shop::catalog(170_000);
    add(&mut catalog, "other", "joined", &["integer", "integer"]);
    add(&mut catalog, "other", "same", &["other.kind", "other.kind"]);
    for (symbol, function, operand) in [("||", "joined", "integer"), ("=", "same", "other.kind")] {
        let made = catalog.functions.values().find(|known| known.name.name.as_str() == function).unwrap();
        catalog.operators.insert(UserOperator {
            schema: shop::id("other"),
            name: shop::id(symbol),
            left: Some(operand.to_owned()),
            right: operand.to_owned(),
            result: "text".to_owned(),
            function: made.name.clone(),
        });
    }
    let plan = shop::plan(&catalog);
    let path = [shop::id("public")];
    let rewritten =
        |sql: &str| rewrite(sql, &RewriteContext { plan: &plan, catalog: &catalog, search_path: &path });
    for sql in [
        "SELECT 2 || 1",
        "SELECT row('a')::other.kind",
        "CREATE TEMP TABLE t (a kind)",
        "CREATE TEMP TABLE t (LIKE public.notes INCLUDING GENERATED)",
        "CREATE TEMP TABLE t (LIKE public.notes INCLUDING ALL)",
    ] {
        assert_eq!(rewritten(sql).expect_err(sql).sqlstate, "42501", "{sql}");
    }
    rewritten("SELECT id FROM notes WHERE id = 1 AND body = 'x'").unwrap();
    rewritten("CREATE TEMP TABLE t (LIKE public.notes INCLUDING COMMENTS INCLUDING STORAGE)").unwrap();
}

#[test]
fn an_operator_calls_no_function_that_may_not_be_called() {
    for sql in [
        "SELECT 1 #### 2",
        "SELECT 1 OPERATOR(other.####) 2",
        "SELECT id FROM notes WHERE id #### 1 IS NOT NULL",
        "SELECT 1 #### ANY (ARRAY[1])",
        "SELECT 1 #### ALL (SELECT id FROM notes)",
        "SELECT id FROM notes ORDER BY id USING ####",
        "SELECT 1 OPERATOR(other.=) 2",
        "SELECT id FROM notes WHERE id = 1",
    ] {
        let refusal = with_operators(sql).expect_err(sql);
        assert_eq!(refusal.sqlstate, "42501", "{sql}");
        assert!(refusal.message.contains("function `other."), "{}", refusal.message);
    }
    // Another operator, a symbol of PostgreSQL's own, one the server itself refuses.
    with_operators("SELECT id FROM notes WHERE id OPERATOR(pg_catalog.=) 1").unwrap();
    with_operators("SELECT 1 < 2, 1 @@@@ 2").unwrap();
}

#[test]
fn a_value_written_like_a_row_calls_no_function() {
    for sql in [
        "SELECT (1).body_of",
        "SELECT ('j'::text).body_of",
        "SELECT ($1).secret_of FROM notes",
        "SELECT ((SELECT id FROM notes LIMIT 1)).body_of",
        "SELECT x.body_of FROM generate_series(1, 2) x",
        "SELECT generate_series.body_of FROM generate_series(1, 2)",
        "SELECT (SELECT x.body_of) FROM notes, LATERAL unnest(ARRAY[id]) x",
        "UPDATE notes SET body = x.body_of FROM unnest(ARRAY[1]) x",
        "SELECT ('select 1'::text).ts_stat",
        "SELECT x.ts_stat FROM unnest(ARRAY['select 1']) x",
        "SELECT (16384::oid).pg_stat_get_tuples_returned",
    ] {
        refused(sql, &["public"]);
    }
    with_path("SELECT n.body_of, (n).body, x.x, generate_series FROM notes n, generate_series(1, 2), unnest(ARRAY[1]) x", &["public"]).unwrap();
}

#[test]
fn what_newer_servers_take_for_syntax_calls_no_function_on_older_ones() {
    let mut catalog = shop::catalog(150_000);
    for name in ["json_value", "json_exists", "json_scalar", "json_serialize", "json_array", "json_object"] {
        add(&mut catalog, "public", name, &["jsonb", "text"]);
    }
    let plan = shop::plan(&catalog);
    let path = [shop::id("public")];
    let rewritten =
        |sql: &str| rewrite(sql, &RewriteContext { plan: &plan, catalog: &catalog, search_path: &path });
    for sql in [
        "SELECT json_value('{}'::jsonb, 'x')",
        "SELECT json_exists('{}'::jsonb, 'x')",
        "SELECT json_scalar('x')",
        "SELECT json_serialize('{}')",
        "SELECT json_array('x', 'y')",
        "SELECT json_array(SELECT 1)",
        "SELECT json_object('{a,1}')",
        "SELECT json_object('a': 1)",
    ] {
        assert_eq!(rewritten(sql).expect_err(sql).sqlstate, "42501", "{sql}");
    }
    with_path("SELECT json_value('{}'::jsonb, 'x'), json_array('x'), json_object('{a,1}')", &["public"])
        .unwrap();
    // Of the forms it has, each is its own function's.
    catalog.functions.retain(|name, _| name.name.as_str() == "json_exists");
    let rewritten =
        |sql: &str| rewrite(sql, &RewriteContext { plan: &plan, catalog: &catalog, search_path: &path });
    rewritten("SELECT json_value('{}'::jsonb, 'x')").unwrap();
    rewritten("SELECT json_exists('{}'::jsonb, 'x')").unwrap_err();
    let mut newer = shop::catalog(170_000);
    add(&mut newer, "public", "json_value", &["jsonb", "text"]);
    let plan = shop::plan(&newer);
    let context = RewriteContext { plan: &plan, catalog: &newer, search_path: &path };
    rewrite("SELECT json_value('{}'::jsonb, 'x')", &context).unwrap();
}

#[test]
fn a_cast_calls_no_function_that_may_not_be_called() {
    let mut catalog = shop::catalog(170_000);
    add(&mut catalog, "other", "told", &["public.code"]);
    add(&mut catalog, "other", "plain", &["public.other_code"]);
    for (from, function) in [("public.code", "told"), ("public.other_code", "plain")] {
        let made = catalog.functions.values_mut().find(|known| known.name.name.as_str() == function).unwrap();
        made.security_definer = function == "told";
        let cast = UserCast {
            from: from.to_owned(),
            to: "text".to_owned(),
            context: CastContext::Implicit,
            function: Some(made.name.clone()),
        };
        catalog.casts.insert(cast);
    }
    for (name, arguments, returns) in
        [("coded_by", &["public.code"][..], "integer"), ("made", &[], "public.code[]")]
    {
        add(&mut catalog, "other", name, arguments);
        let made = catalog.functions.values_mut().find(|known| known.name.name.as_str() == name).unwrap();
        (made.security_definer, made.returns) = (false, returns.to_owned());
    }
    let coded = shop::table("public.coded", &[("id", "integer"), ("code", "public.code")]);
    catalog.relations.insert(coded.name.clone(), coded);
    let plan = shop::plan(&catalog);
    let path = [shop::id("public")];
    let rewritten =
        |sql: &str| rewrite(sql, &RewriteContext { plan: &plan, catalog: &catalog, search_path: &path });
    for sql in [
        "SELECT row('a')::public.code",
        "SELECT ('a'::code)::text",
        "SELECT CAST('{a}' AS code[])",
        "CREATE TEMP TABLE t (c public.code)",
        "SELECT * FROM coded",
        "INSERT INTO coded VALUES (1, 'x')",
    ] {
        let refusal = rewritten(sql).expect_err(sql);
        assert!(
            refusal.sqlstate == "42501" && refusal.message.contains("cast, checked or compared by function"),
            "{sql}: {refusal:?}"
        );
    }
    for sql in [
        "SELECT pg_input_is_valid('2', 'code')",
        "SELECT coded_by('a')",
        "SELECT made()",
        "CREATE DOMAIN pg_temp.d AS code",
    ] {
        let refusal = rewritten(sql).expect_err(sql);
        assert!(
            refusal.sqlstate == "42501" && refusal.message.contains("`public.code`"),
            "{sql}: {refusal:?}"
        );
    }
    rewritten("SELECT 'a'::public.other_code, '1'::text, body::text FROM notes").unwrap();
    // By number the text does not name it.
    let context = RewriteContext { plan: &plan, catalog: &catalog, search_path: &path };
    assert_eq!(numbered_types(&context).expect_err("a number").sqlstate, "42501");
    catalog.casts.clear();
    numbered_types(&RewriteContext { plan: &plan, catalog: &catalog, search_path: &path }).unwrap();
}

#[test]
fn counters_of_the_whole_server_count_hidden_rows_too() {
    for sql in [
        "SELECT tup_fetched FROM pg_stat_database",
        "SELECT * FROM pg_catalog.pg_stat_database",
        "SELECT * FROM pg_stat_io",
        "SELECT * FROM pg_stat_bgwriter",
        "SELECT pg_stat_get_db_tuples_fetched(1)",
        "SELECT pg_stat_get_backend_io(1)",
        "SELECT pg_catalog.pg_stat_get_numscans(1)",
        "SELECT shared_blks_hit FROM pg_stat_statements(true)",
        "SELECT * FROM public.pg_stat_statements(true)",
        "SELECT pg_stat_kcache()",
        "SELECT * FROM pg_qualstats()",
        "SELECT * FROM pg_buffercache_pages() AS p(a int)",
        "SELECT pgstattuple('notes')",
    ] {
        refused(sql, &["public"]);
    }
    for sql in [
        "SELECT * FROM pg_stat_activity",
        "SELECT pg_stat_get_backend_pid(1), pg_stat_get_activity(1)",
        "SELECT * FROM pg_stat_progress_analyze",
        "SELECT * FROM pg_stat_replication, pg_stat_ssl",
        "SELECT pg_stat_clear_snapshot(), pg_statistics_obj_is_visible(1)",
    ] {
        with_path(sql, &["public"]).unwrap();
    }
}

#[test]
fn a_name_like_postgresqls_own_means_nothing_else() {
    let rewritten =
        with_path("SELECT pg_stat_ssl.pid, relname FROM pg_stat_ssl, pg_class c", &["public"]).unwrap();
    assert_eq!(
        rewritten.sql,
        "SELECT pg_stat_ssl.pid, relname FROM pg_catalog.pg_stat_ssl, pg_catalog.pg_class c"
    );
}
