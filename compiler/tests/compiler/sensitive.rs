//! How often the classification of columns is right, on columns of public schemas labelled by hand.
//!
//! `cargo nextest run -p daam-compiler how_often --no-capture` prints the figures of the reference page.

use daam_catalog::{Scope, TypeClass};
use daam_compiler::sensitive::{Certainty, Class, Facts, classify, proposed_masks};
use daam_compiler::{MemoryFiles, check};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// When a column was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// While the word lists were written.
    Tuned,
    /// Never for them.
    HeldOut,
    /// Read from its source and labelled when they were done.
    Later,
}

#[derive(Debug)]
struct Labelled {
    part: Part,
    table: String,
    column: String,
    sql: &'static str,
    class: TypeClass,
    expected: Option<Class>,
}

/// Right and wrong answers.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    right: u32,
    /// Flagged, and should not be (or as something else).
    too_much: u32,
    missed: u32,
}

impl Tally {
    fn precision(self) -> f64 {
        share(self.right, self.right + self.too_much)
    }

    fn recall(self) -> f64 {
        share(self.right, self.right + self.missed)
    }
}

fn share(part: u32, whole: u32) -> f64 {
    if whole == 0 { 1.0 } else { f64::from(part) / f64::from(whole) }
}

fn columns() -> Vec<Labelled> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sensitive/columns.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut out = Vec::new();
    let mut part = Part::Tuned;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(half) = line.strip_prefix("half ") {
            part = match half {
                "tune" => Part::Tuned,
                "held" => Part::HeldOut,
                "later" => Part::Later,
                other => panic!("no part {other}"),
            };
            continue;
        }
        let (head, columns) = line.split_once(": ").unwrap();
        let table = head.split_once(' ').unwrap().1;
        let words: Vec<&str> = columns.split_whitespace().collect();
        assert!(words.len().is_multiple_of(2), "{line}");
        for pair in words.chunks(2) {
            let (kind, label) = pair[1].split_once('=').unwrap_or((pair[1], ""));
            let (sql, class) = kind_of(kind);
            let expected = (!label.is_empty()).then(|| Class::parse(label).unwrap());
            out.push(Labelled { part, table: table.into(), column: pair[0].into(), sql, class, expected });
        }
    }
    out
}

fn kind_of(short: &str) -> (&'static str, TypeClass) {
    match short {
        "t" => ("text", TypeClass::Text),
        "i" => ("integer", TypeClass::Integer),
        "n" => ("numeric", TypeClass::Numeric),
        "f" => ("double precision", TypeClass::Float),
        "b" => ("boolean", TypeClass::Boolean),
        "d" => ("date", TypeClass::Date),
        "ts" => ("timestamp with time zone", TypeClass::TimestampTz),
        "j" => ("jsonb", TypeClass::Jsonb),
        "u" => ("uuid", TypeClass::Uuid),
        "a" => ("text[]", TypeClass::Array),
        "y" => ("bytea", TypeClass::Bytea),
        "e" => ("public.kind", TypeClass::Enum),
        "inet" => ("inet", TypeClass::Inet),
        "o" => ("point", TypeClass::Other),
        other => panic!("no type {other}"),
    }
}

fn found(column: &Labelled) -> Option<Class> {
    let facts = Facts {
        table: &column.table,
        column: &column.column,
        sql: column.sql,
        class: column.class,
        comment: None,
        label: None,
    };
    classify(&facts).map(|found| found.class)
}

