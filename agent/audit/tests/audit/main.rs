//! The chain over any content: what was written verifies, and nothing else does.

use daam_audit::{
    BadRecord, Chain, Decision, Detail, Event, Fault, Hash, Outcome, Record, Statement, Verifier, Via, Who,
};
use proptest::prelude::*;
use sha2::Digest as _;

fn who(name: &str) -> Who {
    Who { id: "u1".into(), email: name.into(), device: "laptop".into() }
}

fn statement(text: &str, rows: u64) -> (Event, Option<Detail>) {
    let event = Event::Statement(Statement {
        session: "s1".into(),
        who: who(text),
        bundle: 7,
        via: Via::Query,
        decision: Decision::Allowed,
        outcome: Some(Outcome::Completed),
        sqlstate: None,
        commands: 1,
        command: Some("SELECT".into()),
        rows,
        bytes: rows,
        micros: 5,
        masked: vec!["public.users.email".into()],
        requests: vec!["r1".into()],
    });
    (event, Some(Detail::salted([9; 16]).with_text(Some(text)).with_reason(Some(text))))
}

fn chain(texts: &[String]) -> Vec<Record> {
    let mut chain = Chain::new();
    let mut records = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let at = "2026-01-02T03:04:05.000006Z".to_owned();
        let (event, detail) = match n % 3 {
            0 => {
                let (session, who) = (text.clone(), who(text));
                (Event::SessionOpened { session, who, bundle: 1, requests: Vec::new() }, None)
            }
            1 => statement(text, u64::MAX),
            _ => (Event::AgentStopped {}, None),
        };
        records.push(chain.append(at, event, detail));
    }
    records
}

fn verify(lines: &[String]) -> Result<(), Fault> {
    let mut verifier = Verifier::new();
    lines.iter().try_for_each(|line| verifier.line(line).map(drop))
}

fn lines(texts: &[String]) -> Vec<String> {
    chain(texts).iter().map(Record::line).collect()
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("select {n}")).collect()
}

#[test]
fn a_record_is_one_line_that_anybody_can_check_with_a_hash_program() {
    let line = &lines(&texts(2))[1];
    assert!(
        line.starts_with("{\"v\":1,\"seq\":2,\"at\":\"2026-01-02T03:04:05.000006Z\",\"prev\":\""),
        "{line}"
    );
    let (before, after) = line.split_once(",\"hash\":\"").unwrap();
    let digest =
        |domain: &str, text: &str| format!("{:x}", sha2::Sha256::digest(format!("{domain}\n{text}")));
    assert!(after.starts_with(&digest("daam agent audit v1", before)));
    let (_, detail) = line.rsplit_once(",\"detail\":").unwrap();
    let seal = digest("daam agent audit detail v1", detail.strip_suffix('}').unwrap());
    assert!(before.contains(&format!("\"seal\":\"{seal}\"")), "{line}");
}

#[test]
fn a_set_that_begins_late_is_whole_and_one_that_lacks_something_is_not() {
    let lines = lines(&texts(8));
    assert_eq!(verify(&lines), Ok(()));
    assert_eq!(verify(&lines[3..]), Ok(()));
    let mut gap = lines.clone();
    gap.drain(2..4);
    assert_eq!(verify(&gap), Err(Fault::Gap { from: 3, to: 4 }));
    let mut swapped = lines.clone();
    swapped.swap(4, 5);
    assert_eq!(verify(&swapped), Err(Fault::Gap { from: 5, to: 5 }));
    let mut twice = lines.clone();
    twice.insert(3, lines[2].clone());
    assert_eq!(verify(&twice), Err(Fault::Order { expected: 4, found: 3 }));
    let other = self::lines(&["other".to_owned(), "history".to_owned(), "x".to_owned()]);
    let spliced: Vec<String> = lines[..2].iter().chain(&other[2..]).cloned().collect();
    assert_eq!(verify(&spliced), Err(Fault::Fork(3)));
}

