//! Which columns hold personal data or secrets, judged by what the catalogue says about them.
//!
//! Evidence is the column's name, its type, the table it is in, its comment and its security label. The judgement
//! only ever *flags*: nothing here makes a column harmless, and a column that is not flagged is not thereby
//! harmless either. Teams overrule it in `daam.yaml` (`classification`), which the checks ask first.
//!
//! It sees no data and reads no statistics. How often it is right is measured on labelled columns of public
//! schemas (`tests/sensitive/columns.txt`).

mod class;
mod declared;
mod phrase;
mod word;

pub use class::{Certainty, Class};

use daam_catalog::{Catalog, Column, Relation, Scope, TypeClass};
use phrase::{Found, Place};

/// What a column was taken for, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// What it seems to hold.
    pub class: Class,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why, in words that follow "because".
    pub evidence: String,
}

/// What is known about a column.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The table it is in.
    pub table: &'a str,
    /// Its name.
    pub column: &'a str,
    /// Its type as SQL.
    pub sql: &'a str,
    /// What that type is good for.
    pub class: TypeClass,
    /// Its comment.
    pub comment: Option<&'a str>,
    /// Its security label.
    pub label: Option<&'a str>,
}

impl<'a> Facts<'a> {
    /// What the catalogue says about a column.
    pub fn of(relation: &'a Relation, column: &'a Column) -> Self {
        Self {
            table: relation.name.name.as_str(),
            column: column.name.as_str(),
            sql: &column.data_type.sql,
            class: column.data_type.class,
            comment: column.comment.as_deref(),
            label: column.security_label.as_deref(),
        }
    }
}

/// Judges a column; `None` says only that nothing points to anything.
pub fn classify(facts: &Facts<'_>) -> Option<Classification> {
    classify_in(facts, Table::of(facts.table))
}

/// A table's name, read once for all its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table {
    place: Place,
}

impl Table {
    /// Reads the name.
    pub fn of(name: &str) -> Self {
        Self { place: Place::of(&word::words(name)) }
    }
}

/// As [`classify`], for a table whose name was read already.
pub fn classify_in(facts: &Facts<'_>, table: Table) -> Option<Classification> {
    let named = by_name(facts, table.place);
    let Some(said) = declared::declared(facts.label, facts.comment) else { return named };
    Some(match named {
        Some(named) => Classification {
            certainty: Certainty::Declared,
            evidence: format!("{said}, and {}", named.evidence),
            ..named
        },
        None => Classification { class: Class::Personal, certainty: Certainty::Declared, evidence: said },
    })
}

/// The sensitive columns of a catalogue and the mask each should have to begin with, as policies write them.
pub fn proposed_masks(catalog: &Catalog, scope: &Scope) -> Vec<(String, &'static str)> {
    let relations = catalog.relations.values().filter(|relation| scope.admits(&relation.name));
    let columns =
        relations.flat_map(|relation| relation.columns.iter().map(move |column| (relation, column)));
    let flagged = columns.filter_map(|(relation, column)| {
        let found = classify(&Facts::of(relation, column))?;
        let name = format!("{}.{}", relation.name, column.name);
        Some((name, found.class.preset(column.data_type.class)))
    });
    flagged.collect()
}

fn by_name(facts: &Facts<'_>, place: Place) -> Option<Classification> {
    let words = word::words(facts.column);
    let number = facts.class == TypeClass::Integer;
    let typed = |found: &Found| {
        found.class.may_be(facts.class, facts.sql) && (!number || found.class.is_number_called(&found.phrase))
    };
    if let Some(found) = phrase::find(&words, place, typed) {
        let here = match found.place {
            Place::Anywhere => String::new(),
            _ => format!(" in the table `{}`", facts.table),
        };
        let evidence = format!(
            "the name `{}` says `{}`{here} and the type is `{}`",
            facts.column, found.phrase, facts.sql
        );
        // What has more digits than four bytes hold is written down as `bigint` on purpose.
        let reference = number && facts.sql != "bigint";
        let most = if reference { found.class.certainty_as_number() } else { Certainty::Declared };
        return Some(Classification { class: found.class, certainty: found.certainty.min(most), evidence });
    }
    // A domain is named for what it holds, e.g. `public.email_address`.
    if facts.class != TypeClass::Domain {
        return None;
    }
    let name = facts.sql.rsplit('.').next().unwrap_or(facts.sql);
    let found = phrase::find(&word::words(name), Place::Anywhere, typed)?;
    let evidence = format!("its type `{}` says `{}`", facts.sql, found.phrase);
    Some(Classification { class: found.class, certainty: found.certainty, evidence })
}
