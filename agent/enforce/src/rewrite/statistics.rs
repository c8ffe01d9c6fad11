//! `pg_stats` shows the most common values of every column everyone may read. Of relations that PUBLIC may read and the
//! session may not, or sees masked or filtered, it shows nothing.

use super::name::{self, Meaning};
use super::walk::Walker;
use crate::plan::Access;
use daam_catalog::RelationName;
use daam_sql::{Node, quote};
use std::fmt::Write as _;

/// The name PostgreSQL's view has in what stands for it.
pub(super) const NAME: &str = "daam:statistics";

impl Walker<'_> {
    /// What stands for such a view.
    pub(crate) fn statistics(&self, node: &Node) -> Option<String> {
        if !self.shows_values(node) {
            return None;
        }
        let mut hidden = String::from("false");
        for RelationName { schema, name } in self.read_by_everyone() {
            let _ = write!(
                hidden,
                " OR (schemaname OPERATOR(pg_catalog.=) {}::pg_catalog.name \
                 AND tablename OPERATOR(pg_catalog.=) {}::pg_catalog.name)",
                quote::literal(schema.as_str()),
                quote::literal(name.as_str())
            );
        }
        let view = quote::identifier(node.text("relname"));
        Some(format!("(SELECT * FROM pg_catalog.{view} AS {} WHERE NOT ({hidden}))", quote::identifier(NAME)))
    }

    /// Whether a name is such a view, and there is something in it that is not for the session.
    pub(crate) fn shows_values(&self, node: &Node) -> bool {
        self.filtered != Some(name::alias(node))
            && matches!(node.text("relname"), "pg_stats" | "pg_stats_ext" | "pg_stats_ext_exprs")
            && name::of(self.ctx, node) == Meaning::System
            && self.read_by_everyone().next().is_some()
    }

    /// Relations that everyone in the database may read more of than the session.
    fn read_by_everyone(&self) -> impl Iterator<Item = &RelationName> {
        let everyones = self.ctx.catalog.relations.values().filter(|relation| !relation.public.is_empty());
        everyones
            .map(|relation| &relation.name)
            .filter(|name| !matches!(self.ctx.plan.access(name), Access::Direct(table) if !table.by_column))
    }
}
