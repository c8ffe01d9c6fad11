//! Mask presets as SQL expressions.
//!
//! Every expression is total: it raises on no value a column can hold. NULL stays NULL, the result has the
//! column's type, and a value too short for a preset's shape becomes `***`. Only `pg_catalog` functions, none of
//! them regular expressions on the hot path (they are several times slower).

pub(crate) mod shape;

use daam_catalog::{DataType, TypeClass};
use daam_model::{JsonMask, Mask, TruncateUnit};
use daam_sql::quote;
use std::fmt::Write as _;

/// Where the key of the `hash` preset lies.
pub(crate) const KEY_TABLE: &str = "pg_temp.\"daam:key\"";

/// Whether the expression reads the key table.
pub(crate) fn needs_key(mask: &Mask) -> bool {
    match mask {
        Mask::Hash => true,
        Mask::Json(json) => needs_key(json.with.mask()),
        _ => false,
    }
}

/// The masked value of a column; `column` is SQL for it, `mask` is already fitted to its class.
pub(crate) fn expression(mask: &Mask, data_type: &DataType, column: &str) -> String {
    let sql = &data_type.sql;
    let null = || {
        // A domain may refuse NULL as a constant, but not as the result of a query without rows.
        if data_type.class == TypeClass::Domain {
            format!("(SELECT {column} WHERE false)")
        } else {
            format!("NULL::{sql}")
        }
    };
    let value = match (mask, data_type.class) {
        (Mask::Constant(_), _) => constant(mask, data_type),
        (Mask::Hash, TypeClass::Uuid) => {
            let digest = hmac(&format!("{column}::pg_catalog.text"));
            format!("pg_catalog.encode(pg_catalog.substr({digest}, 1, 16), 'hex')::pg_catalog.uuid")
        }
        (_, TypeClass::Text) => match text(mask, &format!("{column}::pg_catalog.text")) {
            Some(masked) => format!("({masked})::{sql}"),
            None => return null(),
        },
        (Mask::Truncate(unit), class) => match truncate(*unit, class, column) {
            Some(masked) => format!("({masked})::{sql}"),
            None => return null(),
        },
        (Mask::Bucket(n), class) => match steps("floor", *n, class, sql, column) {
            Some(masked) => masked,
            None => return null(),
        },
        (Mask::Round(n), class) => match steps("round", *n, class, sql, column) {
            Some(masked) => masked,
            None => return null(),
        },
        (Mask::Network(bits), TypeClass::Inet | TypeClass::Cidr) => network(*bits, sql, column),
        (Mask::Json(json), TypeClass::Json | TypeClass::Jsonb) => {
            json_paths(json, data_type.class == TypeClass::Json, column)
        }
        _ => return null(),
    };
    // The outer cast keeps the type's modifier: a CASE with a NULL branch would lose it.
    format!("(CASE WHEN {column} IS NULL THEN NULL ELSE {value} END)::{sql}")
}

/// A constant as a value of the type; NULL where the column is too narrow for it.
fn constant(mask: &Mask, data_type: &DataType) -> String {
    let sql = &data_type.sql;
    match mask {
        Mask::Constant(text) if is_wide_enough(text, data_type) => {
            format!("{}::{sql}", quote::literal(text))
        }
        _ => format!("NULL::{sql}"),
    }
}

/// Whether the digits of a constant find room; see `constant::fits` of the model for its form.
fn is_wide_enough(text: &str, data_type: &DataType) -> bool {
    match (data_type.class, data_type.sql.as_str()) {
        (TypeClass::Integer, "smallint") => text.parse::<i16>().is_ok(),
        (TypeClass::Numeric, sql) if sql.contains('(') => precision(sql).is_some_and(|(precision, scale)| {
            let whole = text.trim_start_matches('-').split('.').next().unwrap_or_default();
            // One digit less than there is room for: rounding may carry into it.
            i32::try_from(whole.trim_start_matches('0').len()).is_ok_and(|length| length < precision - scale)
        }),
        _ => true,
    }
}

