//! A statement of any content: refused, or rewritten to something that PostgreSQL's parser reads and that needs no
//! rewriting; nothing protected is left in it, every error position is in the original, and the audit's form of it has
//! no literals.

use daam_catalog::{
    Catalog, Column, DataType, Identifier, Relation, RelationKind, RelationName, ServerVersion, TypeClass,
};
use daam_enforce::{RewriteContext, SessionPlan, rewrite};
use daam_model::{
    EffectiveMask, EffectivePolicy, FilterClause, Mask, Origin, RelationAccess, RowFilter, SessionLimits,
    Subject, Verb,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

static KNOWN: OnceLock<(Catalog, SessionPlan, Vec<Identifier>)> = OnceLock::new();

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(normal) = daam_sql::normal::normal(text) {
        let tokens = daam_sql::token::scan(&normal).expect("placeholders can be read");
        assert!(!tokens.iter().any(|token| token.is_literal() || token.is_comment()), "{normal}");
    }
    let _ = daam_sql::normal::normal_with_names(text, |_| false);
    let (catalog, plan, search_path) = KNOWN.get_or_init(|| {
        let catalog = catalog();
        let plan = daam_enforce::plan(&policy(&catalog), &catalog).expect("a plan");
        (catalog, plan, vec![name("public")])
    });
    let context = RewriteContext { plan, catalog, search_path };
    match rewrite(text, &context) {
        Err(refusal) => {
            assert_eq!(refusal.sqlstate.len(), 5);
            assert!(!refusal.message.is_empty());
            let length = text.chars().count();
            assert!(refusal.position.is_none_or(|at| (1..=length + 1).contains(&at)), "{refusal:?}");
        }
        Ok(rewritten) => {
            daam_sql::parse(&rewritten.sql).expect("PostgreSQL reads what we send");
            assert_eq!(rewritten.edits.is_empty(), rewritten.sql == text);
            for position in [1, rewritten.sql.chars().count() / 2, rewritten.sql.chars().count()] {
                let original = rewritten.edits.original_position(position, &rewritten.sql, text);
                assert!(original <= text.chars().count() + 1, "a place outside the text");
            }
            let touched = daam_enforce::masked_columns(text, plan, &rewritten.activate);
            assert!(touched.iter().all(|(table, _)| rewritten.activate.contains(table)));
        }
    }
}

fn name(text: &str) -> Identifier {
    Identifier::stored(text).expect("a name")
}

fn relation(text: &str) -> RelationName {
    RelationName { schema: name("public"), name: name(text) }
}

fn catalog() -> Catalog {
    let column =
        |text: &str, sql: &str, class| Column::new(name(text), DataType { sql: sql.to_owned(), class });
    let table = |of: &str| Relation {
        columns: vec![
            column("id", "integer", TypeClass::Integer),
            column("email", "text", TypeClass::Text),
            column("region", "text", TypeClass::Text),
        ],
        primary_key: vec![name("id")],
        ..Relation::new(relation(of), RelationKind::Table, name("owner"))
    };
    Catalog {
        server: ServerVersion(170_000),
        relations: ["users", "orders", "notes", "hidden"].map(|of| (relation(of), table(of))).into(),
        ..Catalog::default()
    }
}

/// Users are masked, orders filtered, notes neither, and nothing is granted on the last.
fn policy(catalog: &Catalog) -> EffectivePolicy {
    let verbs = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];
    let access = |of: &str| {
        let columns: BTreeSet<Identifier> =
            catalog.relations[&relation(of)].columns.iter().map(|column| column.name.clone()).collect();
        let granted = |verb: Verb| if verb.has_columns() { columns.clone() } else { BTreeSet::new() };
        let mut access = RelationAccess {
            verbs: verbs.iter().map(|verb| (*verb, granted(*verb))).collect(),
            ..RelationAccess::default()
        };
        if of == "users" {
            access.masks.insert(name("email"), EffectiveMask::new(Mask::Email));
        }
        if of == "orders" {
            let origin = Origin { file: "p.yaml".to_owned(), line: 1 };
            let clause = FilterClause { relation: relation(of), text: "region = 'eu'".to_owned(), origin };
            for verb in verbs {
                access.rows.insert(verb, RowFilter { any: vec![clause.clone()], all: Vec::new() });
            }
        }
        (relation(of), access)
    };
    EffectivePolicy {
        subject: Subject { id: "u1".to_owned(), email: "sam@acme.test".to_owned(), ..Subject::default() },
        policies: BTreeSet::from(["everyone".to_owned()]),
        relations: BTreeMap::from(["users", "orders", "notes"].map(access)),
        functions: BTreeSet::new(),
        limits: SessionLimits::default(),
        refused: Vec::new(),
    }
}
