//! Checks of names people choose, before they reach the store or a certificate.

use crate::problem::Refusal;

const LONGEST: usize = 63;
const LONGEST_LABEL: usize = 100;
const LONGEST_GROUP: usize = 128;
const LONGEST_EMAIL: usize = 254;
const MOST_GROUPS: usize = 500;
const MOST_ATTRIBUTES: usize = 100;
const LONGEST_ATTRIBUTE: usize = 1024;

/// Words a policy already uses for the subject itself.
const RESERVED_ATTRIBUTES: [&str; 3] = ["id", "email", "groups"];

/// An e-mail address as the directory keys it: lower case.
pub(crate) fn email(text: &str) -> Result<String, Refusal> {
    let lower = text.to_ascii_lowercase();
    let good = lower.len() <= LONGEST_EMAIL
        && lower.bytes().all(|byte| byte.is_ascii_graphic())
        && lower
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if good {
        return Ok(lower);
    }
    Err(Refusal::bad("user.email", format!("`{}` is not an e-mail address", shown(text)))
        .allowed("`name@domain` in printable ASCII without spaces, at most 254 characters"))
}

/// A database's name.
pub(crate) fn database(text: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let good = text.len() <= LONGEST
        && text.bytes().all(plain)
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_');
    if good {
        return Ok(());
    }
    Err(Refusal::bad("database.name", format!("`{}` is not a database name", shown(text)))
        .allowed("letters, digits, `_`, `-` and `.`, not starting with `-` or `.`, at most 63 characters"))
}

/// A name only people read.
pub(crate) fn label(text: &str) -> Result<(), Refusal> {
    let misleads = |c: char| c.is_control() || turns_text(c);
    if !text.trim().is_empty() && text.len() <= LONGEST_LABEL && !text.chars().any(misleads) {
        return Ok(());
    }
    Err(Refusal::bad("request.name", format!("`{}` is not a usable name", shown(text)))
        .allowed("1 to 100 bytes without control characters"))
}

/// Whether it makes what follows be shown in another order than it is written, so that a name looks like another one.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}')
}

/// A user's groups.
pub(crate) fn groups<'a>(groups: impl ExactSizeIterator<Item = &'a String>) -> Result<(), Refusal> {
    if groups.len() > MOST_GROUPS {
        return Err(Refusal::bad("user.groups", format!("{} groups are too many", groups.len()))
            .allowed(format!("at most {MOST_GROUPS}")));
    }
    for group in groups {
        if group.trim() != group
            || group.is_empty()
            || group.len() > LONGEST_GROUP
            || group.chars().any(char::is_control)
        {
            return Err(Refusal::bad("user.groups", format!("`{}` is not a group name", shown(group)))
                .allowed("1 to 128 bytes without control characters or spaces at either end"));
        }
    }
    Ok(())
}

/// A user's attributes.
pub(crate) fn attributes<'a>(
    attributes: impl ExactSizeIterator<Item = (&'a String, &'a serde_json::Value)>,
) -> Result<(), Refusal> {
    if attributes.len() > MOST_ATTRIBUTES {
        return Err(Refusal::bad("user.attributes", format!("{} attributes are too many", attributes.len()))
            .allowed(format!("at most {MOST_ATTRIBUTES}")));
    }
    for (name, value) in attributes {
        attribute_name(name)?;
        let good = match value {
            serde_json::Value::Bool(_) => true,
            serde_json::Value::Number(number) => number.as_i64().is_some(),
            serde_json::Value::String(text) => text.len() <= LONGEST_ATTRIBUTE && !text.contains('\0'),
            _ => false,
        };
        if !good {
            return Err(Refusal::bad(
                "user.attributes",
                format!("the value of attribute `{name}` is not usable"),
            )
            .allowed("a string of at most 1024 bytes, a 64-bit integer, or a boolean"));
        }
    }
    Ok(())
}

fn attribute_name(name: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = name.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_');
    if !starts || name.len() > LONGEST || !name.bytes().all(plain) {
        return Err(Refusal::bad("user.attributes", format!("`{}` is not an attribute name", shown(name)))
            .allowed(
                "lower-case letters, digits and `_`, not starting with a digit, at most 63 characters",
            ));
    }
    if RESERVED_ATTRIBUTES.contains(&name) {
        return Err(Refusal::bad("user.attributes", format!("attribute `{name}` is already what a user is"))
            .allowed("any name but `id`, `email` and `groups`"));
    }
    Ok(())
}

/// `host:port`, as others will dial it.
pub(crate) fn address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%');
    text.len() <= 260
        && !host.is_empty()
        && host.chars().all(plain)
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// The beginning of a text, for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_written_or_refused() {
        assert_eq!(email("Ana@Example.com").unwrap(), "ana@example.com");
        for bad in ["", "ana", "@x", "a@", "a b@x", "a@b@c", "ána@x.org"] {
            assert!(email(bad).is_err(), "{bad}");
        }
        for (text, good) in [("shop", true), ("shop-eu.1", true), ("", false), ("../x", false), ("-x", false)]
        {
            assert_eq!(database(text).is_ok(), good, "{text}");
        }
        for (text, good) in
            [("127.0.0.1:6432", true), ("[::1]:6432", true), ("db:0", false), ("db", false), ("a b:1", false)]
        {
            assert_eq!(address(text), good, "{text}");
        }
    }

    #[test]
    fn attributes_are_scalars_under_free_names() {
        let check =
            |name: &str, value: serde_json::Value| attributes([(&name.to_owned(), &value)].into_iter());
        assert!(check("region", "eu".into()).is_ok());
        assert!(check("tenant_id", 7.into()).is_ok());
        assert!(check("tenant_id", 7.5.into()).is_err());
        assert!(check("x", serde_json::Value::Null).is_err());
        assert!(check("email", "x".into()).is_err());
        assert!(check("Region", "x".into()).is_err());
    }
}
