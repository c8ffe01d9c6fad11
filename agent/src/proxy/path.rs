//! The session's search path, as names of schemas: unqualified names are looked up in them. And how much the client wants
//! to be told, which the server does not report either.
//!
//! It is read from the server after any statement that may have changed it, and after the transaction of such a
//! statement has ended.

use daam_catalog::Identifier;

/// Asks for what the client wants to be told, and the schemas in order, without the implicit ones.
pub(super) const QUESTION: &str = "SELECT s.n FROM pg_catalog.unnest(pg_catalog.array_prepend( \
     pg_catalog.current_setting('client_min_messages')::pg_catalog.name, pg_catalog.current_schemas(false))) \
     WITH ORDINALITY AS s(n, o) ORDER BY s.o";

/// The setting that says how much the client wants to be told.
pub(super) const TOLD: &str = "client_min_messages";

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
    answer: Option<Vec<Identifier>>,
    /// The client does not want to be told what is only worth a notice.
    quiet: bool,
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

    /// The server is outside a transaction. Unless everything sent is answered, what may change the path can be on
    /// its way still, and its transaction has not ended.
    pub(super) fn transaction_ended(&mut self, all_answered: bool) {
        self.transaction_control();
        if all_answered {
            self.touched = false;
        }
        if self.knowledge == Knowledge::Unknowable {
            self.knowledge = Knowledge::Unknown;
        }
    }

    pub(super) fn ask(&mut self) {
        self.knowledge = Knowledge::Asked;
        self.answer = None;
    }

    /// One row of the answer: the setting, then schemas. A name we could not hold cannot be one of a granted relation.
    pub(super) fn row(&mut self, name: &[u8]) {
        let Some(schemas) = &mut self.answer else {
            self.quiet = matches!(name, b"warning" | b"error" | b"fatal" | b"panic");
            self.answer = Some(Vec::new());
            return;
        };
        let name = std::str::from_utf8(name).ok().and_then(|name| Identifier::stored(name).ok());
        schemas.extend(name);
    }

    /// Whether the client wants to be told what is only worth a notice.
    pub(super) fn hears_notices(&self) -> bool {
        !self.quiet
    }

    pub(super) fn failed(&mut self) {
        self.knowledge = Knowledge::Unknowable;
    }

    /// The answer is complete; whether it differs from what was known.
    pub(super) fn answered(&mut self) -> bool {
        self.knowledge = Knowledge::Known;
        let answer = self.answer.take().unwrap_or_default();
        let changed = self.schemas != answer;
        self.schemas = answer;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> SearchPath {
        let mut path = SearchPath::default();
        path.ask();
        path.answered();
        path
    }

    #[test]
    fn a_change_on_its_way_is_not_forgotten_when_something_sent_before_it_ends() {
        let mut path = known();
        // `BEGIN; SET LOCAL search_path …` was sent; then something sent earlier ends outside a transaction.
        path.changed();
        path.transaction_ended(false);
        path.ask();
        path.answered();
        assert!(!path.must_ask());
        // COMMIT takes the change back.
        path.transaction_control();
        assert!(path.must_ask());
    }

    #[test]
    fn what_no_statement_can_have_changed_is_not_asked_again() {
        let mut path = known();
        path.changed();
        path.transaction_ended(true);
        path.ask();
        path.answered();
        path.transaction_control();
        path.transaction_ended(true);
        assert!(!path.must_ask());
    }
}
