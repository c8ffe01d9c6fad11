//! Whether a job's token says what an admin asked of it: every claim by a pattern, compared as text.
//!
//! Refused: a claim that is not there or is no single value, and trust in an issuer alone, because whoever has an account
//! at a public runner gets tokens of that issuer.

use serde_json::Value;
use std::collections::BTreeMap;

const LONGEST: usize = 256;
const MOST: usize = 20;
/// Runners that anybody can use, and the claims that say whose a job is.
const PUBLIC: [(&str, &[&str]); 2] = [
    (
        "https://token.actions.githubusercontent.com",
        &["sub", "repository", "repository_id", "repository_owner", "repository_owner_id"],
    ),
    ("https://gitlab.com", &["sub", "project_path", "project_id", "namespace_path", "namespace_id"]),
];

/// Why patterns are not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BadClaims {
    #[error("there are none, or more than 20")]
    Number,
    #[error("`{0}` is empty, longer than 256 characters, or has characters that are not printable ASCII")]
    Text(String),
    #[error("none of them begins with a text of its own, so anybody's jobs would do")]
    Anybody,
    #[error("anybody can have a job of this issuer, and none of `{0}` says whose it must be")]
    Public(String),
}

/// Whether patterns say enough to be trusted.
pub(crate) fn check(issuer: &str, claims: &BTreeMap<String, String>) -> Result<(), BadClaims> {
    if claims.is_empty() || claims.len() > MOST {
        return Err(BadClaims::Number);
    }
    let plain = |text: &str| {
        !text.is_empty() && text.len() <= LONGEST && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
    };
    if let Some((name, _)) = claims.iter().find(|(name, pattern)| !plain(name) || !plain(pattern)) {
        return Err(BadClaims::Text(name.chars().take(80).flat_map(char::escape_default).collect()));
    }
    if claims.values().all(|pattern| pattern.starts_with('*')) {
        return Err(BadClaims::Anybody);
    }
    let public = PUBLIC.iter().find(|(known, _)| *known == issuer.trim_end_matches('/'));
    if let Some((_, owners)) = public
        && !owners
            .iter()
            .any(|owner| claims.get(*owner).is_some_and(|pattern| names_somebody(owner, pattern)))
    {
        return Err(BadClaims::Public(owners.join("`, `")));
    }
    Ok(())
}

/// Whether everything up to the owner is spelled out: `acme/*` and `repo:acme/**` are, `acme*` and `repo:*` are not.
fn names_somebody(claim: &str, pattern: &str) -> bool {
    let Some((before, _)) = pattern.split_once('*') else { return true };
    let owner = if claim == "sub" { before.split_once(':').map_or("", |(_, rest)| rest) } else { before };
    owner.split_once('/').is_some_and(|(owner, _)| !owner.is_empty())
}

/// The first claim that is not as it must be.
pub(crate) fn missing<'a>(
    patterns: &'a BTreeMap<String, String>,
    said: &BTreeMap<String, Value>,
) -> Option<&'a str> {
    let fits = |(name, pattern): &(&String, &String)| match said.get(*name) {
        Some(Value::String(text)) => matches(pattern, text),
        Some(Value::Number(number)) => matches(pattern, &number.to_string()),
        Some(Value::Bool(yes)) => matches(pattern, if *yes { "true" } else { "false" }),
        _ => false,
    };
    patterns.iter().find(|claim| !fits(claim)).map(|(name, _)| name.as_str())
}

/// Letter by letter, keeping every place of the text the pattern can have come to: no pattern takes long.
fn matches(pattern: &str, text: &str) -> bool {
    let mut reached: Vec<bool> = std::iter::once(true).chain(text.chars().map(|_| false)).collect();
    let mut pattern = pattern.chars().peekable();
    while let Some(wanted) = pattern.next() {
        reached = if wanted == '*' {
            let across = pattern.next_if_eq(&'*').is_some();
            let mut here = false;
            let befores = std::iter::once(None).chain(text.chars().map(Some));
            let step = |(reached, before): (&bool, Option<char>)| {
                here = *reached || here && before.is_some_and(|before| across || before != '/');
                here
            };
            reached.iter().zip(befores).map(step).collect()
        } else {
            let next = reached.iter().zip(text.chars()).map(|(reached, letter)| *reached && letter == wanted);
            std::iter::once(false).chain(next).collect()
        };
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_star_stays_between_slashes_and_two_do_not() {
        for (pattern, text, fits) in [
            ("acme/shop", "acme/shop", true),
            ("acme/shop", "acme/shop2", false),
            ("acme/shop", "Acme/shop", false),
            ("acme/*", "acme/shop", true),
            ("acme/*", "acme/", true),
            ("acme/*", "acme/shop/x", false),
            ("acme/*", "evil/acme/shop", false),
            ("acme/*", "acme-evil/shop", false),
            ("refs/heads/*", "refs/heads/feature/x", false),
            ("refs/heads/**", "refs/heads/feature/x", true),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/main", true),
            ("repo:acme/*:ref:refs/heads/main", "repo:acme/shop:ref:refs/heads/evil/main", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("**", "", true),
            ("", "", true),
            ("x", "", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        let stars = "*a".repeat(128);
        assert!(!matches(&stars, &"a".repeat(5000).replace('a', "ab")), "and takes no time");
    }

    #[test]
    fn every_claim_is_there_as_one_value_and_as_it_must_be() {
        let said = |value: Value| BTreeMap::from([("ref".to_owned(), value)]);
        let wanted = BTreeMap::from([("ref".to_owned(), "m*".to_owned())]);
        assert_eq!(missing(&wanted, &said(json!("main"))), None);
        for bad in [json!("dev"), json!(null), json!(["main"]), json!({ "main": 1 })] {
            assert_eq!(missing(&wanted, &said(bad)), Some("ref"));
        }
        assert_eq!(missing(&wanted, &BTreeMap::new()), Some("ref"));
        let seven = BTreeMap::from([("ref".to_owned(), "7".to_owned())]);
        assert_eq!(missing(&seven, &said(json!(7))), None);
        assert_eq!(missing(&seven, &said(json!(7.5))), Some("ref"));
    }

    #[test]
    fn trust_names_whose_jobs_it_is_for() {
        let claims = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, pattern)| ((*name).to_owned(), (*pattern).to_owned())).collect()
        };
        let github = "https://token.actions.githubusercontent.com";
        let good: [&[(&str, &str)]; 5] = [
            &[("repository", "acme/shop")],
            &[("repository", "acme/*"), ("ref", "refs/heads/main")],
            &[("sub", "repo:acme/shop:environment:production")],
            &[("sub", "repo:acme/**")],
            &[("repository_owner_id", "42")],
        ];
        for pairs in good {
            assert_eq!(check(github, &claims(pairs)), Ok(()), "{pairs:?}");
        }
        let bad: [&[(&str, &str)]; 8] = [
            &[],
            &[("ref", "*")],
            &[("ref", "refs/heads/main")],
            &[("repository", "*/shop"), ("ref", "refs/heads/main")],
            &[("repository", "acme*")],
            &[("sub", "repo:*")],
            &[("sub", "repo:acme*:ref:refs/heads/main")],
            &[("repository", "")],
        ];
        for pairs in bad {
            assert!(check(github, &claims(pairs)).is_err(), "{pairs:?}");
            assert!(check(&format!("{github}/"), &claims(pairs)).is_err(), "{pairs:?}");
        }
        assert_eq!(check("https://ci.acme.example", &claims(&[("ref", "refs/heads/main")])), Ok(()));
        assert!(check("https://ci.acme.example", &claims(&[("ref", "*")])).is_err());
    }
}
