//! `daam-agent doctor`: what policies cannot close, because the customer's own grants leave it open, and what the agent
//! lacks to do its work. Each finding comes with the SQL that closes it; nothing is changed here.

mod checks;

use crate::introspect::{FullCatalog, IntrospectError};
use crate::shown;
use crate::upkeep::{self, UpkeepError};
use crate::upstream::UpstreamConfig;
use daam_catalog::Scope;
use std::fmt::Write as _;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The agent cannot do its work.
    Broken,
    /// Something is open whatever the policies say.
    Open,
    /// Better otherwise.
    Advice,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What is the matter.
    pub what: String,
    /// SQL or another remedy.
    pub remedy: String,
}

/// Looks at the database as the agent's own role.
pub async fn examine(upstream: &UpstreamConfig, scope: &Scope) -> Result<Vec<Finding>, UpkeepError> {
    let mut connected = upkeep::connect(upstream).await?;
    let full = FullCatalog::read(&mut connected.client).await?;
    let failed = |what| move |source| IntrospectError::Query { what, source };
    let own = checks::own_role(&connected.client).await.map_err(failed("agent's own role"))?;
    let triggers = checks::triggers(&connected.client, scope).await.map_err(failed("triggers"))?;
    let scoped = full.within(scope);
    let mut findings = own;
    findings.extend(triggers);
    findings.extend(checks::server(scoped.catalog().server));
    findings.extend(checks::public_relations(scoped.catalog()));
    // Functions reach across the scope: a SECURITY DEFINER function outside it can read tables inside.
    findings.extend(checks::definer_functions(full.unfiltered()));
    findings.sort();
    Ok(findings)
}

/// The findings as text.
pub fn render(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "nothing found: the database leaves nothing open beside the policies\n".to_owned();
    }
    let mut text = String::new();
    for finding in findings {
        let word = match finding.severity {
            Severity::Broken => "broken",
            Severity::Open => "open",
            Severity::Advice => "advice",
        };
        let _ = writeln!(
            text,
            "{word}: {}\n    {}",
            shown::word(&finding.what),
            finding.remedy.replace('\n', "\n    ")
        );
    }
    let count = findings.len();
    let _ = writeln!(text, "\n{count} finding{}", if count == 1 { "" } else { "s" });
    text
}
