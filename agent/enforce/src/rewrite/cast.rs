//! Casts made of functions that run with their owner's rights, and domains checked by them. Where PostgreSQL applies them
//! unasked nobody sees it in the text, so what has to do with their types is refused: the types' names, and relations
//! that have them in columns.
//!
//! Only functions that everyone may execute count; of the others the server refuses the cast, too.

use super::operator;
use super::walk::Walker;
use super::{Refusal, RewriteContext, refuse};
use daam_catalog::user_type::named_type;
use daam_catalog::{FunctionName, RelationName};
use daam_sql::Node;
use daam_sql::token::Tokens;
use daam_sql::typing::is_built_in_operator;

/// Why types of parameters may not be given by their numbers, which say nothing here.
pub fn numbered_types(ctx: &RewriteContext<'_>) -> Result<(), Refusal> {
    let tokens = Tokens::default();
    let walker = Walker::new("", &tokens, ctx);
    match walker.closed_casts().next() {
        None => Ok(()),
        Some((found, function)) => {
            let refusal = closed(&format!("type `{found}`"), function);
            let message = format!("types of parameters cannot be given by number: {}", refusal.message);
            Err(refuse::denied(message, Some("name the type in the statement: `$1::schema.type`")))
        }
    }
}

impl Walker<'_> {
    /// The user types that can call a closed function, each with it.
    fn closed_casts(&self) -> impl Iterator<Item = (RelationName, &FunctionName)> {
        let closed = self.ctx.catalog.casts.iter().filter_map(|cast| {
            let function = self.left_open(cast.function.as_ref()?)?;
            Some((cast, &function.name))
        });
        let cast = closed.flat_map(|(cast, function)| {
            let types = [named_type(&cast.from), named_type(&cast.to)];
            types.into_iter().flatten().map(move |name| (name, function))
        });
        // Operators of PostgreSQL's symbols, which are used without being written.
        let operators = self.ctx.catalog.operators.iter();
        let used = operators.filter(|operator| is_built_in_operator(operator.name.as_str())).filter_map(
            |operator| {
                let function = self.left_open(&operator.function)?;
                Some(operator::operands(operator).map(move |name| (name, &function.name)))
            },
        );
        cast.chain(used.flatten())
    }

    /// A type named in the text.
    pub(crate) fn type_name(&self, node: &Node) -> Result<(), Refusal> {
        let parts = node.strings("names").unwrap_or_default();
        let Some(name) = parts.last() else { return Ok(()) };
        let schema = parts.iter().rev().nth(1);
        let named = |found: &RelationName| {
            found.name.as_str() == *name && schema.is_none_or(|schema| found.schema.as_str() == *schema)
        };
        self.closed_type(node, named)
    }

    /// Refuses the first closed type that is meant.
    fn closed_type(&self, node: &Node, meant: impl Fn(&RelationName) -> bool) -> Result<(), Refusal> {
        match self.closed_casts().find(|(found, _)| meant(found)) {
            None => Ok(()),
            Some((found, function)) => Err(self.at(node, closed(&format!("type `{found}`"), function))),
        }
    }

    /// A type of an argument or a result, as the catalogue writes it.
    pub(crate) fn made_of(&self, node: &Node, sql: &str) -> Result<(), Refusal> {
        let Some(named) = named_type(sql) else { return Ok(()) };
        self.closed_type(node, |found| *found == named)
    }

    /// A type that the text does not name: any.
    pub(crate) fn any_type(&self, node: &Node) -> Result<(), Refusal> {
        self.closed_type(node, |_| true)
    }

    /// A relation named in the text.
    pub(crate) fn columns_cast(&self, node: &Node, name: &RelationName) -> Result<(), Refusal> {
        let Some(relation) = self.ctx.catalog.relation(name) else { return Ok(()) };
        for (found, function) in self.closed_casts() {
            let made_of = |sql: &str| named_type(sql).is_some_and(|made_of| made_of == found);
            if let Some(column) = relation.columns.iter().find(|column| made_of(&column.data_type.sql)) {
                let what = format!("column `{}` of `{name}`", column.name);
                return Err(self.at(node, closed(&what, function)));
            }
        }
        Ok(())
    }
}

fn closed(what: &str, function: &FunctionName) -> Refusal {
    let message = format!(
        "{what} has a type that is cast, checked or compared by function `{function}`, which runs with its owner's rights and is not granted to you by any policy"
    );
    let hint =
        "a policy can grant it: `functions: [schema.name]`; or its owner revokes EXECUTE on it from PUBLIC";
    refuse::denied(message, Some(hint))
}
