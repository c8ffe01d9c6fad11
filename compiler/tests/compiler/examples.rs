//! The shipped example: every document of it is valid for its schema, compiles, and its tests hold.

use crate::catalogue;
use daam_compiler::{MemoryFiles, check, scenario};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples/shop")
}

/// Every YAML file of the example, by path.
pub(crate) fn files() -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut open = vec![root()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                out.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    out.sort();
    assert!(out.len() > 5);
    out
}

/// The tables of `schema.sql` as far as the policies name them.
const SCHEMA: &str = "
table public.customers: id integer, full_name text, email text, phone text, region text, card_number text, ssn text, birth_date date, profile jsonb, note text, created_at timestamptz
table public.products: id integer, name text, price numeric
table public.orders: id integer, customer_id integer, region text, status text, total numeric
table public.order_items: id integer, order_id integer, product_id integer
table public.salaries: id integer, amount numeric, ssn text
table analytics.events: id integer, client_ip inet, kind text
";

#[test]
fn the_example_compiles_and_its_tests_hold() {
    let files = files().into_iter().fold(MemoryFiles::new(), |files, (path, text)| files.with(path, text));
    let checked = check(&catalogue::with_lock(files, "schema/shop", &catalogue::parse(SCHEMA)));
    let errors: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|found| found.severity == daam_diagnostic::Severity::Error)
        .map(|found| format!("{} {} {}", checked.sources.path(found.at.source), found.code, found.message))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let shop = &checked.databases["shop"];
    assert!(shop.scenarios.len() >= 5);
    for case in &shop.scenarios {
        assert_eq!(scenario::run(shop, case), [], "{}", case.name);
    }
}
