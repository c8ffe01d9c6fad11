//! Dependencies point one way. Each of our packages lists what it may use of ours; a few outside crates are
//! confined to the package that wraps them.

use super::Finding;
use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use std::path::Path;

/// Package → our packages it may depend on (tests apart).
const OURS: [(&str, &[&str]); 26] = [
    ("daam-diagnostic", &[]),
    ("daam-catalog", &[]),
    ("daam-pgwire", &[]),
    ("daam-audit", &[]),
    ("daam-identity", &[]),
    ("daam-api", &[]),
    ("daam-postgres", &[]),
    ("daam-wire", &[]),
    ("daam-suite-log", &["daam-diagnostic"]),
    ("xtask", &["daam-suite-log"]),
    ("daam-tunnel", &["daam-identity"]),
    ("daam-tls-files", &["daam-identity"]),
    ("daam-model", &["daam-catalog"]),
    ("daam-sql", &["daam-catalog"]),
    ("daam-bundle", &["daam-model", "daam-catalog", "daam-api"]),
    ("daam-enforce", &["daam-model", "daam-catalog", "daam-sql"]),
    ("daam-compiler", &["daam-diagnostic", "daam-catalog", "daam-sql", "daam-model", "daam-bundle"]),
    ("daam-ledger", &["daam-bundle"]),
    ("daam-saml", &[]),
    ("daam-scim", &[]),
    ("daam-store", &["daam-api", "daam-ledger"]),
    ("daam-relay", &["daam-diagnostic", "daam-tunnel", "daam-identity", "daam-tls-files", "daam-api"]),
    (
        "daam-control-plane",
        &[
            "daam-diagnostic",
            "daam-model",
            "daam-bundle",
            "daam-catalog",
            "daam-compiler",
            "daam-identity",
            "daam-tls-files",
            "daam-audit",
            "daam-ledger",
            "daam-saml",
            "daam-scim",
            "daam-store",
            "daam-wire",
            "daam-api",
        ],
    ),
    (
        "daam-agent",
        &[
            "daam-diagnostic",
            "daam-catalog",
            "daam-sql",
            "daam-model",
            "daam-bundle",
            "daam-enforce",
            "daam-pgwire",
            "daam-audit",
            "daam-tunnel",
            "daam-identity",
            "daam-wire",
            "daam-api",
        ],
    ),
    (
        "daam",
        &[
            "daam-diagnostic",
            "daam-catalog",
            "daam-sql",
            "daam-model",
            "daam-bundle",
            "daam-compiler",
            "daam-enforce",
            "daam-pgwire",
            "daam-tunnel",
            "daam-identity",
            "daam-ledger",
            "daam-api",
            "daam-postgres",
        ],
    ),
    ("daam-e2e", &["daam-api", "daam-postgres", "daam-suite-log"]),
];

/// Outside crate → the only packages that may use it.
const CONFINED: [(&str, &[&str]); 8] = [
    ("pg_query", &["daam-sql"]),
    // The store's, and one of the drivers `ci/clients` tries.
    ("sqlx", &["daam-store", "daam-e2e"]),
    ("granit-parser", &["daam-compiler", "daam-agent"]),
    ("gamlastan", &["daam-saml"]),
    ("quinn", &["daam-tunnel"]),
    ("axum", &["daam-control-plane", "daam-agent", "daam-relay"]),
    ("miette", &["daam-diagnostic"]),
    ("ed25519-dalek", &["daam-bundle", "daam-identity"]),
];

/// Packages that may not even depend on a runtime or a network stack.
const PURE: [&str; 14] = [
    "daam-diagnostic",
    "daam-catalog",
    "daam-sql",
    "daam-model",
    "daam-bundle",
    "daam-compiler",
    "daam-enforce",
    "daam-pgwire",
    "daam-audit",
    "daam-identity",
    "daam-ledger",
    "daam-saml",
    "daam-scim",
    "daam-api",
];
const IO: [&str; 7] = ["tokio", "quinn", "sqlx", "axum", "reqwest", "tokio-postgres", "tokio-tungstenite"];

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
    Ok(metadata.packages.iter().flat_map(edges).collect())
}

fn edges(package: &Package) -> Vec<Finding> {
    let name = package.name.as_str();
    let place = package.manifest_path.as_std_path();
    let Some((_, allowed)) = OURS.iter().find(|(known, _)| *known == name) else {
        return vec![Finding::new("crate-edges", place, format!("`{name}` is not in the table of packages"))];
    };
    let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    normal
        .filter_map(|dependency| refused(name, &dependency.name, allowed))
        .map(|what| Finding::new("crate-edges", place, what))
        .collect()
}

fn refused(name: &str, dependency: &str, allowed: &[&str]) -> Option<String> {
    let ours = OURS.iter().any(|(known, _)| *known == dependency);
    if ours && !allowed.contains(&dependency) {
        return Some(format!("`{name}` may not depend on `{dependency}`"));
    }
    if PURE.contains(&name) && IO.contains(&dependency) {
        return Some(format!("`{name}` does no IO and may not depend on `{dependency}`"));
    }
    let (_, only) = CONFINED.iter().find(|(outside, _)| *outside == dependency)?;
    (!only.contains(&name)).then(|| format!("`{dependency}` belongs to {} alone", only.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_may_not_read_policy_yaml_and_the_model_may_not_do_io() {
        let agent = OURS.iter().find(|(name, _)| *name == "daam-agent").unwrap().1;
        assert!(refused("daam-agent", "daam-compiler", agent).is_some());
        assert!(refused("daam-agent", "daam-enforce", agent).is_none());
        assert!(refused("daam-model", "tokio", &[]).is_some());
        assert!(refused("daam-enforce", "pg_query", &[]).is_some());
    }
}
