//! `daam policy init --from-db`: a project that says what the database's own grants say today.
//!
//! One policy per role that holds a grant, PUBLIC as everyone, masks for columns that look sensitive, and tests that
//! hold. What the language cannot say is written down as a comment and told, never dropped in silence.

use daam_catalog::{Catalog, Column, ColumnPattern, Identifier, Relation, RelationKind, RelationName, lock};
use daam_compiler::PROJECT_FILE;
use daam_compiler::sensitive::{Facts, classify};
use daam_model::Verb;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The grants of a database, as `daam-agent introspect --format grants` prints them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privileges {
    version: u32,
    grants: Vec<Granted>,
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Granted {
    schema: String,
    relation: String,
    role: Option<String>,
    privilege: String,
    column: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    role: String,
    member: String,
}

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

/// What one role holds on one relation.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    whole: BTreeSet<Verb>,
    columns: BTreeMap<Verb, BTreeSet<Identifier>>,
}

/// Why grants of this version are not understood.
pub fn understood(privileges: &Privileges) -> Result<(), String> {
    if privileges.version == 1 {
        Ok(())
    } else {
        Err(format!("the agent lists grants in version {}; only version 1 is understood", privileges.version))
    }
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
    for (role, held) in holdings(catalog, privileges, &mut proposal.notes) {
        let members: BTreeSet<&str> = privileges
            .members
            .iter()
            .filter(|member| Some(&member.role) == role.as_ref())
            .map(|member| member.member.as_str())
            .collect();
        if let Some(text) =
            policy(database, role.as_deref(), &held, (catalog, &masks, &members), &mut proposal.notes)
        {
            let path = unused(&proposal.files, role.as_deref());
            proposal.files.insert(path, text);
        }
    }
    proposal
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

fn is_matchable(name: &RelationName) -> bool {
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
    columns.filter_map(read).collect()
}

type Roles = BTreeMap<Option<String>, BTreeMap<RelationName, Held>>;

fn holdings(catalog: &Catalog, privileges: &Privileges, notes: &mut Vec<String>) -> Roles {
    let mut roles = Roles::new();
    let mut unsaid: BTreeSet<String> = BTreeSet::new();
    for grant in &privileges.grants {
        let Ok(name) = RelationName::stored(&*grant.schema, &*grant.relation) else { continue };
        let Some(relation) = catalog.relation(&name).filter(|_| is_matchable(&name)) else { continue };
        let Some(verb) = verb(&grant.privilege).filter(|verb| suits(*verb, relation)) else {
            unsaid.insert(format!("`{}` on `{name}`", grant.privilege));
            continue;
        };
        let held = roles.entry(grant.role.clone()).or_default().entry(name).or_default();
        match grant.column.as_deref().map(Identifier::stored) {
            None => {
                held.whole.insert(verb);
            }
            Some(Ok(column)) if verb.has_columns() => {
                held.columns.entry(verb).or_default().insert(column);
            }
            Some(_) => {}
        }
    }
    if !unsaid.is_empty() {
        let list: Vec<String> = unsaid.into_iter().collect();
        notes.push(format!("privileges that policies do not have were left out: {}", list.join(", ")));
    }
    roles
}

fn verb(privilege: &str) -> Option<Verb> {
    [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete, Verb::Truncate]
        .into_iter()
        .find(|verb| verb.as_str() == privilege)
}

fn suits(verb: Verb, relation: &Relation) -> bool {
    match relation.kind {
        RelationKind::MaterializedView => verb == Verb::Select,
        RelationKind::View => verb != Verb::Truncate,
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => true,
    }
}

/// A policy of one role; nothing if all it holds has to be left out.
fn policy(
    database: &str,
    role: Option<&str>,
    held: &BTreeMap<RelationName, Held>,
    (catalog, masks, members): (&Catalog, &[Proposed], &BTreeSet<&str>),
    notes: &mut Vec<String>,
) -> Option<String> {
    let name = role.unwrap_or("everyone");
    let mut comments = Vec::new();
    let mut grants: BTreeMap<Held, Vec<&RelationName>> = BTreeMap::new();
    let mut readable = Vec::new();
    for (relation, held) in held {
        let Some(found) = catalog.relation(relation) else { continue };
        if let Some(mask) = exposed(found, masks) {
            comments
                .push(format!("not granted: {relation} reads {mask}, which is masked, and would show it"));
            notes.push(format!(
                "`{name}` loses the view `{relation}`: it reads `{mask}`, for which a mask is proposed"
            ));
            continue;
        }
        if held.whole.contains(&Verb::Select) || held.columns.contains_key(&Verb::Select) {
            readable.push(found);
        }
        grants.entry(held.clone()).or_default().push(relation);
    }
    if grants.is_empty() {
        return None;
    }
    let mut text = String::new();
    let source = role.map_or_else(|| "PUBLIC".to_owned(), |role| format!("the role {role}"));
    let _ = writeln!(text, "# From the grants of the database to {}.", one_line(&source));
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

/// The masked column a view would show.
fn exposed<'m>(relation: &Relation, masks: &'m [Proposed]) -> Option<&'m str> {
    let hides = |mask: &&Proposed| {
        relation.reads.iter().any(|read| mask.pattern.matches(&read.relation, &read.column))
    };
    masks.iter().find(hides).map(|mask| mask.written.as_str())
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

/// A file for the policy of a role; two roles never share one.
fn unused(files: &BTreeMap<String, String>, role: Option<&str>) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c.to_ascii_lowercase() } else { '-' }
    };
    let stem: String = role.map_or_else(|| "everyone".to_owned(), |role| role.chars().map(plain).collect());
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
