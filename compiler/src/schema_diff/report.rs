//! Changes of a schema for people and for machines. Lists are cut where nobody would read on; the JSON never is.

use super::{Reached, SchemaChange, Significance};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Changes of one kind that a text shows before it counts the rest.
const SHOWN: usize = 40;
/// Columns of one reach that are named before they are counted.
const NAMED: usize = 6;
/// A comment on a pull request may not be longer.
const MARKDOWN_LIMIT: usize = 60_000;

const SECTIONS: [(Significance, &str); 4] = [
    (Significance::BreaksPolicy, "policies name what is no longer there"),
    (Significance::NewlySensitive, "columns that look sensitive are now readable"),
    (Significance::NewlyMatched, "policies now cover"),
    (Significance::Neutral, "without effect on policies"),
];

/// For a terminal.
pub fn to_text(database: &str, changes: &[SchemaChange]) -> String {
    if changes.is_empty() {
        return format!("{database}: the schema is the same\n");
    }
    let mut out = format!("{database}: {}\n", counts(changes));
    for (significance, title) in SECTIONS {
        let list: Vec<_> = changes.iter().filter(|change| change.significance == significance).collect();
        if list.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{title}");
        for change in list.iter().take(SHOWN) {
            let _ = writeln!(out, "  {}", line(change));
            for reached in groups(&change.reached) {
                let _ = writeln!(out, "      {reached}");
            }
            for origin in &change.named {
                let _ = writeln!(out, "      named at {origin}");
            }
        }
        if list.len() > SHOWN {
            let _ = writeln!(out, "  … and {} more; `--report json` lists all", list.len() - SHOWN);
        }
    }
    out
}

fn line(change: &SchemaChange) -> String {
    let SchemaChange { object, kind, what, .. } = change;
    format!("{} {} {}: {what}", kind.as_str(), object.kind(), object)
}

/// Reach of one person over several columns is one line.
fn groups(reached: &[Reached]) -> Vec<String> {
    let mut groups: BTreeMap<(String, String), Vec<&Reached>> = BTreeMap::new();
    for one in reached {
        let standing = one.when == "standing";
        let who = if standing { one.who.clone() } else { format!("{} {}", one.who, one.when) };
        let how = match &one.mask {
            Some(mask) => format!("{} as `{mask}`", one.verbs.join(", ")),
            None if one.is_clear() => format!("{} without a mask", one.verbs.join(", ")),
            None => one.verbs.join(", "),
        };
        groups.entry((who, how)).or_default().push(one);
    }
    let text = |((who, how), list): ((String, String), Vec<&Reached>)| {
        let mut names: Vec<String> = list.iter().take(NAMED).map(|one| named(one)).collect();
        if list.len() > NAMED {
            names.push(format!("{} more", list.len() - NAMED));
        }
        let origin = list.iter().flat_map(|one| &one.origins).next();
        let at = origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
        format!("{who} {how}: {}{at}", names.join(", "))
    };
    groups.into_iter().map(text).collect()
}

fn named(reached: &Reached) -> String {
    match &reached.sensitive {
        Some(why) => format!("{} [{why}]", reached.column),
        None => reached.column.clone(),
    }
}

fn counts(changes: &[SchemaChange]) -> String {
    let count = |significance| changes.iter().filter(|change| change.significance == significance).count();
    format!(
        "{} changes: {} break a policy, {} newly sensitive, {} newly matched, {} neutral",
        changes.len(),
        count(Significance::BreaksPolicy),
        count(Significance::NewlySensitive),
        count(Significance::NewlyMatched),
        count(Significance::Neutral)
    )
}

/// For a comment on a pull request: at most 60 000 characters, and a count of what did not fit.
pub fn to_markdown(database: &str, changes: &[SchemaChange]) -> String {
    let mut out = format!("### Schema changes of {}\n\n{}\n", code(database), counts(changes));
    let mut hidden = 0_usize;
    for (significance, title) in SECTIONS {
        let mut head = format!("\n#### {title}\n\n");
        for change in changes.iter().filter(|change| change.significance == significance) {
            let mut text = std::mem::take(&mut head);
            let _ = writeln!(
                text,
                "- {} {} {}: {}",
                change.kind.as_str(),
                change.object.kind(),
                code(&change.object.to_string()),
                code(&change.what)
            );
            for reached in groups(&change.reached) {
                let _ = writeln!(text, "  - {}", code(&reached));
            }
            for origin in &change.named {
                let _ = writeln!(text, "  - named at {}", code(&origin.to_string()));
            }
            // Once something is left out, all that follows is: what is shown is always the worst.
            if hidden > 0 || out.chars().count() + text.chars().count() > MARKDOWN_LIMIT - 200 {
                hidden += 1;
            } else {
                out.push_str(&text);
            }
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "\n{hidden} more changes did not fit; `daam schema diff` shows them all.");
    }
    out
}

/// Names from the database cannot end the code span they stand in.
fn code(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("`{}`", clean.replace('`', "'"))
}

/// For machines: fields may be added later, never given another meaning.
pub fn to_json(database: &str, changes: &[SchemaChange]) -> Value {
    let origins = |list: &std::collections::BTreeSet<daam_model::Origin>| -> Vec<Value> {
        list.iter().map(|origin| json!({ "file": origin.file, "line": origin.line })).collect()
    };
    let reached = |reached: &Reached| {
        json!({
            "who": reached.who,
            "when": reached.when,
            "column": reached.column,
            "verbs": reached.verbs,
            "mask": reached.mask,
            "sensitive": reached.sensitive,
            "origins": origins(&reached.origins),
        })
    };
    let change = |change: &SchemaChange| {
        json!({
            "significance": change.significance.as_str(),
            "kind": change.kind.as_str(),
            "type": change.object.kind(),
            "object": change.object.to_string(),
            "what": change.what,
            "reached": change.reached.iter().map(reached).collect::<Vec<_>>(),
            "named": origins(&change.named),
        })
    };
    json!({
        "version": 1,
        "database": database,
        "changes": changes.iter().map(change).collect::<Vec<_>>(),
    })
}
