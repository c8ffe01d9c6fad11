//! The expressions of the corpus: every column type with literals, operators, casts, functions and every other
//! type. The order and the number of them is always the same.

use std::collections::BTreeSet;

/// Column, its type, a good literal, a bad one.
pub(crate) const COLUMNS: &[(&str, &str, &str, &str)] = &[
    ("i2", "smallint", "7", "70000"),
    ("i4", "integer", "42", "4x"),
    ("i8", "bigint", "9000000000", "1e5"),
    ("num", "numeric", "1.5", "1,5"),
    ("num62", "numeric(6,2)", "12.34", "abc"),
    ("r4", "real", "1.5e3", "1e50"),
    ("f8", "double precision", "NaN", "1e400"),
    ("bo", "boolean", "yes", "maybe"),
    ("tx", "text", "x", "y"),
    ("vc", "character varying(20)", "x", "y"),
    ("ch", "character(3)", "abc", "abcdef"),
    ("nm", "name", "n", "m"),
    ("cq", "\"char\"", "c", "cc"),
    ("by", "bytea", "\\x00ff", "\\x0"),
    ("id", "uuid", "00000000-0000-0000-0000-000000000001", "0000"),
    ("da", "date", "2026-01-31", "2026-02-30"),
    ("ti", "time without time zone", "10:30", "25:00"),
    ("tz", "time with time zone", "10:30+02", "10:30+20"),
    ("ts", "timestamp without time zone", "2026-01-31 10:00", "yesterdayish"),
    ("tstz", "timestamp with time zone", "2026-01-31 10:00+00", "31.31.2026"),
    ("iv", "interval", "30 days", "30 dayz"),
    ("ip", "inet", "10.0.0.1", "10.0.0.256"),
    ("net", "cidr", "10.0.0.0/8", "10.0.0.1/8"),
    ("mac", "macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02"),
    ("mac8", "macaddr8", "08:00:2b:01:02:03:04:05", "x"),
    ("js", "json", "{\"a\": 1}", "{a: 1}"),
    ("jb", "jsonb", "[1, null]", "[1,]"),
    ("ai", "integer[]", "{1,2}", "{1,x}"),
    ("at", "text[]", "{a,b}", "{a"),
    ("au", "uuid[]", "{00000000-0000-0000-0000-000000000001}", "{0}"),
    ("av", "character varying(5)[]", "{\"a b\",NULL}", "{\"a\"b}"),
    ("ad", "date[]", "{2026-01-31}", "{2026-13-01}"),
    ("ri", "int4range", "[1,5)", "[5,1)"),
    ("rn", "numrange", "(,5.5]", "1,2"),
    ("rd", "daterange", "[2026-01-01,2026-02-01)", "[2026-01-01]"),
    ("rt", "tstzrange", "empty", "[a,b]"),
    ("mr", "int4multirange", "{[1,2),[5,7)}", "[1,2)"),
    ("bt", "bit(4)", "1010", "102"),
    ("vb", "bit varying(8)", "X1F", "XG"),
    ("mo", "money", "$1,000.50", "1e"),
    ("oi", "oid", "12", "x"),
    ("pt", "point", "(1,2)", "(1)"),
    ("bx", "box", "(1,2),(3,4)", "(1,2)"),
    ("tv", "tsvector", "a b:1", "'a"),
    ("tq", "tsquery", "a & b", "a &"),
    ("lsn", "pg_lsn", "16/B374D848", "G/1"),
    ("md", "public.mood", "ok", "okay"),
    ("amd", "public.mood[]", "{ok,sad}", "{meh}"),
    ("po", "public.positive", "5", "x"),
    ("la", "public.label", "x", "y"),
    ("dmd", "public.mood_domain", "ok", "okay"),
    ("tg", "public.tags", "{a}", "{"),
    ("pr", "public.pair", "(1,x)", "(1)"),
    ("apr", "public.pair[]", "{\"(1,x)\"}", "{1}"),
    ("fr", "public.floatrange", "[1,2]", "[2,1]"),
    ("odd", "public.\"Odd Type\"", "A b", "a b"),
];

