//! The plan and the rewriter, as text and against a real PostgreSQL.

#[cfg(test)]
mod behind;
#[cfg(test)]
mod database;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod masks;
#[cfg(test)]
mod owner_rights;
#[cfg(test)]
mod planning;
#[cfg(test)]
mod rewriting;
#[cfg(test)]
mod sequences;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod sweep;
