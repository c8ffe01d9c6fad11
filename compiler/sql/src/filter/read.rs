//! Parse tree → filter tree. Everything that is not understood is refused where it stands.

use super::expression::{Expression, Item, Kind, Literal, Owner, TypeRef};
use super::functions;
use super::{FilterError, Refusal};
use crate::token;
use crate::tree::{Node, ParseError, parse};
use daam_catalog::Identifier;

/// What the expression is parsed behind; offsets are counted without it.
const PREFIX: &str = "SELECT ";

/// Reads a filter: its expression and the tables of its subqueries.
pub(super) fn read(text: &str) -> Result<(Expression, Vec<Item>), FilterError> {
    read_expression(text).map_err(|error| {
        let refusal = if breaks_out(text) { Refusal::Breakout } else { error.refusal };
        FilterError { refusal, ..error }
    })
}

/// Whether the text closes a parenthesis it did not open, or ends an expression and begins another.
fn breaks_out(text: &str) -> bool {
    let mut depth = 0_i64;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ';') => return true,
            _ => {}
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

fn read_expression(text: &str) -> Result<(Expression, Vec<Item>), FilterError> {
    let start = FilterError {
        refusal: Refusal::Breakout,
        ..refused(0, "a row filter is one boolean expression", Some("e.g. `region = subject.region`"))
    };
    let sql = format!("{PREFIX}{text}");
    let tokens = token::scan(&sql).map_err(|error| syntax(&error))?;
    if tokens.has_comment() {
        let comment = refused(0, "a row filter contains a comment", Some("put it into the policy file"));
        return Err(FilterError { refusal: Refusal::Breakout, ..comment });
    }
    let first = tokens.next(0).and_then(|at| tokens.get(at)).ok_or_else(|| start.clone())?;
    if first.is(&sql, "all") || first.is(&sql, "distinct") {
        return Err(start);
    }
    let statements = parse(&sql).map_err(|error| syntax(&error))?;
    let [statement] = statements.as_slice() else { return Err(start) };
    let select = statement.child("stmt").filter(|select| select.is("SelectStmt")).ok_or(start.clone())?;
    only(select, &["target_list", "limit_option", "op"]).map_err(|_| start.clone())?;
    let targets: Vec<&Node> = select.children("target_list").collect();
    let [target] = targets.as_slice() else { return Err(start) };
    only(target, &["val", "location"]).map_err(|_| start.clone())?;
    if select.choice("op") != "SETOP_NONE" {
        return Err(start);
    }
    let mut reader = Reader { items: Vec::new(), scopes: Vec::new() };
    let root = reader.expression(target.child("val").ok_or(start)?)?;
    Ok((root, reader.items))
}

fn syntax(error: &ParseError) -> FilterError {
    refused(0, &format!("not an SQL expression: {error}"), None)
}

/// A refusal at a byte offset of the filter's text.
pub(super) fn refused(offset: usize, message: &str, help: Option<&str>) -> FilterError {
    FilterError {
        refusal: Refusal::Syntax,
        message: message.to_owned(),
        offset,
        help: help.map(str::to_owned),
    }
}

/// Where a node stands in the filter's text.
pub(super) fn offset(node: &Node) -> usize {
    node.location().unwrap_or(0).saturating_sub(PREFIX.len())
}

/// Refuses a node that uses any other field than these.
pub(super) fn only(node: &Node, fields: &[&str]) -> Result<(), FilterError> {
    match node.field_names().find(|name| !fields.contains(name)) {
        None => Ok(()),
        Some(name) => Err(refused(
            offset(node),
            &format!("`{}` is not allowed in a row filter here", name.replace('_', " ")),
            None,
        )),
    }
}

/// State of one reading.
pub(super) struct Reader {
    pub(super) items: Vec<Item>,
    /// Tables of the subqueries around the current place, outermost first.
    pub(super) scopes: Vec<Vec<usize>>,
}

impl Reader {
    pub(super) fn expression(&mut self, node: &Node) -> Result<Expression, FilterError> {
        Ok(Expression { kind: self.kind(node)?, offset: offset(node) })
    }

