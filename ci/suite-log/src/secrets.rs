//! How a secret is recognized in a log: by what the tests plant, and by the shapes of real ones.
//!
//! A test that needs a secret of its own (a password, a client's secret, a value that a policy hides) writes one of the
//! [`PLANTED`] words into it. What programs make themselves has a shape: our tokens, certificates' keys, signed tokens.

use regex::{Regex, RegexSet};

/// What a secret of a test contains, whatever its case.
pub const PLANTED: &str = r"(?i)planted[-_ ](secret|plaintext)|hunter[0-9]";

/// What is secret by its shape, and what that is.
const SHAPES: [(&str, &str); 9] = [
    (PLANTED, "a secret that a test planted"),
    (r"daam_(boot|pat|enr|agt|rly|sgn|ses|flw|dev|scm)_[A-Za-z0-9_-]{43}", "a token of ours"),
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
    (r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}", "a signed token"),
    (r"[a-z]://[^/\s:@\x22]+:[^@\s/\x22*]+@", "an address with a password"),
    (r"SCRAM-SHA-256\$\d+:", "a password's verifier"),
    (r"(?i)\bbearer [A-Za-z0-9._~+/-]{16,}|\bbasic [A-Za-z0-9+/]{12,}={0,2}\b", "what proves a caller"),
    (
        r"(?i)[?&](code|token|access_token|id_token|client_secret|password|SAMLResponse|assertion)=[^&\s]{6,}",
        "a proof in an address",
    ),
    (r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", "a number that the example's policies mask"),
];

/// A line with a secret in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub what: &'static str,
    /// The line with the secret taken out.
    pub shown: String,
}

/// Looks for all of them at once.
#[derive(Debug)]
pub struct Search {
    any: RegexSet,
    each: Vec<(Regex, &'static str)>,
}

impl Search {
    /// For every shape.
    ///
    /// # Errors
    ///
    /// A shape that is no regular expression.
    pub fn new() -> Result<Self, regex::Error> {
        let any = RegexSet::new(SHAPES.iter().map(|(shape, _)| shape))?;
        let each = SHAPES.iter().map(|(shape, what)| Ok((Regex::new(shape)?, *what)));
        Ok(Self { any, each: each.collect::<Result<_, _>>()? })
    }

    /// Every secret in `log`, at most one per line.
    pub fn found<'a>(&'a self, log: &'a str) -> impl Iterator<Item = Found> + 'a {
        log.lines().enumerate().filter_map(|(at, line)| {
            let which = self.any.matches(line).iter().next()?;
            let (shape, what) = self.each.get(which)?;
            Some(Found { line: at + 1, what, shown: shape.replace_all(line, "…").into_owned() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(line: &str) -> Option<&'static str> {
        Search::new().unwrap().found(line).next().map(|found| found.what)
    }

    #[test]
    fn every_kind_of_secret_is_found_and_not_shown() {
        let token = format!("daam_pat_{}", "A".repeat(43));
        let signed = format!("eyJ{0}.eyJ{0}.{0}", "hbGciOiJub25lIn0x");
        let secrets = [
            ("Planted-Secret-of-a-client", "a secret that a test planted"),
            ("hunter2", "a secret that a test planted"),
            (&token, "a token of ours"),
            ("-----BEGIN EC PRIVATE KEY-----", "a private key"),
            (&signed, "a signed token"),
            ("postgresql://agent:pass@127.0.0.1/shop", "an address with a password"),
            ("SCRAM-SHA-256$4096:c2FsdA==", "a password's verifier"),
            ("authorization: Bearer abcdefghijklmnopqrstuvwxyz", "what proves a caller"),
            ("/sso/callback?state=x&code=abcdefgh", "a proof in an address"),
            ("customer 123-45-6789 was read", "a number that the example's policies mask"),
        ];
        for (secret, kind) in secrets {
            let log = format!("all is well\nWARN a line with {secret} in it");
            let found: Vec<Found> = Search::new().unwrap().found(&log).collect();
            assert_eq!(found.len(), 1, "{secret}: {found:?}");
            assert_eq!((found[0].line, found[0].what), (2, kind), "{secret}");
            assert!(!found[0].shown.contains(secret), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_secret_is_left_alone() {
        let lines = [
            "2027-01-15T08:00:00.000000Z  INFO daam_control_plane::server: listening address=127.0.0.1:8080",
            "token daam_pat_… of ana@example.com was deleted",
            "connect to postgresql://agent@127.0.0.1:5432/shop",
            "postgres://agent:***@127.0.0.1/shop",
            "session daam_s_0198c2f1 ended",
            "the header `Authorization: Bearer <token>` is missing",
        ];
        for line in lines {
            assert_eq!(what(line), None, "{line}");
        }
    }
}
