//! The session's search path, as names of schemas: unqualified names are looked up in them. How much the client wants
//! to be told, which the server does not report either. And whether the server reads texts as the agent does, as UTF-8.
//!
//! It is read from the server after any statement that may have changed it, and after the transaction of such a
//! statement has ended.

use daam_catalog::Identifier;

/// Asks for what the client wants to be told, the encodings of the client and of the server, and the schemas in order,
/// without the implicit ones.
pub(super) const QUESTION: &str = "SELECT s.n FROM pg_catalog.unnest(pg_catalog.array_cat(ARRAY[ \
     pg_catalog.current_setting('client_min_messages'), pg_catalog.current_setting('client_encoding'), \
     pg_catalog.current_setting('server_encoding')]::pg_catalog.name[], pg_catalog.current_schemas(false))) \
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
    /// Rows so far.
    answer: Vec<Vec<u8>>,
    /// The client does not want to be told what is only worth a notice.
    quiet: bool,
    /// The encoding of the client, where the server takes what is not ASCII for something else than UTF-8.
    other_encoding: Option<String>,
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
        self.answer.clear();
    }

    /// One row of the answer: three settings, then schemas.
    pub(super) fn row(&mut self, name: &[u8]) {
        self.answer.push(name.to_vec());
    }

    /// The encoding texts are not in UTF-8 for, if there is one.
    pub(super) fn other_encoding(&self) -> Option<&str> {
        self.other_encoding.as_deref()
    }

    /// Whether the client wants to be told what is only worth a notice.
    pub(super) fn hears_notices(&self) -> bool {
        !self.quiet
    }

    pub(super) fn failed(&mut self) {
        self.knowledge = Knowledge::Unknowable;
    }

    /// The answer is complete; whether the schemas differ from what was known.
    pub(super) fn answered(&mut self) -> bool {
        self.knowledge = Knowledge::Known;
        let mut rows = std::mem::take(&mut self.answer).into_iter();
        let mut setting =
            || rows.next().map(|row| String::from_utf8_lossy(&row).into_owned()).unwrap_or_default();
        let (told, client, server) = (setting(), setting(), setting());
        self.quiet = matches!(told.as_str(), "warning" | "error" | "fatal" | "panic");
        // SQL_ASCII means that the server takes bytes as they are.
        let plain = client == "SQL_ASCII" && matches!(server.as_str(), "UTF8" | "SQL_ASCII");
        self.other_encoding = (client != "UTF8" && !plain).then_some(client);
        // A name we could not hold, or read, cannot be one of a granted relation.
        let readable = |row: &Vec<u8>| self.other_encoding.is_none() || row.is_ascii();
        let schemas: Vec<Identifier> = rows
            .filter(readable)
            .filter_map(|row| Identifier::stored(std::str::from_utf8(&row).ok()?).ok())
            .collect();
        let changed = self.schemas != schemas;
        self.schemas = schemas;
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
