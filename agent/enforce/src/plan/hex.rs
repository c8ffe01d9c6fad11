//! Bytes as lower-case hexadecimal digits, for names made of digests and for keys inside SQL.

use std::fmt::Write as _;

/// `prefix` followed by two digits for each byte.
pub(super) fn after(prefix: &str, bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(prefix.to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_becomes_two_digits() {
        assert_eq!(after("daam:", [0, 10, 255]), "daam:000aff");
    }
}
