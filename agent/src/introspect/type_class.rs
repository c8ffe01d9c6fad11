//! From PostgreSQL's description of a type to the class policies reason by.

use daam_catalog::TypeClass;

/// `typtype`, `typcategory`, `typname`, and whether the type is PostgreSQL's own.
pub(super) fn class(kind: &str, category: &str, name: &str, builtin: bool) -> TypeClass {
    match (kind, category) {
        ("e", _) => return TypeClass::Enum,
        ("d", _) => return TypeClass::Domain,
        // `int2vector` and `oidvector` are of category A too, and behave like arrays.
        (_, "A") => return TypeClass::Array,
        _ => {}
    }
    match (builtin, name) {
        (true, "text" | "varchar" | "bpchar") | (false, "citext") => TypeClass::Text,
        (true, "uuid") => TypeClass::Uuid,
        (true, "int2" | "int4" | "int8") => TypeClass::Integer,
        (true, "numeric") => TypeClass::Numeric,
        (true, "float4" | "float8") => TypeClass::Float,
        (true, "bool") => TypeClass::Boolean,
        (true, "date") => TypeClass::Date,
        (true, "timestamp") => TypeClass::Timestamp,
        (true, "timestamptz") => TypeClass::TimestampTz,
        (true, "time" | "timetz" | "interval") => TypeClass::Time,
        (true, "inet") => TypeClass::Inet,
        (true, "cidr") => TypeClass::Cidr,
        (true, "json") => TypeClass::Json,
        (true, "jsonb") => TypeClass::Jsonb,
        (true, "bytea") => TypeClass::Bytea,
        _ => TypeClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookalikes_of_builtin_types_are_other() {
        assert_eq!(class("b", "S", "text", true), TypeClass::Text);
        assert_eq!(class("b", "S", "text", false), TypeClass::Other);
        assert_eq!(class("d", "S", "email", false), TypeClass::Domain);
        assert_eq!(class("b", "A", "_text", true), TypeClass::Array);
        assert_eq!(class("b", "N", "money", true), TypeClass::Other);
    }
}