/// Per class, and overall whether a column is flagged at all.
fn measured(columns: &[&Labelled]) -> (BTreeMap<Class, Tally>, Tally) {
    let mut classes: BTreeMap<Class, Tally> = BTreeMap::new();
    let mut overall = Tally::default();
    for column in columns {
        let found = found(column);
        match (column.expected, found) {
            (Some(expected), Some(found)) if expected == found => {
                classes.entry(expected).or_default().right += 1;
            }
            (expected, found) => {
                if let Some(class) = expected {
                    classes.entry(class).or_default().missed += 1;
                }
                if let Some(class) = found {
                    classes.entry(class).or_default().too_much += 1;
                }
            }
        }
        match (column.expected.is_some(), found.is_some()) {
            (true, true) => overall.right += 1,
            (true, false) => overall.missed += 1,
            (false, true) => overall.too_much += 1,
            (false, false) => {}
        }
    }
    (classes, overall)
}

/// One half as the reference page shows it.
fn report(name: &str, half: &[&Labelled]) -> String {
    let (classes, overall) = measured(half);
    let sensitive = half.iter().filter(|column| column.expected.is_some()).count();
    let mut out = format!("{name}: {} columns, {sensitive} of them sensitive\n\n", half.len());
    let mut row = |name: &str, columns: u32, tally: Tally| {
        let line = format!("{name:<14}{columns:>8}{:>11.3}{:>8.3}", tally.precision(), tally.recall());
        out.push_str(&line);
        out.push('\n');
    };
    for (class, tally) in &classes {
        row(class.as_str(), tally.right + tally.missed, *tally);
    }
    row("flagged at all", overall.right + overall.missed, overall);
    out
}

