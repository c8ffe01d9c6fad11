//! Filter tree → SQL, in two styles: *canonical* (as people write it, `subject.<attribute>` kept) and *bound*
//! (everything pinned to `pg_catalog` and parenthesised, the subject's values in place).

use super::SubjectValue;
use super::expression::{Expression, Item, Kind, Literal, Owner, Query, TypeRef};
use super::functions::is_keyword;
use crate::quote;
use crate::token::is_bare_name;
use daam_catalog::{Identifier, RelationName};

/// How to write.
enum Style<'a> {
    Canonical,
    Bound { table: &'a str, resolve: &'a dyn Fn(&str) -> Option<SubjectValue> },
}

struct Writer<'a> {
    items: &'a [Item],
    style: Style<'a>,
}

pub(super) fn canonical(root: &Expression, items: &[Item]) -> String {
    Writer { items, style: Style::Canonical }.expression(root)
}

pub(super) fn bound(
    root: &Expression,
    items: &[Item],
    table: &str,
    resolve: &dyn Fn(&str) -> Option<SubjectValue>,
) -> String {
    Writer { items, style: Style::Bound { table, resolve } }.operand(root)
}

impl Writer<'_> {
    /// In parentheses unless it needs none.
    fn operand(&self, node: &Expression) -> String {
        let text = self.expression(node);
        if node.is_primary() { text } else { format!("({text})") }
    }

    fn list(&self, nodes: &[Expression]) -> String {
        let parts: Vec<String> = nodes.iter().map(|node| self.expression(node)).collect();
        parts.join(", ")
    }

    fn operator(&self, operator: &str) -> String {
        match (&self.style, operator) {
            (Style::Canonical, "~~") => "LIKE".to_owned(),
            (Style::Canonical, "!~~") => "NOT LIKE".to_owned(),
            (Style::Canonical, "~~*") => "ILIKE".to_owned(),
            (Style::Canonical, "!~~*") => "NOT ILIKE".to_owned(),
            (Style::Canonical, _) => operator.to_owned(),
            (Style::Bound { .. }, _) => format!("OPERATOR(pg_catalog.{operator})"),
        }
    }

    fn expression(&self, node: &Expression) -> String {
        match &node.kind {
            Kind::Column { owner, name, .. } => self.column(owner, name),
            Kind::Subject { name, .. } => self.subject(name),
            Kind::Literal(literal) => write_literal(literal),
            Kind::Cast { value, to } => format!("{}::{}", self.operand(value), self.type_ref(to)),
            Kind::Call { schema, name, arguments, star, .. } => {
                let arguments = if *star { "*".to_owned() } else { self.list(arguments) };
                format!("{}({arguments})", self.function(schema.as_ref(), name))
            }
            Kind::Special { keyword, arguments } => format!("{keyword}({})", self.list(arguments)),
            Kind::Binary { operator, left, right } => {
                format!("{} {} {}", self.operand(left), self.operator(operator), self.operand(right))
            }
            Kind::Unary { operator, value } => {
                format!("{} {}", self.plain_operator(operator), self.operand(value))
            }
            Kind::Quantified { operator, any, left, array } => format!(
                "{} {} {} ({})",
                self.operand(left),
                self.plain_operator(operator),
                if *any { "ANY" } else { "ALL" },
                self.expression(array)
            ),
            Kind::In { negated, value, list } => self.in_list(*negated, value, list),
            Kind::Between { negated, value, low, high } => self.between(*negated, value, low, high),
            Kind::Distinct { negated, left, right } => format!(
                "{} IS {}DISTINCT FROM {}",
                self.operand(left),
                if *negated { "NOT " } else { "" },
                self.operand(right)
            ),
            Kind::And(parts) => self.joined(parts, " AND "),
            Kind::Or(parts) => self.joined(parts, " OR "),
            Kind::Not(value) => format!("NOT {}", self.operand(value)),
            Kind::Test { value, test } => format!("{} {test}", self.operand(value)),
            Kind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref())
            }
            Kind::Array(parts) => format!("ARRAY[{}]", self.list(parts)),
            Kind::Element { value, indices } => {
                let indices: Vec<String> =
                    indices.iter().map(|index| format!("[{}]", self.expression(index))).collect();
                format!("({}){}", self.expression(value), indices.concat())
            }
            Kind::Clock(word) => (*word).to_owned(),
            Kind::Exists(query) => format!("EXISTS ({})", self.query(query)),
            Kind::Scalar(query) => format!("({})", self.query(query)),
            Kind::InQuery { operator, any, value, query } => {
                let value = self.operand(value);
                if matches!(self.style, Style::Canonical) && *any && operator == "=" {
                    return format!("{value} IN ({})", self.query(query));
                }
                let word = if *any { "ANY" } else { "ALL" };
                format!("{value} {} {word} ({})", self.plain_operator(operator), self.query(query))
            }
        }
    }

    /// `LIKE ANY` is not `~~ ANY` to the parser, and nothing begins with `LIKE`: the quantified and the prefix forms keep
    /// the operator's sign.
    fn plain_operator(&self, operator: &str) -> String {
        match self.style {
            Style::Canonical => operator.to_owned(),
            Style::Bound { .. } => self.operator(operator),
        }
    }

    fn joined(&self, parts: &[Expression], word: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.operand(part)).collect();
        parts.join(word)
    }

    fn column(&self, owner: &Owner, name: &Identifier) -> String {
        match (&self.style, owner) {
            (Style::Canonical, Owner::Row { qualifier: None }) => bare(name),
            (Style::Canonical, Owner::Row { qualifier: Some(qualifier) }) => {
                format!("{}.{}", bare(qualifier), bare(name))
            }
            (Style::Canonical, Owner::Item(index)) => {
                let alias = self.items.get(*index).map(|item| bare(&item.alias)).unwrap_or_default();
                format!("{alias}.{}", bare(name))
            }
            (Style::Bound { table, .. }, Owner::Row { .. }) => {
                format!("{}.{}", quote::identifier(table), name.quoted())
            }
            (Style::Bound { .. }, Owner::Item(index)) => format!("{}.{}", bound_alias(*index), name.quoted()),
        }
    }

    fn subject(&self, name: &str) -> String {
        match &self.style {
            Style::Canonical => match Identifier::stored(name) {
                Ok(name) => format!("subject.{}", bare(&name)),
                Err(_) => "NULL".to_owned(),
            },
            // `bind` has checked that every attribute resolves; an absent one must not widen anything.
            Style::Bound { resolve, .. } => resolve(name).map_or_else(|| "NULL".to_owned(), value),
        }
    }

    fn function(&self, schema: Option<&Identifier>, name: &Identifier) -> String {
        match (&self.style, schema) {
            (Style::Canonical, None) if !is_keyword(name.as_str()) => name.to_string(),
            (Style::Canonical, None) => format!("pg_catalog.{name}"),
            (Style::Canonical, Some(schema)) => format!("{}.{}", bare(schema), bare(name)),
            (Style::Bound { .. }, None) => format!("pg_catalog.{}", name.quoted()),
            (Style::Bound { .. }, Some(schema)) => format!("{}.{}", schema.quoted(), name.quoted()),
        }
    }

    fn type_ref(&self, to: &TypeRef) -> String {
        let mut text = match (&self.style, &to.schema) {
            (Style::Canonical, None) => to.name.clone(),
            (Style::Bound { .. }, None) => format!("pg_catalog.{}", to.name),
            (_, Some(schema)) => format!("{}.{}", schema.quoted(), quote::identifier(&to.name)),
        };
        if !to.modifiers.is_empty() {
            let modifiers: Vec<String> = to.modifiers.iter().map(ToString::to_string).collect();
            text = format!("{text}({})", modifiers.join(", "));
        }
        if to.array { format!("{text}[]") } else { text }
    }

    fn in_list(&self, negated: bool, value: &Expression, list: &[Expression]) -> String {
        let value_text = self.operand(value);
        if matches!(self.style, Style::Canonical) {
            return format!("{value_text} {}IN ({})", if negated { "NOT " } else { "" }, self.list(list));
        }
        let parts: Vec<String> = list
            .iter()
            .map(|item| format!("({value_text} OPERATOR(pg_catalog.=) {})", self.operand(item)))
            .collect();
        let any = format!("({})", parts.join(" OR "));
        if negated { format!("NOT {any}") } else { any }
    }

    fn between(&self, negated: bool, value: &Expression, low: &Expression, high: &Expression) -> String {
        let (value, low, high) = (self.operand(value), self.operand(low), self.operand(high));
        match self.style {
            Style::Canonical => {
                format!("{value} {}BETWEEN {low} AND {high}", if negated { "NOT " } else { "" })
            }
            Style::Bound { .. } => format!(
                "{}(({value} OPERATOR(pg_catalog.>=) {low}) AND ({value} OPERATOR(pg_catalog.<=) {high}))",
                if negated { "NOT " } else { "" }
            ),
        }
    }

    fn case(
        &self,
        operand: Option<&Expression>,
        branches: &[(Expression, Expression)],
        otherwise: Option<&Expression>,
    ) -> String {
        let mut parts = vec!["CASE".to_owned()];
        parts.extend(operand.map(|operand| self.operand(operand)));
        for (condition, result) in branches {
            parts.push(format!("WHEN {} THEN {}", self.operand(condition), self.operand(result)));
        }
        parts.extend(otherwise.map(|otherwise| format!("ELSE {}", self.operand(otherwise))));
        parts.push("END".to_owned());
        parts.join(" ")
    }

    fn query(&self, query: &Query) -> String {
        let select = query.select.as_ref().map_or_else(|| "1".to_owned(), |select| self.expression(select));
        let from: Vec<String> = query
            .from
            .iter()
            .filter_map(|index| Some((index, self.items.get(*index)?)))
            .map(|(index, item)| match self.style {
                Style::Bound { .. } => format!("{} AS {}", item.relation.quoted(), bound_alias(*index)),
                Style::Canonical if item.alias == item.relation.name => relation(&item.relation),
                Style::Canonical => format!("{} {}", relation(&item.relation), bare(&item.alias)),
            })
            .collect();
        let condition = query.condition.as_ref();
        let condition =
            condition.map_or_else(String::new, |condition| format!(" WHERE {}", self.expression(condition)));
        format!("SELECT {select} FROM {}{condition}", from.join(", "))
    }
}

