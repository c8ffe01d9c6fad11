//! Operators made of functions that run with their owner's rights: another way to call them, and refused like the call.
//!
//! Which operator a symbol means depends on types only the server knows, so the symbol alone decides, unless PostgreSQL
//! has operators of that symbol itself: those stay usable, since most of what they do is written without them (`IN`,
//! `USING`, `ORDER BY`), where one of the operands has a type somebody made; then it is the type that is refused, as with
//! casts. Only functions that everyone may execute count; of the others the server refuses the operator.

use super::walk::Walker;
use super::{Refusal, refuse};
use daam_catalog::user_type::named_type;
use daam_catalog::{RelationName, UserOperator};
use daam_sql::Node;
use daam_sql::typing::is_built_in_operator;

/// Where a statement names an operator.
pub(crate) fn field(kind: &str) -> Option<&'static str> {
    match kind {
        "A_Expr" => Some("name"),
        "SubLink" => Some("oper_name"),
        "SortBy" => Some("use_op"),
        _ => None,
    }
}

impl Walker<'_> {
    pub(crate) fn operator(&self, node: &Node, field: &str) -> Result<(), Refusal> {
        let parts = node.strings(field).unwrap_or_default();
        let Some(symbol) = parts.last() else { return Ok(()) };
        let schema = parts.iter().rev().nth(1);
        let mut named = self.ctx.catalog.operators.iter().filter(|operator| {
            operator.name.as_str() == *symbol
                && schema.is_none_or(|schema| operator.schema.as_str() == *schema)
        });
        let by_symbol = schema.is_some() || !is_built_in_operator(symbol);
        let closed = named.find(|operator| {
            self.left_open(&operator.function).is_some() && (by_symbol || operands(operator).next().is_none())
        });
        let Some(operator) = closed else { return Ok(()) };
        let message = format!(
            "operator `{symbol}` calls function `{}`, which runs with its owner's rights and is not granted to you by any policy",
            operator.function
        );
        let hint = "a policy can grant it: `functions: [schema.name]`; or its owner revokes EXECUTE on it from PUBLIC";
        Err(self.at(node, refuse::denied(message, Some(hint))))
    }
}

/// The types of its operands that somebody made.
pub(crate) fn operands(operator: &UserOperator) -> impl Iterator<Item = RelationName> {
    operator.left.iter().chain([&operator.right]).filter_map(|sql| named_type(sql))
}
