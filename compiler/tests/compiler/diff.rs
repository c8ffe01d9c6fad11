//! Effects of changes: which way they go, whom they concern, and what the schema alone does.

use crate::catalogue;
use daam_compiler::diff::{Change, Diff, Direction, diff, to_json, to_markdown, to_text};
use daam_compiler::effects::{Rows, Side};
use daam_compiler::{CompiledDatabase, MemoryFiles, check};

const SCHEMA: &str = "
table public.users: id integer, email text, region text
view public.emails reads public.users.email: email text
";

const PROJECT: &str = "kind: project\nattributes: { region: text }\ndatabases: { shop: { lock: schema/shop, policies: [p.yaml] } }\n";

fn compiled(schema: &str, policies: &[(&str, &str, &str)]) -> CompiledDatabase {
    let documents: Vec<String> = policies
        .iter()
        .map(|(name, who, rest)| {
            format!("kind: policy\nname: {name}\ndatabase: shop\nsubjects: {{ groups: [{who}] }}\n{rest}\n")
        })
        .collect();
    let files = MemoryFiles::new().with("daam.yaml", PROJECT).with("p.yaml", documents.join("---\n"));
    let checked = check(&catalogue::with_lock(files, "schema/shop", &catalogue::parse(schema)));
    // What only exposes something still has effects that can be compared.
    assert!(checked.databases.contains_key("shop"), "{:#?}", checked.diagnostics);
    checked.databases["shop"].clone()
}

fn between(old: &CompiledDatabase, new: &CompiledDatabase) -> Diff {
    diff(&Side::of(old), &Side::of(new))
}

fn only(diff: &Diff) -> &Change {
    assert_eq!(diff.changes.len(), 1, "{diff:#?}");
    &diff.changes[0]
}

const READ: &str = "grants: [{ on: public.users, allow: [select] }]";

#[test]
fn a_new_column_under_an_old_pattern_is_driven_by_the_schema() {
    let old = compiled(SCHEMA, &[("a", "staff", READ)]);
    let wider = SCHEMA.replace("region text", "region text, passport text");
    let new = compiled(&wider, &[("a", "staff", READ)]);
    let found = between(&old, &new);
    let change = only(&found);
    assert!(change.by_schema && change.direction == Direction::Widened, "{change:#?}");
    assert_eq!(change.what, "select public.users: passport");
    assert!(found.widens(), "new access is access, whoever caused it");
    assert!(to_text(&[found]).contains("schema-driven"));
}

#[test]
fn a_mask_taken_from_one_group_may_widen_what_another_grants() {
    let mask = "masks: [{ on: public.users.email, with: hash }]";
    let old = compiled(SCHEMA, &[("a", "staff", READ), ("b", "trainee", mask)]);
    let new = compiled(SCHEMA, &[("a", "staff", READ)]);
    let found = between(&old, &new);
    let change = only(&found);
    assert_eq!((change.who.as_str(), change.direction), ("group:trainee", Direction::MayWiden));
    assert_eq!((change.before.as_str(), change.after.as_str()), ("mask hash", "not masked"));
    assert!(!between(&new, &old).widens());
}

#[test]
fn a_restriction_that_goes_with_its_grant_may_widen_what_another_grants() {
    let restrict = "grants: [{ on: public.users, allow: [select], restrict: id > 5 }]";
    let old = compiled(SCHEMA, &[("a", "staff", READ), ("b", "trainee", restrict)]);
    let new = compiled(SCHEMA, &[("a", "staff", READ)]);
    let found = between(&old, &new);
    let directions: Vec<_> = found.changes.iter().map(|change| change.direction).collect();
    assert_eq!(directions, [Direction::MayWiden, Direction::Lost], "{found:#?}");
}

#[test]
fn a_filter_that_closed_a_view_may_widen_when_it_goes() {
    let view = "grants: [{ on: public.emails, allow: [select] }]";
    let rows = "grants: [{ on: public.users, allow: [select], rows: id > 5 }]";
    let old = compiled(SCHEMA, &[("a", "staff", view), ("b", "trainee", rows)]);
    let new = compiled(SCHEMA, &[("a", "staff", view)]);
    assert!(between(&old, &new).widens());
}

#[test]
fn what_everyone_gains_is_not_said_again_of_each_group() {
    let old = compiled(SCHEMA, &[("a", "staff", READ)]);
    let mut new = compiled(
        SCHEMA,
        &[("a", "staff", READ), ("z", "x", "grants: [{ on: public.emails, allow: [select] }]")],
    );
    let mut policies = (*new.policies).clone();
    let last = policies.policies.last_mut().unwrap();
    last.subjects.groups.clear();
    last.subjects.everyone = true;
    new.policies = policies.into();
    let found = between(&old, &new);
    assert_eq!(only(&found).who, "everyone");
}

#[test]
fn rows_are_compared_by_their_conditions() {
    let rows = |text: &str| {
        let grant = format!("grants: [{{ on: public.users, allow: [select], rows: \"{text}\" }}]");
        compiled(SCHEMA, &[("a", "staff", &grant)])
    };
    let direction =
        |old: &str, new: &str| between(&rows(old), &rows(new)).changes.first().map(|change| change.direction);
    let swapped = direction("id > 5 and region = 'eu'", "region = 'eu' and id > 5");
    assert_eq!(swapped, Some(Direction::Neutral));
    assert_eq!(direction("id > 5", "id > 5 and region = subject.region"), Some(Direction::Lost));
    assert_eq!(direction("id > 5 and region = 'eu'", "id > 5"), Some(Direction::Widened));
    assert_eq!(direction("id > 5", "id > 4"), Some(Direction::MayWiden));
    assert!(Rows::default().within(&Rows::default()));
}

#[test]
fn a_comment_is_never_longer_than_the_service_takes() {
    let columns: Vec<String> = (0..15).map(|n| format!("c{n} text")).collect();
    let (columns, filter) = (columns.join(", "), "x".repeat(300));
    let tables: Vec<String> = (0..60).map(|n| format!("table public.t{n}: {columns}")).collect();
    let grants: Vec<String> = (0..60)
        .map(|n| {
            format!("  - {{ on: public.t{n}, allow: [select, insert, update], rows: \"c0 = '{filter}'\" }}")
        })
        .collect();
    let (schema, grants) = (tables.join("\n"), grants.join("\n"));
    let old = compiled(&schema, &[]);
    let new = compiled(&schema, &[("a", "staff", &format!("grants:\n{grants}"))]);
    let found = [between(&old, &new)];
    let comment = to_markdown(&found);
    assert!(comment.chars().count() <= 60_000 && comment.contains("more changes did not fit"));
    assert_eq!(to_json(&found)["version"], 1);
}
