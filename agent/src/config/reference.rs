//! The reference and the JSON Schema, from the table of settings.

use super::environment::OURS;
use super::settings::{Kind, Need, SETTINGS, Setting};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

impl Kind {
    /// In words.
    pub fn words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Socket => "`address:port`".to_owned(),
            Self::Addresses => "list of `host:port`".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Duration => "time: `ms`, `s`, `m`, `h`".to_owned(),
            Self::Size => "size: `KiB`, `MiB`, `GiB`".to_owned(),
            Self::Count => "whole number".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Patterns => "list of patterns".to_owned(),
            Self::Choice(choices) => {
                let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
                choices.join(", ")
            }
        }
    }

    fn schema(self) -> Value {
        let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
        let list = |pattern: &str| json!({ "type": "array", "items": text(pattern) });
        match self {
            Self::Text | Self::Path => text("\\S"),
            Self::Socket => text("^.+:[0-9]+$"),
            Self::Addresses => list("^.+:[0-9]+$"),
            Self::Url => text("^https?://."),
            Self::Duration => json!({ "anyOf": [text("^([0-9]+(ms|s|m|h)|0+)$"), { "const": 0 }] }),
            Self::Size => text("^[0-9]+ *(KiB|MiB|GiB)$"),
            Self::Count => json!({ "type": "integer", "minimum": 2, "maximum": 100_000 }),
            Self::Flag => json!({ "type": "boolean" }),
            Self::Choice(choices) => json!({ "enum": choices }),
            Self::Patterns => list("^[^!].*\\..+$"),
        }
    }
}

/// The page `policy-examples/agent-configuration.md`, between its fixed beginning and end.
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut open = "";
    for setting in &SETTINGS {
        let (section, _) = setting.parts();
        if section != open {
            open = section;
            let need = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, need)| need);
            let _ = write!(page, "\n## `{section}`\n\n{need}\n\n{HEAD}");
        }
        page.push_str(&row(setting));
    }
    let others: Vec<String> = OURS.iter().map(|name| format!("`{name}`")).collect();
    let _ = write!(page, "\n## Beside the settings\n\n{} are no settings: {BESIDE}", others.join(" and "));
    page
}

fn row(setting: &Setting) -> String {
    let otherwise = match setting.need {
        Need::Always | Need::Section => "needed".to_owned(),
        Need::Otherwise(words) if words.contains(' ') && !words.ends_with("MiB") => words.to_owned(),
        Need::Otherwise(value) => format!("`{value}`"),
    };
    let (_, key) = setting.parts();
    let Setting { about, example, variable, kind, .. } = setting;
    let words = kind.words().replace('|', "\\|");
    format!("| `{key}` | {about} | {words} | {otherwise} | `{example}` | `{variable}` |\n")
}

/// The schema of the file, for editors.
pub fn schema() -> Value {
    let mut sections = Map::new();
    for (name, about) in SECTIONS {
        let of: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.parts().0 == name).collect();
        let properties: Map<String, Value> = of
            .iter()
            .map(|setting| {
                let mut schema = setting.kind.schema();
                if let Some(fields) = schema.as_object_mut() {
                    fields.insert("description".to_owned(), json!(setting.about));
                }
                (setting.parts().1.to_owned(), schema)
            })
            .collect();
        let required: Vec<&str> = of
            .iter()
            .filter(|setting| !matches!(setting.need, Need::Otherwise(_)))
            .map(|setting| setting.parts().1)
            .collect();
        sections.insert(
            name.to_owned(),
            json!({
                "type": "object", "description": about, "additionalProperties": false, "properties": properties,
                "required": required,
            }),
        );
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "daam agent configuration",
        "description": "The configuration file of one `daam-agent`. What variables say need not stand in it.",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
        "required": ["upstream"],
    })
}

const SECTIONS: [(&str, &str); 6] = [
    ("agent", "Needed by `daam-agent run`."),
    ("audit", "All of it is optional."),
    ("control_plane", "Needed by `daam-agent run`."),
    ("trust", "Needed by `daam-agent run`."),
    ("upstream", "Needed by every command."),
    ("views", "All of it is optional."),
];

const HEAD: &str =
    "| key | what it is for | type | without it | example | variable |\n|---|---|---|---|---|---|\n";

const INTRODUCTION: &str = "\
# Configuration of the agent

Every setting, made from the table the agent itself reads by (`daam-agent config reference` prints this page,
`daam-agent config schema` the [JSON Schema](../schemas/agent.schema.json), `daam-agent config check` reads a configuration
and says what is in force). What the agent does with them: [agent.md](agent.md).

* **File.** YAML, given by `--config`; relative paths are relative to it. An unknown or repeated key, a null, an anchor, a
  value of another kind refuses the file with its line and column.
* **Variables.** Each setting has one, read as strictly: a bad value is refused with the variable's name, a name that begins
  with `DAAM_` and means nothing is refused with what was probably meant, and one that is set to nothing is refused too.
  Texts are taken as they are, lists are written in brackets as in the file (`DAAM_UPSTREAM_SCOPE='[public.users]'`), paths
  are absolute. Variables alone are a configuration; then there is no `--config`.
* **Both.** A variable wins over the file, and the log names each that does. Not the scope: it is a boundary, so it stands in
  one place, and two are refused. Absent, `[]` and a list are three things in either.
* **Reload.** SIGHUP reads everything again and refuses all of it if anything is wrong. `upstream.scope` takes effect at once;
  other settings that have changed are named in the log and wait for a restart. A scope that comes from the variable cannot
  change without one either.
";

const BESIDE: &str = "\
the first stands for `--config`, the second filters the log (`info`, `daam_agent=debug`). Variables of daam's other programs
are passed over.
";