    fn kind(&mut self, node: &Node) -> Result<Kind, FilterError> {
        match node.kind() {
            "ColumnRef" => self.column(node),
            "A_Const" => constant(node),
            "TypeCast" => {
                only(node, &["arg", "type_name", "location"])?;
                let to = type_name(part(node, "type_name")?)?;
                Ok(Kind::Cast { value: self.boxed(node, "arg")?, to })
            }
            "FuncCall" => self.call(node),
            "A_Expr" => self.operation(node),
            "BoolExpr" => self.boolean(node),
            "NullTest" | "BooleanTest" => self.test(node),
            "CoalesceExpr" => self.special(node, "COALESCE"),
            "MinMaxExpr" => {
                let least = node.choice("op") == "IS_LEAST";
                self.special(node, if least { "LEAST" } else { "GREATEST" })
            }
            "CaseExpr" => self.case(node),
            "A_ArrayExpr" => Ok(Kind::Array(self.list(node, "elements")?)),
            "A_Indirection" => self.element(node),
            "SQLValueFunction" => clock(node),
            "SubLink" => self.subquery(node),
            "NamedArgExpr" => Err(refused(
                offset(node),
                "arguments are not given by name in a row filter",
                Some("write them in the order the function declares them"),
            )),
            "ParamRef" => Err(refused(
                offset(node),
                "parameters are not allowed in a row filter",
                Some("use `subject.<attribute>`"),
            )),
            kind => Err(refused(
                offset(node),
                &format!("this construct is not allowed in a row filter (`{kind}`)"),
                None,
            )),
        }
    }

    pub(super) fn boxed(&mut self, node: &Node, field: &str) -> Result<Box<Expression>, FilterError> {
        self.expression(part(node, field)?).map(Box::new)
    }

    fn list(&mut self, node: &Node, field: &str) -> Result<Vec<Expression>, FilterError> {
        node.children(field).map(|item| self.expression(item)).collect()
    }

    fn column(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let at = offset(node);
        let parts = node.strings("fields").ok_or_else(|| refused(at, "`*` is not allowed here", None))?;
        match parts.as_slice() {
            [name] => {
                let owner = match self.scopes.last().map(Vec::as_slice) {
                    None => Owner::Row { qualifier: None },
                    Some([only]) => Owner::Item(*only),
                    Some(_) => {
                        let message = format!("`{name}` could belong to several tables");
                        return Err(refused(at, &message, Some("write `<table>.<column>`")));
                    }
                };
                Ok(Kind::Column { owner, name: column_name(name, at)? })
            }
            ["subject", name] => Ok(Kind::Subject { name: (*name).to_owned() }),
            [qualifier, name] => {
                let inner = self.scopes.iter().rev().flatten().copied().find(|index| {
                    self.items.get(*index).is_some_and(|item| item.alias.as_str() == *qualifier)
                });
                let owner = match inner {
                    Some(index) => Owner::Item(index),
                    None => Owner::Row { qualifier: Some(identifier(qualifier, at)?) },
                };
                Ok(Kind::Column { owner, name: column_name(name, at)? })
            }
            _ => Err(refused(at, "a column has too many parts", Some("write `<table>.<column>`"))),
        }
    }

    fn call(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let at = offset(node);
        if node.flag("func_variadic") {
            let instead = Some("write the values one by one, or a function that takes the array");
            return Err(refused(at, "`VARIADIC` is not allowed in a call of a row filter", instead));
        }
        only(node, &["funcname", "args", "funcformat", "agg_star", "location"])?;
        let parts = node.strings("funcname").unwrap_or_default();
        let (schema, name) = match parts.as_slice() {
            [name] | ["pg_catalog", name] => (None, *name),
            [schema, name] => (Some(identifier(schema, at)?), *name),
            _ => return Err(refused(at, "a function has too many parts", None)),
        };
        let aggregate = !self.scopes.is_empty() && functions::is_aggregate(name);
        if schema.is_none() && !functions::is_function(name) && !aggregate {
            let message = format!("function `{name}` is not allowed in a row filter");
            let refusal = if functions::is_volatile(name) { Refusal::Volatile } else { Refusal::Function };
            return Err(FilterError { refusal, ..refused(at, &message, Some(functions::advice(name))) });
        }
        if schema.as_ref().is_some_and(|schema| daam_catalog::pattern::is_system_schema(schema.as_str())) {
            let system = refused(at, "functions of system schemas are not allowed in a row filter", None);
            return Err(FilterError { refusal: Refusal::Function, ..system });
        }
        let star = node.flag("agg_star");
        if star && name != "count" {
            return Err(refused(at, "`*` is not allowed here", None));
        }
        let arguments = self.list(node, "args")?;
        Ok(Kind::Call { schema, name: identifier(name, at)?, arguments, star })
    }

