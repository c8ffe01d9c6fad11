//! The published corpus of attempts, against the sandbox, with the result reported per group. The attempts that
//! need a policy change or a hand-made message in between are told one by one in `bypass_live`.

use daam_e2e::corpus::{Attempt, Outcome, attempts, folder, run};
use daam_e2e::{Fabric, FabricOptions, Person, PersonOptions};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

/// Attempts that still bring something out, by id, with what it is. The list may only shrink.
const KNOWN_LEAKS: [(&str, &str); 11] = [
    ("ERR53", "covert: a unique violation says that a filtered key exists"),
    ("ERR56", "covert: a foreign key check says that a filtered row exists"),
    ("RLF59", "covert: ON CONFLICT DO NOTHING says that a filtered key exists"),
    (
        "SES94",
        "no row data: with `procedural`, dynamic SQL sets the session role's own password; the role cannot log in again",
    ),
    ("CAT19", "metadata: constraint texts are readable by everyone"),
    ("CAT20", "metadata: index predicates are readable by everyone"),
    ("CAT22", "metadata: comments are readable by everyone"),
    ("CAT23", "metadata: trigger arguments are readable by everyone"),
    ("CAT24", "metadata: role settings are readable by everyone"),
    ("CAT26", "metadata: names and sizes of ungranted tables are readable by everyone"),
    ("LAU25", "by decision: masking and permission are orthogonal, the policy allows this write"),
];

#[derive(Default)]
struct Tally {
    clean: u32,
    refused: u32,
    leaked: Vec<String>,
}

#[test]
fn no_attempt_of_the_corpus_brings_out_a_hidden_row_or_value() {
    let fabric = sandbox();
    let mallory = mallory(&fabric);
    let major: u64 = fabric
        .upstream("select current_setting('server_version_num')::int / 10000")
        .unwrap()
        .parse()
        .unwrap();

    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut broken = Vec::new();
    let mut masked_but_refused = Vec::new();
    for attempt in attempts().unwrap().iter().filter(|attempt| !attempt.agent_only && fits(attempt, major)) {
        let tally = tallies.entry(attempt.group.clone()).or_default();
        match run(&fabric, &mallory, attempt) {
            Ok(Outcome::Leak(text)) => tally.leaked.push(format!("{} ({})", attempt.id, beginning(&text))),
            Ok(Outcome::Clean) => tally.clean += 1,
            Ok(Outcome::Refused(code)) => {
                tally.refused += 1;
                if attempt.expect == "masked" {
                    masked_but_refused.push(format!("{} {code}", attempt.id));
                }
            }
            Err(error) => broken.push(format!("{}: {error:#}", attempt.id)),
        }
    }
    report(&tallies, &masked_but_refused);
    assert!(
        broken.is_empty(),
        "attempts that could not be judged:\n{}\n{}",
        broken.join("\n"),
        fabric.logs()
    );
    let leaks: Vec<&String> = tallies.values().flat_map(|tally| &tally.leaked).collect();
    let new: Vec<&&String> =
        leaks.iter().filter(|leak| !KNOWN_LEAKS.iter().any(|(known, _)| leak.starts_with(known))).collect();
    assert!(new.is_empty(), "new leaks: {new:#?}");
    assert!(
        masked_but_refused.is_empty(),
        "refused where a masked answer is expected: {masked_but_refused:?}"
    );
}

/// Enough of a text to recognise it.
fn beginning(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect()
}

/// The corpus's fixture under the policy it assumes.
pub(crate) fn sandbox() -> Fabric {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects/corpus");
    Fabric::start(&FabricOptions { project, seeds: vec![folder().join("fixture.sql")] }).unwrap()
}

/// The one who tries.
pub(crate) fn mallory(fabric: &Fabric) -> Person {
    let options = PersonOptions {
        email: "mallory@acme.test".to_owned(),
        groups: "attackers".to_owned(),
        ..PersonOptions::default()
    };
    Person::open(fabric, &options).unwrap()
}

fn fits(attempt: &Attempt, major: u64) -> bool {
    let wanted = attempt
        .min_pg
        .as_ref()
        .map(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0));
    wanted.is_none_or(|wanted| wanted <= major)
}

fn report(tallies: &BTreeMap<String, Tally>, masked_but_refused: &[String]) {
    let mut err = std::io::stderr().lock();
    writeln!(err, "{:32} {:>6} {:>8} {:>6}", "group", "clean", "refused", "leaks").unwrap();
    for (group, tally) in tallies {
        writeln!(
            err,
            "{group:32} {:>6} {:>8} {:>6} {}",
            tally.clean,
            tally.refused,
            tally.leaked.len(),
            tally.leaked.join(", ")
        )
        .unwrap();
    }
    writeln!(err, "refused although a masked answer was expected: {}", masked_but_refused.join(", "))
        .unwrap();
}
