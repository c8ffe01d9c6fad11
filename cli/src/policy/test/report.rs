//! What came of the tests, in the formats that were asked for. Reports print; they decide nothing.

use super::super::as_findings::{self, Form, TEST_FAILED, in_form};
use super::super::report::{format_and_path, prefix};
use super::{Ran, Said, Verdict};
use crate::error::{CliError, Doing as _};
use crate::output;
use daam_diagnostic::Severity;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a comment on a pull request may hold.
const MARKDOWN_LIMIT: usize = 60_000;

/// How a run is written; the text leads from the root of the repository to the project.
type Format = fn(&[Ran], &str) -> String;

/// One report.
#[derive(Debug, Clone)]
pub(super) struct TestReport {
    format: Format,
    path: Option<PathBuf>,
}

impl FromStr for TestReport {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let (name, path) = format_and_path(written)?;
        let format: Format = match name {
            "text" => |ran, _| text(ran),
            "json" => |ran, _| format!("{}\n", to_json(ran)),
            "junit" => |ran, _| junit(ran),
            "github" => github,
            "gitlab" => |ran, prefix| format!("{}\n", gitlab(ran, prefix)),
            "markdown" => |ran, _| markdown(ran),
            "sarif" => |ran, prefix| in_form(failures(ran).map(finding).collect(), Form::Sarif, prefix),
            other => {
                return Err(format!(
                    "`{other}` is not a format of tests; there are text, json, sarif, junit, github, gitlab and markdown"
                ));
            }
        };
        Ok(Self { format, path })
    }
}

impl TestReport {
    pub(super) fn write(&self, ran: &[Ran], project: &Path) -> Result<(), CliError> {
        let rendered = (self.format)(ran, &prefix(project));
        match &self.path {
            None => output::text_out(&rendered),
            Some(path) => {
                std::fs::write(path, rendered)
                    .doing(format_args!("write the report `{}`", path.display()))?;
            }
        }
        Ok(())
    }
}

fn count(ran: &[Ran], verdict: Verdict) -> usize {
    ran.iter().filter(|one| one.verdict == verdict).count()
}

fn summary(ran: &[Ran]) -> String {
    let count = |verdict| count(ran, verdict);
    format!(
        "{} passed, {} failed, {} skipped",
        count(Verdict::Passed),
        count(Verdict::Failed),
        count(Verdict::Skipped)
    )
}

fn failures(ran: &[Ran]) -> impl Iterator<Item = (&Ran, &Said)> {
    ran.iter().flat_map(|one| one.failures.iter().map(move |said| (one, said)))
}

fn finding((one, said): (&Ran, &Said)) -> as_findings::Said {
    as_findings::Said {
        code: TEST_FAILED,
        severity: Severity::Error,
        file: said.file.clone(),
        line: said.line,
        subject: format!("test:{}/{}", one.database, one.name),
        message: format!("{}: {}", one.name, said.message),
    }
}

fn text(ran: &[Ran]) -> String {
    let mut out = String::new();
    for one in ran {
        let head = format!("{}: {}", one.database, clean(&one.name));
        let _ = match one.verdict {
            Verdict::Passed => writeln!(out, "ok      {head}"),
            Verdict::Skipped => writeln!(out, "skipped {head} (needs real rows)"),
            Verdict::Failed => writeln!(out, "FAILED  {head}"),
        };
        for Said { file, line, column, message } in &one.failures {
            let _ = writeln!(out, "        {file}:{line}:{column}: {}", clean(message));
        }
    }
    let _ = writeln!(out, "{}", summary(ran));
    out
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Skipped => "skipped",
    }
}

/// `version` is 1; fields may be added later, never given another meaning.
fn to_json(ran: &[Ran]) -> Value {
    let said = |said: &Said| json!({ "file": said.file, "line": said.line, "column": said.column, "message": said.message });
    let case = |one: &Ran| {
        json!({
            "database": one.database,
            "name": one.name,
            "file": one.file,
            "line": one.line,
            "verdict": word(one.verdict),
            "failures": one.failures.iter().map(said).collect::<Vec<_>>(),
        })
    };
    json!({
        "version": 1,
        "passed": count(ran, Verdict::Passed),
        "failed": count(ran, Verdict::Failed),
        "skipped": count(ran, Verdict::Skipped),
        "cases": ran.iter().map(case).collect::<Vec<_>>(),
    })
}

