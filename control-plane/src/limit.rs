//! What a job may use whose trust names the databases it may reach: these databases, and what it takes to get to them.
//! Everything else of the API is refused, so that no route, also none that comes later, leads around the limit: not by a
//! session of the console, another token, an enrolment, or another trust.

use crate::problem::Refusal;
use axum::extract::RawPathParams;
use axum::http::StatusCode;
use std::collections::BTreeSet;

/// Besides routes of a database. Who one is, whom to believe, which databases there are (those that are named), and a
/// certificate (which names them, too).
const BESIDES: [(&str, &str); 6] = [
    ("GET", "/v1/whoami"),
    ("GET", "/v1/ca"),
    ("GET", "/v1/trust"),
    ("GET", "/v1/trust/{version}"),
    ("GET", "/v1/databases"),
    ("POST", "/v1/certificates"),
];

/// Whether somebody limited to databases may use a route, by its path as the router writes it.
pub(crate) fn check(
    named: &BTreeSet<String>,
    (method, route): (&str, &str),
    filled: &RawPathParams,
) -> Result<(), Refusal> {
    let database = filled.iter().find(|(name, _)| *name == "db").map(|(_, value)| value);
    judge(named, (method, route), database)
}

fn judge(
    named: &BTreeSet<String>,
    (method, route): (&str, &str),
    database: Option<&str>,
) -> Result<(), Refusal> {
    let title = match database {
        Some(database) if named.contains(database) => return Ok(()),
        Some(_) => "this job may not reach this database",
        None if BESIDES.contains(&(method, route)) => return Ok(()),
        None => "this job may reach its databases and nothing else of the organization",
    };
    let named: Vec<String> = named.iter().map(|name| format!("`{name}`")).collect();
    Err(Refusal::new(StatusCode::FORBIDDEN, "auth.limited", title)
        .allowed(format!("{}; an admin trusts other jobs with others", named.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Surface, table};

    #[test]
    fn only_its_databases_and_the_way_there_are_open_whatever_routes_there_are() {
        let named = BTreeSet::from(["shop".to_owned()]);
        let mut open = Vec::new();
        for route in table().into_iter().filter(|route| route.surface == Surface::Api) {
            let of_a_database = route.path.contains("{db}");
            let here = judge(&named, (route.method, route.path), of_a_database.then_some("shop"));
            assert!(!of_a_database || here.is_ok(), "{route:?}");
            for other in ["hr", "", "Shop", "shop "] {
                let there = judge(&named, (route.method, route.path), of_a_database.then_some(other));
                assert!(!of_a_database || there.is_err(), "{route:?}");
            }
            if !of_a_database && here.is_ok() {
                open.push((route.method, route.path));
            }
        }
        open.sort_unstable();
        let mut expected = BESIDES;
        expected.sort_unstable();
        assert_eq!(open, expected, "each of them is a route");
        assert!(judge(&named, ("POST", "/v1/console-link"), None).is_err());
        assert!(judge(&named, ("POST", "/v1/tokens"), None).is_err());
    }
}
