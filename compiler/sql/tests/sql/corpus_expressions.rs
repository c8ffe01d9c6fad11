//! The expressions of the corpus: every column type with literals, operators, casts, functions and every other
//! type. The order and the number of them is always the same.

use crate::corpus_literals::{COLUMNS, LITERALS};
use std::collections::BTreeSet;

const CASTS: &[&str] = &[
    "boolean",
    "char(3)",
    "bytea",
    "cidr",
    "date",
    "real",
    "float8",
    "inet",
    "smallint",
    "int",
    "bigint",
    "interval",
    "json",
    "jsonb",
    "macaddr",
    "numeric(6,2)",
    "text",
    "time",
    "timestamp(3)",
    "timestamptz",
    "timetz",
    "uuid",
    "varchar(10)",
    "int[]",
    "text[]",
    "uuid[]",
    "public.mood",
    "public.positive",
    "public.pair",
    "public.tags",
    "public.mood[]",
    "public.floatrange",
];

const OPERATORS: &[&str] = &[
    "=",
    "<>",
    "<",
    ">=",
    "like",
    "not ilike",
    "~",
    "||",
    "+",
    "-",
    "*",
    "/",
    "%",
    "@>",
    "<@",
    "&&",
    "->",
    "->>",
    "#>",
    "?",
    "<<",
    "@@",
    "~~*",
    "&",
    "^",
    "-|-",
    "!~",
];

const CALLS: &[&str] = &[
    "lower({})",
    "upper({})",
    "length({})",
    "abs({})",
    "round({})",
    "round({}, 1)",
    "trunc({})",
    "coalesce({}, {})",
    "md5({})",
    "left({}, 2)",
    "substr({}, 1, 2)",
    "substring({} from 1 for 2)",
    "position('a' in {})",
    "concat({}, 'x')",
    "concat_ws(',', {}, 1)",
    "format('%s', {})",
    "array_length({}, 1)",
    "cardinality({})",
    "array_append({}, 1)",
    "array_append({}, 'a')",
    "array_position({}, 'a')",
    "array_remove({}, 'a')",
    "array_to_string({}, ',')",
    "array_cat({}, {})",
    "array_prepend('a', {})",
    "date_trunc('day', {})",
    "date_part('year', {})",
    "extract(year from {})",
    "age({})",
    "age({}, {})",
    "to_char({}, 'YYYY')",
    "to_char({}, '999')",
    "date({})",
    "isfinite({})",
    "host({})",
    "network({})",
    "masklen({})",
    "family({})",
    "jsonb_typeof({})",
    "json_typeof({})",
    "jsonb_array_length({})",
    "jsonb_extract_path({}, 'a', 'b')",
    "jsonb_path_exists({}, '$.a')",
    "jsonb_exists({}, 'a')",
    "encode({}, 'hex')",
    "decode({}, 'hex')",
    "sha256({})",
    "sign({})",
    "power({}, 2)",
    "mod({}, 2)",
    "div({}, 2)",
    "ceil({})",
    "floor({})",
    "btrim({})",
    "trim({})",
    "replace({}, 'a', 'b')",
    "split_part({}, ',', 1)",
    "strpos({}, 'a')",
    "starts_with({}, 'a')",
    "string_to_array({}, ',')",
    "timezone('UTC', {})",
    "{} at time zone 'UTC'",
    "char_length({})",
    "octet_length({})",
    "bit_length({})",
    "chr({})",
    "ascii({})",
    "repeat({}, 2)",
    "reverse({})",
    "regexp_replace({}, 'a', 'b')",
    "regexp_like({}, 'a')",
    "overlay({} placing 'x' from 1)",
    "to_date({}, 'YYYY')",
    "to_timestamp({})",
    "to_number({}, '9')",
    "make_date({}, 1, 1)",
    "lpad({}, 3)",
    "justify_days({})",
    "date_bin('1 hour', {}, {})",
    "translate({}, 'a', 'b')",
    "initcap({})",
    "nullif({}, {})",
    "greatest({}, {})",
    "least({}, '1')",
    "json_extract_path_text({}, 'a')",
    "array_ndims({})",
    "now()",
    "public.twice({})",
    "public.shout({})",
    "public.same({}, {})",
    "public.absent({})",
];

