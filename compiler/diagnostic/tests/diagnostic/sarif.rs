//! SARIF as its standard's schema wants it, and what code scanning services need beyond that.

use crate::{COLUMN, many, run};
use daam_diagnostic::render::sarif::to_sarif;
use daam_diagnostic::{Report, RuleText, Severity};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn schema() -> jsonschema::Validator {
    let mut schema: Value = serde_json::from_str(include_str!("../data/sarif-schema-2.1.0.json")).unwrap();
    // As published, the pattern of languages has a bracket too many and is no regular expression; we write none.
    for of in ["run", "toolComponent"] {
        let language = schema["definitions"][of]["properties"]["language"].as_object_mut().unwrap();
        language.remove("pattern").unwrap();
    }
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn problems(log: &Value) -> Vec<String> {
    schema().iter_errors(log).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn rules() -> Vec<RuleText> {
    let text = |text: &str| text.to_owned();
    vec![RuleText {
        code: COLUMN,
        severity: Severity::Error,
        summary: text("a column is named that is not there"),
        page: text("# DAAM203\n"),
    }]
}

#[test]
fn every_log_is_valid_by_the_schema_of_the_standard() {
    let (sources, findings) = run();
    let rules = rules();
    let bare = Report::new(&findings, &sources);
    let full = Report {
        rules: &rules,
        prefix: "policy/shop dir/",
        docs: Some("https://docs.acme.test/daam"),
        version: "1.2.3",
        ..bare
    };
    let silenced = crate::silenced(&findings[0]);
    let quiet = Report { silenced: &silenced, ..Report::new(&[], &sources) };
    for report in [bare, full, quiet, Report::new(&[], &sources)] {
        assert_eq!(problems(&to_sarif(&report)), Vec::<String>::new());
    }
    let (sources, findings) = many(5_002, Severity::Error);
    assert_eq!(problems(&to_sarif(&Report::new(&findings, &sources))), Vec::<String>::new());
}

#[test]
fn what_was_silenced_is_a_result_with_a_suppression() {
    let (sources, findings) = run();
    let silenced = crate::silenced(&findings[0]);
    let log = to_sarif(&Report { silenced: &silenced, ..Report::new(&findings[1..], &sources) });
    let results = log["runs"][0]["results"].as_array().unwrap();
    let kinds: Vec<&str> =
        results.iter().filter_map(|result| result["suppressions"][0]["kind"].as_str()).collect();
    assert_eq!((results.len(), kinds), (findings.len() + 1, vec!["inSource", "external"]));
    let why = &results.last().unwrap()["suppressions"][0]["justification"];
    assert_eq!(why, "until the migration (security@acme.test) until 2027-03-31");
}

#[test]
fn the_schema_refuses_what_is_not_sarif() {
    let (sources, findings) = run();
    let mut log = to_sarif(&Report::new(&findings, &sources));
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = json!(0);
    assert_eq!(problems(&log).len(), 1);
}

#[test]
fn places_are_relative_uris_in_code_points_and_logical_paths() {
    let (sources, findings) = run();
    let log = to_sarif(&Report { prefix: "shop/", ..Report::new(&findings, &sources) });
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    assert_eq!(run["automationDetails"]["id"], "daam/shop/");
    let place = &run["results"][0]["locations"][0];
    let artifact = &place["physicalLocation"]["artifactLocation"];
    assert_eq!(artifact["uri"], "shop/a%20b/%C3%A9%2Cx%3Ay.yaml");
    assert!(run["originalUriBaseIds"].get(artifact["uriBaseId"].as_str().unwrap()).is_some());
    let region = json!({ "startLine": 1, "startColumn": 4, "endLine": 1, "endColumn": 7 });
    assert_eq!(place["physicalLocation"]["region"], region);
    assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "policy:a/masks");
    let related = &run["results"][0]["relatedLocations"][0];
    assert_eq!(related["physicalLocation"]["artifactLocation"]["uri"], "shop/policies/b.yaml");
}

#[test]
fn rules_carry_their_help_and_results_point_to_them() {
    let (sources, findings) = run();
    let rules = rules();
    let docs = Some("https://docs.acme.test/daam/");
    let log = to_sarif(&Report { rules: &rules, docs, ..Report::new(&findings, &sources) });
    let run = &log["runs"][0];
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
    let rule = &run["tool"]["driver"]["rules"][1];
    assert_eq!(rule["helpUri"], "https://docs.acme.test/daam/DAAM203");
    assert_eq!(rule["help"]["markdown"], "# DAAM203\n");
    assert_eq!(rule["fullDescription"]["text"], "a column is named that is not there");
}

#[test]
fn fixes_delete_a_region_and_insert_a_text() {
    let (sources, findings) = run();
    let log = to_sarif(&Report::new(&findings, &sources));
    let fix = &log["runs"][0]["results"][0]["fixes"][0];
    assert_eq!(fix["description"]["text"], "replace `'x'` by `\"x\"` (safe)");
    let replacement = &fix["artifactChanges"][0]["replacements"][0];
    assert_eq!(replacement["insertedContent"]["text"], "\"x\"");
    assert_eq!(replacement["deletedRegion"]["startColumn"], 4);
}

#[test]
fn what_is_left_out_is_counted_and_is_the_least_severe() {
    let (sources, mut findings) = many(5_002, Severity::Info);
    findings.last_mut().unwrap().diagnostic.severity = Severity::Error;
    let log = to_sarif(&Report::new(&findings, &sources));
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 5_000);
    assert_eq!(results[0]["level"], "error");
    let notice = &log["runs"][0]["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(notice["message"]["text"], "2 more findings were left out");
    let prints: BTreeSet<String> =
        results.iter().map(|one| one["partialFingerprints"]["daam/v1"].to_string()).collect();
    assert_eq!(prints.len(), 5_000);
}
