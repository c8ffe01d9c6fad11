//! What a change of the schema means, told from the policies.

use crate::catalogue;
use daam_compiler::schema_diff::{
    Context, SchemaChange, Significance, compare, is_stale, to_json, to_markdown, to_text,
};
use daam_compiler::{CompiledDatabase, MemoryFiles, check, lock_places};

const BEFORE: &str = "
table public.users: id integer not null, email text, region text, note text
table public.orders: id integer, total numeric
table public.contacts: id integer, phone text
partitioned public.events: id integer, kind text
table public.events_eu inherits public.events: id integer, kind text
view public.totals reads public.orders.total: total numeric
function public.total(integer) returns numeric stable
type public.mood enum good bad
";

const POLICIES: &str = "kind: policy
name: support
database: shop
subjects: { groups: [support] }
grants:
  - { on: 'public.*', allow: [select] }
  - { on: public.users, allow: [update], columns: { update: [note] } }
  - functions: [public.total]
masks:
  - { on: public.users.email, with: email }
  - { on: public.events.kind, with: redact }
  - { on: 'public.*.phone', with: phone }
";

fn project(schema: &str) -> MemoryFiles {
    let files = MemoryFiles::new()
        .with(
            "daam.yaml",
            "kind: project\ndatabases:\n  shop: { lock: ./schema/shop/, policies: [policies/*.yaml] }\n",
        )
        .with("policies/a.yaml", POLICIES);
    catalogue::with_lock(files, "schema/shop", &catalogue::parse(schema))
}

fn compiled() -> CompiledDatabase {
    let mut checked = check(&project(BEFORE));
    checked.databases.remove("shop").unwrap_or_else(|| panic!("{:?}", checked.diagnostics))
}

fn changes(after: &str) -> Vec<SchemaChange> {
    let shop = compiled();
    let sensitive = |_: &daam_catalog::Relation, column: &daam_catalog::Column| {
        (column.name.as_str() == "ssn" || column.comment.is_some()).then(|| "a test".to_owned())
    };
    let context = Context { policies: &shop.policies, scope: &shop.scope, sensitive };
    compare(&shop.catalog, &catalogue::parse(after), Some(context))
}

/// The changes in short: significance, kind, object.
fn told(changes: &[SchemaChange]) -> Vec<String> {
    let one = |it: &SchemaChange| format!("{} {} {}", it.significance.as_str(), it.kind.as_str(), it.object);
    changes.iter().map(one).collect()
}

fn after(from: &str, to: &str) -> Vec<SchemaChange> {
    let text = BEFORE.replace(from, to);
    assert_ne!(text, BEFORE, "{from}");
    changes(&text)
}

#[test]
fn an_equal_schema_has_no_changes_whatever_its_size_and_day() {
    let found = changes(&format!("{BEFORE}captured 2026-11-22\nsize public.users large\n"));
    assert_eq!(told(&found), [""; 0]);
    assert_eq!(to_text("shop", &found), "shop: the schema is the same\n");
}

#[test]
fn a_column_that_a_wildcard_now_covers_is_told_with_who_reads_it_and_how() {
    let found = after("note text", "note text, phone text, nickname text");
    assert_eq!(
        told(&found),
        ["newly-matched added public.users.nickname", "newly-matched added public.users.phone"]
    );
    let reach = |change: &SchemaChange| {
        let reached = &change.reached[0];
        (reached.who.clone(), reached.verbs.clone(), reached.mask.clone(), reached.is_clear())
    };
    assert_eq!(reach(&found[0]), ("group:support".into(), vec!["select"], None, true));
    assert_eq!(reach(&found[1]), ("group:support".into(), vec!["select"], Some("phone".into()), false));
    let text = to_text("shop", &found);
    assert!(text.contains("group:support select without a mask: nickname (policies/a.yaml:"), "{text}");
    assert!(text.contains("group:support select as `phone`: phone"), "{text}");
}

