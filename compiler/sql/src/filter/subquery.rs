//! Subqueries of a row filter: `EXISTS`, `IN`, `= ANY` and scalar, over named tables joined by conditions.

use super::FilterError;
use super::expression::{Expression, Item, Kind, Query};
use super::read::{Reader, identifier, offset, only, operator, refused};
use crate::tree::Node;
use daam_catalog::RelationName;

impl Reader {
    pub(super) fn subquery(&mut self, node: &Node) -> Result<Kind, FilterError> {
        let at = offset(node);
        let kind = node.choice("sub_link_type");
        // The compared value is outside the subquery: read it before the subquery's tables are in scope.
        let value = node.child("testexpr").map(|value| self.expression(value)).transpose()?;
        let select = node.child("subselect").filter(|select| select.is("SelectStmt"));
        let select =
            select.ok_or_else(|| refused(at, "this subquery is not allowed in a row filter", None))?;
        let query = Box::new(self.query(select, kind == "EXISTS_SUBLINK", at)?);
        match (kind, value) {
            ("EXISTS_SUBLINK", None) => Ok(Kind::Exists(query)),
            ("EXPR_SUBLINK", None) => Ok(Kind::Scalar(query)),
            ("ANY_SUBLINK" | "ALL_SUBLINK", Some(value)) => {
                let operator =
                    if node.has("oper_name") { operator(node, "oper_name", at)? } else { "=".to_owned() };
                let any = kind == "ANY_SUBLINK";
                Ok(Kind::InQuery { operator, any, value: Box::new(value), query })
            }
            _ => Err(refused(at, "this kind of subquery is not allowed in a row filter", None)),
        }
    }

    fn query(&mut self, select: &Node, exists: bool, at: usize) -> Result<Query, FilterError> {
        only(select, &["target_list", "from_clause", "where_clause", "limit_option", "op"])
            .map_err(|error| FilterError { offset: at, ..error })?;
        if select.choice("op") != "SETOP_NONE" {
            return Err(refused(at, "a subquery of a row filter is one simple select", None));
        }
        let mut from = Vec::new();
        let mut joins = Vec::new();
        for item in select.children("from_clause") {
            self.add_item(item, at, &mut from, &mut joins)?;
        }
        if from.is_empty() {
            return Err(refused(at, "a subquery of a row filter reads at least one table", None));
        }
        self.scopes.push(from.clone());
        let result = self.parts(select, exists, at, &joins);
        self.scopes.pop();
        let (select, condition) = result?;
        Ok(Query { select, from, condition })
    }

    fn parts(
        &mut self,
        select: &Node,
        exists: bool,
        at: usize,
        joins: &[&Node],
    ) -> Result<(Option<Expression>, Option<Expression>), FilterError> {
        let targets: Vec<&Node> = select.children("target_list").collect();
        let target = match targets.as_slice() {
            _ if exists => None,
            [target] => Some(self.boxed(target, "val")?),
            _ => return Err(refused(at, "a subquery of a row filter selects one expression", None)),
        };
        let mut conditions = Vec::new();
        for condition in joins.iter().copied().chain(select.child("where_clause")) {
            conditions.push(self.expression(condition)?);
        }
        let condition = if conditions.len() > 1 {
            Some(Expression { kind: Kind::And(conditions), offset: at })
        } else {
            conditions.pop()
        };
        Ok((target.map(|target| *target), condition))
    }

    fn add_item<'n>(
        &mut self,
        node: &'n Node,
        at: usize,
        from: &mut Vec<usize>,
        joins: &mut Vec<&'n Node>,
    ) -> Result<(), FilterError> {
        match node.kind() {
            "RangeVar" => {
                let item = table(node)?;
                if from.iter().any(|index| self.items.get(*index).is_some_and(|it| it.alias == item.alias)) {
                    return Err(refused(item.offset, "a table name is used twice", Some("give it an alias")));
                }
                from.push(self.items.len());
                self.items.push(item);
                Ok(())
            }
            "JoinExpr" if node.choice("jointype") == "JOIN_INNER" => {
                only(node, &["jointype", "larg", "rarg", "quals"])
                    .map_err(|error| FilterError { offset: at, ..error })?;
                for side in ["larg", "rarg"] {
                    if let Some(side) = node.child(side) {
                        self.add_item(side, at, from, joins)?;
                    }
                }
                joins.extend(node.child("quals"));
                Ok(())
            }
            _ => Err(refused(at, "a subquery of a row filter reads tables, joined by conditions only", None)),
        }
    }
}

fn table(node: &Node) -> Result<Item, FilterError> {
    let at = offset(node);
    only(node, &["schemaname", "relname", "inh", "relpersistence", "alias", "location"])?;
    if !node.flag("inh") {
        return Err(refused(at, "`only` is not allowed in a row filter", None));
    }
    let schema = if node.text("schemaname").is_empty() { "public" } else { node.text("schemaname") };
    if daam_catalog::pattern::is_system_schema(schema) || schema == "subject" {
        return Err(refused(at, "system tables are not allowed in a row filter", None));
    }
    let relation =
        RelationName { schema: identifier(schema, at)?, name: identifier(node.text("relname"), at)? };
    let alias = match node.child("alias") {
        None => relation.name.clone(),
        Some(alias) if alias.has("colnames") => {
            return Err(refused(at, "column aliases are not allowed in a row filter", None));
        }
        Some(alias) => identifier(alias.text("aliasname"), at)?,
    };
    if alias.as_str() == "subject" {
        let message = "`subject` always means the person; it cannot name a table";
        return Err(refused(at, message, Some("give the table an alias")));
    }
    Ok(Item { relation, alias, offset: at })
}
