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
    for waived in &checked.waived {
        let (path, place) = (checked.sources.path(waived.at.source), waived.at.span);
        let found = &waived.diagnostic;
        let at = (checked.sources.path(found.at.source), found.at.span);
        told.push(format!("{at:?} {} {} {path} {place:?} {:?}", found.code, found.message, waived.by));
    }
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

/// A schema with everything the comparisons of policies look at: views, partitions, foreign keys, personal data.
fn schema() -> BTreeMap<String, String> {
    daam_catalog::lock::to_files(&catalogue::parse(
        "table public.users: id integer not null, email text, region text, manager integer references public.users.id\n\
         table public.orders: id integer, user_id integer references public.users.id, total numeric\n\
         table public.events: id integer, email text, region text\n\
         table public.events_eu inherits public.events: id integer, email text, region text\n\
         view public.mails reads public.users.email: email text",
    ))
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

/// A policy out of parts, most of which look at one another.
fn any_policy() -> impl Strategy<Value = String> {
    let space = one_of(&[
        "",
        "",
        "# moved\n",
        "# daam: ignore[mask-not-granted, policy-untested] reason=\"so it is\"\n",
    ]);
    let name = one_of(&["a", "b", "c", "d"]);
    let whom = one_of(&[
        "subjects: { everyone: true }",
        "subjects: { groups: [x] }",
        "subjects: { groups: [y] }",
        "subjects: { groups: [x, y] }",
        "subjects: { users: [s@acme.test] }",
        "subjects: { groups: [typo] }",
        "request: { who: { groups: [x] }, approvers: { groups: [y] }, max_duration: 2h }",
        "request: { who: { groups: [y] }, approvers: { groups: [y], count: 3 }, max_duration: 2h }",
    ]);
    let grant = one_of(&[
        "{ on: public.users, allow: [select] }",
        "{ on: public.users, allow: [select, update], columns: { update: [email] } }",
        "{ on: public.orders, allow: [select, delete], rows: user_id = 1 }",
        "{ on: public.orders, allow: [update] }",
        "{ on: public.mails, allow: [select] }",
        "{ on: public.*, allow: [select] }",
        "{ on: public.events, allow: [select] }",
        "{ on: public.events, allow: [select], restrict: region = subject.region }",
        "{ on: public.events_eu, allow: [select], restrict: region = subject.region }",
        "{ on: \"public.events*\", allow: [select], rows: region = subject.region }",
        "{ on: public.nowhere, allow: [select] }",
    ]);
    let mask = one_of(&[
        "{ on: public.users.email, with: email }",
        "{ on: public.users.email, with: redact }",
        "{ on: \"*.*.email\", with: hash }",
        "{ on: public.users.id, with: hash }",
        "{ on: public.orders.user_id, with: hash }",
        "{ on: public.events.email, with: email }",
        "{ on: public.users.nothing, with: email }",
    ]);
    let list = |key: &'static str, parts: Vec<&'static str>| match parts.len() {
        0 => String::new(),
        _ => format!("{key}:\n  - {}\n", parts.join("\n  - ")),
    };
    let (grants, masks) = (prop::collection::vec(grant, 0..3), prop::collection::vec(mask, 0..3));
    (space, name, whom, grants, masks).prop_map(move |(space, name, whom, grants, masks)| {
        format!(
            "{space}kind: policy\nname: {name}\ndatabase: shop\n{whom}\n{}{}",
            list("grants", grants),
            list("masks", masks)
        )
    })
}

/// Files that are about the whole project, each in one of its states.
fn any_setting() -> impl Strategy<Value = (&'static str, String)> {
    let project = |database: &str, rest: &str| {
        format!(
            "kind: project\nattributes: {{ region: text }}\ndatabases:\n  shop:\n    lock: schema/shop\n    \
             scope: scope/shop.yaml\n    policies: [policies/*.yaml]\n{database}{rest}"
        )
    };
    let tests = "    tests: [tests/*.yaml]\n";
    let waiver = "waivers:\n  - { rule: sensitive-column-unmasked, on: public.users.email, policy: a, \
        owner: o@acme.test, reason: it is so, until: 2999-01-01 }\n";
    let projects = vec![
        project(tests, ""),
        project("", ""),
        project(tests, waiver),
        project(tests, "lint: { levels: { policy-untested: error, mask-not-granted: off } }\n"),
        project("    strict_classification: true\n", ""),
        project(
            "    protected: true\n    classification: [{ on: public.users.region, is: personal, reason: x }]\n",
            "",
        ),
        project("    classification: [{ on: public.users.email, is: none, reason: x }]\n", waiver),
        project(tests, "").replace("region: text", "region: integer"),
    ];
    let ceiling = "kind: request-ceiling\nname: c\ndatabase: shop\nrequest: { who: { groups: [x] }, \
        approvers: { groups: [y] }, max_duration: 2h }\ngrants: [{ on: public.users, allow: [select] }]\n";
    let reads = "kind: test\ndatabase: shop\ncases:\n  - name: reads\n    as: { email: s@acme.test, groups: [x] }\n    \
        expect: { public.users: { select: allow } }\n";
    let asks = "kind: test\ndatabase: shop\ncases:\n  - name: asks\n    \
        who-can: { select: public.orders, exactly: [\"group:x\"] }\n";
    let of = |path: &'static str, texts: &[&str]| {
        let states: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        prop::sample::select(states).prop_map(move |text| (path, text))
    };
    prop_oneof![
        3 => prop::sample::select(projects).prop_map(|text| ("daam.yaml", text)),
        1 => of("scope/shop.yaml", &[
            "kind: scope\ndatabase: shop\nscope: [public.*]\n",
            "kind: scope\ndatabase: shop\nscope: [public.users, public.events]\n",
        ]),
        1 => of("groups/g.yaml", &[
            "kind: group\nname: x\nmembers: [s@acme.test]\n",
            "kind: group\nname: y\nmembers: [s@acme.test, t@acme.test]\n",
            "kind: directory\ngroups: { x: 3, y: 1 }\n",
            "",
        ]),
        1 => of("tests/t.yaml", &[reads, asks, ""]),
        1 => of("policies/ceiling.yaml", &[ceiling, ""]),
    ]
}

