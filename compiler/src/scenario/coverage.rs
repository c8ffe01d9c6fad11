//! Which clauses of the policies any test depends on, and which masked columns any test looks at.
//!
//! A clause counts once it *determined* an assertion: the grant behind an `allow`, the rule behind a mask, the filter
//! behind `rows`. That nothing is granted is nobody's doing, so `deny` covers no clause.

use super::run::Outcome;
use crate::compile::CompiledDatabase;
use daam_catalog::{ColumnRef, Relation};
use daam_model::{Grant, MaskRule, Origin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a clause does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClauseKind {
    /// It allows something.
    Grant,
    /// It says which rows a grant reaches.
    Rows,
    /// It says which rows are reached at most, whoever grants them.
    Restrict,
    /// It masks columns.
    Mask,
    /// It lets people ask.
    Request,
}

impl ClauseKind {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Rows => "rows",
            Self::Restrict => "restrict",
            Self::Mask => "mask",
            Self::Request => "request",
        }
    }
}

/// A clause and how many assertions it determined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The policy or ceiling it is part of.
    pub policy: String,
    /// What it does.
    pub kind: ClauseKind,
    /// Where it is written.
    pub origin: Origin,
    /// Assertions it determined.
    pub assertions: usize,
}

/// The coverage of one database's policies by its tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The database.
    pub database: String,
    clauses: Vec<Clause>,
    columns: BTreeMap<ColumnRef, usize>,
}

impl Coverage {
    /// Nothing covered yet.
    pub fn of(database: &CompiledDatabase) -> Self {
        let set = &database.policies;
        let mut clauses = Vec::new();
        for policy in &set.policies {
            if policy.request.is_some() {
                clauses.push(clause(&policy.name, ClauseKind::Request, &policy.origin));
            }
            add(&mut clauses, &policy.name, &policy.grants, &policy.masks);
        }
        for ceiling in &set.ceilings {
            clauses.push(clause(&ceiling.name, ClauseKind::Request, &ceiling.origin));
            add(&mut clauses, &ceiling.name, &ceiling.grants, &ceiling.masks);
        }
        let rules = set.policies.iter().flat_map(|policy| &policy.masks);
        let patterns: Vec<_> = rules.flat_map(|rule| &rule.on).collect();
        let mut columns = BTreeMap::new();
        let served = |relation: &&Relation| database.scope.admits(&relation.name);
        for relation in database.catalog.relations.values().filter(served) {
            let near: Vec<_> =
                patterns.iter().filter(|pattern| pattern.relation().matches(&relation.name)).collect();
            for column in relation.columns.iter().filter(|_| !near.is_empty()) {
                if near.iter().any(|pattern| pattern.matches(&relation.name, &column.name)) {
                    let name = ColumnRef { relation: relation.name.clone(), column: column.name.clone() };
                    columns.insert(name, 0);
                }
            }
        }
        Self { database: set.database.clone(), clauses, columns }
    }

    /// Counts what a case determined.
    pub fn add(&mut self, outcome: &Outcome) {
        for (kind, origin) in &outcome.determined {
            for clause in &mut self.clauses {
                if clause.kind == *kind && clause.origin == *origin {
                    clause.assertions += 1;
                }
            }
        }
        for column in &outcome.columns {
            if let Some(count) = self.columns.get_mut(column) {
                *count += 1;
            }
        }
    }

    /// Every clause, in the order of the policies.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// Clauses that determined something, and all.
    pub fn covered(&self) -> (usize, usize) {
        (self.clauses.iter().filter(|clause| clause.assertions > 0).count(), self.clauses.len())
    }

    /// Masked columns that are looked at, and all.
    pub fn asserted_columns(&self) -> (usize, usize) {
        (self.columns.values().filter(|count| **count > 0).count(), self.columns.len())
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let (covered, all) = self.covered();
        let (seen, columns) = self.asserted_columns();
        let name = &self.database;
        let mut out = format!("coverage of {name}: {covered} of {all} clauses ({}%)", percent(covered, all));
        let _ = writeln!(out, ", {seen} of {columns} masked columns");
        for clause in self.clauses.iter().filter(|clause| clause.assertions == 0) {
            let Clause { policy, kind, origin, .. } = clause;
            let _ = writeln!(out, "  no test depends on the {} of `{policy}` ({origin})", kind.as_str());
        }
        for (column, _) in self.columns.iter().filter(|(_, count)| **count == 0) {
            let _ = writeln!(out, "  no test looks at {}.{}", column.relation, column.column);
        }
        out
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let clause = |clause: &Clause| {
            json!({
                "policy": clause.policy,
                "kind": clause.kind.as_str(),
                "file": clause.origin.file,
                "line": clause.origin.line,
                "assertions": clause.assertions,
            })
        };
        let column = |(column, count): (&ColumnRef, &usize)| json!({ "column": format!("{}.{}", column.relation, column.column), "assertions": count });
        let (covered, all) = self.covered();
        json!({
            "database": self.database,
            "percent": percent(covered, all),
            "clauses": self.clauses.iter().map(clause).collect::<Vec<_>>(),
            "columns": self.columns.iter().map(column).collect::<Vec<_>>(),
        })
    }
}

/// In the form of `lcov`, a line for each clause.
pub fn to_lcov(coverages: &[Coverage]) -> String {
    let mut files: BTreeMap<&str, BTreeMap<u32, usize>> = BTreeMap::new();
    for clause in coverages.iter().flat_map(Coverage::clauses) {
        let lines = files.entry(&clause.origin.file).or_default();
        *lines.entry(clause.origin.line).or_default() += clause.assertions;
    }
    let mut out = String::from("TN:\n");
    for (file, lines) in files {
        let _ = writeln!(out, "SF:{file}");
        for (line, count) in &lines {
            let _ = writeln!(out, "DA:{line},{count}");
        }
        let hit = lines.values().filter(|count| **count > 0).count();
        let _ = writeln!(out, "LF:{}\nLH:{hit}\nend_of_record", lines.len());
    }
    out
}

/// Rounded down, so that 100 means all; nothing to cover is covered.
pub fn percent(covered: usize, all: usize) -> usize {
    (covered * 100).checked_div(all).unwrap_or(100)
}

fn clause(policy: &str, kind: ClauseKind, origin: &Origin) -> Clause {
    Clause { policy: policy.to_owned(), kind, origin: origin.clone(), assertions: 0 }
}

fn add(clauses: &mut Vec<Clause>, policy: &str, grants: &[Grant], masks: &[MaskRule]) {
    for grant in grants {
        // A grant of functions only cannot be tested without a server.
        if !grant.on.is_empty() {
            clauses.push(clause(policy, ClauseKind::Grant, &grant.origin));
        }
        if grant.rows.is_some() {
            clauses.push(clause(policy, ClauseKind::Rows, &grant.origin));
        }
        if grant.restrict.is_some() {
            clauses.push(clause(policy, ClauseKind::Restrict, &grant.origin));
        }
    }
    clauses.extend(masks.iter().map(|rule| clause(policy, ClauseKind::Mask, &rule.origin)));
}
