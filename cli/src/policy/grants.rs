//! What the roles of a database hold by its own grants, as far as policies have words for it.
//!
//! A grant in a schema its holder may not use gives nothing today and is left out. So is what policies cannot say;
//! both are told.

use super::brownfield::is_matchable;
use daam_catalog::{Catalog, Column, Identifier, Relation, RelationName};
use daam_model::Verb;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// PostgreSQL's own roles whose members reach every relation without a grant.
const EVERYTHING: [&str; 2] = ["pg_read_all_data", "pg_write_all_data"];

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
    /// Whether the holder may use the schema.
    usage: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    role: String,
    member: String,
}

/// What one role holds on one relation.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// On the whole relation.
    pub whole: BTreeSet<Verb>,
    /// On some of its columns.
    pub columns: BTreeMap<Verb, BTreeSet<Identifier>>,
}

impl Held {
    /// Whether anything can be read.
    pub fn reads(&self) -> bool {
        self.whole.contains(&Verb::Select) || self.columns.contains_key(&Verb::Select)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.columns.is_empty()
    }

    /// Takes a column out of what is read; whether it was in it.
    pub fn withhold(&mut self, relation: &Relation, column: &Column) -> bool {
        if self.whole.remove(&Verb::Select) {
            let all = relation.columns.iter().map(|column| column.name.clone());
            self.columns.insert(Verb::Select, all.collect());
        }
        let Some(read) = self.columns.get_mut(&Verb::Select) else { return false };
        let was = read.remove(&column.name);
        if read.is_empty() {
            self.columns.remove(&Verb::Select);
        }
        was
    }
}

impl Privileges {
    /// The members of a role.
    pub fn members_of(&self, role: Option<&str>) -> BTreeSet<&str> {
        let of = |member: &&Member| Some(member.role.as_str()) == role;
        self.members.iter().filter(of).map(|member| member.member.as_str()).collect()
    }

    /// Tells what is reached without a grant on a relation.
    pub fn beyond_policies(&self, catalog: &Catalog, notes: &mut Vec<String>) {
        for role in EVERYTHING {
            for member in self.members_of(Some(role)) {
                notes.push(format!("`{member}` is a member of `{role}`; no policy was written for that"));
            }
        }
        let own = catalog.functions.values().filter(|function| function.extension.is_none()).count();
        if own > 0 {
            notes.push(format!("{own} functions were not granted; a grant names them under `functions`"));
        }
    }
}

/// Why grants of this version are not understood.
pub fn understood(privileges: &Privileges) -> Result<(), String> {
    if privileges.version == 1 {
        Ok(())
    } else {
        Err(format!("the agent lists grants in version {}; only version 1 is understood", privileges.version))
    }
}

/// What is held, by role; PUBLIC is none.
pub type Roles = BTreeMap<Option<String>, BTreeMap<RelationName, Held>>;

/// Reads the grants.
pub fn holdings(catalog: &Catalog, privileges: &Privileges, notes: &mut Vec<String>) -> Roles {
    let mut roles = Roles::new();
    let mut unsaid: BTreeSet<String> = BTreeSet::new();
    let mut shut: BTreeSet<String> = BTreeSet::new();
    for grant in &privileges.grants {
        let Ok(name) = RelationName::stored(&*grant.schema, &*grant.relation) else { continue };
        let Some(relation) = catalog.relation(&name).filter(|_| is_matchable(&name)) else { continue };
        if !grant.usage {
            let role = grant.role.as_deref().unwrap_or("PUBLIC");
            shut.insert(format!("`{name}` to `{role}`"));
            continue;
        }
        let Some(verb) = verb(&grant.privilege).filter(|verb| verb.suits(relation.kind)) else {
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
    if !shut.is_empty() {
        let list: Vec<String> = shut.into_iter().collect();
        notes.push(format!(
            "grants in schemas their holder may not use give nothing today and were left out: {}",
            list.join(", ")
        ));
    }
    roles
}

fn verb(privilege: &str) -> Option<Verb> {
    [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete, Verb::Truncate]
        .into_iter()
        .find(|verb| verb.as_str() == privilege)
}
