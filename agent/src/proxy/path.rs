//! The session's search path, as names of schemas: unqualified names are looked up in them.
//!
//! It is read from the server after any statement that may have changed it, and after the transaction of such a
//! statement has ended.

use daam_catalog::Identifier;

/// Asks for the schemas in order, without the implicit ones.
pub(super) const QUESTION: &str = "SELECT s.n FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) \
     WITH ORDINALITY AS s(n, o) ORDER BY s.o";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Knowledge {
    #[default]
    Unknown,
    /// The question is on its way.
    Asked,
    Known,
    /// The question failed, with the transaction it was in; statements fail there anyway.
    Unknowable,
}

/// What is known of the path.
#[derive(Debug, Default)]
pub(super) struct SearchPath {
    schemas: Vec<Identifier>,
    answer: Vec<Identifier>,
    knowledge: Knowledge,
    /// Something in the open transaction may have changed it, so its end may change it back.
    touched: bool,
}

impl SearchPath {
    pub(super) fn schemas(&self) -> &[Identifier] {
        &self.schemas
    }

    pub(super) fn is_asked(&self) -> bool {
        self.knowledge == Knowledge::Asked
    }

    pub(super) fn must_ask(&self) -> bool {
        self.knowledge == Knowledge::Unknown
    }

    /// A statement that may change it was sent.
    pub(super) fn changed(&mut self) {
        self.touched = true;
        if !self.is_asked() {
            self.knowledge = Knowledge::Unknown;
        }
    }

    /// A transaction, or a part of it, may be about to end.
    pub(super) fn transaction_control(&mut self) {
        if self.touched && !self.is_asked() {
            self.knowledge = Knowledge::Unknown;
        }
    }

    /// The server is outside a transaction.
    pub(super) fn transaction_ended(&mut self) {
        self.transaction_control();
        self.touched = false;
        if self.knowledge == Knowledge::Unknowable {
            self.knowledge = Knowledge::Unknown;
        }
    }

    pub(super) fn ask(&mut self) {
        self.knowledge = Knowledge::Asked;
        self.answer.clear();
    }

    /// One schema of the answer. A name we could not hold cannot be one of a granted relation.
    pub(super) fn row(&mut self, name: &[u8]) {
        let name = std::str::from_utf8(name).ok().and_then(|name| Identifier::stored(name).ok());
        self.answer.extend(name);
    }

    pub(super) fn failed(&mut self) {
        self.knowledge = Knowledge::Unknowable;
    }

    /// The answer is complete; whether it differs from what was known.
    pub(super) fn answered(&mut self) -> bool {
        self.knowledge = Knowledge::Known;
        let changed = self.schemas != self.answer;
        self.schemas = std::mem::take(&mut self.answer);
        changed
    }
}
