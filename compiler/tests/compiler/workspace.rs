//! A workspace that has seen other states of a project answers as if it had not.

use crate::catalogue;
use daam_compiler::scenario;
use daam_compiler::{Checked, MemoryFiles, Options, Workspace, check};
use daam_diagnostic::render::{json, text};
use daam_diagnostic::{Report, identify};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The files of a small lock and of a larger one.
fn locks() -> [BTreeMap<String, String>; 2] {
    [
        "table public.users: id integer, email text, region text",
        "table public.users: id integer, email text, region text\n\
         table public.orders: id integer, total numeric\n\
         view public.mails reads public.users.email: email text",
    ]
    .map(|text| daam_catalog::lock::to_files(&catalogue::parse(text)))
}

/// The states each file of the project may be in; besides, every one of them may be absent.
fn states() -> Vec<(&'static str, Vec<String>)> {
    let [small, large] = locks();
    let project = |policies: &str, attributes: &str| {
        format!(
            "kind: project\nattributes: {{ {attributes} }}\ndatabases:\n  \
             shop: {{ lock: schema/shop, scope: scope/shop.yaml, policies: [{policies}], tests: [tests/*.yaml] }}\n"
        )
    };
    let policy = |name: &str, on: &str, rest: &str| {
        format!(
            "kind: policy\nname: {name}\ndatabase: shop\nsubjects: {{ groups: [{name}] }}\n\
             grants:\n  - {{ on: {on}, allow: [select]{rest} }}\n"
        )
    };
    let masks = "masks:\n  - { on: public.users.email, with: email }\n";
    vec![
        (
            "daam.yaml",
            vec![
                project("policies/*.yaml", "region: text"),
                project("policies/**/*.yaml", "region: integer"),
                "kind: project\ndatabases: {}\n".to_owned(),
                "kind: project\n- no".to_owned(),
            ],
        ),
        (
            "scope/shop.yaml",
            vec![
                "kind: scope\ndatabase: shop\nscope: [public.*]\n".to_owned(),
                "kind: scope\ndatabase: shop\nscope: [public.users]\n".to_owned(),
            ],
        ),
        (
            "policies/a.yaml",
            vec![
                policy("a", "public.users", ", rows: region = subject.region"),
                policy("a", "public.users", ", rows: region = subject.other"),
                policy("a", "public.*", ""),
                "kind: policy\nname: [".to_owned(),
            ],
        ),
        (
            "policies/b.yaml",
            vec![
                policy("b", "public.orders", "") + masks,
                policy("b", "public.mails", ""),
                policy("a", "public.users", "") + masks,
            ],
        ),
        (
            "policies/deep/c.yaml",
            vec![
                policy("c", "public.mails", "") + masks,
                policy("c", "public.users", ", rows: region = subject.region"),
                "note: not ours\n".to_owned(),
            ],
        ),
        (
            "tests/t.yaml",
            vec![
                "kind: test\ndatabase: shop\ncases:\n  - name: reads\n    as: { email: s@acme.test, groups: [a] }\n    \
                 expect:\n      public.users: { select: allow }\n"
                    .to_owned(),
            ],
        ),
        ("groups/g.yaml", vec!["kind: group\nname: a\nmembers: [s@acme.test]\n".to_owned()]),
        ("stray.yaml", vec!["kind: policy\nname: lost\n".to_owned(), "x: 1\n".to_owned()]),
        ("schema/shop/lock.json", vec![small["lock.json"].clone(), large["lock.json"].clone()]),
        ("schema/shop/public.json", vec![small["public.json"].clone(), large["public.json"].clone()]),
    ]
}

/// Everything anybody can learn from a check.
fn told(checked: &Checked) -> Vec<String> {
    let findings = identify(checked.diagnostics.to_vec(), &checked.sources);
    let mut told = vec![
        json::to_json(&Report::new(&findings, &checked.sources)).to_string(),
        text::to_text(&checked.diagnostics, &checked.sources, text::Colour::Plain),
        format!("{:?}", checked.inputs),
    ];
    for (name, database) in &checked.databases {
        let mut cases = Vec::new();
        for case in &database.scenarios {
            let outcome = scenario::run(database, case);
            // Sources are told by their paths: which number one has is nobody's business.
            let failures = outcome.failures.iter().map(|failure| {
                let place = (checked.sources.path(failure.at.source), failure.at.span);
                format!("{place:?} {}", failure.message)
            });
            cases.push((
                case.name.clone(),
                failures.collect::<Vec<_>>(),
                outcome.determined,
                outcome.columns,
            ));
        }
        told.push(format!(
            "{name} {:?} {:?} {:?} {} {cases:?}",
            database.policies,
            database.catalog,
            database.scope,
            database.lock_fingerprint()
        ));
    }
    told
}

fn files(state: &BTreeMap<&'static str, String>) -> MemoryFiles {
    state.iter().fold(MemoryFiles::new(), |files, (path, text)| files.with(*path, text.clone()))
}

proptest! {
    // Every edit is checked three times: few cases are many checks.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_checked_before_changes_nothing(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..12)
    ) {
        let states = states();
        // It begins with the first state of everything, so that most edits are edits of a project that is right.
        let mut state: BTreeMap<&str, String> =
            states.iter().map(|(path, texts)| (*path, texts[0].clone())).collect();
        let mut workspace = Workspace::new(Options::default());
        prop_assert_eq!(told(&workspace.check(&files(&state))), told(&check(&files(&state))));
        for (file, text) in edits {
            let (path, texts) = &states[file.index(states.len())];
            // One more than there are texts: the file is removed.
            match texts.get(text.index(texts.len() + 1)) {
                Some(text) => drop(state.insert(path, text.clone())),
                None => drop(state.remove(path)),
            }
            let now = files(&state);
            prop_assert_eq!(told(&workspace.check(&now)), told(&check(&now)));
            prop_assert_eq!(told(&workspace.check(&now)), told(&check(&now)), "asked twice");
        }
    }
}
