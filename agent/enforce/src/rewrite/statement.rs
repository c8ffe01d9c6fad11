//! The closed list of statements.

use super::name::{self, Meaning};
use super::walk::Walker;
use super::{Refusal, StatementClass, refuse};
use crate::plan::Access;
use daam_model::Verb;
use daam_sql::Node;

impl Walker<'_> {
    /// One statement of the text.
    pub(crate) fn top(&mut self, raw: &Node) -> Result<(), Refusal> {
        self.begin(raw);
        self.statement_range = self.range(raw);
        match raw.child("stmt") {
            Some(statement) => self.statement(statement).map_err(|refusal| self.named(raw, refusal)),
            None => Ok(()),
        }
    }

    pub(crate) fn statement(&mut self, node: &Node) -> Result<(), Refusal> {
        if makes(node) {
            self.class.set(StatementClass::MAKES);
        }
        match node.kind() {
            "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
                self.walk(node, "", "")
            }
            "ExplainStmt" => self.explain(node),
            "DeclareCursorStmt" | "PrepareStmt" => {
                self.deferred = true;
                self.wrapped(node)
            }
            "CreateTableAsStmt" => self.created_from_query(node),
            "ExecuteStmt" => {
                self.class.set(StatementClass::EXECUTES);
                self.meets_prepared();
                self.children(node)
            }
            "CallStmt" | "VacuumStmt" => self.children(node),
            // Their expressions run later.
            "CreateStmt" | "ViewStmt" | "CreateSeqStmt" | "IndexStmt" | "AlterTableStmt" => {
                self.deferred = true;
                self.in_view = node.is("ViewStmt");
                self.made_beside(node)?;
                self.keeps_owner(node)?;
                self.children(node)
            }
            "RenameStmt" => self.renamed(node),
            "LockStmt" => self.lock(node),
            "ListenStmt" if self.ctx.plan.limits().procedural != Some(true) => {
                // Triggers send whole rows this way, and everyone who listens gets them as they are.
                let message =
                    "this statement is not allowed: notifications carry what others send, of whatever rows";
                let hint = "a policy may allow it with `session: { procedural: true }`";
                Err(refuse::denied(message, Some(hint)))
            }
            "DeallocateStmt" | "FetchStmt" | "ClosePortalStmt" | "VariableShowStmt"
            | "ConstraintsSetStmt" | "ListenStmt" | "UnlistenStmt" | "NotifyStmt" => Ok(()),
            "TransactionStmt" => self.transaction(node),
            "VariableSetStmt" => self.variable(node),
            "DiscardStmt" => {
                if matches!(node.choice("target"), "DISCARD_ALL" | "DISCARD_TEMP") {
                    self.class.set(StatementClass::DISCARDS_TEMP);
                }
                if node.choice("target") == "DISCARD_ALL" {
                    self.class.set(StatementClass::SEARCH_PATH);
                }
                Ok(())
            }
            "CopyStmt" => self.copy(node),
            "TruncateStmt" => node.children("relations").try_for_each(|relation| self.truncate(relation)),
            "DropStmt" => self.dropped(node),
            "DoStmt" | "CreateFunctionStmt" => self.procedural(node),
            "CreateEnumStmt" | "CompositeTypeStmt" | "CreateDomainStmt" => self.created_type(node),
            _ => Err(refuse::denied(
                "this statement is not allowed through daam",
                Some("ask a database administrator"),
            )),
        }
    }

    /// Where a statement stands in the text.
    fn range(&self, raw: &Node) -> Option<(usize, usize)> {
        let start = usize::try_from(raw.number("stmt_location")).ok()?;
        let length = usize::try_from(raw.number("stmt_len")).ok()?;
        // The last one may go on to the end.
        Some((start, if length == 0 { self.sql.len() } else { start.checked_add(length)? }))
    }

    /// Puts the statement's first words where a refusal speaks of "this statement".
    fn named(&self, raw: &Node, refusal: Refusal) -> Refusal {
        let Some(rest) = refusal.message.strip_prefix("this statement") else { return refusal };
        let start = usize::try_from(raw.number("stmt_location")).unwrap_or(0);
        let text = self.sql.get(start..).unwrap_or("");
        let tokens = daam_sql::token::scan(text).unwrap_or_default();
        let first = tokens.get(0).filter(|token| !token.is_comment()).map(|_| 0).or_else(|| tokens.next(0));
        let second = first.and_then(|at| tokens.next(at));
        let words: Vec<String> = [first, second]
            .into_iter()
            .flatten()
            .filter_map(|at| tokens.get(at))
            .map(|token| token.text(text).to_ascii_uppercase())
            .collect();
        Refusal { message: format!("`{}`{rest}", words.join(" ")), ..refusal }
    }

    pub(crate) fn wrapped(&mut self, node: &Node) -> Result<(), Refusal> {
        for (field, child) in node.each_child() {
            if field == "query" {
                self.statement(child)?;
            } else {
                self.field(node, field, child)?;
            }
        }
        Ok(())
    }

    fn created_from_query(&mut self, node: &Node) -> Result<(), Refusal> {
        if node.choice("objtype") == "OBJECT_MATVIEW" {
            let hint = "create a temporary table: `create temp table ... as`";
            return Err(refuse::denied("a materialized view cannot be created here", Some(hint)));
        }
        self.wrapped(node)
    }

    fn variable(&mut self, node: &Node) -> Result<(), Refusal> {
        let name = node.text("name").to_ascii_lowercase();
        match node.choice("kind") {
            "VAR_RESET_ALL" => self.resets(node),
            // Back to what the session is anyway.
            "VAR_RESET" | "VAR_SET_DEFAULT" if matches!(name.as_str(), "role" | "session_authorization") => {
                Ok(())
            }
            "VAR_SET_MULTI" => self.set_transaction(node),
            _ if name == "role" && is_none(node) => Ok(()),
            // What the session began with; the agent has seen that.
            "VAR_RESET" | "VAR_SET_DEFAULT"
                if name == "client_encoding" || name == "standard_conforming_strings" =>
            {
                self.class.set(StatementClass::SEARCH_PATH);
                Ok(())
            }
            "VAR_RESET" | "VAR_SET_DEFAULT" if is_read_only(&name) => {
                self.class.set(StatementClass::READ_ONLY);
                match name.as_str() {
                    "default_transaction_read_only" => self.resets(node),
                    _ if self.only_reads() => Err(self.at(node, refuse::only_reads())),
                    _ => Ok(()),
                }
            }
            _ => {
                let value = node.child("args").and_then(|value| value.child("sval"));
                self.setting(node, &name, value.map(|value| value.text("sval")))
            }
        }
    }

    fn truncate(&mut self, relation: &Node) -> Result<(), Refusal> {
        let plan = self.ctx.plan;
        let Some(name) = self.known(relation)? else { return Ok(()) };
        let granted = plan.access(&name).verbs().is_some_and(|verbs| verbs.contains_key(&Verb::Truncate));
        if granted {
            self.class.set(StatementClass::WRITES);
            Ok(())
        } else {
            Err(self.at(relation, refuse::relation(plan, &name, Some(Verb::Truncate))))
        }
    }

    /// DROP names its objects as lists of words. PostgreSQL lets the session drop nothing but its own.
    fn dropped(&mut self, node: &Node) -> Result<(), Refusal> {
        for object in node.children("objects") {
            let words = object.strings("items").unwrap_or_default();
            let (Some(table), schema) = (words.last(), words.iter().rev().nth(1)) else { continue };
            if let Meaning::Known(known) = name::meaning(self.ctx, schema.copied().unwrap_or(""), table) {
                let plan = self.ctx.plan;
                return Err(match plan.access(&known) {
                    Access::None => refuse::relation(plan, &known, None),
                    _ => refuse::denied(
                        format!("`{known}` cannot be dropped through daam"),
                        Some("ask a database administrator"),
                    ),
                });
            }
        }
        Ok(())
    }

    fn procedural(&mut self, node: &Node) -> Result<(), Refusal> {
        if self.ctx.plan.limits().procedural != Some(true) {
            let message = "this statement is not allowed: it runs code that no policy allows you";
            let hint = "a policy may allow it with `session: { procedural: true }`";
            return Err(refuse::denied(message, Some(hint)));
        }
        if node.is("DoStmt") {
            return Ok(());
        }
        let words = node.strings("funcname").unwrap_or_default();
        if let [schema, _] = words.as_slice()
            && name::is_temporary(schema)
        {
            return self.children(node);
        }
        let hint = "create it as `pg_temp.name`";
        Err(refuse::denied("permanent functions cannot be created here", Some(hint)))
    }
}

/// A setting that says whether transactions only read.
pub(crate) fn is_read_only(setting: &str) -> bool {
    matches!(setting, "transaction_read_only" | "default_transaction_read_only")
}

/// `SET ROLE NONE`.
fn is_none(node: &Node) -> bool {
    node.child("args")
        .and_then(|argument| argument.child("sval"))
        .is_some_and(|value| value.text("sval") == "none")
}

/// Whether a statement makes something for the session, or runs what could.
fn makes(node: &Node) -> bool {
    let kind = node.kind();
    kind.starts_with("Create")
        || kind.starts_with("Alter")
        || matches!(
            kind,
            "ViewStmt"
                | "IndexStmt"
                | "CompositeTypeStmt"
                | "RenameStmt"
                | "DoStmt"
                | "CallStmt"
                | "ListenStmt"
        )
        || node.has("into_clause")
}
