//! `daam doctor`: can this computer reach what it needs, each way by itself, and what to do where it cannot.
//!
//! Every way is really taken, up to the agent's word that it accepts us: an open port proves nothing.

use crate::credentials::{IdentityStore, Login};
use crate::error::{CliError, Exit};
use crate::home::{Home, text_variable};
use crate::link::{Link, LinkConfig};
use crate::output;
use clap::Args;
use daam_tunnel::{DialPlan, PathKind, PathPreference, TcpSettings};
use std::time::{Duration, Instant};

/// Options of `daam doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  daam doctor
  daam doctor shop

Exit codes: 0 the database can be reached, 1 it cannot, 2 the check itself was not possible.")]
pub struct DoctorArgs {
    /// The database to reach; without it, the first that `daam databases` lists.
    database: Option<String>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    what: String,
    /// `Err` with what is wrong and what to do.
    result: Result<String, (String, String)>,
}

/// Tries everything.
pub async fn run(args: DoctorArgs) -> Result<Exit, CliError> {
    let home = Home::find()?;
    let login = Login::load(&home)?;
    let plane = login.control_plane()?;
    let started = Instant::now();
    let databases = match plane.databases().await {
        Ok(databases) => databases,
        Err(error) => {
            let fix = "check the address you signed in to, the network, and HTTPS_PROXY if this network has a proxy";
            tell(&Finding {
                what: format!("control plane {}", plane.url()),
                result: Err((error.sentence(), fix.to_owned())),
            });
            return Ok(Exit::Findings);
        }
    };
    tell(&Finding { what: format!("control plane {}", plane.url()), result: Ok(took(started)) });
    let database = args.database.or_else(|| databases.first().map(|database| database.name.clone()));
    let Some(database) = database else {
        return Err(CliError::usage("no database is registered yet").remedy("enrol an agent first"));
    };
    let config = LinkConfig {
        plane,
        org: login.org,
        database,
        device: login.device,
        prefer: PathPreference::Auto,
        tcp: TcpSettings::default(),
    };
    let link = Link::new(config, IdentityStore::of_login(&home));
    let works = ways(&link).await?;
    if works {
        output::line(format!("`{}` can be reached", link.database()));
        return Ok(Exit::Passed(0));
    }
    output::line(format!("`{}` cannot be reached from here", link.database()));
    Ok(Exit::Findings)
}

/// Takes every way alone; whether one worked.
async fn ways(link: &Link) -> Result<bool, CliError> {
    let known = link.fresh_plan().await?;
    let mut works = false;
    let directs =
        known.direct.iter().flat_map(|addr| [(PathKind::Direct, *addr), (PathKind::DirectTcp, *addr)]);
    let relays = known.relays.iter().map(|relay| (PathKind::Relay, relay.addr));
    let tcp = known.relays.iter().map(|relay| (PathKind::RelayTcp, relay.addr));
    for (kind, addr) in directs.chain(relays).chain(tcp) {
        let mut plan = link.fresh_plan().await?;
        plan.direct.retain(|known| *known == addr);
        plan.relays.retain(|relay| relay.addr == addr);
        plan.prefer = match kind {
            PathKind::Direct => PathPreference::DirectUdp,
            PathKind::DirectTcp => PathPreference::DirectTcp,
            PathKind::Relay => PathPreference::RelayUdp,
            PathKind::RelayTcp => PathPreference::RelayTcp,
        };
        let result = attempt(plan, kind).await;
        works |= result.is_ok();
        tell(&Finding { what: format!("{kind} {addr}"), result });
    }
    if known.direct.is_empty() && known.relays.is_empty() {
        let fix =
            "start the agent, set `agent.advertise` to an address reachable from here, or enrol a relay";
        let what = "ways to the agent".to_owned();
        tell(&Finding { what, result: Err(("none is known".to_owned(), fix.to_owned())) });
    }
    Ok(works)
}

async fn attempt(plan: DialPlan, kind: PathKind) -> Result<String, (String, String)> {
    let started = Instant::now();
    match daam_tunnel::dial(plan).await {
        Ok(tunnel) => {
            let time = took(started);
            tunnel.shutdown("the doctor is done").await;
            Ok(time)
        }
        Err(error) => {
            let said = error.to_string();
            let fix = remedy(kind, &said);
            Err((said, fix))
        }
    }
}

/// What helps, by what was tried and what was said.
fn remedy(kind: PathKind, said: &str) -> String {
    crate::remedy::of(said).map_or_else(|| unreachable(kind), str::to_owned)
}

fn unreachable(kind: PathKind) -> String {
    match kind {
        PathKind::Direct => "normal where a NAT or firewall is between; a relay carries the session then".to_owned(),
        PathKind::DirectTcp => "normal where a firewall is between; let TCP to the agent's port in if UDP cannot be".to_owned(),
        PathKind::Relay => "let this computer out to the relay's UDP port, or live with TCP, which is slower".to_owned(),
        PathKind::RelayTcp if text_variable("HTTPS_PROXY").is_none() => {
            "let this computer out to the relay's TCP port, or set HTTPS_PROXY; the relay needs a TLS certificate".to_owned()
        }
        PathKind::RelayTcp => "let the proxy in HTTPS_PROXY through to the relay's TCP port".to_owned(),
    }
}

fn tell(finding: &Finding) {
    let Finding { what, result } = finding;
    match result {
        Ok(time) => output::line(format!("ok    {what}  {time}")),
        Err((said, fix)) => output::line(format!("FAIL  {what}: {said}\n      help: {fix}")),
    }
}

fn took(started: Instant) -> String {
    let micros = Duration::as_micros(&started.elapsed());
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_a_remedy() {
        for kind in [PathKind::Direct, PathKind::DirectTcp, PathKind::Relay, PathKind::RelayTcp] {
            assert!(!remedy(kind, "no answer").is_empty());
        }
    }
}
