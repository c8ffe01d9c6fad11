//! What a database leaves open by itself, whatever policies say: the questions `daam-agent doctor` asks the live
//! database and `daam policy check` asks the lock, in one place.
//!
//! Nothing here decides how bad an opening is, and nothing closes one.

use crate::catalog::{Catalog, Function, Privilege, Relation, SearchPath};

impl Catalog {
    /// Relations on which everybody who can connect holds something.
    pub fn public_relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values().filter(|relation| !relation.public.is_empty())
    }

    /// Functions that run with their owner's rights and that everybody may call.
    pub fn public_definers(&self) -> impl Iterator<Item = &Function> {
        self.functions.values().filter(|function| function.security_definer && function.public_execute)
    }
}

impl Function {
    /// Whether it looks for names where its caller says: who can create an object anywhere, be it a temporary table, can
    /// have it do something else. Not known of functions in older locks.
    pub fn is_steerable(&self) -> bool {
        self.search_path == Some(SearchPath::Callers)
    }

    /// The language it is written in, if that lets it do anything the server can. Functions of extensions are the
    /// extension's to answer for.
    pub fn unbounded(&self) -> Option<&str> {
        self.untrusted.as_deref().filter(|_| self.extension.is_none())
    }
}

impl Privilege {
    /// The word GRANT uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::Execute => "EXECUTE",
        }
    }
}
