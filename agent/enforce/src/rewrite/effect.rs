//! What a statement does to the names and the transaction of its session when it has run.
//!
//! Whoever follows which text stands behind the name of a prepared statement or portal needs this: some of these names
//! are given and taken by SQL. One effect for each statement of a text, in its order.

use daam_sql::Node;

/// What is different after a statement has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that concerns names.
    None,
    /// `SAVEPOINT`.
    Savepoint(String),
    /// `RELEASE`.
    Release(String),
    /// `ROLLBACK TO`.
    RollbackTo(String),
    /// `COMMIT` or `ROLLBACK`, also with `AND CHAIN`.
    End,
    /// It may end transactions while it runs, as a procedure can.
    MayEnd,
    /// `PREPARE`.
    Prepare(String),
    /// `DEALLOCATE`; without a name, of all.
    Deallocate(Option<String>),
    /// `DECLARE`.
    Declare(String),
    /// `CLOSE`; without a name, of all.
    Close(Option<String>),
    /// `DISCARD ALL`.
    DiscardAll,
}

impl Effect {
    /// Of one `RawStmt`.
    pub(crate) fn of(raw: &Node) -> Self {
        let Some(node) = raw.child("stmt") else { return Self::None };
        let text = |field| node.text(field).to_owned();
        match node.kind() {
            "TransactionStmt" => match node.choice("kind") {
                "TRANS_STMT_BEGIN" | "TRANS_STMT_START" => Self::None,
                "TRANS_STMT_SAVEPOINT" => Self::Savepoint(text("savepoint_name")),
                "TRANS_STMT_RELEASE" => Self::Release(text("savepoint_name")),
                "TRANS_STMT_ROLLBACK_TO" => Self::RollbackTo(text("savepoint_name")),
                _ => Self::End,
            },
            "PrepareStmt" => Self::Prepare(text("name")),
            "DeallocateStmt" => Self::Deallocate(named(node, "name")),
            "DeclareCursorStmt" => Self::Declare(text("portalname")),
            "ClosePortalStmt" => Self::Close(named(node, "portalname")),
            "DiscardStmt" if node.choice("target") == "DISCARD_ALL" => Self::DiscardAll,
            "CallStmt" | "DoStmt" | "VacuumStmt" => Self::MayEnd,
            "IndexStmt" if node.flag("concurrent") => Self::MayEnd,
            _ => Self::None,
        }
    }
}

fn named(node: &Node, field: &str) -> Option<String> {
    Some(node.text(field)).filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(sql: &str) -> Vec<Effect> {
        daam_sql::parse(sql).unwrap().iter().map(Effect::of).collect()
    }

    #[test]
    fn every_statement_of_a_text_has_one_effect_with_the_name_as_it_is_stored() {
        let sql = "BEGIN; SAVEPOINT A; ROLLBACK TO \"A\"; RELEASE a; COMMIT AND CHAIN; ROLLBACK; SELECT 1";
        let name = |name: &str| name.to_owned();
        let expected = [
            Effect::None,
            Effect::Savepoint(name("a")),
            Effect::RollbackTo(name("A")),
            Effect::Release(name("a")),
            Effect::End,
            Effect::End,
            Effect::None,
        ];
        assert_eq!(effects(sql), expected);
        let sql = "PREPARE X AS SELECT 1; DEALLOCATE prepare; DEALLOCATE ALL; DECLARE c CURSOR FOR SELECT 1; CLOSE C; \
                   CLOSE ALL; DISCARD ALL; DISCARD TEMP; CALL p(); CREATE INDEX CONCURRENTLY i ON t (a)";
        let expected = [
            Effect::Prepare(name("x")),
            Effect::Deallocate(Some(name("prepare"))),
            Effect::Deallocate(None),
            Effect::Declare(name("c")),
            Effect::Close(Some(name("c"))),
            Effect::Close(None),
            Effect::DiscardAll,
            Effect::None,
            Effect::MayEnd,
            Effect::MayEnd,
        ];
        assert_eq!(effects(sql), expected);
    }
}
