//! The row-filter language, from outside.

mod filter;
