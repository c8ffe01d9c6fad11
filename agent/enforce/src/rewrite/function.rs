//! Functions the proxy itself must refuse, because the server lets everyone call them.

use super::statement::is_read_only;
use super::walk::Walker;
use super::{Refusal, StatementClass, name, refuse};
use daam_catalog::pattern::is_system_schema;
use daam_catalog::{Function, FunctionName};
use daam_sql::{Node, quote};
use std::collections::BTreeSet;

/// Functions that run text as SQL, whole names.
const RUN_TEXT: &[&str] = &[
    "connectby",
    "crosstab",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "ts_rewrite",
    "ts_stat",
    "xpath_table",
];

/// The same, beginnings of names.
const RUN_TEXT_PREFIXES: [&str; 2] = ["dblink", "crosstab"];

/// What the parser takes for syntax, and servers of older majors for a call of a function, which can be anybody's.
const SYNTAX: [(&str, &[&str]); 11] = [
    ("JsonFuncExpr", &["json_exists", "json_query", "json_value"]),
    ("JsonParseExpr", &["json"]),
    ("JsonScalarExpr", &["json_scalar"]),
    ("JsonSerializeExpr", &["json_serialize"]),
    ("JsonObjectConstructor", &["json_object"]),
    ("JsonArrayConstructor", &["json_array"]),
    ("JsonArrayQueryConstructor", &["json_array"]),
    ("JsonObjectAgg", &["json_objectagg"]),
    ("JsonArrayAgg", &["json_arrayagg"]),
    ("JsonTable", &["json_table"]),
    ("MergeSupportFunc", &["merge_action"]),
];

/// Settings that change who the session is.
const IDENTITY: [&str; 2] = ["role", "session_authorization"];