fn junit(ran: &[Ran]) -> String {
    let (all, failed, skipped) = (ran.len(), count(ran, Verdict::Failed), count(ran, Verdict::Skipped));
    let counts = format!("tests=\"{all}\" failures=\"{failed}\" skipped=\"{skipped}\"");
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"daam policy test\" {counts}>\n"
    );
    for one in ran {
        let (name, class) = (escaped(&one.name), escaped(&one.database));
        let case = format!("<testcase classname=\"{class}\" name=\"{name}\" file=\"{}\"", escaped(&one.file));
        let lines: Vec<String> = one
            .failures
            .iter()
            .map(|said| format!("{}:{}:{}: {}", said.file, said.line, said.column, said.message))
            .collect();
        let _ = match one.verdict {
            Verdict::Passed => writeln!(out, "    {case}/>"),
            Verdict::Skipped => writeln!(out, "    {case}><skipped message=\"needs real rows\"/></testcase>"),
            Verdict::Failed => writeln!(
                out,
                "    {case}><failure message=\"{} expectations do not hold\">{}</failure></testcase>",
                lines.len(),
                escaped(&lines.join("\n"))
            ),
        };
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Annotations; GitHub shows ten of a kind, so the rest is counted.
fn github(ran: &[Ran], prefix: &str) -> String {
    let mut out = String::new();
    for (one, said) in failures(ran).take(10) {
        let _ = writeln!(
            out,
            "::error file={},line={},col={},title={}::{}",
            property(&format!("{prefix}{}", said.file)),
            said.line,
            said.column,
            property(&one.name),
            data(&said.message)
        );
    }
    let more = failures(ran).count().saturating_sub(10);
    if more > 0 {
        let _ = writeln!(out, "::notice ::{more} more expectations do not hold");
    }
    let _ = writeln!(out, "{}", data(&summary(ran)));
    out
}

/// A code quality report.
fn gitlab(ran: &[Ran], prefix: &str) -> Value {
    let entry = |(one, said): (&Ran, &Said)| {
        let identity = format!("test/{}/{}/{}", one.database, one.name, said.message);
        json!({
            "description": format!("{}: {}", one.name, said.message),
            "check_name": "policy-test",
            "fingerprint": digest(&identity),
            "severity": "major",
            "location": { "path": format!("{prefix}{}", said.file), "lines": { "begin": said.line } },
        })
    };
    Value::Array(failures(ran).map(entry).collect())
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn markdown(ran: &[Ran]) -> String {
    let mut out = format!("### Policy tests\n\n{}\n", summary(ran));
    let mut hidden = 0_usize;
    for one in ran.iter().filter(|one| one.verdict == Verdict::Failed) {
        let mut lines = format!("\n- **{}** {}\n", code(&one.database), code(&one.name));
        for said in &one.failures {
            let place = format!("{}:{}", said.file, said.line);
            let _ = writeln!(lines, "  - {} {}", code(&place), code(&said.message));
        }
        if hidden > 0 || out.chars().count() + lines.chars().count() > MARKDOWN_LIMIT - 200 {
            hidden += 1;
        } else {
            out.push_str(&lines);
        }
    }
    if hidden > 0 {
        let _ = writeln!(out, "\n{hidden} more failures did not fit; `daam policy test` shows them all.");
    }
    out
}

/// Text of a test cannot end the code span it stands in.
fn code(text: &str) -> String {
    format!("`{}`", clean(text).replace('`', "'"))
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A value of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Text that cannot end the element or attribute it stands in; characters XML has no place for are replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran() -> Vec<Ran> {
        let said =
            |message: &str| Said { file: "t.yaml".into(), line: 3, column: 5, message: message.into() };
        let one = |name: &str, verdict, failures| Ran {
            database: "shop".into(),
            name: name.into(),
            file: "t.yaml".into(),
            line: 1,
            verdict,
            failures,
        };
        vec![
            one("fine", Verdict::Passed, Vec::new()),
            one("a <b> & `c`", Verdict::Failed, vec![said("`select` on `x`\n100% denied")]),
            one("rows", Verdict::Skipped, Vec::new()),
        ]
    }

    #[test]
    fn every_format_tells_the_failure_and_no_text_of_a_test_breaks_out() {
        let ran = ran();
        assert!(text(&ran).contains("t.yaml:3:5: `select` on `x` 100% denied"), "{}", text(&ran));
        assert!(text(&ran).ends_with("1 passed, 1 failed, 1 skipped\n"));
        let xml = junit(&ran);
        assert!(xml.contains("name=\"a &lt;b&gt; &amp; `c`\""), "{xml}");
        assert!(xml.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(
            github(&ran, "").contains("title=a <b> & `c`::`select` on `x`%0A100%25 denied"),
            "{}",
            github(&ran, "")
        );
        assert!(markdown(&ran).contains("`a <b> & 'c'`"), "{}", markdown(&ran));
        assert_eq!(to_json(&ran)["cases"][1]["verdict"], "failed");
        assert_eq!(gitlab(&ran, "")[0]["location"]["lines"]["begin"], 3);
        assert_eq!(gitlab(&ran, "policies/")[0]["location"]["path"], "policies/t.yaml");
        assert!(github(&ran, "policies/").starts_with("::error file=policies/t.yaml,"));
    }

    #[test]
    fn a_comment_stays_within_its_limit_and_says_what_is_missing() {
        let many: Vec<Ran> = (0..2_000).flat_map(|_| ran()).collect();
        let shown = markdown(&many);
        assert!(shown.chars().count() <= MARKDOWN_LIMIT, "{}", shown.chars().count());
        assert!(shown.contains("more failures did not fit"));
    }
}
