//! Text into SQL: every inserted name and value goes through here.

/// A name as a quoted identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as a string literal that reads the same whatever `standard_conforming_strings` says.
pub fn literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if value.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A value as a dollar-quoted string whose tag does not occur in it.
pub fn dollar(value: &str) -> String {
    let mut tag = String::from("daam");
    while value.contains(&format!("${tag}")) {
        tag.push('_');
    }
    format!("${tag}${value}${tag}$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_backslashes_and_tags_survive() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
        assert_eq!(dollar("x"), "$daam$x$daam$");
        assert_eq!(dollar("$daam$x"), "$daam_$$daam$x$daam_$");
    }
}