/// Aliases of our own: one the author chose could capture a reference to the filtered table.
fn bound_alias(index: usize) -> String {
    format!("\"daam:f{index}\"")
}

/// A name as people write it, quoted where it would not read back otherwise.
fn bare(name: &Identifier) -> String {
    if is_bare_name(name.as_str()) { name.as_str().to_owned() } else { name.quoted() }
}

fn relation(name: &RelationName) -> String {
    format!("{}.{}", bare(&name.schema), bare(&name.name))
}

fn write_literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "NULL".to_owned(),
        Literal::Boolean(true) => "true".to_owned(),
        Literal::Boolean(false) => "false".to_owned(),
        Literal::Number(number) => number.clone(),
        Literal::Text(text) => quote::literal(text),
    }
}

/// A subject's value as a typed constant.
fn value(value: SubjectValue) -> String {
    match value {
        SubjectValue::Text(text) => format!("{}::pg_catalog.text", quote::literal(&text)),
        SubjectValue::Uuid(text) => format!("{}::pg_catalog.uuid", quote::literal(&text)),
        SubjectValue::Integer(number) => format!("'{number}'::pg_catalog.int8"),
        SubjectValue::Boolean(flag) => format!("'{flag}'::pg_catalog.bool"),
        SubjectValue::TextArray(texts) => {
            let parts: Vec<String> = texts.iter().map(|text| quote::literal(text)).collect();
            format!("ARRAY[{}]::pg_catalog.text[]", parts.join(", "))
        }
    }
}