/// A text preset over a text expression; `None` for NULL.
fn text(mask: &Mask, value: &str) -> Option<String> {
    let digits = || {
        let others = format!("pg_catalog.translate({value}, '0123456789', '')");
        format!("pg_catalog.translate({value}, {others}, '')")
    };
    let last_digits = |shape: &str, least: u32| {
        let digits = digits();
        // Finding the digits takes the square of the length, and nothing longer is a number of a card or a person.
        format!(
            "CASE WHEN pg_catalog.length({value}) <= 100 AND pg_catalog.length({digits}) >= {least} THEN '{shape}' || pg_catalog.right({digits}, 4) \
             ELSE '***' END"
        )
    };
    Some(match mask {
        Mask::Redact => "'***'".to_owned(),
        Mask::Constant(constant) => quote::literal(constant),
        Mask::Hash => format!("pg_catalog.encode({}, 'hex')", hmac(value)),
        Mask::CreditCard => last_digits("****-****-****-", 12),
        Mask::Ssn => last_digits("***-**-", 9),
        Mask::Phone => last_digits("***-***-", 7),
        Mask::Name => name(value),
        Mask::Email => email(value),
        Mask::Domain => domain(value),
        Mask::Partial { prefix, suffix } => partial(value, *prefix, *suffix),
        _ => return None,
    })
}

fn name(value: &str) -> String {
    let trimmed = format!("pg_catalog.btrim({value})");
    let word = |text: String| {
        format!(
            "CASE WHEN pg_catalog.length({text}) > 1 THEN pg_catalog.left({text}, 1) || '***' ELSE '***' END"
        )
    };
    let first = word(format!("pg_catalog.split_part({trimmed}, ' ', 1)"));
    let last =
        word(format!("pg_catalog.reverse(pg_catalog.split_part(pg_catalog.reverse({trimmed}), ' ', 1))"));
    format!("{first} || CASE WHEN pg_catalog.strpos({trimmed}, ' ') > 0 THEN ' ' || {last} ELSE '' END")
}

fn email(value: &str) -> String {
    let domain = format!("pg_catalog.split_part({value}, '@', 2)");
    let last = format!("pg_catalog.reverse(pg_catalog.split_part(pg_catalog.reverse({domain}), '.', 1))");
    format!(
        "CASE WHEN pg_catalog.strpos({value}, '@') > 2 AND pg_catalog.split_part({value}, '@', 3) = '' \
         AND {last} <> '' AND pg_catalog.length({domain}) - pg_catalog.length({last}) > 2 \
         THEN pg_catalog.left({value}, 1) || '***@' || pg_catalog.left({domain}, 1) || '***.' || {last} \
         ELSE '***' END"
    )
}

fn domain(value: &str) -> String {
    let domain = format!("pg_catalog.split_part({value}, '@', 2)");
    format!(
        "CASE WHEN pg_catalog.strpos({value}, '@') > 1 AND pg_catalog.split_part({value}, '@', 3) = '' \
         AND {domain} <> '' THEN '***@' || {domain} ELSE '***' END"
    )
}

fn partial(value: &str, prefix: u32, suffix: u32) -> String {
    // Longer than any text, and still a number `left` and `right` take.
    let (prefix, suffix) = (prefix.min(1 << 30), suffix.min(1 << 30));
    let shown = u64::from(prefix) + u64::from(suffix);
    format!(
        "CASE WHEN pg_catalog.length({value}) > {shown} THEN pg_catalog.left({value}, {prefix}) || '****' || \
         pg_catalog.right({value}, {suffix}) ELSE '***' END"
    )
}

/// HMAC-SHA-256 over the bytes of a text: two nested digests over the padded keys.
fn hmac(value: &str) -> String {
    // The escape form of `bytea` knows only backslashes, so this conversion takes every text.
    let bytes = format!("pg_catalog.replace({value}, E'\\\\', E'\\\\\\\\')::pg_catalog.bytea");
    let key = |column: &str| format!("(SELECT daam_key.{column} FROM {KEY_TABLE} AS daam_key)");
    let inner = format!("pg_catalog.sha256({} || {bytes})", key("inner_key"));
    format!("pg_catalog.sha256({} || {inner})", key("outer_key"))
}

