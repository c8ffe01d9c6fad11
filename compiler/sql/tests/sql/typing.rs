//! What the type checker says, without a server: sentences, places, and what depends on the session.

use daam_catalog::{
    Catalog, Column, DataType, Function, FunctionName, Identifier, Relation, RelationKind, RelationName,
    ServerVersion, TypeClass, Volatility,
};
use daam_sql::Filter;
use daam_sql::typing::{AttributeKind, Environment, Judgement, Universe, judge};

pub(crate) fn relation(name: &str, columns: &[(&str, &str)]) -> Relation {
    Relation {
        columns: columns.iter().map(|(name, sql)| column(name, sql)).collect(),
        ..Relation::new(
            RelationName::stored("public", name).unwrap(),
            RelationKind::Table,
            Identifier::stored("owner").unwrap(),
        )
    }
}

fn column(name: &str, sql: &str) -> Column {
    let data_type = DataType { sql: sql.to_owned(), class: TypeClass::Other };
    Column::new(Identifier::stored(name).unwrap(), data_type)
}

pub(crate) fn function(name: &str, arguments: &[&str], returns: &str) -> Function {
    let name = FunctionName {
        schema: Identifier::stored("public").unwrap(),
        name: Identifier::stored(name).unwrap(),
        arguments: arguments.iter().map(|one| (*one).to_owned()).collect(),
    };
    Function {
        volatility: Volatility::Immutable,
        public_execute: true,
        returns: returns.to_owned(),
        ..Function::new(name, Identifier::stored("owner").unwrap())
    }
}

fn judged(text: &str) -> Judgement {
    let table = relation(
        "t",
        &[
            ("id", "integer"),
            ("tenant_id", "uuid"),
            ("region", "text"),
            ("created_at", "timestamp with time zone"),
            ("day", "date"),
            ("price", "money"),
            ("active", "boolean"),
        ],
    );
    let catalog = Catalog { server: ServerVersion(170_000), ..Catalog::default() };
    let universe = Universe::of(&catalog, &[]);
    let attribute = |name: &str| match name {
        "region" => Some(AttributeKind::Text),
        "tenant" => Some(AttributeKind::Uuid),
        _ => None,
    };
    let environment = Environment { relation: &table, find: &|_| None, attribute: &attribute };
    judge(&Filter::parse(text).unwrap(), &universe, &environment)
}

#[test]
fn a_refusal_says_what_postgresql_says_at_the_same_place() {
    for (text, at, message) in [
        ("active and id = subject.region", "= subject", "operator does not exist: integer = text"),
        ("lower(id) = 'x'", "lower", "function lower(integer) does not exist"),
        ("tenant_id = 'x'", "'x'", "invalid input syntax for type uuid: \"x\""),
        ("tenant_id = subject.region", "= s", "operator does not exist: uuid = text"),
        ("id", "id", "argument of WHERE must be type boolean, not type integer"),
        ("active and id + 1", "id +", "argument of AND must be type boolean, not type integer"),
        ("coalesce(id, region) = 1", "region", "COALESCE types integer and text cannot be matched"),
        ("active::uuid is null", "::uuid", "cannot cast type boolean to uuid"),
        ("id = any(region)", "= any", "op ANY/ALL (array) requires array on right side"),
    ] {
        let judgement = judged(text);
        let error = judgement.errors.first().unwrap_or_else(|| panic!("{text} is taken"));
        assert_eq!(error.message, message, "{text}");
        let rest = text.get(error.offset..).unwrap();
        assert!(rest.starts_with(at), "{text}: {rest}");
    }
}

#[test]
fn every_refused_part_of_an_and_is_reported() {
    assert_eq!(judged("id = region and active and tenant_id = 'x' and lower(id) = 'a'").errors.len(), 3);
}

#[test]
fn what_a_session_can_shift_by_its_settings_is_named() {
    for (text, setting) in [
        ("created_at::date = day", "TimeZone"),
        ("day = current_date", "TimeZone"),
        ("created_at > day", "TimeZone"),
        ("created_at > '2026-01-01'", "TimeZone"),
        ("created_at > now() - interval '30 days'", "TimeZone"),
        ("created_at::text like '2026%'", "TimeZone"),
        ("day::text like '2026%'", "DateStyle"),
        ("day > '01/02/2026'", "DateStyle"),
        ("day > 'today'", "TimeZone"),
        ("region::timestamptz < now()", "TimeZone"),
        ("price::text = '$1'", "lc_monetary"),
        ("to_char(id, '9D9') = '1'", "lc_numeric"),
        ("concat(created_at) = ''", "TimeZone"),
        ("extract(year from created_at) = 2026", "TimeZone"),
    ] {
        let judgement = judged(text);
        assert_eq!(judgement.errors, [], "{text}");
        assert_eq!(judgement.depends.first().map(|found| found.setting), Some(setting), "{text}");
    }
}

#[test]
fn what_no_session_can_shift_is_not_named() {
    for text in [
        "created_at > now()",
        "created_at > now() - interval '12 hours'",
        "created_at > '2026-01-01 00:00+00'",
        "(created_at at time zone 'UTC')::date = '2026-01-31'",
        "day > '2026-01-31'",
        "concat(region, id) = 'x'",
        "id::text = region",
        "extract(year from day) = 2026",
        "date_trunc('day', created_at at time zone 'UTC') = '2026-01-31'",
        "tenant_id = subject.tenant",
    ] {
        let judgement = judged(text);
        assert_eq!(judgement.errors, [], "{text}");
        assert_eq!(judgement.depends, [], "{text}");
    }
}
