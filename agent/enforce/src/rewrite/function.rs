//! Functions the proxy itself must refuse, because the server lets everyone call them.

use super::statement::is_read_only;
use super::walk::Walker;
use super::{Refusal, StatementClass, name, refuse};
use daam_catalog::pattern::is_system_schema;
use daam_catalog::user_type::named_type;
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

/// What the parser takes for syntax, and servers of majors before take for a call of a function, which can be anybody's.
const SYNTAX: [(&str, &str, u32); 13] = [
    ("JsonFuncExpr", "json_exists", 17),
    ("JsonFuncExpr", "json_query", 17),
    ("JsonFuncExpr", "json_value", 17),
    ("JsonParseExpr", "json", 17),
    ("JsonScalarExpr", "json_scalar", 17),
    ("JsonSerializeExpr", "json_serialize", 17),
    ("JsonObjectConstructor", "json_object", 16),
    ("JsonArrayConstructor", "json_array", 16),
    ("JsonArrayQueryConstructor", "json_array", 16),
    ("JsonObjectAgg", "json_objectagg", 16),
    ("JsonArrayAgg", "json_arrayagg", 16),
    ("JsonTable", "json_table", 17),
    ("MergeSupportFunc", "merge_action", 17),
];

/// Settings that change who the session is.
const IDENTITY: [&str; 2] = ["role", "session_authorization"];

/// Whether a function of PostgreSQL or of an extension runs text as SQL, by its name.
pub fn runs_text(name: &str) -> bool {
    RUN_TEXT.contains(&name) || RUN_TEXT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

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
            Some(schema) if is_system_schema(schema) && SYNTAX.iter().any(|(_, known, _)| known == name) => {
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
        let mut named = named.collect::<Vec<_>>();
        // Values of its types are made and checked on the way.
        for known in &named {
            let types = known.name.arguments.iter().chain([&known.returns]);
            types.into_iter().try_for_each(|made_of| self.made_of(node, made_of))?;
        }
        if named.iter().any(|known| known.reaches.is_some()) {
            self.runs_text.set(true);
        }
        named.retain(|known| self.is_closed(known));
        match named.first() {
            None => Ok(()),
            Some(known) => Err(self.closed(node, known)),
        }
    }

    /// Whether a function does what statements may not, and no policy grants it: it runs with its owner's rights, or its
    /// body reaches further than a text that is looked at.
    fn is_closed(&self, function: &Function) -> bool {
        let unseen = function.reaches.is_some() && self.ctx.plan.limits().procedural != Some(true);
        (function.security_definer || unseen) && !self.ctx.plan.functions().contains(&function.name)
    }

    /// The function of that name if everyone may execute it, and no policy grants it: the server itself refuses the others.
    pub(crate) fn left_open(&self, name: &FunctionName) -> Option<&Function> {
        let function = self.ctx.catalog.functions.get(name)?;
        (function.public_execute && self.is_closed(function)).then_some(function)
    }

    fn closed(&self, node: &Node, function: &Function) -> Refusal {
        let reaches = function.reaches.as_deref().filter(|_| !function.security_definer);
        let message = format!(
            "function `{}` {} and is not granted to you by any policy",
            function.name,
            reaches.unwrap_or("runs with its owner's rights")
        );
        let hint = "a policy can grant it: `functions: [schema.name]`; if another function is meant, write its schema";
        self.at(node, refuse::denied(message, Some(hint)))
    }

    /// What PostgreSQL's own functions would run or count.
    fn reaches_text(&self, node: &Node, name: &str) -> Result<(), Refusal> {
        let runs_text = runs_text(name);
        if counts(name) && self.ctx.plan.hides_rows() {
            return Err(self.at(node, refuse::counting(&format!("function `{name}`"))));
        }
        if name.starts_with("pg_input_") {
            // Texts become values of a type that only the server knows.
            self.any_type(node)?;
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
        // Further arguments may have defaults. Of user types the agent does not know which are rows, and a typed table has
        // the rows of a type that stands alone.
        let takes_a_row = |function: &Function| {
            let first = function.name.arguments.first().map_or("", String::as_str).trim_matches('"');
            first.starts_with("any") || first.starts_with("record") || named_type(first).is_some()
        };
        let functions = self.ctx.catalog.functions.values();
        let mut named = functions.filter(|known| known.name.name.as_str() == name);
        match named.find(|known| takes_a_row(known) && self.is_closed(known)) {
            None => Ok(()),
            Some(known) => Err(self.closed(node, known)),
        }
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
        if matches!(setting, "search_path" | "client_encoding") {
            self.class.set(StatementClass::SEARCH_PATH);
        }
        if is_read_only(setting) {
            self.class.set(StatementClass::READ_ONLY);
            let on = value.is_some_and(is_on);
            if !on && self.only_reads() {
                return Err(self.at(node, refuse::only_reads()));
            }
        }
        Ok(())
    }
}

/// The functions a node may call on a server of that major without being a call.
pub(crate) fn written_as_syntax(node: &Node, major: u32) -> impl Iterator<Item = &'static str> {
    let kind = node.kind();
    let form = node.choice("op").strip_suffix("_OP").unwrap_or_default();
    let named = SYNTAX.iter().filter(move |(known, _, since)| *known == kind && major < *since);
    named
        .map(|(_, name, _)| *name)
        .filter(move |name| kind != "JsonFuncExpr" || form.eq_ignore_ascii_case(name))
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
    // Extensions that count call their functions so.
    const OTHERS: [&str; 9] = [
        "pg_buffercache",
        "pg_freespace",
        "pg_qualstats",
        "pg_stat_",
        "pg_statio_",
        "pg_store_plans",
        "pg_visibility",
        "pg_wait_sampling",
        "pgstat",
    ];
    let Some(statistic) = name.strip_prefix("pg_stat_get_") else {
        let harmless = matches!(name, "pg_stat_clear_snapshot" | "pg_stat_force_next_flush");
        let other = name == "pg_lock_status" || OTHERS.iter().any(|prefix| name.starts_with(prefix));
        return other && !harmless;
    };
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
