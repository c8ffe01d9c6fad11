//! What an editor is told: in a sound project, and in one that is half written.

use crate::catalogue;
use daam_compiler::editor::{CompletionKind, Editor};
use daam_compiler::{MemoryFiles, Options};

const PATH: &str = "policies/a.yaml";
const SOUND: &str = "kind: policy\nname: support\ndatabase: shop\ndescription: helps customers\n\
    subjects: { groups: [support] }\n\
    grants:\n  - on: public.users\n    allow: [select]\n    rows: region = subject.region\n\
    masks:\n  - on: public.users.email\n    with: email\n  - { on: public.*.email, with: hash }\n";

/// A project with one policy; `‸` marks where the cursor stands.
fn project(policy: &str) -> (MemoryFiles, usize) {
    let catalog = catalogue::parse(
        "table public.users: id integer, email text, region text\n\
         table public.orders: id integer, total numeric\n\
         view sales.totals: total numeric",
    );
    let offset = policy.find('‸').unwrap_or(0);
    let files = MemoryFiles::new()
        .with(
            "daam.yaml",
            "kind: project\nattributes: { region: text }\n\
             databases:\n  shop: { lock: schema/shop, policies: [policies/*.yaml] }\n",
        )
        .with("groups/support.yaml", "kind: group\nname: support\nmembers: [sam@acme.test]\n")
        .with(PATH, policy.replace('‸', ""));
    (catalogue::with_lock(files, "schema/shop", &catalog), offset)
}

/// An editor that saw the sound project first, then this text.
fn typing(policy: &str) -> (Editor, MemoryFiles, usize) {
    let mut editor = Editor::new(Options::default());
    editor.update(&project(SOUND).0);
    let (files, offset) = project(policy);
    editor.update(&files);
    (editor, files, offset)
}

fn labels(policy: &str) -> Vec<String> {
    let (editor, files, offset) = typing(policy);
    editor.complete(&files, PATH, offset).into_iter().map(|found| found.label).collect()
}

fn hover(policy: &str) -> String {
    let (editor, files, offset) = typing(policy);
    editor.hover(&files, PATH, offset).map(|hover| hover.markdown).unwrap_or_default()
}

#[test]
fn tables_complete_where_a_grant_names_them() {
    let found = labels("kind: policy\nname: x\ndatabase: shop\ngrants:\n  - on: pub‸\n");
    assert_eq!(found, ["public.*", "public.orders", "public.users"]);
    let found = labels("kind: policy\nname: x\ndatabase: shop\ngrants:\n  - on: [public.users, sal‸\n");
    assert!(found.is_empty(), "an open list has no end yet: {found:?}");
    let found = labels("kind: policy\nname: x\ndatabase: shop\ngrants:\n  - on: [public.users, sal‸]\n");
    assert_eq!(found, ["sales.*", "sales.totals"]);
}

#[test]
fn columns_complete_in_masks_in_column_lists_and_in_filters() {
    let found = labels("kind: policy\nname: x\ndatabase: shop\nmasks:\n  - on: public.users.‸\n");
    assert_eq!(found, ["public.users.email", "public.users.id", "public.users.region"]);
    let found = labels(
        "kind: policy\nname: x\ndatabase: shop\ngrants:\n  - on: public.orders\n    columns: { select: [t‸] }\n",
    );
    assert_eq!(found, ["total"]);
    let found = labels(
        "kind: policy\nname: x\ndatabase: shop\ngrants:\n  - on: public.users\n    rows: region = subject.r‸\n",
    );
    assert_eq!(found, ["subject.region"]);
}

#[test]
fn keys_presets_verbs_groups_and_databases_complete() {
    assert_eq!(labels("kind: policy\nname: x\ngra‸"), ["grants"]);
    assert_eq!(labels("kind: policy\nname: x\ndatabase: s‸\n"), ["shop"]);
    assert_eq!(labels("kind: policy\nname: x\nsubjects: { groups: [su‸] }\n"), ["support"]);
    assert_eq!(
        labels("kind: policy\nname: x\ngrants:\n  - { on: public.users, allow: [sel‸] }\n"),
        ["select"]
    );
    let presets = labels("kind: policy\nname: x\nmasks:\n  - on: public.users.email\n    with: ‸\n");
    for preset in ["email", "hash", "partial", "redact", "truncate"] {
        assert!(presets.iter().any(|found| found == preset), "{presets:?}");
    }
}

