//! The functions, aggregates and types of `pg_catalog` a row filter may use.
//!
//! A closed list: every function on it is IMMUTABLE or STABLE, returns one value, and reads nothing but its
//! arguments and the clock. Settings (`current_setting`) are not on it, because the session can change them.

/// Functions.
const FUNCTIONS: &[&str] = &[
    "abs",
    "age",
    "array_append",
    "array_cat",
    "array_length",
    "array_lower",
    "array_ndims",
    "array_position",
    "array_prepend",
    "array_remove",
    "array_to_string",
    "array_upper",
    "ascii",
    "bit_length",
    "broadcast",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "date",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "div",
    "encode",
    "extract",
    "family",
    "floor",
    "format",
    "host",
    "initcap",
    "isfinite",
    "json_array_length",
    "json_extract_path",
    "json_extract_path_text",
    "json_typeof",
    "jsonb_array_length",
    "jsonb_exists",
    "jsonb_exists_all",
    "jsonb_exists_any",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_path_exists",
    "jsonb_typeof",
    "justify_days",
    "left",
    "length",
    "like_escape",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "masklen",
    "md5",
    "mod",
    "netmask",
    "network",
    "now",
    "octet_length",
    "overlay",
    "position",
    "power",
    "regexp_like",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sha256",
    "sign",
    "split_part",
    "starts_with",
    "statement_timestamp",
    "string_to_array",
    "strpos",
    "substr",
    "substring",
    "timezone",
    "to_char",
    "to_date",
    "to_number",
    "to_timestamp",
    "transaction_timestamp",
    "translate",
    "trunc",
    "upper",
];

/// Aggregates, inside subqueries only.
const AGGREGATES: &[&str] =
    &["array_agg", "avg", "bool_and", "bool_or", "count", "every", "max", "min", "sum"];

/// Types.
const TYPES: &[&str] = &[
    "bool",
    "bpchar",
    "bytea",
    "cidr",
    "date",
    "float4",
    "float8",
    "inet",
    "int2",
    "int4",
    "int8",
    "interval",
    "json",
    "jsonb",
    "macaddr",
    "numeric",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
    "varchar",
];

/// Names of the list that are grammar keywords with an argument syntax of their own.
const KEYWORDS: &[&str] = &["extract", "overlay", "position", "substring"];

/// Functions people reach for whose answer changes within a statement.
const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "currval",
    "gen_random_uuid",
    "nextval",
    "random",
    "random_normal",
    "setval",
    "timeofday",
    "txid_current",
];

/// Columns every table has without declaring them.
pub(crate) const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "oid", "tableoid", "xmax", "xmin"];

pub(crate) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// The names of `pg_catalog` a filter can call.
pub fn callable() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().chain(AGGREGATES).copied()
}

pub(crate) fn is_volatile(name: &str) -> bool {
    VOLATILE.contains(&name)
}

pub(crate) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// What to say about a function that is not on the list.
pub(crate) fn advice(name: &str) -> &'static str {
    match name {
        "current_setting" => "a session can change its settings; use a subject attribute",
        "random" | "clock_timestamp" | "gen_random_uuid" | "timeofday" | "nextval" => {
            "volatile functions give another answer every time; a row filter must not"
        }
        "unnest" | "generate_series" | "json_array_elements" | "jsonb_array_elements" | "regexp_matches" => {
            "functions that return sets are not allowed; use `= any(...)`"
        }
        "row_number" | "rank" | "lag" | "lead" => "window functions are not allowed",
        _ if is_aggregate(name) => "aggregates are allowed inside subqueries only",
        _ => "write the schema for a function of your own, e.g. `public.visible(id)`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_hold_nothing_volatile() {
        for list in [FUNCTIONS, AGGREGATES, VOLATILE, TYPES, KEYWORDS, SYSTEM_COLUMNS] {
            assert!(list.is_sorted(), "{list:?}");
        }
        for name in ["random", "nextval", "set_config", "current_setting", "pg_sleep", "query_to_xml"] {
            assert!(!is_function(name), "{name}");
        }
    }
}
