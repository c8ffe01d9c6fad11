//! New objects: only in `pg_temp`, and under names that hide nothing.
//!
//! Temporary relations and types are found before all others, by functions and triggers of the database too where those
//! do not say where to look. So none may have the name of a relation or type the agent knows.

use super::name;
use super::walk::Walker;
use super::{Refusal, refuse};
use daam_sql::Node;
use daam_sql::typing::is_built_in_type;

/// Constraints that are indexes, and have their names.
const INDEXED: [&str; 3] = ["CONSTR_PRIMARY", "CONSTR_UNIQUE", "CONSTR_EXCLUSION"];

impl Walker<'_> {
    pub(crate) fn creates(&mut self, node: &Node) -> Result<(), Refusal> {
        let schema = node.text("schemaname");
        if node.text("relpersistence") != "t" && !name::is_temporary(schema) {
            let hint = "create it as a temporary object: `create temp ...`";
            return Err(self.at(node, refuse::denied("permanent objects cannot be created here", Some(hint))));
        }
        self.is_free(node, node.text("relname"))
    }

    fn is_free(&self, node: &Node, name: &str) -> Result<(), Refusal> {
        let catalog = self.ctx.catalog;
        let columns = catalog.relations.values().flat_map(|relation| &relation.columns);
        let sequences = columns.filter_map(|column| column.sequence.as_ref());
        let known = catalog.relations.keys().chain(catalog.types.keys()).chain(sequences);
        let mut known = known.chain(self.ctx.plan.sequences());
        let hidden = known.find(|known| known.name.as_str() == name);
        let hidden = match hidden {
            Some(hidden) => hidden.to_string(),
            None if name.starts_with("pg_") || is_built_in_type(name) => format!("pg_catalog.{name}"),
            None => return Ok(()),
        };
        let message = format!("a temporary object of that name would hide `{hidden}`");
        Err(self.at(node, refuse::denied(message, Some("choose another name"))))
    }

    /// `LIKE … INCLUDING` copies expressions, and whoever owns the copy runs what they call with any argument.
    pub(crate) fn like(&self, node: &Node) -> Result<(), Refusal> {
        // Constraints, defaults, generated columns, indexes, statistics.
        const WITH_EXPRESSIONS: i64 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7;
        let mut functions = self.ctx.catalog.functions.keys();
        let Some(open) = functions.find_map(|name| self.left_open(name)) else { return Ok(()) };
        if node.number("options") & WITH_EXPRESSIONS == 0 {
            return Ok(());
        }
        let message = format!(
            "`like … including` would copy expressions, which may call `{}`: it is not granted to you by any policy",
            open.name
        );
        Err(self.at(node, refuse::denied(message, Some("write the columns, or leave `including` out"))))
    }

    /// What a session makes stays its own: as another role's it would outlast the session, or stand in the way of what
    /// the agent does with that role.
    pub(crate) fn keeps_owner(&self, node: &Node) -> Result<(), Refusal> {
        if node.children("cmds").any(|command| command.choice("subtype") == "AT_ChangeOwner") {
            let message = "this statement is not allowed: what a session makes belongs to the session";
            return Err(self.at(node, refuse::denied(message, None)));
        }
        Ok(())
    }

    /// Names of relations that are made beside the one a statement names: indexes, those of constraints, sequences.
    pub(crate) fn made_beside(&self, node: &Node) -> Result<(), Refusal> {
        let made = match node.kind() {
            "IndexStmt" => node.text("idxname"),
            "Constraint" if INDEXED.contains(&node.choice("contype")) => node.text("conname"),
            "DefElem" if node.text("defname") == "sequence_name" => {
                let names = node.child("arg").and_then(|list| list.strings("items"));
                names.and_then(|names| names.last().copied()).unwrap_or_default()
            }
            _ => "",
        };
        // The server finds a free one where none is given.
        if made.is_empty() { Ok(()) } else { self.is_free(node, made) }
    }

    /// A new name must be as free as that of a new object; columns hide nothing, constraints may be indexes.
    pub(crate) fn renamed(&mut self, node: &Node) -> Result<(), Refusal> {
        let part = matches!(
            node.choice("rename_type"),
            "OBJECT_COLUMN" | "OBJECT_ATTRIBUTE" | "OBJECT_DOMCONSTRAINT"
        );
        if !part {
            self.is_free(node, node.text("newname"))?;
        }
        self.children(node)
    }

    pub(crate) fn created_type(&mut self, node: &Node) -> Result<(), Refusal> {
        self.deferred = true;
        let words = node.strings("type_name").or_else(|| node.strings("domainname")).unwrap_or_default();
        let temporary = words.len() == 2 && words.first().is_some_and(|schema| name::is_temporary(schema));
        let typevar = node.child("typevar").is_some_and(|name| name::is_temporary(name.text("schemaname")));
        let named = node.child("typevar").map(|name| name.text("relname")).or(words.last().copied());
        self.is_free(node, named.unwrap_or_default())?;
        if !temporary && !typevar {
            let hint = "create it as `pg_temp.name`";
            return Err(refuse::denied("permanent types cannot be created here", Some(hint)));
        }
        node.each_child()
            .filter(|(field, _)| *field != "typevar")
            .try_for_each(|(field, child)| self.field(node, field, child))
    }
}
