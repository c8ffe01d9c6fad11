//! `daam policy init --from-db`: a project that says what the database's own grants say today.
//!
//! One policy per role that holds a grant, PUBLIC as everyone, masks for columns that look sensitive, and tests that
//! hold. What the language cannot say is written down as a comment and told, never dropped in silence.

use super::grants::{Held, Privileges, holdings};
use daam_catalog::{
    Catalog, Column, ColumnPattern, ColumnRef, Generated, Identifier, Relation, RelationName, lock,
};
use daam_compiler::PROJECT_FILE;
use daam_compiler::sensitive::{Facts, classify};
use daam_model::Verb;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Characters of a role's name in the name of its policy: a number still fits behind them.
const LONGEST_STEM: usize = 55;

/// The files of the project, and what could not be said in them.
#[derive(Debug, Default)]
pub struct Proposal {
    /// Texts by path.
    pub files: BTreeMap<String, String>,
    /// Remarks for whoever runs the command.
    pub notes: Vec<String>,
}

/// A mask somebody should begin with.
struct Proposed {
    pattern: ColumnPattern,
    written: String,
    preset: &'static str,
}

/// The whole project.
pub fn propose(database: &str, catalog: &Catalog, privileges: &Privileges) -> Proposal {
    let mut proposal = Proposal::default();
    for (name, text) in lock::to_files(catalog) {
        proposal.files.insert(format!("schema/{database}/{name}"), text);
    }
    proposal.files.insert(PROJECT_FILE.to_owned(), project(database));
    let scope = scope(database, catalog, &mut proposal.notes);
    proposal.files.insert(format!("scope/{database}.yaml"), scope);
    let masks = masks(catalog);
    let mut names = BTreeSet::new();
    for (role, held) in holdings(catalog, privileges, &mut proposal.notes) {
        let members = privileges.members_of(role.as_deref());
        let name = policy_name(&mut names, role.as_deref());
        let holder = role.as_ref().map_or_else(|| "PUBLIC".to_owned(), |role| format!("the role {role}"));
        let from = format!("From the grants of the database to {holder}.");
        if let Some(text) = policy(
            database,
            (&name, role.as_deref(), &from),
            &held,
            (catalog, &masks, &members),
            &mut proposal.notes,
        ) {
            let path = unused(&proposal.files, &name);
            proposal.files.insert(path, text);
        }
    }
    privileges.beyond_policies(catalog, &mut proposal.notes);
    proposal
}

/// A policy that lets a group read every relation, with the masks its columns should have; nothing if nothing can be
/// granted.
pub fn readers(database: &str, catalog: &Catalog, group: &str, notes: &mut Vec<String>) -> Option<String> {
    let read = Held { whole: BTreeSet::from([Verb::Select]), columns: BTreeMap::new() };
    let all = catalog.relations.keys().filter(|name| is_matchable(name));
    let held = all.map(|name| (name.clone(), read.clone())).collect();
    let masks = masks(catalog);
    let from = format!("Everything the lock has, for the group {group}.");
    policy(database, ("readers", Some(group), &from), &held, (catalog, &masks, &BTreeSet::new()), notes)
}