    fn operation(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let at = offset(node);
        let kind = node.choice("kind");
        let operator = operator(node, "name", at)?;
        match kind {
            "AEXPR_OP" if !node.has("lexpr") => {
                Ok(Kind::Unary { operator, value: self.boxed(node, "rexpr")? })
            }
            "AEXPR_OP" | "AEXPR_LIKE" | "AEXPR_ILIKE" => {
                let left = self.boxed(node, "lexpr")?;
                Ok(Kind::Binary { operator, left, right: self.boxed(node, "rexpr")? })
            }
            "AEXPR_OP_ANY" | "AEXPR_OP_ALL" => {
                let left = self.boxed(node, "lexpr")?;
                let array = self.boxed(node, "rexpr")?;
                Ok(Kind::Quantified { operator, any: kind == "AEXPR_OP_ANY", left, array })
            }
            "AEXPR_DISTINCT" | "AEXPR_NOT_DISTINCT" => {
                let left = self.boxed(node, "lexpr")?;
                let right = self.boxed(node, "rexpr")?;
                Ok(Kind::Distinct { negated: kind == "AEXPR_NOT_DISTINCT", left, right })
            }
            "AEXPR_NULLIF" => {
                let left = self.boxed(node, "lexpr")?;
                let right = self.boxed(node, "rexpr")?;
                Ok(Kind::Special { keyword: "NULLIF", arguments: vec![*left, *right] })
            }
            "AEXPR_IN" => {
                let value = self.boxed(node, "lexpr")?;
                let list = self.list(part(node, "rexpr")?, "items")?;
                Ok(Kind::In { negated: operator == "<>", value, list })
            }
            "AEXPR_BETWEEN" | "AEXPR_NOT_BETWEEN" => {
                let value = self.boxed(node, "lexpr")?;
                let mut bounds = self.list(part(node, "rexpr")?, "items")?.into_iter().map(Box::new);
                let (Some(low), Some(high)) = (bounds.next(), bounds.next()) else {
                    return Err(refused(at, "the expression is incomplete", None));
                };
                Ok(Kind::Between { negated: kind == "AEXPR_NOT_BETWEEN", value, low, high })
            }
            _ => Err(refused(at, "this operator is not allowed in a row filter", None)),
        }
    }

    fn boolean(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let mut arguments = self.list(node, "args")?;
        match node.choice("boolop") {
            "AND_EXPR" => Ok(Kind::And(arguments)),
            "OR_EXPR" => Ok(Kind::Or(arguments)),
            "NOT_EXPR" if arguments.len() == 1 => Ok(Kind::Not(Box::new(arguments.swap_remove(0)))),
            _ => Err(refused(offset(node), "the expression is incomplete", None)),
        }
    }

    fn test(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let chosen = match node.kind() {
            "NullTest" => node.choice("nulltesttype"),
            _ => node.choice("booltesttype"),
        };
        let test = match chosen {
            "IS_NULL" => "IS NULL",
            "IS_NOT_NULL" => "IS NOT NULL",
            "IS_TRUE" => "IS TRUE",
            "IS_NOT_TRUE" => "IS NOT TRUE",
            "IS_FALSE" => "IS FALSE",
            "IS_NOT_FALSE" => "IS NOT FALSE",
            "IS_UNKNOWN" => "IS UNKNOWN",
            "IS_NOT_UNKNOWN" => "IS NOT UNKNOWN",
            _ => return Err(refused(offset(node), "this test is not allowed in a row filter", None)),
        };
        Ok(Kind::Test { value: self.boxed(node, "arg")?, test })
    }

    fn special(&mut self, node: &Node, keyword: &'static str) -> Result<Kind, FilterError> {
        Ok(Kind::Special { keyword, arguments: self.list(node, "args")? })
    }

    fn case(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let operand = node.child("arg").map(|part| self.expression(part).map(Box::new)).transpose()?;
        let otherwise =
            node.child("defresult").map(|part| self.expression(part).map(Box::new)).transpose()?;
        let mut branches = Vec::new();
        for branch in node.children("args") {
            branches.push((*self.boxed(branch, "expr")?, *self.boxed(branch, "result")?));
        }
        Ok(Kind::Case { operand, branches, otherwise })
    }