const CASTS: &[&str] = &[
    "boolean", "char(3)", "bytea", "cidr", "date", "real", "float8", "inet", "smallint", "int", "bigint", "interval",
    "json", "jsonb", "macaddr", "numeric(6,2)", "text", "time", "timestamp(3)", "timestamptz", "timetz", "uuid",
    "varchar(10)", "int[]", "text[]", "uuid[]", "public.mood", "public.positive", "public.pair", "public.tags",
    "public.mood[]", "public.floatrange",
];

const OPERATORS: &[&str] = &[
    "=", "<>", "<", ">=", "like", "not ilike", "~", "||", "+", "-", "*", "/", "%", "@>", "<@", "&&", "->", "->>", "#>",
    "?", "<<", "@@", "~~*", "&", "^", "-|-", "!~",
];

const LITERALS: &[(&str, &[&str])] = &[
    ("i4", &["", " 12 ", "-1", "+1", "0x1F", "1_000", "2147483648", "-2147483648", "1.0", "１", "0b2", "1__0", "--1"]),
    ("i2", &["32767", "-32768", "32768", "1e3"]),
    ("i8", &["9223372036854775807", "9223372036854775808", "0o17"]),
    ("num", &["", "1e10", "1e-3", ".5", "5.", ".", "e5", "1e", "NaN", "inf", "-Infinity", "1_0.2_5", "0xff", "1e200000", "1 2"]),
    ("f8", &["", "inf", "-infinity", "nan", "1e308", "1e309", "1e-400", "0x1p3", ".5", "5.", "1.2.3", "+1", "- 1"]),
    ("r4", &["3.4e38", "3.5e38", "1e-46", "1e-45", "0"]),
    ("bo", &["t", "TRUE", " true ", "tru", "f", "y", "n", "on", "of", "o", "1", "0", "10", "", "2"]),
    ("id", &[
        "{00000000-0000-0000-0000-000000000001}",
        "00000000000000000000000000000001",
        "0000-0000-0000-0000-0000-0000-0000-0001",
        "00000000-0000-0000-0000-00000000000g",
        "0-0000000000000000000000000000001",
        " 00000000-0000-0000-0000-000000000001",
        "",
    ]),
    ("by", &["", "abc", "\\000", "\\400", "\\\\", "\\x", "\\x0g", "\\x 00 ff", "\\x0 0", "a\\", "\\12"]),
    ("da", &[
        "", "today", "2026-1-1", "20260131", "260131", "01/02/2026", "13/02/2026", "Jan 5 2026", "5 January 2026",
        "January 5, 2026", "2026.030", "J2451187", "infinity", "-infinity", "epoch", "2026-02-29", "2024-02-29",
        "0001-01-01 BC", "0000-01-01", "2026-00-01", "2026-13-01", "1/1/26", "99-1-2", "Friday", "2026-01-31 10:00",
        "2026-01-31T10:00:00Z", "now", "tomorrow", "2026", "2026-01", "5874898-01-01", "2026-01-31x", "Jan-05-2026",
        "05-Jan-2026", "2026-Jan-05", "26-Jan-05", "2026/01/31", "31-12-2026", "2026-01-31 UTC", "y2026m01d31",
    ]),
    ("ts", &[
        "2026-01-31", "2026-01-31 24:00", "2026-01-31 24:01", "2026-01-31 10", "2026-01-31 1030", "2026-01-31 103000",
        "2026-01-31 10:00 PM", "2026-01-31 13:00 PM", "2026-01-31 10:00:60", "2026-01-31 10:60", "10:00",
        "2026-01-31 10:00 Europe/Paris", "2026-01-31 10:00 PST", "2026-01-31 10:00 Nowhere/City", "now", "allballs",
        "Sat Jan 31 10:00:00 2026", "2026-01-31 10:00:00.123456789", "294277-01-01", "2026-01-31T10:00",
        "20260131T100000", "2026-01-31 10:00 BC", "today 10:00", "2026-01-31 10:00:00 +02:30", "+infinity",
        "2026-01-31 10:00 allballs", "2026-01-31 2026-01-31", "1:2:3 2026-01-31",
    ]),
    ("tstz", &[
        "2026-01-31", "2026-01-31 10:00", "2026-01-31 10:00Z", "2026-01-31 10:00+15:59", "2026-01-31 10:00+16",
        "2026-01-31 10:00-0330", "2026-01-31 10:00 America/New_York", "2026-01-31 10:00 EST", "epoch", "now",
        "2026-01-31 10:00 america/new_york", "2026-01-31 10:00 XYZ", "2026-01-31 10:00 MET DST", "today", "",
    ]),
    ("ti", &["", "24:00", "24:00:01", "1030", "103000", "10", "10:30 AM", "13:30 PM", "10:30:45.5", "now", "allballs", "T10:30", "10:30 UTC", "x", "10:", "2026-01-31 10:30"]),
    ("tz", &["10:30", "10:30 UTC", "10:30 America/New_York", "2026-01-31 10:30 America/New_York", "now", "10:30-0800", "T1030+02"]),
    ("iv", &[
        "", "1", "1 day", "1 year 2 mons 3 days 4:05:06", "1-2", "-1-2", "1-12", "P1Y2M3DT4H5M6S", "P1Y2X", "PT1H", "P",
        "1 day ago", "ago", "1 fortnight", "1 month 1 month", "4:05", "4:05:06.789", "-4:05", "1.5 days", "day", "1 2 days",
        "now", "infinity", "1 week", "1 decade", "3 hrs", "100000000000 years", "1 quarter", "@ 1 minute", "1 day 1",
        "day 1", "1y 2mon", "5 min 3", "0:0:99",
    ]),
    ("ip", &["", "10.0.0.0/8", "10.1/16", "10", "::1", "::ffff:1.2.3.4", "fe80::/64", "10.0.0.1/33", "1.2.3", "::g", "10.0.0.1/", "010.0.0.1", "1.2.3.4.5", "10.0.0.1/08"]),
    ("net", &["10.1.2.0/24", "10.1.2.3", "10.1.2.3/24", "10", "192.168", "::/0", "::1/64", "fe80::/10", "224.0.0.0", "10.1/8", "1.2.3.4.5/8"]),
    ("mac", &["08002b010203", "0800.2b01.0203", "08-00-2b-01-02-03", "08002b:010203", "0800-2b01-0203", "0800:2b01:0203", "8:0:2b:1:2:3", "g", "08:00:2b-01:02:03"]),
    ("js", &["", "1", "\"a\"", "nul", "null", "[]", "{}", "{\"a\":1,\"a\":2}", "[1 2]", "01", "-", "1.", "1e5", "\"\\u00e9\"", "\"\\x\"", "\"\\u0000\"", "true false", "{\"a\":}", "'a'", " [ ] "]),
    ("jb", &["\"\\u0000\"", "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\ude00\"", "1e999", "{\"a\":{\"b\":[1,{}]}}", "tru", "\"a"]),
    ("ai", &[
        "", "{}", "{{1,2},{3,4}}", "{{1},{2,3}}", "{1,NULL}", "{1,null,}", "{1,,2}", "[1:2]={1,2}", "[1:3]={1,2}", "1,2", "{1}x",
        "{ 1 , 2 }", "{\"1\"}", "{{}}", "{1,{2}}", "{{1},2}", "[2:1]={}", "{2147483648}", "{1 2}",
    ]),
    ("at", &["{\"a,b\"}", "{\"a\\\"b\"}", "{a b}", "{\"\"}", "{,}", "{a,\"b}", "{NULL,null,\"NULL\"}", "{a\\,b}", "{{a},{b}}", "{}x"]),
    ("ri", &["", "empty", "EMPTY", "[,]", "(,)", "[1,2", "[1;2]", "[1,2]x", "[1,1)", "[ 1 , 2 ]", "[a,1]", "(2147483647,]", "[1,2,3]"]),
    ("rn", &["[1.5,1.4]", "[NaN,]", "[-inf,inf]", "[\"1\",\"2\"]"]),
    ("rd", &["[2026-02-01,2026-01-01]", "[2026-01-01,infinity)", "[today,]", "[,2026-01-01]"]),
    ("mr", &["", "{}", "{[1,2)}", "{[2,1)}", "{[1,2),}", "{empty}", "{[1,2) [3,4)}", "{1}"]),
    ("bt", &["", "1", "B101", "X1", "x0f", "2", "10101"]),
    ("mo", &["", "1", "-1", "(1)", "$-5.5", "1.2.3", "abc", "1,000", "$ 5", "99999999999999999999"]),
    ("oi", &["", "-1", "4294967295", "4294967296", "-2147483649", " 7 ", "010", "0x10"]),
    ("pt", &["1,2", "(1,2", "((1,2))", "1 2", "(a,b)", "(1,2,3)"]),
    ("tq", &["", "a", "a b", "!a & (b | c)", "a <-> b", "a <2> b", "(a", "'a b'", "a:*", "a:AB & b", "& a", "a |"]),
    ("tv", &["", "a:1,2A b", "'a b' c", "'it''s'"]),
    ("lsn", &["0/0", "FFFFFFFF/FFFFFFFF", "1", "1/", "123456789/0", " 0/0"]),
    ("md", &["", "sad", "OK", " ok"]),
    ("po", &["-5", "", "99999999999"]),
    ("pr", &["(,)", "(1,\"a,b\")", "(1,x,2)", "1,x", "(x,1)", " (1,x) ", "(1,x)y", "(1,)", "(1"]),
];

