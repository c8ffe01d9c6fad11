//! Changes as text, Markdown and JSON. Reports print; they decide nothing.

use super::{Change, Diff, Direction};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a comment on a pull request may hold.
const MARKDOWN_LIMIT: usize = 60_000;
/// Room kept for the line that counts what was left out.
const RESERVED: usize = 200;

fn section(change: &Change) -> &'static str {
    match change.direction {
        Direction::Neutral => "neutral",
        _ if change.left => "left management",
        _ if change.by_schema => "schema-driven",
        Direction::Lost => "lost",
        Direction::Widened | Direction::MayWiden => "widened",
    }
}

/// For people at a terminal.
pub fn to_text(diffs: &[Diff]) -> String {
    let mut out = String::new();
    for diff in diffs {
        let mut last = "";
        for change in &diff.changes {
            let section = section(change);
            if section != last {
                let _ = writeln!(out, "{}: {section}", clean(&diff.database));
                last = section;
            }
            let _ = writeln!(out, "  {}", clean(&sentence(change)));
        }
    }
    let _ = writeln!(out, "{}", counts(diffs));
    out
}

fn sentence(change: &Change) -> String {
    let mut parts = Vec::new();
    if !change.who.is_empty() {
        parts.push(change.who.clone());
    }
    if !matches!(change.when.as_str(), "" | "standing") {
        parts.push(format!("({})", change.when));
    }
    parts.push(change.what.clone());
    let mut text = format!("{}: {}", parts.join(" "), transition(change));
    if change.direction == Direction::MayWiden {
        text.push_str("  [may widen]");
    } else if change.by_schema {
        let _ = write!(text, "  [{}]", change.direction.as_str());
    }
    for origin in change.origins.iter().filter(|origin| !origin.file.is_empty()) {
        let _ = write!(text, "  ({origin})");
    }
    text
}

fn transition(change: &Change) -> String {
    if change.before.is_empty() {
        change.after.clone()
    } else {
        format!("{} → {}", change.before, change.after)
    }
}

/// For a comment on a pull request: at most 60 000 characters, and a count of what did not fit.
pub fn to_markdown(diffs: &[Diff]) -> String {
    let mut out = format!("### Access changes\n\n{}\n", counts(diffs));
    let mut size = out.chars().count();
    let mut hidden = 0_usize;
    for diff in diffs {
        let mut last = "";
        for change in &diff.changes {
            let mut lines = String::new();
            let section = section(change);
            if section != last {
                let _ = writeln!(lines, "\n#### {}: {section}\n", code(&diff.database));
                last = section;
            }
            let _ = writeln!(lines, "- {}", item(change));
            let length = lines.chars().count();
            // Once something is left out, all that follows is: what is shown is always the worst.
            if hidden > 0 || size + length > MARKDOWN_LIMIT - RESERVED {
                hidden += 1;
            } else {
                size += length;
                out.push_str(&lines);
            }
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "\n{hidden} more changes did not fit; `daam policy diff` shows them all.");
    }
    out
}

fn item(change: &Change) -> String {
    let mut text = String::new();
    if !change.who.is_empty() {
        let _ = write!(text, "**{}** ", code(&change.who));
    }
    if !matches!(change.when.as_str(), "" | "standing") {
        let _ = write!(text, "{} ", code(&change.when));
    }
    let _ = write!(text, "{}: ", code(&change.what));
    if !change.before.is_empty() {
        let _ = write!(text, "{} → ", code(&change.before));
    }
    text.push_str(&code(&change.after));
    if change.direction == Direction::MayWiden || change.by_schema {
        let _ = write!(text, " _{}_", change.direction.as_str());
    }
    for origin in change.origins.iter().filter(|origin| !origin.file.is_empty()) {
        let _ = write!(text, " {}", code(&origin.to_string()));
    }
    text
}

/// Text of a policy cannot end the code span it stands in.
fn code(text: &str) -> String {
    format!("`{}`", clean(text).replace('`', "'"))
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn counts(diffs: &[Diff]) -> String {
    let changes = || diffs.iter().flat_map(|diff| &diff.changes);
    let count = |direction: Direction| changes().filter(|change| change.direction == direction).count();
    let schema = changes().filter(|change| change.by_schema).count();
    if !diffs.iter().any(Diff::changed) {
        return match count(Direction::Neutral) {
            0 => "no effect changed".to_owned(),
            neutral => format!("no effect changed; {neutral} policies were edited without effect"),
        };
    }
    format!(
        "{} widened, {} may widen, {} lost ({schema} of them by the schema), {} without effect",
        count(Direction::Widened),
        count(Direction::MayWiden),
        count(Direction::Lost),
        count(Direction::Neutral)
    )
}

/// For machines: `version` is 1; fields may be added later, never given another meaning.
pub fn to_json(diffs: &[Diff]) -> Value {
    let change = |change: &Change| {
        let origins: Vec<Value> = change
            .origins
            .iter()
            .filter(|origin| !origin.file.is_empty())
            .map(|origin| json!({ "file": origin.file, "line": origin.line }))
            .collect();
        json!({
            "direction": change.direction.as_str(),
            "schema_driven": change.by_schema,
            "left_management": change.left,
            "relation": change.relation.as_ref().map(ToString::to_string),
            "who": change.who,
            "when": change.when,
            "what": change.what,
            "before": change.before,
            "after": change.after,
            "origins": origins,
        })
    };
    let databases: Vec<Value> = diffs
        .iter()
        .map(|diff| {
            json!({
                "database": diff.database,
                "changes": diff.changes.iter().map(change).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "version": 1, "databases": databases })
}