/// A name a policy may have; two roles never share one.
fn policy_name(taken: &mut BTreeSet<String>, role: Option<&str>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let stem: String = role.unwrap_or("everyone").chars().map(plain).collect();
    let stem = stem.trim_matches(['-', '_']);
    let stem: String = if stem.is_empty() { "role" } else { stem }.chars().take(LONGEST_STEM).collect();
    let numbered = |number: usize| match number {
        1 => stem.clone(),
        number => format!("{stem}-{number}"),
    };
    // One more number than there are names is always free.
    let name = (1..=taken.len() + 1).map(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

fn project(database: &str) -> String {
    format!(
        "kind: project\ndatabases:\n  {database}:\n    lock: schema/{database}\n    scope: scope/{database}.yaml\n    \
         policies: [policies/**/*.yaml]\n    tests: [tests/**/*.yaml]\n"
    )
}

fn scope(database: &str, catalog: &Catalog, notes: &mut Vec<String>) -> String {
    let mut text = format!(
        "# What the agent serves; whatever is not listed cannot be granted.\nkind: scope\ndatabase: {database}\nscope:"
    );
    let (named, unnamed): (Vec<_>, Vec<_>) = catalog.relations.keys().partition(|name| is_matchable(name));
    if named.is_empty() {
        text.push_str(" []");
    }
    text.push('\n');
    for name in named {
        let _ = writeln!(text, "  - {}", quoted(&name.to_string()));
    }
    for name in unnamed {
        let _ = writeln!(text, "# no pattern can name {}: its name has a dot", one_line(&name.to_string()));
        notes.push(format!("no policy can name `{name}`: its name has a dot; it is out of scope"));
    }
    text
}

pub(super) fn is_matchable(name: &RelationName) -> bool {
    !name.schema.as_str().contains('.') && !name.name.as_str().contains('.')
}

fn masks(catalog: &Catalog) -> Vec<Proposed> {
    let columns = catalog
        .relations
        .values()
        .flat_map(|relation| relation.columns.iter().map(move |column| (relation, column)));
    let read = |(relation, column): (&Relation, &Column)| {
        let found = classify(&Facts::of(relation, column))?;
        let written = format!("{}.{}", relation.name, column.name);
        let pattern = ColumnPattern::parse(&written).ok()?;
        Some(Proposed { pattern, written, preset: found.class.preset(column.data_type.class) })
    };
    let mut proposed: Vec<Proposed> = columns.filter_map(read).collect();
    refer(catalog, &mut proposed);
    proposed
}

/// A column that refers to a masked one holds its values, and gets the same mask.
fn refer(catalog: &Catalog, proposed: &mut Vec<Proposed>) {
    for relation in catalog.relations.values() {
        for key in &relation.foreign_keys {
            for (column, target) in key.columns.iter().zip(&key.referenced) {
                let masked = |relation: &RelationName, column: &Identifier| {
                    proposed
                        .iter()
                        .find(|mask| mask.pattern.matches(relation, column))
                        .map(|mask| mask.preset)
                };
                let Some(preset) = masked(&key.references, target) else { continue };
                let written = format!("{}.{column}", relation.name);
                if let (None, Ok(pattern)) = (masked(&relation.name, column), ColumnPattern::parse(&written))
                {
                    proposed.push(Proposed { pattern, written, preset });
                }
            }
        }
    }
}

/// Whether a column should be masked and cannot be.
fn is_beyond_masks(relation: &Relation, column: &Column) -> bool {
    let named = ColumnPattern::parse(&format!("{}.{}", relation.name, column.name));
    let reached = named.is_ok_and(|pattern| pattern.matches(&relation.name, &column.name));
    !reached && classify(&Facts::of(relation, column)).is_some()
}

/// A policy of one role; nothing if all it holds has to be left out.
fn policy(
    database: &str,
    (name, role, from): (&str, Option<&str>, &str),
    held: &BTreeMap<RelationName, Held>,
    (catalog, masks, members): (&Catalog, &[Proposed], &BTreeSet<&str>),
    notes: &mut Vec<String>,
) -> Option<String> {
    let mut comments = Vec::new();
    let mut grants: BTreeMap<Held, Vec<&RelationName>> = BTreeMap::new();
    let mut readable = Vec::new();
    for (relation, held) in held {
        let Some(found) = catalog.relation(relation) else { continue };
        if let Some(reason) = exposed(catalog, found, masks) {
            comments.push(format!("not granted: {relation} {}", reason.replace('`', "")));
            notes.push(format!("`{name}` loses the view `{relation}`: it {reason}"));
            continue;
        }
        let mut held = held.clone();
        for column in found.columns.iter().filter(|column| is_beyond_masks(found, column)) {
            if held.withhold(found, column) {
                let column = format!("{relation}.{}", column.name);
                comments.push(format!("not readable: {column} looks sensitive, and no mask can name it"));
                notes.push(format!(
                    "`{name}` no longer reads `{column}`: it looks sensitive, and its name has a dot, so no mask can name it"
                ));
            }
        }
        if held.reads() {
            readable.push(found);
        }
        if !held.is_empty() {
            grants.entry(held).or_default().push(relation);
        }
    }
    if grants.is_empty() {
        return None;
    }
    let mut text = String::new();
    let _ = writeln!(text, "# {}", one_line(from));
    if !members.is_empty() {
        let list: Vec<&str> = members.iter().copied().collect();
        let _ = writeln!(text, "# Its members there: {}.", one_line(&list.join(", ")));
    }
    for comment in comments {
        let _ = writeln!(text, "# {}", one_line(&comment));
    }
    let subjects =
        role.map_or_else(|| "everyone: true".to_owned(), |role| format!("groups: [{}]", quoted(role)));
    let _ = write!(
        text,
        "kind: policy\nname: {}\ndatabase: {database}\nsubjects: {{ {subjects} }}\ngrants:\n",
        quoted(name)
    );
    for (held, relations) in &grants {
        write_grant(&mut text, held, relations);
    }
    write_masks(&mut text, masks, &readable);
    Some(text)
}

/// Why a view would not be granted: it shows a column that is masked, or should be and cannot, or calls a function
/// with rights of its own, which nobody was granted.
fn exposed(catalog: &Catalog, view: &Relation, masks: &[Proposed]) -> Option<String> {
    let hidden = view.reads.iter().find(|read| {
        let found = catalog.relation(&read.relation);
        let column = found.and_then(|found| Some((found, found.column(&read.column)?)));
        is_masked(catalog, read, masks, &mut BTreeSet::new())
            || column.is_some_and(|(found, column)| is_beyond_masks(found, column))
    });
    let reads =
        hidden.map(|read| format!("reads `{}.{}`, which should be masked", read.relation, read.column));
    let calls = view.calls.first().map(|function| format!("calls `{function}`, which has rights of its own"));
    reads.or(calls)
}

/// Whether a proposed mask is on the column, or reaches it: from what it is generated from, from a parent or a child.
fn is_masked(
    catalog: &Catalog,
    read: &ColumnRef,
    masks: &[Proposed],
    seen: &mut BTreeSet<ColumnRef>,
) -> bool {
    if !seen.insert(read.clone()) {
        return false;
    }
    if masks.iter().any(|mask| mask.pattern.matches(&read.relation, &read.column)) {
        return true;
    }
    let Some(relation) = catalog.relation(&read.relation) else { return false };
    let generated = relation.column(&read.column).map(|column| &column.generated);
    let sources: &[Identifier] = match generated {
        Some(Generated::From(sources)) => sources,
        _ => &[],
    };
    let sources =
        sources.iter().map(|source| ColumnRef { relation: read.relation.clone(), column: source.clone() });
    let children = catalog.relations.values().filter(|one| one.parents.contains(&read.relation));
    let family = relation.parents.iter().chain(children.map(|child| &child.name));
    let family = family.map(|relation| ColumnRef { relation: relation.clone(), column: read.column.clone() });
    let near: Vec<ColumnRef> = sources.chain(family).collect();
    near.iter().any(|other| is_masked(catalog, other, masks, seen))
}

fn write_grant(text: &mut String, held: &Held, relations: &[&RelationName]) {
    let on: Vec<String> = relations.iter().map(|name| quoted(&name.to_string())).collect();
    let verbs = |verbs: &mut dyn Iterator<Item = &Verb>| {
        verbs.map(|verb| verb.as_str()).collect::<Vec<_>>().join(", ")
    };
    let list = |text: &mut String| {
        text.push_str("  - on:\n");
        for name in &on {
            let _ = writeln!(text, "      - {name}");
        }
    };
    if !held.whole.is_empty() {
        list(text);
        let _ = writeln!(text, "    allow: [{}]", verbs(&mut held.whole.iter()));
    }
    let narrow: BTreeMap<_, _> = held.columns.iter().filter(|(verb, _)| !held.whole.contains(verb)).collect();
    if !narrow.is_empty() {
        list(text);
        let _ = writeln!(text, "    allow: [{}]\n    columns:", verbs(&mut narrow.keys().copied()));
        for (verb, columns) in narrow {
            let columns: Vec<String> = columns.iter().map(|column| quoted(&column.to_string())).collect();
            let _ = writeln!(text, "      {}: [{}]", verb.as_str(), columns.join(", "));
        }
    }
}

fn write_masks(text: &mut String, masks: &[Proposed], readable: &[&Relation]) {
    let covers = |mask: &&Proposed| {
        readable.iter().any(|relation| {
            relation.columns.iter().any(|column| mask.pattern.matches(&relation.name, &column.name))
        })
    };
    let wanted: Vec<&Proposed> = masks.iter().filter(covers).collect();
    if !wanted.is_empty() {
        text.push_str("masks: # proposed from names and types; confirm each\n");
    }
    for mask in wanted {
        let _ = writeln!(text, "  - {{ on: {}, with: {} }}", quoted(&mask.written), mask.preset);
    }
}

/// A file for a policy; names that differ only in their case do not share one.
fn unused(files: &BTreeMap<String, String>, name: &str) -> String {
    let stem = name.to_ascii_lowercase();
    let numbered = |number: usize| match number {
        1 => format!("policies/{stem}.yaml"),
        number => format!("policies/{stem}-{number}.yaml"),
    };
    // One more number than there are files is always free.
    (1..=files.len() + 1).map(numbered).find(|path| !files.contains_key(path)).unwrap_or_default()
}

/// A text that YAML reads back as it is.
pub fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'$'))
        && !matches!(text, "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A name cannot end the comment it stands in.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
