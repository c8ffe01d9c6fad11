//! What a row filter may say, how it is stored, and what it becomes.

use daam_sql::{BuiltInTypes, Filter, SubjectValue};
use proptest::prelude::*;

fn subject(name: &str) -> Option<SubjectValue> {
    match name {
        "region" => Some(SubjectValue::Text("e'u".to_owned())),
        "id" => Some(SubjectValue::Text("u1".to_owned())),
        "groups" => Some(SubjectValue::TextArray(vec!["support".to_owned(), "eu".to_owned()])),
        "clearance" => Some(SubjectValue::Integer(3)),
        _ => None,
    }
}

#[test]
fn canonical_text_is_what_people_write_and_reads_back() {
    for (text, canonical) in [
        ("region=subject.region", "region = subject.region"),
        ("REGION = subject.Region", "region = subject.region"),
        ("(a = 1 and b = 2) or not c", "((a = 1) AND (b = 2)) OR (NOT c)"),
        ("region in ('eu', 'us')", "region IN ('eu', 'us')"),
        ("region not in ('eu')", "region NOT IN ('eu')"),
        ("a between 1 and -2", "a BETWEEN 1 AND (-2)"),
        ("name like 'a%' and name not ilike 'b%'", "(name LIKE 'a%') AND (name NOT ILIKE 'b%')"),
        ("region = any(subject.groups)", "region = ANY (subject.groups)"),
        ("coalesce(lower(region), '') <> 'x'", "COALESCE(lower(region), '') <> 'x'"),
        ("deleted_at is null", "deleted_at IS NULL"),
        ("created > now() - interval '30 days'", "created > (now() - ('30 days'::interval))"),
        ("extract(year from created) = 2026", "pg_catalog.extract('year', created) = 2026"),
        ("tier = 'gold'::public.tier", "tier = ('gold'::\"public\".\"tier\")"),
        ("meta->>'k' = 'v' and meta @> '{}'", "((meta ->> 'k') = 'v') AND (meta @> '{}')"),
        ("\"order\" = 1 and \"Odd\" = 2", "(\"order\" = 1) AND (\"Odd\" = 2)"),
        (
            "id in (select order_id from public.shares where owner = subject.id)",
            "id IN (SELECT shares.order_id FROM public.shares WHERE shares.owner = subject.id)",
        ),
        (
            "exists (select * from members m join public.teams t on t.id = m.team where t.id = orders.team)",
            "EXISTS (SELECT 1 FROM public.members m, public.teams t WHERE (t.id = m.team) AND (t.id = orders.team))",
        ),
        ("case when a then b else true end", "CASE WHEN a THEN b ELSE true END"),
        ("a is not distinct from b", "a IS NOT DISTINCT FROM b"),
    ] {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(filter.canonical(), canonical, "{text}");
        assert_eq!(Filter::parse(canonical).unwrap().canonical(), canonical);
    }
}

#[test]
fn everything_else_is_refused() {
    for text in [
        "",
        "1=1) OR (true",
        "true; drop table users",
        "true, false",
        "true as x",
        "true from users",
        "all true",
        "distinct true",
        "true union select false",
        "true -- note",
        "true /* note */",
        "true limit 1",
        "region = $1",
        "ctid = '(0,1)'",
        "random() < 0.5",
        "current_setting('app.tenant') = region",
        "current_user = owner",
        "count(*) > 1",
        "sum(a) over () > 1",
        "row_number() over () = 1",
        "a = generate_series(1, 2)",
        "query_to_xml('select 1', true, true, '') is null",
        "pg_catalog.pg_read_file('x') = 'y'",
        "pg_sleep(1) is null",
        "a operator(public.=) b",
        "x.y.z = 1",
        "row(a, b) = row(1, 2)",
        "a similar to 'b'",
        "exists (select 1 from pg_catalog.pg_authid)",
        "exists (select 1 from information_schema.tables)",
        "exists (select 1 from subject)",
        "exists (select 1 from a, b where c = 1)",
        "exists (select 1 from a left join b on a.x = b.x)",
        "exists (select 1 from a union select 1 from b)",
        "exists (with c as (select 1) select 1 from c)",
        "exists (select 1 from a for update)",
        "exists (select 1 from only a)",
        "exists (select 1 from generate_series(1, 2))",
        "exists (delete from a)",
        "a::regclass = 1",
        "a::public.t.x = 1",
        "b'101' = a",
        "meta.x.y.z is null",
        "(meta).x = 1",
        "a[1:2] = b",
        "xmlelement(name a) is null",
        "a = all(array(select 1 from b))",
    ] {
        let result = Filter::parse(text);
        assert!(result.is_err(), "{text}: {}", result.unwrap().canonical());
    }
}