fn truncate(unit: TruncateUnit, class: TypeClass, column: &str) -> Option<String> {
    let unit = match (unit, class) {
        // A date truncated to the day or the hour is the date.
        (TruncateUnit::Hour | TruncateUnit::Day, TypeClass::Date) => return None,
        (TruncateUnit::Hour, _) => "hour",
        (TruncateUnit::Day, _) => "day",
        (TruncateUnit::Month, _) => "month",
        (TruncateUnit::Quarter, _) => "quarter",
        (TruncateUnit::Year, _) => "year",
    };
    let within = |kind: &str| {
        format!(
            "{column} > '4000-01-01 BC'::pg_catalog.{kind} AND {column} < '200000-01-01'::pg_catalog.{kind}"
        )
    };
    let cut = |value: &str| format!("pg_catalog.date_trunc('{unit}', {value})");
    // Outside that range (infinity included) truncation could raise; such values become NULL.
    let (kind, masked) = match class {
        TypeClass::Date => ("date", cut(&format!("{column}::pg_catalog.timestamp"))),
        TypeClass::Timestamp => ("timestamp", cut(column)),
        // In UTC: by changing its time zone a session could learn the hour of a day.
        TypeClass::TimestampTz => {
            let utc = cut(&format!("pg_catalog.timezone('UTC', {column})"));
            ("timestamptz", format!("pg_catalog.timezone('UTC', {utc})"))
        }
        _ => return None,
    };
    Some(format!("CASE WHEN {} THEN {masked} END", within(kind)))
}

/// Multiples of n; a result outside the column's type becomes NULL.
fn steps(function: &str, n: u64, class: TypeClass, sql: &str, column: &str) -> Option<String> {
    let n = n.max(1);
    if class == TypeClass::Float {
        let value = format!("{column}::pg_catalog.float8");
        let step = format!("'{n}'::pg_catalog.float8");
        // A quotient too small for its type is an error.
        let divided = format!(
            "CASE WHEN pg_catalog.abs({value}) < '1e-280'::pg_catalog.float8 \
             THEN pg_catalog.sign({value}) * '1e-280'::pg_catalog.float8 ELSE {value} END"
        );
        return Some(format!(
            "CASE WHEN pg_catalog.abs({value}) < '1e37'::pg_catalog.float8 \
             THEN (pg_catalog.{function}(({divided}) / {step}) * {step})::{sql} END"
        ));
    }
    // By remainder, not by division: a quotient is rounded to a scale and could land in the next step.
    let step = format!("'{n}'::pg_catalog.numeric");
    let half = format!("'{}.{}'::pg_catalog.numeric", n / 2, if n.is_multiple_of(2) { 0 } else { 5 });
    let value = match function {
        "round" => format!("({column}::pg_catalog.numeric + {half})"),
        _ => format!("{column}::pg_catalog.numeric"),
    };
    let rest = format!("pg_catalog.mod({value}, {step})");
    let masked = format!("pg_catalog.trunc({value} - {rest} - CASE WHEN {rest} < 0 THEN {step} ELSE 0 END)");
    let within = match (class, sql) {
        (TypeClass::Integer, "smallint" | "pg_catalog.int2") => "BETWEEN -32768 AND 32767".to_owned(),
        (TypeClass::Integer, "integer" | "pg_catalog.int4") => {
            "BETWEEN -2147483648 AND 2147483647".to_owned()
        }
        (TypeClass::Integer, "bigint" | "pg_catalog.int8") => {
            "BETWEEN -9223372036854775808 AND 9223372036854775807".to_owned()
        }
        (TypeClass::Numeric, "numeric") => {
            // The next step of a number of 131,072 digits has one too many.
            let size = format!("pg_catalog.abs({column}::pg_catalog.numeric)");
            return Some(format!(
                "CASE WHEN {size} < '1e1000'::pg_catalog.numeric OR {size} >= 'Infinity'::pg_catalog.numeric \
                 THEN ({masked})::{sql} END"
            ));
        }
        (TypeClass::Numeric, _) => {
            let (precision, scale) = precision(sql)?;
            let limit = format!("'1e{}'::pg_catalog.numeric", precision.checked_sub(scale)?);
            return Some(format!(
                "CASE WHEN pg_catalog.abs(pg_catalog.round({masked}, {scale})) < {limit} THEN ({masked})::{sql} END"
            ));
        }
        _ => return None,
    };
    Some(format!("CASE WHEN {masked} {within} THEN ({masked})::{sql} END"))
}

