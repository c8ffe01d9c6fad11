//! The other formats: nothing a policy contains can break out of one, and nothing is dropped in silence.

use crate::{COLUMN, many, run};
use daam_diagnostic::render::{concise, github, gitlab, json, junit, markdown};
use daam_diagnostic::{Report, Severity, SourceMap};
use std::collections::BTreeSet;

#[test]
fn json_says_everything_about_a_finding() {
    let (sources, findings) = run();
    let report = Report { docs: Some("https://docs.acme.test"), ..Report::new(&findings, &sources) };
    let json = json::to_json(&report);
    assert_eq!(json["version"], 1);
    let one = &json["diagnostics"][0];
    assert_eq!((&one["code"], &one["slug"]), (&"DAAM203".into(), &"unknown-column".into()));
    assert_eq!((&one["severity"], &one["help"]), (&"error".into(), &"did you mean `y`?".into()));
    assert_eq!(one["file"], "a b/é,x:y.yaml");
    assert_eq!(
        one["span"],
        serde_json::json!({ "start": { "line": 1, "column": 4 }, "end": { "line": 1, "column": 7 } })
    );
    assert_eq!(one["related"][0]["message"], "also here");
    assert_eq!(one["fixes"][0]["applicability"], "safe");
    assert_eq!(one["fixes"][0]["edits"][0]["text"], "\"x\"");
    assert_eq!(one["docs_url"], "https://docs.acme.test/DAAM203");
    assert_eq!(one["subject"], "policy:a/masks");
    let prints: BTreeSet<&str> = json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["fingerprint"].as_str().unwrap())
        .collect();
    assert_eq!(prints.len(), findings.len());
}

#[test]
fn json_lists_what_was_silenced_apart_and_by_whom() {
    let (sources, findings) = run();
    let silenced = crate::silenced(&findings[0]);
    let json = json::to_json(&Report { silenced: &silenced, ..Report::new(&[], &sources) });
    assert_eq!(json["diagnostics"], serde_json::json!([]));
    let waived = json["waived"].as_array().unwrap();
    assert_eq!(waived[0]["waived"]["by"], "comment");
    assert_eq!(waived[1]["waived"]["by"], "waiver");
    assert_eq!(waived[1]["waived"]["owner"], "security@acme.test");
    assert_eq!(
        (&waived[1]["code"], &waived[1]["waived"]["until"]),
        (&"DAAM203".into(), &"2027-03-31".into())
    );
}

#[test]
fn a_concise_report_has_a_line_per_finding_and_says_what_can_be_fixed() {
    let (sources, findings) = run();
    let text = concise::to_concise(&Report::new(&findings, &sources));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), findings.len() + 1, "{text}");
    assert!(lines[0].starts_with("a b/é,x:y.yaml:1:4: error DAAM203 unknown-column: "), "{text}");
    assert!(lines[0].ends_with(" [--fix]") && lines[2].ends_with(" [--unsafe-fixes]"), "{text}");
    assert_eq!(lines[4], "2 errors, 1 warning, 1 note");
}

#[test]
fn annotations_are_worst_first_ten_per_level_and_the_rest_is_counted() {
    let (sources, mut findings) = many(40, Severity::Warning);
    for finding in findings.iter_mut().skip(25) {
        finding.diagnostic.severity = Severity::Error;
    }
    findings[0].diagnostic.severity = Severity::Info;
    let text = github::to_annotations(&Report::new(&findings, &sources));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[..10].iter().all(|line| line.starts_with("::error ")), "{text}");
    assert!(lines[10..20].iter().all(|line| line.starts_with("::warning ")), "{text}");
    assert_eq!(lines[20..], ["::notice::20 more findings are in the summary of the job"]);
}

#[test]
fn annotations_cannot_be_broken_out_of() {
    let (sources, findings) = run();
    let text = github::to_annotations(&Report { prefix: "p/", ..Report::new(&findings, &sources) });
    assert_eq!(text.lines().count(), 4, "{text}");
    let line = text.lines().next().unwrap();
    assert!(
        line.starts_with("::error file=p/a b/é%2Cx%3Ay.yaml,line=1,endLine=1,col=4,endColumn=7,title="),
        "{line}"
    );
    assert!(line.contains("::error::%250A") && line.contains("%0Adid you mean"), "{line}");
}

#[test]
fn gitlab_gets_unique_fingerprints_that_do_not_depend_on_lines() {
    let (sources, findings) = run();
    let list = gitlab::to_gitlab(&Report { prefix: "p/", ..Report::new(&findings, &sources) });
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), findings.len());
    let prints: BTreeSet<String> = list.iter().map(|one| one["fingerprint"].to_string()).collect();
    assert_eq!(prints.len(), list.len());
    assert_eq!(list[0]["location"]["path"], "p/a b/é,x:y.yaml");
    assert_eq!(list[0]["location"]["lines"]["begin"], 1);
    let severities: Vec<&str> = list.iter().map(|one| one["severity"].as_str().unwrap()).collect();
    assert_eq!(severities, ["critical", "critical", "minor", "info"]);
}

#[test]
fn junit_escapes_what_xml_cannot_hold_and_fails_files_with_errors() {
    let (sources, findings) = run();
    let xml = junit::to_junit(&Report::new(&findings, &sources), "daam policy check");
    assert!(xml.contains("tests=\"1\" failures=\"1\""), "{xml}");
    assert!(
        xml.contains("1:4: error DAAM203: no column `&lt;/failure&gt;|::error::%0A\u{fffd}]]&gt;"),
        "{xml}"
    );
    assert_eq!(xml.matches("<failure").count(), xml.matches("</failure>").count());
    let empty = junit::to_junit(&Report::new(&[], &SourceMap::new()), "daam policy check");
    assert!(empty.contains("tests=\"1\" failures=\"0\""), "{empty}");
    let (sources, findings) = many(1, Severity::Warning);
    let doubtful = junit::to_junit(&Report::new(&findings, &sources), "daam policy check");
    assert!(
        doubtful.contains("failures=\"0\"") && doubtful.contains("<system-out>1:1: warning"),
        "{doubtful}"
    );
}

#[test]
fn markdown_stays_within_a_comment_and_its_cells() {
    let (sources, findings) = run();
    let text = markdown::to_markdown(&Report::new(&findings, &sources));
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), findings.len(), "{text}");
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
        assert!(!row.contains("</") && !row.contains("@everyone"), "{row}");
    }
    let (sources, findings) = many(3_000, Severity::Error);
    let text = markdown::to_markdown(&Report::new(&findings, &sources));
    let shown = text.matches(&COLUMN.to_string()).count();
    assert!(text.chars().count() <= 60_000);
    assert!(text.contains(&format!("\n{} more findings did not fit", 3_000 - shown)), "{shown}");
}
