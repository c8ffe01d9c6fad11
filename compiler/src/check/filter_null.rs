//! Filters that do something else, or more work, than they look like: NULL that hides rows, and functions that are
//! called for every row with the same arguments.

use super::Database;
use super::filter::place;
use crate::rule;
use crate::syntax::decode::Spanned;
use daam_catalog::Relation;
use daam_diagnostic::Sink;
use daam_sql::Filter;

pub(super) fn nulls(
    filter: &Filter,
    text: &Spanned<String>,
    relations: &[&Relation],
    database: &Database<'_>,
    sink: &mut Sink,
) {
    for used in filter.null_sensitive() {
        let nullable = relations
            .iter()
            .find(|relation| relation.column(&used.name).is_some_and(|column| !column.not_null));
        if let Some(relation) = nullable {
            let name = &used.name;
            let message = format!("rows of `{}` whose `{name}` is NULL are hidden by this", relation.name);
            let help =
                format!("write `{name} is distinct from …`, or say so with `{name} is not null and …`");
            sink.push(
                rule::FILTER_NULL_SEMANTICS
                    .at(place(database.sources, text, used.offset), message)
                    .help(help),
            );
        }
    }
    for used in filter.functions().into_iter().filter(|used| !used.reads_row) {
        let message = format!("`{}.{}` is called for every row and reads none of it", used.schema, used.name);
        sink.push(
            rule::FILTER_PER_ROW_CALL
                .at(place(database.sources, text, used.offset), message)
                .help("give the subject an attribute with its answer, or pass it a column"),
        );
    }
}