/// An edit: a text for a file, the empty one to remove it.
fn any_edit() -> impl Strategy<Value = (&'static str, String)> {
    let policies = one_of(&["policies/a.yaml", "policies/b.yaml", "policies/c.yaml", "policies/d.yaml"]);
    let texts = prop_oneof![
        1 => Just(String::new()),
        4 => any_policy(),
        4 => (any_policy(), any_policy()).prop_map(|(one, other)| format!("{one}---\n{other}")),
    ];
    prop_oneof![3 => (policies, texts), 1 => any_setting()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn policies_that_look_at_one_another_are_compared_as_if_for_the_first_time(
        edits in prop::collection::vec(any_edit(), 1..24)
    ) {
        let mut state: BTreeMap<String, String> = BTreeMap::from([
            ("daam.yaml", "kind: project\nattributes: { region: text }\ndatabases:\n  shop:\n    lock: schema/shop\n    \
              policies: [policies/*.yaml]\n    tests: [tests/*.yaml]\n"),
        ]).into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
        for (name, text) in schema() {
            state.insert(format!("schema/shop/{name}"), text);
        }
        let mut memory = state.iter().fold(MemoryFiles::new(), |files, (path, text)| files.with(path, text.clone()));
        let mut workspace = Workspace::new(Options::default());
        workspace.check(&memory);
        for (path, text) in edits {
            // Texts that stay are the same ones, as in an editor.
            memory = if text.is_empty() { memory.without(path) } else { memory.with(path, text) };
            let (again, fresh) = (workspace.check(&memory), check(&memory));
            prop_assert_eq!(told(&again), told(&fresh));
            prop_assert_eq!(again.has_errors(), fresh.has_errors());
            let before = workspace.work();
            workspace.check(&memory);
            prop_assert_eq!(workspace.work(), before, "nothing changed, and something was done");
        }
    }
}