#[test]
fn how_often_the_classification_is_right() {
    let columns = columns();
    assert!(columns.len() >= 600, "{}", columns.len());
    let part = |part| columns.iter().filter(|column| column.part == part).collect::<Vec<_>>();
    let (tuned, held_out, later) = (part(Part::Tuned), part(Part::HeldOut), part(Part::Later));
    assert!(later.len() >= 200, "{}", later.len());
    let text = format!(
        "class          columns  precision  recall\n\n{}\n{}\n{}",
        report("tuned on", &tuned),
        report("held out", &held_out),
        report("read later", &later)
    );
    std::io::stdout().write_all(text.as_bytes()).unwrap();
    if std::env::var_os("DAAM_SHOW_MISSES").is_some() {
        for column in tuned.iter().filter(|column| found(column) != column.expected) {
            let line = format!("{column:?}: {:?}\n", found(column));
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
    }
    for half in [&tuned, &held_out] {
        let (_, overall) = measured(half);
        assert!(overall.precision() >= 0.94 && overall.recall() >= 0.94, "{overall:?}");
    }
    // A third of it is clinical data under names as `value` and `drug`, of which names say nothing.
    let (_, overall) = measured(&later);
    assert!(overall.precision() >= 0.9, "{overall:?}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples/sensitive.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(&text), "the figures of the reference page are not current:\n{text}");
}

#[test]
fn numbers_that_name_somebody_may_be_stored_as_numbers() {
    let flagged = |column, sql, class| {
        classify(&Facts { table: "users", column, sql, class, comment: None, label: None })
            .map(|found| (found.class, found.certainty))
    };
    let integer = |column| flagged(column, "integer", TypeClass::Integer);
    assert_eq!(integer("ssn"), Some((Class::NationalId, Certainty::Sure)));
    assert_eq!(integer("tax_id"), Some((Class::NationalId, Certainty::Sure)));
    assert_eq!(integer("cvv"), Some((Class::PaymentCard, Certainty::Sure)));
    // What may be a reference is told, but does not fail a check.
    assert_eq!(integer("zip"), Some((Class::Address, Certainty::Likely)));
    assert_eq!(integer("postal_code"), Some((Class::Address, Certainty::Likely)));
    assert_eq!(integer("phone"), Some((Class::Phone, Certainty::Likely)));
    assert_eq!(flagged("phone", "bigint", TypeClass::Integer), Some((Class::Phone, Certainty::Sure)));
    assert_eq!(integer("pin"), Some((Class::Secret, Certainty::Likely)));
    assert_eq!(integer("client_ip"), Some((Class::Ip, Certainty::Likely)));
    let float = |column| flagged(column, "double precision", TypeClass::Float).map(|(class, _)| class);
    assert_eq!((float("lon"), float("lat")), (Some(Class::Geo), Some(Class::Geo)));
    // References and counts are not.
    for column in
        ["address", "tokens", "email", "name", "billing_address", "address_id", "phone_count", "zip_id"]
    {
        assert_eq!(integer(column), None, "{column}");
    }
}

#[test]
fn a_count_of_addresses_is_not_an_address_and_run_together_names_are_read() {
    let facts = |column, sql, class| Facts { table: "t", column, sql, class, comment: None, label: None };
    let text = |column| classify(&facts(column, "text", TypeClass::Text)).map(|found| found.class);
    assert_eq!(classify(&facts("email_count", "bigint", TypeClass::Integer)), None);
    for name in ["email_verified", "email_template", "email_sent_at", "phone_type", "password_policy"] {
        assert_eq!(text(name), None, "{name}");
    }
    for name in ["custEmailAddr", "CUST_EMAIL_ADDR", "cust-email-addr", "custemailaddr", "e_mail", "emails"] {
        assert_eq!(text(name), Some(Class::Email), "{name}");
    }
}

#[test]
fn generic_words_count_only_in_tables_about_people() {
    let named = |table| {
        let facts =
            Facts { table, column: "name", sql: "text", class: TypeClass::Text, comment: None, label: None };
        classify(&facts).map(|found| found.class)
    };
    for table in ["users", "customer_archive", "auth_user", "hr_employee", "zerver_userprofile"] {
        assert_eq!(named(table), Some(Class::PersonName), "{table}");
    }
    for table in ["products", "user_roles", "customer_groups", "countries"] {
        assert_eq!(named(table), None, "{table}");
    }
}

#[test]
fn a_comment_or_a_label_flags_whatever_the_name() {
    let facts = Facts {
        table: "t",
        column: "x7",
        sql: "integer",
        class: TypeClass::Integer,
        comment: Some("contains PII"),
        label: None,
    };
    let found = classify(&facts).unwrap();
    assert_eq!(found.class, Class::Personal);
    assert!(found.evidence.contains("comment"), "{}", found.evidence);
    let labelled = Facts { comment: None, label: Some("classification:confidential"), ..facts };
    assert!(classify(&labelled).unwrap().evidence.contains("security label"));
    // A comment that denies it clears nothing.
    let denied =
        Facts { column: "email", sql: "text", class: TypeClass::Text, comment: Some("not PII"), ..facts };
    assert_eq!(classify(&denied).unwrap().class, Class::Email);
}

#[test]
fn the_masks_proposed_for_a_catalogue_leave_nothing_to_report() {
    let catalog = crate::catalogue::parse(
        "table public.users: id integer, email text, name text, password_hash text, born date, seen_from_ip inet\n\
         table public.keys: id integer, api_key uuid\n\
         table public.products: id integer, name text",
    );
    let masks = proposed_masks(&catalog, &Scope::Absent);
    assert_eq!(masks.len(), 6, "{masks:?}");
    let list: Vec<String> =
        masks.iter().map(|(on, with)| format!("  - {{ on: {on}, with: {with} }}")).collect();
    let list = list.join(
        "
",
    );
    let files = MemoryFiles::new()
        .with("daam.yaml", "kind: project\ndatabases: { shop: { lock: schema/shop, policies: [p.yaml] } }\n")
        .with(
            "p.yaml",
            format!(
                "kind: policy\nname: readers\ndatabase: shop\nsubjects: {{ groups: [readers] }}\n\
                 grants: [{{ on: public.*, allow: [select] }}]\nmasks:\n{list}\n"
            ),
        );
    let checked = check(&crate::catalogue::with_lock(files, "schema/shop", &catalog));
    assert!(checked.diagnostics.is_empty(), "{:#?}", checked.diagnostics);
}
