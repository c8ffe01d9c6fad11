//! Filter tree → SQL, in two styles: *canonical* (as people write it, `subject.<attribute>` kept) and *bound*
//! (everything pinned to `pg_catalog` and parenthesised, the subject's values in place).

use super::SubjectValue;
use super::expression::{Expression, Item, Kind, Literal, Owner, Query, TypeRef};
use super::functions::is_keyword;
use crate::quote;
use crate::token::is_bare_name;
use daam_catalog::user_type::named_type;
use daam_catalog::{Identifier, RelationName};

/// How to write.
enum Style<'a> {
    Canonical,
    Bound { table: &'a str, resolve: &'a dyn Fn(&str) -> Option<SubjectValue>, types: &'a dyn UserTypes },
}

/// What the database knows of types that are not PostgreSQL's own.
pub trait UserTypes {
    /// The type of a column, as PostgreSQL prints it; `relation` is none for the filtered table.
    fn column(&self, relation: Option<&RelationName>, column: &Identifier) -> Option<String>;
    /// The schema of the type's own operator of that symbol.
    fn operator(&self, data_type: &str, symbol: &str) -> Option<Identifier>;
}

/// A database in which every type is PostgreSQL's own.
#[derive(Debug, Clone, Copy)]
pub struct BuiltInTypes;

impl UserTypes for BuiltInTypes {
    fn column(&self, _: Option<&RelationName>, _: &Identifier) -> Option<String> {
        None
    }

    fn operator(&self, _: &str, _: &str) -> Option<Identifier> {
        None
    }
}

/// What is known of the type of an operand.
#[derive(PartialEq, Eq)]
enum Operand {
    /// Not PostgreSQL's own.
    User(String),
    /// A constant without a type, which takes that of the other operand.
    Untyped,
    Other,
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
    types: &dyn UserTypes,
) -> String {
    Writer { items, style: Style::Bound { table, resolve, types } }.operand(root)
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

    /// The schema of an operator between two operands, if it is not PostgreSQL's own: as PostgreSQL itself finds it for
    /// operands of one user type, or of one and a constant.
    fn own_schema(&self, operator: &str, left: &Expression, right: &Expression) -> Option<Identifier> {
        let Style::Bound { types, .. } = self.style else { return None };
        let data_type = match (self.operand_type(left), self.operand_type(right)) {
            (Operand::User(left), Operand::User(right)) if left == right => left,
            (Operand::User(data_type), Operand::Untyped) | (Operand::Untyped, Operand::User(data_type)) => {
                data_type
            }
            _ => return None,
        };
        types.operator(&data_type, operator)
    }

    fn operand_type(&self, node: &Expression) -> Operand {
        let Style::Bound { types, .. } = self.style else { return Operand::Other };
        match &node.kind {
            Kind::Literal(Literal::Text(_) | Literal::Null) => Operand::Untyped,
            Kind::Cast { to, .. } => match &to.schema {
                Some(schema) if !to.array => Operand::User(format!("{}.{}", bare(schema), to.name)),
                _ => Operand::Other,
            },
            Kind::Column { owner, name } => {
                let relation = match owner {
                    Owner::Row { .. } => None,
                    Owner::Item(index) => self.items.get(*index).map(|item| &item.relation),
                };
                let named = types.column(relation, name).filter(|sql| named_type(sql).is_some());
                named.map_or(Operand::Other, Operand::User)
            }
            Kind::Scalar(query) => {
                query.select.as_ref().map_or(Operand::Other, |select| self.operand_type(select))
            }
            _ => Operand::Other,
        }
    }

    /// An operator between two operands.
    fn between_operands(&self, operator: &str, left: &Expression, right: &Expression) -> String {
        match self.own_schema(operator, left, right) {
            Some(schema) => format!("OPERATOR({}.{operator})", schema.quoted()),
            None => self.operator(operator),
        }
    }

    /// `IS [NOT] DISTINCT FROM`, whose operator has no name that could be written: spelt out for a user type.
    fn distinct(&self, negated: bool, left: &Expression, right: &Expression) -> String {
        let (l, r) = (self.operand(left), self.operand(right));
        let Some(schema) = self.own_schema("=", left, right) else {
            return format!("{l} IS {}DISTINCT FROM {r}", if negated { "NOT " } else { "" });
        };
        let same = format!(
            "CASE WHEN {l} IS NULL THEN {r} IS NULL WHEN {r} IS NULL THEN false ELSE {l} OPERATOR({}.=) {r} END",
            schema.quoted()
        );
        if negated { format!("({same})") } else { format!("NOT ({same})") }
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
                let operator = self.between_operands(operator, left, right);
                format!("{} {operator} {}", self.operand(left), self.operand(right))
            }
            Kind::Unary { operator, value } => {
                format!("{} {}", self.plain_operator(operator), self.operand(value))
            }
            Kind::Quantified { operator, any, left, array } => format!(
                "{} {} {} ({})",
                self.operand(left),
                self.quantified_operator(operator, left, array),
                if *any { "ANY" } else { "ALL" },
                self.expression(array)
            ),
            Kind::In { negated, value, list } => self.in_list(*negated, value, list),
            Kind::Between { negated, value, low, high } => self.between(*negated, value, low, high),
            Kind::Distinct { negated, left, right } => self.distinct(*negated, left, right),
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
                let written = self.operand(value);
                if matches!(self.style, Style::Canonical) && *any && operator == "=" {
                    return format!("{written} IN ({})", self.query(query));
                }
                let word = if *any { "ANY" } else { "ALL" };
                let operator = match &query.select {
                    Some(select) => self.quantified_operator(operator, value, select),
                    None => self.plain_operator(operator),
                };
                format!("{written} {operator} {word} ({})", self.query(query))
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

    fn quantified_operator(&self, operator: &str, left: &Expression, right: &Expression) -> String {
        match self.own_schema(operator, left, right) {
            Some(schema) => format!("OPERATOR({}.{operator})", schema.quoted()),
            None => self.plain_operator(operator),
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
            .map(|item| {
                format!("({value_text} {} {})", self.between_operands("=", value, item), self.operand(item))
            })
            .collect();
        let any = format!("({})", parts.join(" OR "));
        if negated { format!("NOT {any}") } else { any }
    }

    fn between(&self, negated: bool, value: &Expression, low: &Expression, high: &Expression) -> String {
        let (least, most) = match self.style {
            Style::Canonical => (String::new(), String::new()),
            Style::Bound { .. } => {
                (self.between_operands(">=", value, low), self.between_operands("<=", value, high))
            }
        };
        let (value, low, high) = (self.operand(value), self.operand(low), self.operand(high));
        match self.style {
            Style::Canonical => {
                format!("{value} {}BETWEEN {low} AND {high}", if negated { "NOT " } else { "" })
            }
            Style::Bound { .. } => format!(
                "{}(({value} {least} {low}) AND ({value} {most} {high}))",
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
        // The operator of the short form has no name that could be written.
        let own = |condition| operand.and_then(|operand| self.own_schema("=", operand, condition));
        let spelt = branches.iter().any(|(condition, _)| own(condition).is_some());
        parts.extend(operand.filter(|_| !spelt).map(|operand| self.operand(operand)));
        for (condition, result) in branches {
            let condition = match operand.filter(|_| spelt) {
                Some(operand) => format!(
                    "{} {} {}",
                    self.operand(operand),
                    self.between_operands("=", operand, condition),
                    self.operand(condition)
                ),
                None => self.operand(condition),
            };
            parts.push(format!("WHEN {condition} THEN {}", self.operand(result)));
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