impl Walker<'_> {
    pub(crate) fn function(&mut self, node: &Node) -> Result<(), Refusal> {
        let parts = node.strings("funcname").unwrap_or_default();
        let (Some(name), schema) = (parts.last(), parts.iter().rev().nth(1)) else { return Ok(()) };
        self.reaches_text(node, name)?;
        match schema {
            None => {
                if *name == "set_config" {
                    self.set_config(node)?;
                }
                self.user_function(node, None, name)
            }
            // Syntax to the parser, from which the schema comes; a name like any other to older servers.
            Some(schema)
                if is_system_schema(schema) && SYNTAX.iter().any(|(_, names)| names.contains(name)) =>
            {
                self.user_function(node, None, name)
            }
            Some(schema) if is_system_schema(schema) => {
                if *name == "set_config" {
                    self.set_config(node)
                } else {
                    Ok(())
                }
            }
            Some(schema) => self.user_function(node, Some(schema), name),
        }
    }

    /// A function of a user schema that runs with its owner's rights must be granted by name.
    fn user_function(&self, node: &Node, schema: Option<&str>, name: &str) -> Result<(), Refusal> {
        // A bare name is looked up when the statement runs: by then the path may be another one, by ways the agent does
        // not see. So it counts in every schema.
        let visible = |found: &str| schema.is_none_or(|schema| found == schema);
        let overloads = self.ctx.catalog.functions.values();
        // Functions of extensions are in the catalogue for the types of filters; by name they stay as unknown as ever.
        let mut named = overloads
            .filter(|known| known.extension.is_none() || known.security_definer)
            .filter(|known| known.name.name.as_str() == name && visible(known.name.schema.as_str()))
            .peekable();
        if named.peek().is_none() && schema.is_some() {
            let message = format!("function `{}.{name}` is not known here", schema.unwrap_or_default());
            let hint = "a policy can grant it: `functions: [schema.name]`";
            return Err(self.at(node, refuse::denied(message, Some(hint))));
        }
        match named.find(|known| self.is_closed(known)) {
            None => Ok(()),
            Some(known) => Err(self.closed(node, known)),
        }
    }

    /// Whether a function runs with its owner's rights and no policy grants it.
    fn is_closed(&self, function: &Function) -> bool {
        function.security_definer && !self.ctx.plan.functions().contains(&function.name)
    }

    /// The function of that name if everyone may execute it, and no policy grants it: the server itself refuses the others.
    pub(crate) fn left_open(&self, name: &FunctionName) -> Option<&Function> {
        let function = self.ctx.catalog.functions.get(name)?;
        (function.public_execute && self.is_closed(function)).then_some(function)
    }

    fn closed(&self, node: &Node, function: &Function) -> Refusal {
        let message = format!(
            "function `{}` runs with its owner's rights and is not granted to you by any policy",
            function.name
        );
        let hint = "a policy can grant it: `functions: [schema.name]`; if another function is meant, write its schema";
        self.at(node, refuse::denied(message, Some(hint)))
    }

    /// What PostgreSQL's own functions would run or count.
    fn reaches_text(&self, node: &Node, name: &str) -> Result<(), Refusal> {
        let runs_text =
            RUN_TEXT.contains(&name) || RUN_TEXT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if counts(name) && self.ctx.plan.hides_rows() {
            return Err(self.at(node, refuse::counting(&format!("function `{name}`"))));
        }
        if runs_text && self.ctx.plan.limits().procedural != Some(true) {
            let message = format!("function `{name}` runs text as SQL, which no policy allows you");
            let hint = "write the query itself; a policy may allow it with `session: { procedural: true }`";
            return Err(self.at(node, refuse::denied(message, Some(hint))));
        }
        Ok(())
    }

    /// A function that is called by a bare name in other words than `name(…)`.
    pub(crate) fn called(&self, node: &Node, name: &str) -> Result<(), Refusal> {
        self.reaches_text(node, name)?;
        self.user_function(node, None, name)
    }

    /// `row.name` may call a function of one argument, the row.
    pub(crate) fn attribute(&self, node: &Node, name: &str) -> Result<(), Refusal> {
        let takes_a_row = |function: &Function| match function.name.arguments.as_slice() {
            [only] => matches!(only.as_str(), "record" | "anyelement" | "anycompatible") || self.is_row(only),
            _ => false,
        };
        let functions = self.ctx.catalog.functions.values();
        let mut named = functions.filter(|known| known.name.name.as_str() == name);
        match named.find(|known| takes_a_row(known) && self.is_closed(known)) {
            None => Ok(()),
            Some(known) => Err(self.closed(node, known)),
        }
    }

    /// Whether a type, as the catalogue writes it, is the row of a relation that it knows.
    fn is_row(&self, data_type: &str) -> bool {
        let plain = data_type.replace('"', "");
        self.ctx.catalog.relations.keys().any(|relation| {
            let (schema, name) = (relation.schema.as_str(), relation.name.as_str());
            plain == name || plain.strip_suffix(name).and_then(|rest| rest.strip_suffix('.')) == Some(schema)
        })
    }

    fn set_config(&mut self, node: &Node) -> Result<(), Refusal> {
        let mut constants = node.children("args").map(|argument| argument.child("sval"));
        let (first, second) = (constants.next().flatten(), constants.next().flatten());
        let Some(setting) = first.map(|value| value.text("sval").to_ascii_lowercase()) else {
            // pg_dump asks for a setting by name only where the server has it. Any setting may be meant, but with
            // this one value alone.
            let column = node.child("args").is_some_and(|argument| argument.is("ColumnRef"));
            if column && !self.deferred && second.is_some_and(|value| kinds(value.text("sval")).is_some()) {
                self.allow_views(node);
                self.class.set(StatementClass::SEARCH_PATH);
                self.class.set(StatementClass::READ_ONLY);
                return Ok(());
            }
            let message = "the setting `set_config` changes must be written as a constant";
            let hint = "use `set name = value`";
            return Err(self.at(node, refuse::denied(message, Some(hint))));
        };
        if setting == "search_path" && self.deferred {
            // It would change when the statement is executed, which looks like any other.
            let message = "`search_path` cannot be changed from inside a prepared statement or a cursor";
            return Err(self.at(node, refuse::denied(message, Some("use `set search_path = ...`"))));
        }
        self.setting(node, &setting, second.map(|value| value.text("sval")))
    }

    /// pg_dump forbids its session all views, so that no owner of a table can make it run code of a view instead.
    /// Here the views stand for the tables, and have been checked: that word is left out of the list.
    fn allow_views(&mut self, node: &Node) {
        let Some(value) = node.children("args").nth(1) else { return };
        let text = value.child("sval").map_or("", |constant| constant.text("sval"));
        let kinds = kinds(text).unwrap_or_default();
        let literal = value.location().and_then(|start| self.tokens.get(self.tokens.at(start)?));
        if let Some(literal) = literal.filter(|_| kinds.contains(&"view")) {
            let rest: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "view").collect();
            self.edit(literal.start, literal.end, quote::literal(&rest.join(", ")));
        }
    }

    /// Notes or refuses the change of a setting.
    pub(crate) fn setting(&mut self, node: &Node, setting: &str, value: Option<&str>) -> Result<(), Refusal> {
        if !is_read_alike(setting, value) {
            let message = format!(
                "setting `{setting}` cannot be given this value here: server and agent read texts alike"
            );
            let hint = "write the value as a plain constant: `on`, or a safe encoding such as `UTF8`";
            return Err(self.at(node, refuse::unsupported(message, hint)));
        }
        if IDENTITY.contains(&setting) {
            let message = format!("setting `{setting}` cannot be changed here: a session is one person's");
            let hint = "connect as the person whose access you need, or ask for the access";
            return Err(self.at(node, refuse::denied(message, Some(hint))));
        }
        if setting == "search_path" {
            self.class.set(StatementClass::SEARCH_PATH);
        }
        if is_read_only(setting) {
            self.class.set(StatementClass::READ_ONLY);
            let on = value.is_some_and(is_on);
            if !on && self.ctx.plan.limits().read_only == Some(true) {
                return Err(self.at(node, refuse::only_reads()));
            }
        }
        Ok(())
    }
}

