//! The row-filter language, from outside.

#[cfg(test)]
mod filter;