#[test]
fn records_cut_off_at_the_end_show_to_whoever_remembers_one() {
    let records = chain(&texts(5));
    let run = |count: usize, seq, hash| {
        let mut verifier = Verifier::new().remembering(seq, hash);
        for record in &records[..count] {
            verifier.line(&record.line()).unwrap();
        }
        verifier.finish()
    };
    let (seq, hash) = (records[3].seq(), records[3].hash());
    assert_eq!(run(5, seq, hash), Ok(()));
    assert_eq!(run(4, seq, hash), Ok(()));
    assert_eq!(run(3, seq, hash), Err(Fault::Truncated { seq, hash }));
    assert_eq!(run(5, seq, Hash::ZERO), Err(Fault::Truncated { seq, hash: Hash::ZERO }), "another history");
    assert_eq!(run(0, 0, Hash::ZERO), Ok(()), "nothing is remembered of an empty chain");
}

#[test]
fn a_detail_can_be_withheld_but_not_changed_and_not_removed_unseen() {
    let record = chain(&texts(2)).remove(1);
    let (whole, public) = (record.line(), record.line_without_detail());
    assert!(!public.contains("select 1") || public.contains("\"email\":\"select 1\""));
    assert_eq!(Record::parse_public(&public).unwrap().hash(), record.hash());
    assert_eq!(Record::parse(&public), Err(BadRecord::DetailChanged));
    let (head, detail) = whole.split_once("\"detail\":").unwrap();
    let forged = format!("{head}\"detail\":{}", detail.replace("select 1", "select 2"));
    assert_eq!(Record::parse_public(&forged), Err(BadRecord::DetailChanged));
    let bare = chain(&texts(1)).remove(0).line();
    let added = format!("{},\"detail\":{{\"salt\":\"0\",\"text\":\"x\"}}}}", bare.strip_suffix('}').unwrap());
    assert_eq!(Record::parse_public(&added), Err(BadRecord::DetailChanged));
}

#[test]
fn another_version_or_another_spelling_is_refused() {
    let line = lines(&texts(1)).remove(0);
    assert_eq!(Record::parse(&line.replace("\"v\":1", "\"v\":2")), Err(BadRecord::Version(2)));
    for other in [
        line.replacen(':', ": ", 1),
        line.replace("select", "s\\u0065lect"),
        line.replace("\"v\":1", "\"v\":1,\"v\":1"),
        line.replace("\"v\":1", "\"v\":1,\"x\":1"),
        format!("{line} "),
        format!("{line}{line}"),
    ] {
        assert!(Record::parse(&other).is_err(), "{other}");
    }
    assert_eq!(Record::parse(&" ".repeat(100_000)), Err(BadRecord::TooLong));
    assert_eq!(Record::parse(&"[".repeat(60_000)), Err(BadRecord::Unreadable));
}

proptest! {
    #[test]
    fn what_was_written_reads_back_whatever_people_typed(texts in prop::collection::vec(any::<String>(), 1..12)) {
        let records = chain(&texts);
        let mut verifier = Verifier::new();
        for record in &records {
            let line = record.line();
            prop_assert!(!line.contains(['\n', '\r', '\0']), "{}", line);
            prop_assert_eq!(&verifier.line(&line).unwrap(), record);
            prop_assert_eq!(Record::parse_public(&record.line_without_detail()).unwrap().hash(), record.hash());
        }
        prop_assert_eq!(verifier.end(), Some(&Chain::after(records.last().unwrap())));
    }

    #[test]
    fn a_change_of_any_byte_is_noticed(
        texts in prop::collection::vec("[ -~é]{0,20}", 3..6), line in 0..3_usize, at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mut lines = lines(&texts);
        let mut bytes = lines[line].clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let Ok(changed) = String::from_utf8(bytes) else { return Ok(()) };
        lines[line] = changed;
        prop_assert!(verify(&lines).is_err(), "{}", lines[line]);
    }

    #[test]
    fn no_line_makes_the_reader_fall_over(line in any::<String>()) {
        prop_assert!(Record::parse_public(&line).is_err());
    }
}