#[test]
fn a_bound_filter_is_pinned_and_carries_typed_values() {
    let bind = |text: &str| Filter::parse(text).unwrap().bind("t", &subject, &BuiltInTypes);
    assert_eq!(
        bind("region = subject.region").sql,
        "(\"t\".\"region\" OPERATOR(pg_catalog.=) 'e''u'::pg_catalog.text)"
    );
    assert_eq!(
        bind("level <= subject.clearance").sql,
        "(\"t\".\"level\" OPERATOR(pg_catalog.<=) '3'::pg_catalog.int8)"
    );
    assert_eq!(
        bind("lower(a) = any(subject.groups)").sql,
        "(pg_catalog.\"lower\"(\"t\".\"a\") OPERATOR(pg_catalog.=) ANY (ARRAY['support', 'eu']::pg_catalog.text[]))"
    );
    let bound =
        bind("exists (select 1 from public.members t where t.person = subject.id and t.team = x.team)");
    assert_eq!(
        bound.sql,
        "EXISTS (SELECT 1 FROM \"public\".\"members\" AS \"daam:f0\" WHERE (\"daam:f0\".\"person\" \
         OPERATOR(pg_catalog.=) 'u1'::pg_catalog.text) AND (\"daam:f0\".\"team\" OPERATOR(pg_catalog.=) \
         \"t\".\"team\"))"
    );
}

#[test]
fn a_missing_attribute_makes_the_whole_clause_false() {
    let bound = Filter::parse("region = subject.unknown or not (a = subject.other)").unwrap().bind(
        "t",
        &subject,
        &BuiltInTypes,
    );
    assert_eq!(bound.sql, "false");
    assert_eq!(bound.missing.into_iter().collect::<Vec<_>>(), ["other", "unknown"]);
}

#[test]
fn uses_are_reported_where_they_stand() {
    let text = "tenant = subject.tenant and public.visible(id) and exists (select 1 from a.b where c = id2)";
    let filter = Filter::parse(text).unwrap();
    let columns: Vec<_> = filter.columns().iter().map(|used| used.name.to_string()).collect();
    assert_eq!(columns, ["tenant", "id"]);
    assert_eq!(filter.columns()[1].offset, text.find("id)").unwrap());
    assert_eq!(filter.attributes()[0].offset, text.find("subject").unwrap());
    assert_eq!(filter.functions()[0].name.as_str(), "visible");
    let relation = &filter.relations()[0];
    assert_eq!(relation.name.to_string(), "a.b");
    assert_eq!(relation.columns.iter().map(ToString::to_string).collect::<Vec<_>>(), ["c", "id2"]);
    assert_eq!(relation.offset, text.find("a.b").unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a constant holds, it stays a constant.
    #[test]
    fn text_constants_cannot_escape(value in "[a-z'\\\\$\"; -]{0,12}") {
        let text = format!("region = '{}'", value.replace('\'', "''"));
        if let Ok(filter) = Filter::parse(&text) {
            let canonical = filter.canonical();
            prop_assert_eq!(Filter::parse(&canonical).unwrap().canonical(), canonical);
            let sql = format!("SELECT {}", filter.bind("t", &subject, &BuiltInTypes).sql);
            prop_assert_eq!(daam_sql::parse(&sql).unwrap().len(), 1);
        }
    }
}

#[test]
fn conjuncts_are_found_however_an_and_is_nested() {
    let conjuncts = |text: &str| Filter::parse(text).unwrap().conjuncts().into_iter().collect::<Vec<_>>();
    assert_eq!(conjuncts("(a = 1 and b = 2) and (c = 3 or d = 4)"), ["(c = 3) OR (d = 4)", "a = 1", "b = 2"]);
    assert_eq!(conjuncts("a = 1 or b = 2"), ["(a = 1) OR (b = 2)"]);
    assert_eq!(conjuncts("b = 2 and a = 1 and b = 2"), ["a = 1", "b = 2"]);
}