const SHAPES: &[&str] = &[
    "{} is null",
    "{} is true",
    "{} is not unknown",
    "not {}",
    "{}",
    "{} and true",
    "{} or bo",
    "{} = null",
    "{} is distinct from {}",
    "{} is distinct from null",
    "{} is not distinct from 'a'",
    "{} in ({}, null)",
    "{} in ('a', 'b')",
    "{} in (1, 2)",
    "{} not in (1.5)",
    "{} between {} and {}",
    "{} between '1' and '2'",
    "{} between 1 and 2",
    "{} = any(array[{}])",
    "{} = any('{1}')",
    "{} = any(at)",
    "{} = all(ai)",
    "{} = any(amd)",
    "{} = any({})",
    "1 = any({})",
    "'a' = any({})",
    "({})[1] is null",
    "({})[1][2] = 1",
    "({})['a'] is null",
    "(at)[{}] is null",
    "(jb)[{}] is null",
    "case when {} then 1 else 2 end = 1",
    "case {} when {} then true end",
    "case {} when 'a' then true else false end",
    "case when bo then {} else 'x' end is null",
    "case when bo then {} else 1 end is null",
    "coalesce({}, 'a') is null",
    "coalesce({}, 1) is null",
    "coalesce(null, {}) = {}",
    "array[{}, 'a'] is null",
    "array[{}, 1] = ai",
    "array[{}, null] = array[{}]",
    "array[{}]::text[] = at",
    "array[[1], {}] is null",
    "nullif({}, 'a') is null",
    "greatest({}, 1) is null",
    "least({}, {}) = {}",
    "- {} is null",
    "@ {} is null",
    "~ {} = 1",
    "{} + '1' is null",
    "{} - 1 is null",
    "1 + {} = 2",
    "{} || 'a' = 'b'",
    "'a' || {} = 'b'",
    "{} = subject.region",
    "{} = subject.tenant",
    "{} <= subject.clearance",
    "{} = subject.admin",
    "{} = any(subject.groups)",
    "subject.groups && {}",
    "{} in (select o.id from public.other o)",
    "{} = (select o.name from public.other o)",
    "exists (select 1 from public.other o where o.id = t.{})",
    "exists (select 1 from public.other o where o.name = t.{} and o.m = 'ok')",
    "{} = any(select o.tags from public.other o)",
    "{} <> all(select o.amount from public.other o)",
    "{} = (select max(o.id) from public.other o)",
    "{} = (select count(*) from public.other o)",
    "{} in (select 'a' from public.other o)",
    "(select max(t.{}) from public.other o) is null",
    "{} = (select max(o.id) + o.id from public.other o)",
    "exists (select 1 from public.other o where max(o.id) = 1)",
    "{} = (select array_agg(o.name) from public.other o)",
    "{} > now()",
    "{} > current_date",
    "{} = current_time",
    "{} < localtimestamp",
    "{} > now() - interval '1 day'",
    "{} + interval '1 hour' > current_timestamp",
    "{} ? 'a'",
    "{} -> 'a' is null",
    "{} ->> 1 = 'a'",
    "{} #>> '{a,b}' = 'c'",
    "{} @> '{\"a\": 1}'",
    "{} @> '{1}'",
    "{} <@ '{a}'",
    "{} && array['a']",
    "{} @> array[1]",
    "{} @> 1",
    "{} @? '$.a'",
    "{} << '10.0.0.0/8'",
    "{} = 1.5",
    "{} = 9000000000",
    "{} = true",
    "{} = 1e300",
    "{} like 'a%' escape '!'",
    "{} = 'x'::text",
    "{} = 'ok'::public.mood",
    "{} = '5'::public.positive",
    "{} = '1'::int",
    "{}::text = 'a'",
    "{}::varchar(0) = 'a'",
    "{}::numeric(2000) = 1",
    "{}::uuid(3) is null",
    "{}::public.nothing is null",
];

/// Every expression once.
pub(crate) fn all() -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut list = Vec::new();
    let mut add = |text: String| {
        if found.insert(text.clone()) {
            list.push(text);
        }
    };
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    for (index, (column, _, good, bad)) in COLUMNS.iter().enumerate() {
        for (step, operator) in OPERATORS.iter().enumerate() {
            let literal = quoted(if (index + step) % 3 == 0 { bad } else { good });
            add(format!("({column} {operator} {literal}) is null"));
        }
        for literal in [good, bad, &"", &"1", &"a"] {
            add(format!("{column} = {}", quoted(literal)));
            add(format!("{} <> {column}", quoted(literal)));
        }
        for (step, (other, ..)) in COLUMNS.iter().enumerate() {
            let operator = OPERATORS[(index * 7 + step * 3) % OPERATORS.len()];
            add(format!("({column} {operator} {other}) is not null"));
            add(format!("{column} = {other}"));
            if (index + step) % 3 == 0 {
                add(format!("coalesce({column}, {other}) is null"));
                add(format!("{column} = any(array[{other}])"));
            }
        }
        for to in CASTS {
            add(format!("{column}::{to} is null"));
        }
        for call in CALLS {
            add(format!("({}) is null", call.replace("{}", column)));
        }
        for shape in SHAPES {
            add(shape.replace("{a,b}", "\u{1}").replace("{}", column).replace('\u{1}', "{a,b}"));
        }
    }
    for (column, literals) in LITERALS {
        for literal in *literals {
            add(format!("{column} = {}", quoted(literal)));
        }
    }
    for (column, _, good, bad) in COLUMNS {
        for to in CASTS {
            add(format!("{}::{to} is not null", quoted(good)));
            add(format!("{}::{to} is not null and {column} is null", quoted(bad)));
        }
    }
    list
}
