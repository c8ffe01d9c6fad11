//! Which relation a written name means.

use super::walk::Walker;
use super::{Refusal, RewriteContext, refuse};
use daam_catalog::pattern::is_system_schema;
use daam_catalog::{Identifier, RelationName};
use daam_sql::Node;

/// What a written name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A relation of PostgreSQL itself.
    System,
    /// An object of the session's own `pg_temp`, named with its schema.
    Temporary,
    /// A relation of the catalogue.
    Known(RelationName),
    /// A relation of a user schema that is not in the catalogue: out of scope, new, or not there at all.
    Unknown(RelationName),
    /// A bare name that is in no schema of the search path as far as the catalogue knows: the session's own
    /// temporary object, or nothing.
    Bare,
}

/// Reads a schema (empty for none) and a name.
pub(crate) fn meaning(ctx: &RewriteContext<'_>, schema: &str, name: &str) -> Meaning {
    if is_temporary(schema) {
        return Meaning::Temporary;
    }
    if !schema.is_empty() {
        if is_system_schema(schema) {
            return Meaning::System;
        }
        return match RelationName::stored(schema, name) {
            Ok(known) if ctx.catalog.relation(&known).is_some() => Meaning::Known(known),
            Ok(unknown) => Meaning::Unknown(unknown),
            Err(_) => Meaning::Bare,
        };
    }
    let known = |schema: &Identifier| {
        let full = RelationName { schema: schema.clone(), name: Identifier::stored(name).ok()? };
        ctx.catalog.relation(&full).is_some().then_some(full)
    };
    match ctx.search_path.iter().find_map(known) {
        Some(full) => Meaning::Known(full),
        None if name.starts_with("pg_") => Meaning::System,
        None => Meaning::Bare,
    }
}

/// Whether a view of `pg_catalog` tells how many rows or blocks were visited, by whatever statement: every statistic
/// that is not known to be about something else.
pub(crate) fn counts_visits(name: &str) -> bool {
    let statistic = name.strip_prefix("pg_stat_");
    statistic.is_some_and(|statistic| !about_the_server(statistic))
        || name.starts_with("pg_statio_")
        || name == "pg_locks"
}

/// Statistics about connections, replication and running commands.
pub(crate) fn about_the_server(statistic: &str) -> bool {
    const KNOWN: [&str; 13] = [
        "activity",
        "archiver",
        "gssapi",
        "progress_info",
        "recovery_prefetch",
        "replication",
        "replication_slot",
        "replication_slots",
        "ssl",
        "subscription",
        "subscription_stats",
        "wal_receiver",
        "wal_senders",
    ];
    KNOWN.contains(&statistic) || statistic.starts_with("progress_")
}

/// Whether a schema is the session's temporary one, under either of its names.
pub(crate) fn is_temporary(schema: &str) -> bool {
    schema == "pg_temp" || schema.starts_with("pg_temp_")
}

/// Whether a `RangeVar` names a sequence the session may read.
pub(crate) fn is_sequence(ctx: &RewriteContext<'_>, node: &Node) -> bool {
    let Ok(name) = Identifier::stored(node.text("relname")) else { return false };
    let is = |schema: &Identifier| {
        ctx.plan.sequences().contains(&RelationName { schema: schema.clone(), name: name.clone() })
    };
    match node.text("schemaname") {
        "" => of(ctx, node) == Meaning::Bare && ctx.search_path.iter().any(is),
        schema => Identifier::stored(schema).is_ok_and(|schema| is(&schema)),
    }
}

/// Reads a `RangeVar`.
pub(crate) fn of(ctx: &RewriteContext<'_>, node: &Node) -> Meaning {
    meaning(ctx, node.text("schemaname"), node.text("relname"))
}

/// The name a relation has in the rest of its statement.
pub(crate) fn alias(node: &Node) -> &str {
    node.child("alias").map_or_else(|| node.text("relname"), |alias| alias.text("aliasname"))
}

/// A name in the text: its bytes and its tokens.
pub(crate) struct NameAt {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) first: usize,
    pub(crate) closing: usize,
}

impl Walker<'_> {
    /// Where the name of a relation is.
    pub(crate) fn named_at(&self, relation: &Node) -> Result<NameAt, Refusal> {
        let lost = || refuse::confused("a name is not where it should be");
        let start = relation.location().ok_or_else(lost)?;
        let first = self.tokens.at(start).ok_or_else(lost)?;
        let parts =
            1 + ["schemaname", "catalogname"].iter().filter(|part| !relation.text(part).is_empty()).count();
        let closing = self.tokens.end_of_name(self.sql, first, parts).ok_or_else(lost)?;
        Ok(NameAt { start, end: self.tokens.get(closing).ok_or_else(lost)?.end, first, closing })
    }
}