const CALLS: &[&str] = &[
    "lower({})", "upper({})", "length({})", "abs({})", "round({})", "round({}, 1)", "trunc({})", "coalesce({}, {})",
    "md5({})", "left({}, 2)", "substr({}, 1, 2)", "substring({} from 1 for 2)", "position('a' in {})", "concat({}, 'x')",
    "concat_ws(',', {}, 1)", "format('%s', {})", "array_length({}, 1)", "cardinality({})", "array_append({}, 1)",
    "array_append({}, 'a')", "array_position({}, 'a')", "array_remove({}, 'a')", "array_to_string({}, ',')",
    "array_cat({}, {})", "array_prepend('a', {})", "date_trunc('day', {})", "date_part('year', {})",
    "extract(year from {})", "age({})", "age({}, {})", "to_char({}, 'YYYY')", "to_char({}, '999')", "date({})",
    "isfinite({})", "host({})", "network({})", "masklen({})", "family({})", "jsonb_typeof({})", "json_typeof({})",
    "jsonb_array_length({})", "jsonb_extract_path({}, 'a', 'b')", "jsonb_path_exists({}, '$.a')", "jsonb_exists({}, 'a')",
    "encode({}, 'hex')", "decode({}, 'hex')", "sha256({})", "sign({})", "power({}, 2)", "mod({}, 2)", "div({}, 2)",
    "ceil({})", "floor({})", "btrim({})", "trim({})", "replace({}, 'a', 'b')", "split_part({}, ',', 1)",
    "strpos({}, 'a')", "starts_with({}, 'a')", "string_to_array({}, ',')", "timezone('UTC', {})",
    "{} at time zone 'UTC'", "char_length({})", "octet_length({})", "bit_length({})", "chr({})", "ascii({})",
    "repeat({}, 2)", "reverse({})", "regexp_replace({}, 'a', 'b')", "regexp_like({}, 'a')", "overlay({} placing 'x' from 1)",
    "to_date({}, 'YYYY')", "to_timestamp({})", "to_number({}, '9')", "make_date({}, 1, 1)", "lpad({}, 3)", "justify_days({})",
    "date_bin('1 hour', {}, {})", "translate({}, 'a', 'b')", "initcap({})", "nullif({}, {})", "greatest({}, {})",
    "least({}, '1')", "json_extract_path_text({}, 'a')", "array_ndims({})", "now()", "public.twice({})", "public.shout({})",
    "public.same({}, {})", "public.absent({})",
];