/// The names of functions a node may call without being a call.
pub(crate) fn written_as_syntax(node: &Node) -> &'static [&'static str] {
    SYNTAX.iter().find(|(kind, _)| *kind == node.kind()).map_or(&[], |(_, names)| names)
}

/// The names that functions in FROM clauses have in the rest of their statement.
pub(crate) fn names_in_from(node: &Node, names: &mut BTreeSet<String>) {
    if node.is("RangeFunction") {
        match node.child("alias") {
            Some(alias) => drop(names.insert(alias.text("aliasname").to_owned())),
            None => names_called(node, names),
        }
    }
    node.each_child().for_each(|(_, child)| names_in_from(child, names));
}

/// Every name of a function below.
fn names_called(node: &Node, names: &mut BTreeSet<String>) {
    let called = node.strings("funcname").unwrap_or_default();
    names.extend(called.last().map(|name| (*name).to_owned()));
    if node.is("SQLValueFunction") {
        // Its name is that of the keyword: `current_date`, `SVFOP_CURRENT_DATE` here.
        names.insert(
            node.choice("op").trim_start_matches("SVFOP_").trim_end_matches("_N").to_ascii_lowercase(),
        );
    }
    node.each_child().for_each(|(_, child)| names_called(child, names));
}

/// Whether a function of PostgreSQL's tells how many rows were visited: any statistic but those about connections and
/// running commands.
fn counts(name: &str) -> bool {
    const ABOUT_BACKENDS: [&str; 14] = [
        "activity",
        "idset",
        "pid",
        "dbid",
        "userid",
        "start",
        "wait_event",
        "wait_event_type",
        "client_addr",
        "client_port",
        "subxact",
        "xact_start",
        "activity_start",
        "snapshot_timestamp",
    ];
    let Some(statistic) = name.strip_prefix("pg_stat_get_") else { return name == "pg_lock_status" };
    let of_backend = statistic.strip_prefix("backend_").unwrap_or(statistic);
    !(ABOUT_BACKENDS.contains(&of_backend) || name::about_the_server(statistic))
}

/// The list of kinds pg_dump forbids itself, if it is one.
fn kinds(text: &str) -> Option<Vec<&str>> {
    let kinds: Vec<&str> = text.split(',').map(str::trim).collect();
    kinds.iter().all(|kind| matches!(*kind, "view" | "foreign-table")).then_some(kinds)
}

/// Whether a value means yes, spelt out.
fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1")
}

/// Whether the server goes on to read texts as the agent does: where a string ends must not become another matter. The
/// value is the one the parser read, whatever escapes it was written with; none is one that is not known.
fn is_read_alike(setting: &str, value: Option<&str>) -> bool {
    const SAFE: [&str; 9] =
        ["utf8", "unicode", "sqlascii", "latin", "iso8859", "win12", "win8", "koi8", "euc"];
    match setting {
        "standard_conforming_strings" => value.is_some_and(is_on),
        "client_encoding" => value.is_some_and(|value| {
            let letters = value.chars().filter(char::is_ascii_alphanumeric);
            let plain: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
            SAFE.iter().any(|safe| plain.starts_with(safe))
        }),
        _ => true,
    }
}