#[test]
fn a_project_that_was_never_sound_completes_from_its_lock() {
    let (files, offset) = project("kind: policy\nname: x\ndatabase: shop\ngrants:\n  - on: public.us‸\n");
    let mut editor = Editor::new(Options::default());
    editor.update(&files);
    let found = editor.complete(&files, PATH, offset);
    assert_eq!(found.iter().map(|found| found.label.as_str()).collect::<Vec<_>>(), ["public.users"]);
}

#[test]
fn a_chosen_key_brings_its_colon_once() {
    let (editor, files, offset) = typing("kind: policy\nname: x\nmas‸");
    let found = editor.complete(&files, PATH, offset);
    assert_eq!(
        found.first().map(|found| (found.kind, found.insert.as_str())),
        Some((CompletionKind::Key, "masks: "))
    );
    let (editor, files, offset) = typing("kind: policy\nname: x\nmas‸: []\n");
    let found = editor.complete(&files, PATH, offset);
    assert_eq!(found.first().map(|found| found.insert.as_str()), Some("masks"));
}

#[test]
fn a_column_shows_its_type_and_the_mask_that_wins() {
    let shown = hover(&SOUND.replace("public.users.email", "public.users.em‸ail"));
    for part in
        ["public.users.email", "text", "`email` for whom `support`", "policies/a.yaml:11", "sees `hash`"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn words_of_a_filter_groups_tables_and_keys_explain_themselves() {
    assert!(hover(&SOUND.replace("rows: region", "rows: reg‸ion")).contains("public.users.region** — text"));
    assert!(hover(&SOUND.replace("subject.region", "subject.re‸gion")).contains("text, an attribute"));
    assert!(hover(&SOUND.replace("[support]", "[sup‸port]")).contains("holds `support`"));
    assert!(
        hover(&SOUND.replace("on: public.users\n", "on: public.us‸ers\n")).contains("| `email` | text |")
    );
    assert!(hover(&SOUND.replace("rows: region", "ro‸ws: region")).contains("adds up over policies"));
    assert!(hover(&SOUND.replace("with: email", "with: em‸ail")).contains("top-level domain"));
}

#[test]
fn names_lead_to_where_they_are_declared() {
    let target = |policy: &str| {
        let (editor, files, offset) = typing(policy);
        let found = editor.define(&files, PATH, offset).into_iter().next();
        found.map(|target| {
            let text = daam_compiler::FileSource::read(&files, &target.path).unwrap();
            (target.path, text.get(target.span.start..target.span.end).unwrap().to_owned())
        })
    };
    let table = target(&SOUND.replace("on: public.users\n", "on: public.us‸ers\n"));
    assert_eq!(table, Some(("schema/shop/public.json".to_owned(), "\"name\": \"users\"".to_owned())));
    let column = target(&SOUND.replace("on: public.users.email", "on: public.users.em‸ail"));
    assert_eq!(column, Some(("schema/shop/public.json".to_owned(), "\"name\": \"email\"".to_owned())));
    let group = target(&SOUND.replace("[support]", "[sup‸port]"));
    assert_eq!(group, Some(("groups/support.yaml".to_owned(), "name: support".to_owned())));
    let database = target(&SOUND.replace("database: shop", "database: sh‸op"));
    assert_eq!(database, Some(("daam.yaml".to_owned(), "shop".to_owned())));
}

#[test]
fn findings_of_a_place_come_with_their_repairs() {
    let text = SOUND.replace("on: public.users\n", "on: public.user\n");
    let (editor, _, _) = typing(&text);
    let at = text.find("public.user\n").unwrap();
    let found = editor.findings(PATH, at, at + 3);
    assert_eq!(found.first().map(|found| found.code.number), Some(202));
    assert!(found.iter().any(|found| !found.fixes.is_empty()), "{found:?}");
    assert!(editor.findings(PATH, 0, 3).is_empty());
}

#[test]
fn no_place_of_any_text_makes_the_editor_fail() {
    let mut editor = Editor::new(Options::default());
    for text in [
        SOUND,
        "",
        "kind: policy\n  - [",
        "é: {\n",
        "kind: test\ncases:\n  - expect: { public.users: { columns: { \n",
    ] {
        let (files, _) = project(text);
        editor.update(&files);
        for offset in 0..=text.len() + 2 {
            editor.hover(&files, PATH, offset);
            editor.complete(&files, PATH, offset);
            editor.define(&files, PATH, offset);
        }
    }
    assert!(editor.complete(&project(SOUND).0, "no such file", 3).is_empty());
}