const SHAPES: &[&str] = &[
    "{} is null", "{} is true", "{} is not unknown", "not {}", "{}", "{} and true", "{} or bo", "{} = null",
    "{} is distinct from {}", "{} is distinct from null", "{} is not distinct from 'a'", "{} in ({}, null)",
    "{} in ('a', 'b')", "{} in (1, 2)", "{} not in (1.5)", "{} between {} and {}", "{} between '1' and '2'",
    "{} between 1 and 2", "{} = any(array[{}])", "{} = any('{1}')", "{} = any(at)", "{} = all(ai)", "{} = any(amd)",
    "{} = any({})", "1 = any({})", "'a' = any({})", "({})[1] is null", "({})[1][2] = 1", "({})['a'] is null",
    "(at)[{}] is null", "(jb)[{}] is null", "case when {} then 1 else 2 end = 1", "case {} when {} then true end",
    "case {} when 'a' then true else false end", "case when bo then {} else 'x' end is null",
    "case when bo then {} else 1 end is null", "coalesce({}, 'a') is null", "coalesce({}, 1) is null",
    "coalesce(null, {}) = {}", "array[{}, 'a'] is null", "array[{}, 1] = ai", "array[{}, null] = array[{}]",
    "array[{}]::text[] = at", "array[[1], {}] is null", "nullif({}, 'a') is null", "greatest({}, 1) is null",
    "least({}, {}) = {}", "- {} is null", "@ {} is null", "~ {} = 1", "{} + '1' is null", "{} - 1 is null", "1 + {} = 2",
    "{} || 'a' = 'b'", "'a' || {} = 'b'", "{} = subject.region", "{} = subject.tenant", "{} <= subject.clearance",
    "{} = subject.admin", "{} = any(subject.groups)", "subject.groups && {}", "{} in (select o.id from public.other o)",
    "{} = (select o.name from public.other o)", "exists (select 1 from public.other o where o.id = t.{})",
    "exists (select 1 from public.other o where o.name = t.{} and o.m = 'ok')", "{} = any(select o.tags from public.other o)",
    "{} <> all(select o.amount from public.other o)", "{} = (select max(o.id) from public.other o)",
    "{} = (select count(*) from public.other o)", "{} in (select 'a' from public.other o)",
    "(select max(t.{}) from public.other o) is null", "{} = (select max(o.id) + o.id from public.other o)",
    "exists (select 1 from public.other o where max(o.id) = 1)", "{} = (select array_agg(o.name) from public.other o)",
    "{} > now()", "{} > current_date", "{} = current_time", "{} < localtimestamp", "{} > now() - interval '1 day'",
    "{} + interval '1 hour' > current_timestamp", "{} ? 'a'", "{} -> 'a' is null", "{} ->> 1 = 'a'", "{} #>> '{a,b}' = 'c'",
    "{} @> '{\"a\": 1}'", "{} @> '{1}'", "{} <@ '{a}'", "{} && array['a']", "{} @> array[1]", "{} @> 1", "{} @? '$.a'",
    "{} << '10.0.0.0/8'", "{} = 1.5", "{} = 9000000000", "{} = true", "{} = 1e300", "{} like 'a%' escape '!'",
    "{} = 'x'::text", "{} = 'ok'::public.mood", "{} = '5'::public.positive", "{} = '1'::int", "{}::text = 'a'",
    "{}::varchar(0) = 'a'", "{}::numeric(2000) = 1", "{}::uuid(3) is null", "{}::public.nothing is null",
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
