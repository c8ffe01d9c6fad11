//! SQL text and its meaning; the only user of `pg_query`.
//!
//! PostgreSQL's own parser turns text into a tree ([`tree`]) that is complete by construction: it is read from the
//! parser's wire form with a table of every message and field, and a message or field that is not in the table is
//! refused, so nothing a statement refers to can be overlooked. On top of it: the row-filter language
//! ([`filter`]) and its types ([`typing`]), quoting ([`quote`]), the tokens of a text ([`token`]) and
//! the text without its literals ([`normal`]).
//!
//! Limit: a statement nested deeper than 100 levels (48 chained `||`, for example), or 6,000 for whoever is prepared
//! for it ([`with_depth`]; 2,900 chained `||`), is refused with [`tree::ParseError::TooDeep`].

mod depth;
pub mod filter;
mod grammar;
pub mod normal;
pub mod place;
pub mod quote;
mod room;
pub mod token;
pub mod tree;
pub mod typing;

pub use filter::{Bound, BuiltInTypes, Filter, FilterError, Refusal, SubjectValue, UserTypes};
pub use room::{with_depth, with_room};
pub use tree::{Node, ParseError, parse};
