//! The page on what an operator can set: made from the very options the program reads, so that none is left out and no
//! default is told wrong.

use crate::args::Cli;
use clap::{Arg, ArgAction, Command, CommandFactory as _};

const BEGINNING: &str = "\
# Configuration of the control plane

Every option of `daam-control-plane`, made from the table the program itself reads by. What it does with them:
[control-plane.md](control-plane.md). An option wins over its variable; an option that is not known, a value that is none
and options that exclude each other are refused with what would be accepted. All of it is read once, at
the start; the files of `--tls-cert` and `--tls-key` are read again when they change.
";

/// The page `policy-examples/control-plane-configuration.md`.
pub fn page() -> String {
    let mut text = BEGINNING.to_owned();
    section(&mut text, &Cli::command(), "daam-control-plane");
    text
}

fn section(text: &mut String, command: &Command, path: &str) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            section(text, sub, &path);
            continue;
        }
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        text.push_str("\n## `");
        text.push_str(&path);
        text.push_str("`\n\n");
        text.push_str(&about);
        text.push_str(".\n\n");
        text.push_str("| option | what it is for | without it | variable |\n|---|---|---|---|\n");
        let mut options: Vec<&Arg> = sub.get_arguments().filter(|arg| arg.get_id() != "help").collect();
        options.sort_by_key(|arg| arg.get_long());
        text.extend(options.into_iter().map(row));
    }
}

fn row(arg: &Arg) -> String {
    let takes = !matches!(arg.get_action(), ArgAction::SetTrue);
    let value = arg.get_value_names().and_then(|names| names.first()).filter(|_| takes);
    let option = value.map_or_else(String::new, |value| format!(" {value}"));
    let about = arg.get_help().map(|help| help.to_string().replace('|', "\\|")).unwrap_or_default();
    let default = arg.get_default_values().first().filter(|_| takes).map(|value| value.to_string_lossy());
    let without = match default {
        Some(default) => format!("`{default}`"),
        None if arg.is_required_set() => "needed".to_owned(),
        None if takes => String::new(),
        None => "no".to_owned(),
    };
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    format!("| `--{}{option}` | {about} | {without} | {variable} |\n", arg.get_long().unwrap_or_default())
}
