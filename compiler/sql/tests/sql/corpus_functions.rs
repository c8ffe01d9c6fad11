//! Functions people might have, and calls of them with arguments of every kind: overloads, defaults, VARIADIC,
//! polymorphic parameters, domains, sets, procedures and aggregates.
//!
//! Declaration and catalogue are made from the same table, so that they cannot say different things.

use crate::typing::function;
use daam_catalog::{Catalog, FunctionKind, Parameters};
use std::fmt::Write as _;

/// Name; parameters with their defaults; result. `*` before a type: variadic. `SETOF` and the kind as SQL says them.
type Declared = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const FUNCTIONS: &[Declared] = &[
    ("one", &[("integer", "")], "integer"),
    ("pick", &[("integer", "")], "integer"),
    ("pick", &[("text", "")], "text"),
    ("pick", &[("numeric", "")], "numeric"),
    ("pick", &[("date", "")], "date"),
    ("narrow", &[("smallint", "")], "boolean"),
    ("narrow", &[("bigint", "")], "boolean"),
    ("wide", &[("double precision", "")], "boolean"),
    ("wide", &[("numeric", "")], "boolean"),
    ("either", &[("integer", ""), ("text", "")], "boolean"),
    ("either", &[("text", ""), ("integer", "")], "boolean"),
    ("given", &[("integer", ""), ("integer", "7")], "integer"),
    ("given_all", &[("integer", "1"), ("text", "'x'")], "boolean"),
    ("unclear", &[("integer", "")], "integer"),
    ("unclear", &[("integer", ""), ("text", "'x'")], "integer"),
    ("clear", &[("integer", ""), ("text", "'x'")], "integer"),
    ("clear", &[("text", ""), ("text", "'x'")], "text"),
    ("late", &[("text", ""), ("integer", "1"), ("boolean", "true")], "boolean"),
    ("sum_of", &[("*integer[]", "")], "integer"),
    ("join_of", &[("text", ""), ("*text[]", "")], "text"),
    ("mixed", &[("*integer[]", "")], "boolean"),
    ("mixed", &[("integer", ""), ("integer", "")], "boolean"),
    ("numbers", &[("*numeric[]", "")], "boolean"),
    ("numbers", &[("*text[]", "")], "boolean"),
    ("spare", &[("integer", "1"), ("*text[]", "'{}'")], "boolean"),
    ("elements", &[("*anyarray", "")], "boolean"),
    ("alike", &[("anyelement", ""), ("anyelement", "")], "boolean"),
    ("first_of", &[("anyarray", "")], "anyelement"),
    ("within", &[("anyelement", ""), ("anyarray", "")], "boolean"),
    ("around", &[("anyelement", ""), ("anyrange", "")], "boolean"),
    ("listed", &[("anyenum", "")], "boolean"),
    ("plain", &[("anynonarray", "")], "boolean"),
    ("near", &[("anycompatible", ""), ("anycompatible", "")], "boolean"),
    ("near_all", &[("anycompatible", ""), ("*anycompatiblearray", "")], "boolean"),
    ("repeated", &[("anyelement", ""), ("integer", "1")], "anyelement"),
    ("sound", &[("public.positive", "")], "boolean"),
    ("sound", &[("text", "")], "boolean"),
    ("tagged", &[("public.tags", "")], "boolean"),
    ("felt", &[("public.mood", "'ok'")], "public.mood"),
    ("felt_by", &[("public.mood_domain", "")], "boolean"),
    ("paired", &[("public.pair", "")], "boolean"),
    ("spread", &[("*public.mood[]", "")], "boolean"),
    ("rows_of", &[("integer", "")], "SETOF integer"),
    ("done", &[("integer", "")], "PROCEDURE"),
    ("total_of", &[("integer", "")], "AGGREGATE"),
];

/// Arguments: literals without a type, constants, columns, arrays, values of user types.
const ARGUMENTS: &[&str] = &[
    "1",
    "'1'",
    "1.5",
    "'sad'",
    "null",
    "id",
    "name",
    "small",
    "true",
    "array[1, 2]",
    "'{a}'",
    "array['a']",
    "feeling",
    "level",
    "'2026-01-01'::date",
    "int4range(1, 2)",
];