    fn element(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let value = self.boxed(node, "arg")?;
        let mut indices = Vec::new();
        for step in node.children("indirection") {
            if !step.is("A_Indices") || step.flag("is_slice") {
                return Err(refused(offset(node), "only `[index]` is allowed here", None));
            }
            indices.push(*self.boxed(step, "uidx")?);
        }
        Ok(Kind::Element { value, indices })
    }
}

fn part<'n>(node: &'n Node, field: &str) -> Result<&'n Node, FilterError> {
    node.child(field).ok_or_else(|| refused(offset(node), "the expression is incomplete", None))
}

/// An operator of `pg_catalog`.
pub(super) fn operator(node: &Node, field: &str, at: usize) -> Result<String, FilterError> {
    match node.strings(field).unwrap_or_default().as_slice() {
        [name] | ["pg_catalog", name] => Ok((*name).to_owned()),
        _ => Err(refused(at, "only operators of `pg_catalog` are allowed in a row filter", None)),
    }
}

pub(super) fn identifier(text: &str, at: usize) -> Result<Identifier, FilterError> {
    Identifier::stored(text).map_err(|error| refused(at, &error.to_string(), None))
}

fn column_name(text: &str, at: usize) -> Result<Identifier, FilterError> {
    if functions::SYSTEM_COLUMNS.contains(&text) && text != "oid" {
        return Err(refused(at, &format!("system column `{text}` is not allowed in a row filter"), None));
    }
    identifier(text, at)
}

fn constant(node: &Node) -> Result<Kind, FilterError> {
    let literal = if node.flag("isnull") {
        Literal::Null
    } else {
        match node.each_child().next() {
            Some(("ival", value)) => Literal::Number(value.number("ival").to_string()),
            Some(("fval", value)) => Literal::Number(value.text("fval").to_owned()),
            Some(("boolval", value)) => Literal::Boolean(value.flag("boolval")),
            Some(("sval", value)) => Literal::Text(value.text("sval").to_owned()),
            _ => return Err(refused(offset(node), "bit strings are not allowed in a row filter", None)),
        }
    };
    Ok(Kind::Literal(literal))
}

fn type_name(node: &Node) -> Result<TypeRef, FilterError> {
    let at = offset(node);
    only(node, &["names", "typmods", "typemod", "array_bounds", "location"])?;
    let (schema, name) = match node.strings("names").unwrap_or_default().as_slice() {
        [name] | ["pg_catalog", name] if functions::is_type(name) => (None, (*name).to_owned()),
        [schema, name] if !daam_catalog::pattern::is_system_schema(schema) => {
            (Some(identifier(schema, at)?), (*name).to_owned())
        }
        _ => {
            let help = "write the schema for a type of your own, e.g. `public.tier`";
            return Err(refused(at, "this type is not allowed in a row filter", Some(help)));
        }
    };
    let mut modifiers = Vec::new();
    for modifier in node.children("typmods") {
        match modifier.child("ival") {
            Some(value) => modifiers.push(value.number("ival")),
            None => return Err(refused(at, "this type is not allowed in a row filter", None)),
        }
    }
    if name == "interval" && !modifiers.is_empty() {
        return Err(refused(at, "an interval with fields is not allowed in a row filter", None));
    }
    Ok(TypeRef { schema, name, modifiers, array: node.has("array_bounds") })
}

fn clock(node: &Node) -> Result<Kind, FilterError> {
    let word = match node.choice("op") {
        "SVFOP_CURRENT_DATE" => "CURRENT_DATE",
        "SVFOP_CURRENT_TIME" => "CURRENT_TIME",
        "SVFOP_CURRENT_TIMESTAMP" => "CURRENT_TIMESTAMP",
        "SVFOP_LOCALTIME" => "LOCALTIME",
        "SVFOP_LOCALTIMESTAMP" => "LOCALTIMESTAMP",
        _ => {
            let message = "the database user and schema are not allowed in a row filter";
            return Err(refused(offset(node), message, Some("use `subject.email` or `subject.id`")));
        }
    };
    Ok(Kind::Clock(word))
}