#[test]
fn a_sensitive_column_that_is_read_as_it_is_comes_before_others() {
    let found = after("note text", "note text, ssn text, age integer");
    assert_eq!(
        told(&found),
        ["newly-sensitive added public.users.ssn", "newly-matched added public.users.age"]
    );
    let found = changes(&format!("{BEFORE}comment public.users.note holds passport numbers\n"));
    assert_eq!(told(&found), ["newly-sensitive changed public.users.note"]);
    assert_eq!(found[0].reached[0].sensitive.as_deref(), Some("a test"));
}

#[test]
fn what_a_policy_names_and_is_gone_breaks_it() {
    let found = after("email text, region text, note text", "mail text, region text, memo text");
    assert_eq!(
        told(&found),
        [
            "breaks-policy removed public.users.email",
            "breaks-policy removed public.users.note",
            "newly-matched added public.users.mail",
            "newly-matched added public.users.memo",
        ]
    );
    assert!(found[0].named.iter().all(|origin| origin.file == "policies/a.yaml" && origin.line > 8));
    let found = after("function public.total(integer) returns numeric stable\n", "");
    assert_eq!(told(&found), ["breaks-policy removed public.total(integer)"]);
    let found = after("email text", "email integer");
    assert_eq!(told(&found), ["breaks-policy changed public.users.email"], "the preset no longer fits");
}

#[test]
fn a_partition_that_leaves_its_parent_loses_the_parents_mask_and_is_told() {
    let found = after("public.events_eu inherits public.events:", "public.events_eu:");
    assert_eq!(told(&found), ["newly-matched changed public.events_eu"]);
    assert_eq!(found[0].reached[0].column, "kind");
    assert!(found[0].reached[0].is_clear());
}

#[test]
fn a_view_that_reads_something_else_opens() {
    let masked = BEFORE.replace("reads public.orders.total", "reads public.users.email");
    let shop = compiled();
    let context = Context { policies: &shop.policies, scope: &shop.scope, sensitive: |_, _| None };
    let found = compare(&catalogue::parse(&masked), &shop.catalog, Some(context));
    assert_eq!(told(&found), ["newly-matched changed public.totals"]);
}

#[test]
fn what_no_policy_has_to_do_with_is_neutral_and_indexes_do_not_make_a_lock_stale() {
    let found = after("enum good bad", "enum good bad odd");
    assert_eq!(told(&found), ["neutral changed public.mood"]);
    assert!(found[0].what.contains("good, bad → enum of good, bad, odd"), "{}", found[0].what);
    assert!(is_stale(&found));
    let found = changes(&format!("{BEFORE}index public.users(email)\n"));
    assert_eq!(told(&found), ["neutral changed public.users"]);
    assert!(!is_stale(&found));
    let found = after("table public.orders: id integer, total numeric\n", "");
    assert!(found.iter().all(|change| change.significance == Significance::Neutral), "{:?}", told(&found));
}

#[test]
fn reports_are_bounded_for_people_and_whole_for_machines() {
    let many = (0..3000)
        .map(|n| format!("table public.t{n}: id integer, `name` text"))
        .collect::<Vec<_>>()
        .join("\n");
    let found = changes(&format!("{BEFORE}{many}"));
    assert_eq!(found.len(), 3000);
    let markdown = to_markdown("shop", &found);
    assert!(markdown.chars().count() <= 60_000, "{}", markdown.chars().count());
    assert!(markdown.contains("more changes did not fit"));
    assert!(to_text("shop", &found).contains("… and 2960 more"));
    assert_eq!(to_json("shop", &found)["changes"].as_array().unwrap().len(), 3000);
}

#[test]
fn the_places_of_locks_are_known_without_a_check() {
    let places = lock_places(&project(BEFORE));
    let [place] = places.as_slice() else { panic!("{places:?}") };
    assert_eq!((place.database.as_str(), place.directory.as_str()), ("shop", "schema/shop"));
}