/// `numeric(10,2)` → (10, 2).
fn precision(sql: &str) -> Option<(i32, i32)> {
    let inside = sql.strip_suffix(')')?.split_once('(')?.1;
    let mut numbers = inside.split(',').map(|number| number.trim().parse::<i32>().ok());
    let precision = numbers.next()??;
    Some((precision, numbers.next().unwrap_or(Some(0))?))
}

fn network(bits: u8, sql: &str, column: &str) -> String {
    let address = format!("{column}::pg_catalog.inet");
    let cut = |bits: u8| {
        format!(
            "pg_catalog.network(pg_catalog.set_masklen({address}, LEAST({bits}, pg_catalog.masklen({address}))))::{sql}"
        )
    };
    // A prefix as long as the address would be the address.
    let four = if bits >= 32 { format!("NULL::{sql}") } else { cut(bits) };
    let six = if bits >= 128 { format!("NULL::{sql}") } else { cut(bits) };
    format!("CASE WHEN pg_catalog.family({address}) = 4 THEN {four} ELSE {six} END")
}

fn json_paths(json: &JsonMask, plain: bool, column: &str) -> String {
    let mut value = format!("{column}::pg_catalog.jsonb");
    for path in &json.paths {
        value = json_path(&value, path, json.with.mask());
    }
    if !plain {
        return value;
    }
    format!("CASE WHEN {} THEN ({value})::pg_catalog.json END", is_plain(column))
}

/// Whether a `json` document can be read as `jsonb`, which does not take escapes that are no characters, nor numbers out
/// of range: more than 16,383 digits after the point, or exponents that give them. A long document may have no long row
/// of digits at all, a short one cannot have too many. What is nested too deeply for `jsonb` has many brackets.
fn is_plain(document: &str) -> String {
    let source = format!("({document})::pg_catalog.text");
    format!(
        "(pg_catalog.strpos({source}, E'\\\\u') = 0 AND pg_catalog.length({source}) < 100000 \
         AND {source} !~ '(^|[[:space:]:,[])-?[0-9]+([.][0-9]+)?[eE][-+]?[0-9]{{4}}' \
         AND (pg_catalog.length({source}) < 15000 OR {source} !~ '[0-9]{{200}}') \
         AND (pg_catalog.length({source}) < 8000 OR pg_catalog.length({source}) \
              - pg_catalog.length(pg_catalog.translate({source}, '[{{', '')) < 8000))"
    )
}

/// A `json` document as `jsonb`, NULL where it cannot be one.
fn json_as_jsonb(document: &str) -> String {
    format!("(CASE WHEN {} THEN ({document})::pg_catalog.jsonb END)", is_plain(document))
}

/// One path masked. A path that leads through an array hides the whole array: the keys of its elements are not
/// reached by the path, and must not be shown because of that.
fn json_path(value: &str, path: &[String], with: &Mask) -> String {
    let at = |length: usize| {
        let keys: Vec<String> = path.iter().take(length).map(|key| quote::literal(key)).collect();
        format!("ARRAY[{}]::pg_catalog.text[]", keys.join(", "))
    };
    let source = "daam_json.value";
    let whole = at(path.len());
    let masked = match text(with, &format!("({source} #>> {whole})")) {
        Some(masked) => format!("pg_catalog.to_jsonb(({masked})::pg_catalog.text)"),
        None => "'null'::pg_catalog.jsonb".to_owned(),
    };
    let mut branches =
        format!("WHEN pg_catalog.jsonb_typeof({source}) = 'array' THEN 'null'::pg_catalog.jsonb ");
    for length in 1..path.len() {
        let prefix = at(length);
        let _ = write!(
            branches,
            "WHEN pg_catalog.jsonb_typeof({source} #> {prefix}) = 'array' \
             THEN pg_catalog.jsonb_set({source}, {prefix}, 'null'::pg_catalog.jsonb, false) "
        );
    }
    format!(
        "(SELECT CASE {branches}WHEN ({source} #>> {whole}) IS NULL THEN {source} \
         ELSE pg_catalog.jsonb_set({source}, {whole}, {masked}, false) END \
         FROM (SELECT {value} AS value) AS daam_json)"
    )
}
