//! Connecting as somebody: the person is put into the directory, gets a token and a certificate, and takes the
//! same way to the database as everybody else.

use super::plane::admin;
use super::project::attribute_types;
use super::state::{Facts, RELAY_CERTIFICATE, StateDir};
use crate::control_plane::ControlPlane;
use crate::credentials::IdentityStore;
use crate::error::{CliError, Doing as _};
use crate::home::read_if_present;
use crate::link::{Link, LinkConfig};
use crate::login::new_device;
use clap::Args;
use daam_api::v1;
use daam_model::AttributeType;
use daam_tunnel::{PathPreference, TcpSettings};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(20);
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(20);

/// Who to connect as.
#[derive(Debug, Args)]
pub struct Person {
    /// The person's e-mail address.
    #[arg(long = "as", value_name = "EMAIL")]
    email: String,
    /// The person's groups; without this option they stay as they are.
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    groups: Option<Vec<String>>,
    /// An attribute of the person; without this option they stay as they are.
    #[arg(long = "attr", value_name = "KEY=VALUE")]
    attributes: Vec<String>,
    /// Whether attributes that are not given are taken away rather than kept.
    #[arg(skip)]
    exact: bool,
}

impl Person {
    /// Somebody a test names, with exactly these groups and attributes.
    pub fn new(email: &str, groups: Vec<String>, attributes: Vec<String>) -> Self {
        Self { email: email.to_owned(), groups: Some(groups), attributes, exact: true }
    }

    /// The e-mail address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Puts the person into the directory, waits until the agent knows, and prepares the way.
    pub async fn link(
        &self,
        state: &StateDir,
        facts: &Facts,
        prefer: PathPreference,
    ) -> Result<Link, CliError> {
        let admin = admin(state, facts)?;
        let user = self.wanted(&admin, &facts.project).await?;
        let stored = admin.put_user(&self.email, &user).await?;
        until_known(&admin, &facts.database, stored.directory_version).await?;
        let token = v1::NewToken {
            name: "daam dev".to_owned(),
            email: Some(self.email.clone()),
            expires_in: Some(24 * 60 * 60),
        };
        let token = admin.create_token(&token).await?.token;
        let config = LinkConfig {
            plane: admin.with_token(&token),
            org: facts.org.clone(),
            database: facts.database.clone(),
            device: new_device(),
            prefer,
            tcp: TcpSettings {
                roots_pem: read_if_present(&state.path(RELAY_CERTIFICATE))?,
                ..TcpSettings::default()
            },
        };
        Ok(Link::new(config, IdentityStore::Memory(None)))
    }

    async fn wanted(&self, admin: &ControlPlane, project: &std::path::Path) -> Result<v1::PutUser, CliError> {
        let given = attributes(&self.attributes, &attribute_types(project)?)?;
        let known =
            admin.users().await?.into_iter().find(|user| user.email.eq_ignore_ascii_case(&self.email));
        let mut user = known.map_or_else(v1::PutUser::default, |user| v1::PutUser {
            role: Some(user.role),
            groups: user.groups,
            attributes: user.attributes,
            disabled: user.disabled,
        });
        if let Some(groups) = &self.groups {
            user.groups = groups.iter().filter(|group| !group.is_empty()).cloned().collect();
        }
        if self.exact {
            user.attributes.clear();
        }
        user.attributes.extend(given);
        Ok(user)
    }
}

/// Waits until every agent of the database that is online enforces that directory version.
async fn until_known(admin: &ControlPlane, database: &str, version: u64) -> Result<(), CliError> {
    let start = Instant::now();
    loop {
        let agents = admin.agents().await?;
        let mut online = agents.iter().filter(|agent| agent.online && agent.database == database).peekable();
        if online.peek().is_some() && online.all(|agent| agent.directory_version >= version) {
            return Ok(());
        }
        if start.elapsed() > DIRECTORY_DEADLINE {
            return Err(CliError::usage("the agent did not take over the directory in time")
                .remedy("look at `logs/agent.log` in the sandbox's state directory"));
        }
        sleep(POLL).await;
    }
}

/// Reads `key=value` by the declared types; an undeclared attribute is text.
fn attributes(
    given: &[String],
    types: &BTreeMap<String, AttributeType>,
) -> Result<BTreeMap<String, Value>, CliError> {
    given
        .iter()
        .map(|text| {
            let (name, value) = text.split_once('=').ok_or_else(|| {
                CliError::usage(format!("`{text}` is not an attribute")).remedy("write --attr name=value")
            })?;
            Ok((name.to_owned(), typed(name, value, types.get(name))?))
        })
        .collect()
}

fn typed(name: &str, value: &str, kind: Option<&AttributeType>) -> Result<Value, CliError> {
    match kind {
        Some(AttributeType::Integer) => value
            .parse::<i64>()
            .map(Value::from)
            .doing(format_args!("read `{value}` as the integer `{name}` is declared to be")),
        Some(AttributeType::Boolean) => value
            .parse::<bool>()
            .map(Value::from)
            .doing(format_args!("read `{value}` as the boolean `{name}` is declared to be")),
        Some(AttributeType::Text | AttributeType::Uuid) | None => Ok(Value::from(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_typed_as_declared() {
        let types = BTreeMap::from([
            ("clearance".to_owned(), AttributeType::Integer),
            ("active".to_owned(), AttributeType::Boolean),
            ("region".to_owned(), AttributeType::Text),
        ]);
        let read = |text: &str| attributes(&[text.to_owned()], &types);
        assert_eq!(read("clearance=3").unwrap()["clearance"], Value::from(3));
        assert_eq!(read("active=true").unwrap()["active"], Value::from(true));
        assert_eq!(read("region=5").unwrap()["region"], Value::from("5"));
        assert_eq!(read("other=a=b").unwrap()["other"], Value::from("a=b"));
        assert!(read("clearance=high").is_err());
        assert!(read("region").is_err());
    }
}
