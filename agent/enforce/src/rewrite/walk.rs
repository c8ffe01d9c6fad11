//! The walk over a statement: names, scopes and the edits they lead to.

use super::name::{self, Meaning, NameAt};
use super::target::Target;
use super::{Refusal, RewriteContext, SYSTEM_COLUMNS, StatementClass, function, operator, refuse};
use crate::edit::Edit;
use crate::plan::{Access, ProtectedTable, ViewKind, qualified_view};
use daam_catalog::RelationName;
use daam_model::Verb;
use daam_sql::token::Tokens;
use daam_sql::{Node, quote};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// Fields in which a masked column surprises: it is the masked value that is compared.
const COMPARED: [&str; 7] = [
    "where_clause",
    "quals",
    "join_condition",
    "sort_clause",
    "group_clause",
    "having_clause",
    "distinct_clause",
];

/// One reading of a text.
pub(crate) struct Walker<'a> {
    pub(crate) sql: &'a str,
    pub(crate) tokens: &'a Tokens,
    pub(crate) ctx: &'a RewriteContext<'a>,
    pub(crate) edits: Vec<Edit>,
    pub(crate) activate: BTreeSet<RelationName>,
    /// Where the present statement begins and ends.
    pub(crate) statement_range: Option<(usize, usize)>,
    pub(crate) copies: BTreeSet<RelationName>,
    /// What its transaction must hear before any query.
    pub(crate) modes: Option<String>,
    /// What has to run ahead of it, in its transaction.
    pub(crate) ahead: Vec<String>,
    /// What it calls runs later than it does.
    pub(crate) deferred: bool,
    /// The name of views that are filtered already; none while the text is the client's.
    pub(crate) filtered: Option<&'static str>,
    /// It calls a function whose body runs text.
    pub(crate) runs_text: Cell<bool>,
    /// What the statements of the text before this one do.
    before: StatementClass,
    pub(crate) notices: BTreeSet<String>,
    pub(crate) class: StatementClass,
    /// Something in the statement of which not all rows are seen, in words.
    pub(crate) partly_seen: Option<String>,
    /// Names of the common table expressions visible here.
    ctes: Vec<Vec<String>>,
    /// Protected relations read by the statement, by the name they have in it.
    read: BTreeMap<String, &'a ProtectedTable>,
    /// Whether the statement also reads something else.
    mixed: bool,
    /// The protected relation being written, where its columns are visible.
    pub(crate) target: Option<Target<'a>>,
    compared: bool,
    /// What is walked is the definition of a view.
    pub(crate) in_view: bool,
    /// Names that functions have in FROM clauses of the statement.
    values: BTreeSet<String>,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(sql: &'a str, tokens: &'a Tokens, ctx: &'a RewriteContext<'a>) -> Self {
        Self {
            sql,
            tokens,
            ctx,
            edits: Vec::new(),
            activate: BTreeSet::new(),
            statement_range: None,
            copies: BTreeSet::new(),
            modes: None,
            ahead: Vec::new(),
            deferred: false,
            filtered: None,
            runs_text: Cell::new(false),
            before: StatementClass::default(),
            notices: BTreeSet::new(),
            class: StatementClass::default(),
            partly_seen: None,
            ctes: Vec::new(),
            read: BTreeMap::new(),
            mixed: false,
            target: None,
            compared: false,
            in_view: false,
            values: BTreeSet::new(),
        }
    }

    /// Forgets what belongs to the statement before, and looks ahead in this one.
    pub(crate) fn begin(&mut self, statement: &Node) {
        self.in_view = false;
        self.values.clear();
        function::names_in_from(statement, &mut self.values);
        self.read.clear();
        self.partly_seen = None;
        self.mixed = false;
        self.target = None;
        self.deferred = false;
        self.before = self.class;
    }

    pub(crate) fn edit(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.edits.push(Edit { start, end, text: text.into() });
    }

    /// The refusal, with the place of the node it is about.
    pub(crate) fn at(&self, node: &Node, refusal: Refusal) -> Refusal {
        let position =
            node.location().and_then(|byte| self.sql.get(..byte)).map(|text| text.chars().count() + 1);
        Refusal { position, ..refusal }
    }

    /// Visits a node that stands in a field of a node of kind `parent`.
    pub(crate) fn walk(&mut self, node: &Node, parent: &str, field: &str) -> Result<(), Refusal> {
        if let Some(named) = operator::field(node.kind()) {
            self.operator(node, named)?;
        }
        for name in function::written_as_syntax(node, self.ctx.catalog.server.major()) {
            self.called(node, name)?;
        }
        match node.kind() {
            "RangeVar" => self.relation(node, parent, field),
            "SelectStmt" => self.select(node),
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => self.write(node),
            "FuncCall" => {
                self.function(node)?;
                self.children(node)
            }
            "ColumnRef" => self.column(node),
            "IndexStmt" | "Constraint" | "DefElem" => {
                self.made_beside(node)?;
                self.children(node)
            }
            "TypeName" => {
                self.type_name(node)?;
                self.children(node)
            }
            "A_Indirection" => {
                // Of a value of whatever type: PostgreSQL takes `(value).name` for `name(value)`.
                for part in node.children("indirection").filter(|part| part.is("String")) {
                    self.called(node, part.text("sval"))?;
                }
                self.children(node)
            }
            "TableLikeClause" => {
                self.like(node)?;
                self.children(node)
            }
            // Names of relations of the same statement, not relations themselves.
            "LockingClause" => Ok(()),
            _ => self.children(node),
        }
    }

    pub(crate) fn children(&mut self, node: &Node) -> Result<(), Refusal> {
        node.each_child().try_for_each(|(field, child)| self.field(node, field, child))
    }

    pub(crate) fn field(&mut self, node: &Node, field: &str, child: &Node) -> Result<(), Refusal> {
        let before = self.compared;
        self.compared |= COMPARED.contains(&field);
        let result = self.walk(child, node.kind(), field);
        self.compared = before;
        result
    }

    /// Makes the names of a WITH clause visible while `inside` runs.
    pub(crate) fn with(
        &mut self,
        node: &Node,
        inside: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let target = self.target.take();
        let with = node.child("with_clause");
        let names = |with: &Node| with.children("ctes").map(|cte| cte.text("ctename").to_owned()).collect();
        let recursive = with.filter(|with| with.flag("recursive"));
        self.ctes.push(recursive.map(names).unwrap_or_default());
        let mut result = Ok(());
        for cte in with.into_iter().flat_map(|with| with.children("ctes")) {
            result = result.and_then(|()| self.children(cte));
            if let Some(visible) = self.ctes.last_mut() {
                visible.push(cte.text("ctename").to_owned());
            }
        }
        self.target = target;
        let result = result.and_then(|()| inside(self));
        self.ctes.pop();
        result
    }

    fn select(&mut self, node: &Node) -> Result<(), Refusal> {
        let outer = self.target.clone();
        if let Some(target) = &mut self.target {
            target.enter(node);
        }
        let result = self.with(node, |walker| {
            // Tables first: what a column means depends on them.
            for first in [true, false] {
                for (field, child) in node.each_child().filter(|(field, _)| *field != "with_clause") {
                    if (field == "from_clause") == first {
                        walker.field(node, field, child)?;
                    }
                }
            }
            Ok(())
        });
        self.target = outer;
        result
    }

    fn is_cte(&self, node: &Node) -> bool {
        let name = node.text("relname");
        node.text("schemaname").is_empty() && self.ctes.iter().flatten().any(|visible| visible == name)
    }

    fn relation(&mut self, node: &Node, parent: &str, field: &str) -> Result<(), Refusal> {
        let read = matches!(
            (parent, field),
            ("SelectStmt" | "UpdateStmt", "from_clause")
                | ("DeleteStmt", "using_clause")
                | ("JoinExpr", "larg" | "rarg")
                | ("MergeStmt", "source_relation")
                | ("RangeTableSample", "relation")
        );
        match (parent, field) {
            ("IntoClause", "rel")
            | ("CreateStmt", "relation")
            | ("ViewStmt", "view")
            | ("CreateSeqStmt", "sequence") => self.creates(node),
            _ if read && self.is_cte(node) => {
                self.mixed = true;
                Ok(())
            }
            _ if read => self.reads(node, parent == "RangeTableSample"),
            _ => self.utility(node),
        }
    }

    fn reads(&mut self, node: &Node, sampled: bool) -> Result<(), Refusal> {
        let plan = self.ctx.plan;
        if let Some(others) = self.statistics(node) {
            self.mixed = true;
            return self.replace(node, &others, parent_is_table(self, node));
        }
        if name::is_sequence(self.ctx, node) {
            self.mixed = true;
            return Ok(());
        }
        let Some(name) = self.known(node)? else {
            self.meets_own(node);
            self.mixed = true;
            return Ok(());
        };
        let access = plan.access(&name);
        if !access.verbs().is_some_and(|verbs| verbs.contains_key(&Verb::Select)) {
            return Err(self.at(node, refuse::relation(plan, &name, Some(Verb::Select))));
        }
        let Access::Protected(table) = access else {
            self.mixed = true;
            return Ok(());
        };
        if sampled {
            let message =
                format!("`TABLESAMPLE` is not possible on `{name}`, because you see it through a view");
            return Err(self.at(node, refuse::unsupported(message, "use `order by random() limit n`")));
        }
        if !node.flag("inh") && table.has_children {
            let message = format!("`only` is not possible on `{name}`: it has partitions or children");
            return Err(self.at(node, refuse::unsupported(message, "leave `only` out")));
        }
        self.meets(table);
        self.read.insert(name::alias(node).to_owned(), table);
        self.activate.insert(name.clone());
        self.replace(node, &qualified_view(ViewKind::Read, &name), parent_is_table(self, node))
    }

    /// The catalogue relation a node names. Names that cannot be one are settled here: a bare name the catalogue
    /// does not know is pinned to the session's own objects, so that it cannot reach a relation out of scope.
    pub(crate) fn known(&mut self, node: &Node) -> Result<Option<RelationName>, Refusal> {
        let meaning = name::of(self.ctx, node);
        let searched =
            matches!(meaning, Meaning::Known(_) | Meaning::Bare) && node.text("schemaname").is_empty();
        if searched && self.before.may_change_search_path() {
            let message =
                format!("the search path changes before `{}` is looked up in it", node.text("relname"));
            let hint = "send the change of `search_path` on its own, or write the schema's name";
            return Err(self.at(node, refuse::unsupported(message, hint)));
        }
        match meaning {
            Meaning::Known(name) => {
                self.columns_cast(node, &name)?;
                Ok(Some(name))
            }
            Meaning::System if self.in_view && node.text("relname") == "pg_settings" => {
                // Through such a view settings could be changed in other words.
                let message = "`pg_settings` cannot be read by a view here";
                Err(self.at(node, refuse::denied(message, Some("read it in the query itself"))))
            }
            Meaning::System if self.shows_values(node) => {
                let message = format!("this is not possible on `{}`", node.text("relname"));
                Err(self.at(node, refuse::unsupported(message, "use select")))
            }
            Meaning::System if name::counts_visits(node.text("relname")) && self.ctx.plan.hides_rows() => {
                Err(self.at(node, refuse::counting(&format!("`{}`", node.text("relname")))))
            }
            // An extension's relation of such a name may be on the path.
            Meaning::System if node.text("schemaname").is_empty() => {
                if let Some(start) = node.location() {
                    self.edit(start, start, "pg_catalog.");
                }
                Ok(None)
            }
            Meaning::System | Meaning::Temporary => Ok(None),
            Meaning::Unknown(name) => Err(self.at(node, refuse::relation(self.ctx.plan, &name, None))),
            Meaning::Bare => {
                if let Some(start) = node.location() {
                    self.edit(start, start, "pg_temp.");
                }
                Ok(None)
            }
        }
    }

    fn utility(&mut self, node: &Node) -> Result<(), Refusal> {
        let plan = self.ctx.plan;
        let Some(name) = self.known(node)? else { return Ok(()) };
        match plan.access(&name) {
            Access::Direct(_) => Ok(()),
            Access::None => Err(self.at(node, refuse::relation(plan, &name, None))),
            Access::Protected(_) => {
                let message = format!("this is not possible on `{name}`, because you see it through a view");
                Err(self.at(node, refuse::unsupported(message, "use select, insert, update or delete")))
            }
        }
    }

    /// Puts a view where a relation is named and keeps the name the rest of the statement uses.
    pub(crate) fn replace(&mut self, node: &Node, view: &str, command: Option<usize>) -> Result<(), Refusal> {
        let NameAt { start, end, first, closing } = self.named_at(node)?;
        if let Some(table) = command.and_then(|index| self.tokens.get(index)) {
            self.edit(table.start, table.end, "SELECT * FROM");
        }
        if node.has("alias") {
            self.edit(start, end, view);
            return Ok(());
        }
        let alias = format!(" AS {}", quote::identifier(node.text("relname")));
        let next = self.tokens.next(closing).and_then(|at| self.tokens.get(at));
        let before = self.tokens.previous(first);
        let only = before.and_then(|at| self.tokens.previous(at)).and_then(|at| self.tokens.get(at));
        let opened = before.and_then(|at| self.tokens.get(at)).is_some_and(|token| token.is(self.sql, "("));
        let enclosed = opened && only.is_some_and(|token| token.is(self.sql, "only")) && !node.flag("inh");
        match next {
            Some(token) if token.is(self.sql, "*") || (enclosed && token.is(self.sql, ")")) => {
                self.edit(start, end, view);
                self.edit(token.end, token.end, alias);
            }
            _ => self.edit(start, end, format!("{view}{alias}")),
        }
        Ok(())
    }

    fn column(&mut self, node: &Node) -> Result<(), Refusal> {
        if node.each_child().any(|(_, part)| part.is("A_Star")) {
            return self.unqualify(node).map(drop);
        }
        let Some(parts) = node.strings("fields") else { return self.children(node) };
        let (Some(column), qualifier) = (parts.last(), parts.iter().rev().nth(1)) else { return Ok(()) };
        self.refuse_system_column(node, column, qualifier.copied())?;
        match qualifier {
            // What a function in FROM gives may be no row, but a value.
            Some(qualifier) if self.values.contains(*qualifier) => self.called(node, column)?,
            Some(_) => self.attribute(node, column)?,
            None => {}
        }
        if self.compared {
            self.notice(column, qualifier.copied());
        }
        self.unqualify(node)?;
        self.masked_column(node, &parts).map(drop)
    }

    fn refuse_system_column(
        &self,
        node: &Node,
        column: &str,
        qualifier: Option<&str>,
    ) -> Result<(), Refusal> {
        let protected = match qualifier {
            Some(qualifier) => self.read.contains_key(qualifier),
            None => !self.read.is_empty() && !self.mixed,
        };
        if protected && SYSTEM_COLUMNS.contains(&column) {
            let message =
                format!("system column `{column}` is not available on a table you see through a view");
            return Err(self.at(node, refuse::unsupported(message, "use the primary key")));
        }
        Ok(())
    }

    fn notice(&mut self, column: &str, qualifier: Option<&str>) {
        let written = self.target.as_ref().map(|target| (target.alias.as_str(), target.table));
        let read = self.read.iter().map(|(alias, table)| (alias.as_str(), *table));
        let masked: Vec<&ProtectedTable> = read
            .chain(written)
            .filter(|(alias, table)| {
                qualifier.is_none_or(|wanted| wanted == *alias) && table.is_masked(column)
            })
            .map(|(_, table)| table)
            .collect();
        for table in masked {
            self.notices.insert(format!(
                "column `{column}` of `{}` is masked for you: comparisons, ordering and grouping use the masked value",
                table.name
            ));
        }
    }

    /// Drops the schema from `schema.table.column` where the table is a view now.
    fn unqualify(&mut self, node: &Node) -> Result<bool, Refusal> {
        let names: Vec<&str> =
            node.children("fields").filter(|part| part.is("String")).map(|part| part.text("sval")).collect();
        let star = node.children("fields").any(|part| part.is("A_Star"));
        let before = names.len().saturating_sub(usize::from(!star));
        let Some(skipped) = before.checked_sub(1).filter(|skipped| *skipped > 0) else { return Ok(false) };
        let (Some(schema), Some(table)) = (names.get(skipped - 1), names.get(skipped)) else {
            return Ok(false);
        };
        let protected = RelationName::stored(*schema, *table)
            .is_ok_and(|name| self.ctx.plan.protected().contains_key(&name));
        if !protected {
            return Ok(false);
        }
        let lost = || refuse::confused("a column is not where it should be");
        let start = node.location().ok_or_else(lost)?;
        let first = self.tokens.at(start).ok_or_else(lost)?;
        let dot = self.tokens.end_of_name(self.sql, first, skipped).and_then(|last| self.tokens.next(last));
        let kept =
            dot.and_then(|dot| self.tokens.next(dot)).and_then(|at| self.tokens.get(at)).ok_or_else(lost)?;
        self.edit(start, kept.start, "");
        Ok(true)
    }
}

/// The index of the `TABLE` keyword if the relation stands in a `TABLE x` command.
fn parent_is_table(walker: &Walker<'_>, node: &Node) -> Option<usize> {
    let mut index = walker.tokens.previous(walker.tokens.at(node.location()?)?)?;
    for word in ["(", "only"] {
        if walker.tokens.get(index)?.is(walker.sql, word) && !node.flag("inh") {
            index = walker.tokens.previous(index)?;
        }
    }
    walker.tokens.get(index)?.is(walker.sql, "table").then_some(index)
}
