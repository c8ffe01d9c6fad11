//! `daam-agent config`: what the configuration says, and what it could say.

use super::{Failure, Given};
use crate::config::settings::{Need, SETTINGS};
use crate::config::{Config, reference};
use crate::output;
use clap::{Args, Subcommand};
use std::fmt::Write as _;

const EXAMPLES: &str = "\
Examples:
  daam-agent config check --config /etc/daam-agent/config.yaml
  daam-agent config schema > agent.schema.json
  daam-agent config reference";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read the file and the variables as the agent would, and print every setting with where it comes from.
    ///
    /// Opens none of the files it names and connects to nothing. Exit status: 0 accepted, 1 refused.
    Check(Given),
    /// Print the JSON Schema of the file.
    Schema,
    /// Print the reference of all settings and variables, as Markdown.
    Reference,
}

impl ConfigArgs {
    /// Where the configuration is, for a command that reads one.
    pub(super) fn given(&self) -> Option<&Given> {
        match &self.command {
            ConfigCommand::Check(given) => Some(given),
            ConfigCommand::Schema | ConfigCommand::Reference => None,
        }
    }
}

pub(super) fn run(args: &ConfigArgs) -> Result<u8, Failure> {
    match &args.command {
        ConfigCommand::Check(given) => output::print(&shown(&Config::load(given.config.as_deref())?)),
        ConfigCommand::Schema => output::print(&super::introspect::pretty(&reference::schema())),
        ConfigCommand::Reference => output::print(&reference::page()),
    }
    Ok(0)
}

/// One line for each setting.
fn shown(config: &Config) -> String {
    let mut text = String::new();
    for setting in &SETTINGS {
        let variable = config.variables.iter().find(|used| used.key == setting.key);
        let (value, from) = match (config.written.get(setting.key), variable) {
            (Some(value), None) => (value.as_str(), "the file".to_owned()),
            (Some(value), Some(used)) if used.overrides => {
                (value.as_str(), format!("{}, over the file", used.variable))
            }
            (Some(value), Some(used)) => (value.as_str(), used.variable.to_owned()),
            (None, _) => match setting.need {
                Need::Otherwise(words) => (words, "not set".to_owned()),
                Need::Always | Need::Section => ("-", "not set, its section is absent".to_owned()),
            },
        };
        let _ = writeln!(text, "{}: {value}  ({from})", setting.key);
    }
    text
}
