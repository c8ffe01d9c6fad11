//! The filter language and its types, without and with a server.

#[cfg(test)]
mod builtin;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod corpus_expressions;
#[cfg(test)]
mod corpus_functions;
#[cfg(test)]
mod corpus_literals;
#[cfg(test)]
mod filter;
#[cfg(test)]
mod typing;