/// Of those, for the longer calls.
const FEW: &[&str] = &["1", "'1'", "id", "name", "null", "array[1]"];

/// The columns they use.
pub(crate) const COLUMNS: &[(&str, &str)] = &[
    ("id", "integer"),
    ("name", "text"),
    ("small", "smallint"),
    ("feeling", "public.mood"),
    ("level", "public.positive"),
];

/// What makes them.
pub(crate) fn declarations() -> String {
    let mut sql = String::new();
    for (name, parameters, returns) in FUNCTIONS {
        let list: Vec<String> = parameters
            .iter()
            .enumerate()
            .map(|(index, (kind, default))| {
                let (variadic, kind) = kind.strip_prefix('*').map_or(("", *kind), |kind| ("VARIADIC ", kind));
                let default = if default.is_empty() { String::new() } else { format!(" DEFAULT {default}") };
                format!("{variadic}p{index} {kind}{default}")
            })
            .collect();
        let list = list.join(", ");
        let body = "LANGUAGE plpgsql IMMUTABLE AS 'begin return null; end'";
        let set = "LANGUAGE plpgsql IMMUTABLE AS 'begin return; end'";
        let _ = match *returns {
            "PROCEDURE" => {
                writeln!(sql, "CREATE PROCEDURE public.{name}({list}) LANGUAGE plpgsql AS 'begin end';")
            }
            "AGGREGATE" => {
                writeln!(sql, "CREATE AGGREGATE public.{name}(integer) (sfunc = int4pl, stype = integer);")
            }
            _ if returns.starts_with("SETOF") => {
                writeln!(sql, "CREATE FUNCTION public.{name}({list}) RETURNS {returns} {set};")
            }
            _ => writeln!(sql, "CREATE FUNCTION public.{name}({list}) RETURNS {returns} {body};"),
        };
    }
    sql
}

/// The same for the catalogue.
pub(crate) fn describe(catalog: &mut Catalog) {
    for (name, parameters, returns) in FUNCTIONS {
        let kinds: Vec<&str> = parameters.iter().map(|(kind, _)| kind.trim_start_matches('*')).collect();
        let mut found = function(name, &kinds, returns.trim_start_matches("SETOF "));
        found.returns_set = returns.starts_with("SETOF");
        found.kind = match *returns {
            "PROCEDURE" => FunctionKind::Procedure,
            "AGGREGATE" => FunctionKind::Aggregate,
            _ => FunctionKind::Function,
        };
        match found.kind {
            FunctionKind::Procedure => found.returns = "void".to_owned(),
            FunctionKind::Aggregate => found.returns = "integer".to_owned(),
            _ => {}
        }
        let variadic = parameters.iter().any(|(kind, _)| kind.starts_with('*'));
        let defaults = parameters.iter().filter(|(_, default)| !default.is_empty()).count();
        found.parameters = Parameters { names: Vec::new(), defaults, variadic };
        catalog.functions.insert(found.name.clone(), found);
    }
}

/// Calls of every one of them with up to three arguments.
pub(crate) fn calls() -> Vec<String> {
    let mut names: Vec<&str> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
    names.dedup();
    let mut out = Vec::new();
    let mut call = |name: &str, arguments: &[&str]| {
        out.push(format!("public.{name}({}) is null", arguments.join(", ")));
    };
    for name in names {
        call(name, &[]);
        for one in ARGUMENTS {
            call(name, &[one]);
            for two in ARGUMENTS {
                call(name, &[one, two]);
            }
        }
        for one in FEW {
            for two in FEW {
                for three in FEW {
                    call(name, &[one, two, three]);
                }
            }
        }
    }
    for name in ["narrow", "given_all", "mixed"] {
        out.push(format!("public.{name}(id)"));
        out.push(format!("not public.{name}(id, id)"));
    }
    out
}
