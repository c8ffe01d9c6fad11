//! Each way to tamper with a log, and what is found.

use super::*;
use daam_bundle::SigningKey;

const ORG: &str = "calm-otter";
const ID: &str = "id-1";

fn entry(seq: i64, target: &str) -> Entry {
    let (actor, action) = ("user:ana@x.org".to_owned(), "user.put".to_owned());
    Entry { seq, at: 1_800_000_000 + seq, actor, action, target: target.to_owned(), detail: String::new() }
}

/// Lines of a log with a checkpoint after each of `checkpoints`.
fn log(key: &SigningKey, targets: &[&str], checkpoints: &[u64]) -> Vec<Line> {
    let mut tip = Tip::of_nothing(ID);
    let mut lines = vec![Line::Begin(Begin::at_the_first(ORG, ID))];
    for (seq, target) in (1..).zip(targets) {
        let entry = entry(seq, target);
        let hash = entry.hash(tip.head, ID).to_string();
        tip.follow(&entry, &hash).unwrap();
        lines.push(Line::Entry(StoredEntry { entry, hash }));
        if checkpoints.contains(&tip.size()) {
            lines.push(Line::Checkpoint(tip.checkpoint(ORG, 5).sign(key)));
        }
    }
    lines
}

fn checkpoints(lines: &[Line]) -> Vec<Signed> {
    let signed = |line: &Line| match line {
        Line::Checkpoint(signed) => Some(signed.clone()),
        _ => None,
    };
    lines.iter().filter_map(signed).collect()
}

fn verify(key: &SigningKey, lines: &[Line], kept: &[Signed]) -> Result<Found, Fault> {
    let mut verifier = Verifier::new(key.public(), kept.iter().cloned());
    for line in lines {
        verifier.read(line.write().trim_end())?;
    }
    verifier.finish()
}

#[test]
fn a_whole_log_is_whole_and_says_how_far_it_is_signed() {
    let key = SigningKey::generate().unwrap();
    let lines = log(&key, &["a", "b", "c", "d"], &[2, 3]);
    let found = verify(&key, &lines, &checkpoints(&lines)).unwrap();
    assert_eq!((found.first, found.last, found.signed, found.checkpoints), (1, 4, 3, 4));
    assert_eq!(found.latest.unwrap().unverified().size, 3);
}

#[test]
fn every_way_to_tamper_shows() {
    let key = SigningKey::generate().unwrap();
    let whole = log(&key, &["a", "b", "c", "d"], &[2, 4]);
    let kept = checkpoints(&whole);
    // Begin, 1, 2, checkpoint, 3, 4, checkpoint.
    let found = |change: fn(&mut Vec<Line>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        verify(&key, &lines, &[]).unwrap_err()
    };
    let edited = found(|lines| {
        if let Line::Entry(stored) = &mut lines[2] {
            stored.entry.target = "eve".into();
        }
    });
    assert_eq!(edited, Fault::Changed { seq: 2 });
    assert_eq!(found(|lines| lines.swap(1, 2)), Fault::Missing { from: 1, to: 1 });
    assert_eq!(found(|lines| drop(lines.remove(4))), Fault::Missing { from: 3, to: 3 });
    assert_eq!(found(|lines| drop(lines.remove(5))), Fault::Truncated { last: 3, signed: 4 });
    assert_eq!(found(|lines| lines.insert(2, lines[1].clone())), Fault::Disorder { found: 1, wanted: 2 });
    assert_eq!(found(|lines| drop(lines.remove(0))), Fault::Beginning);
    assert_eq!(found(|lines| lines.insert(2, lines[0].clone())), Fault::Beginning);
    assert_eq!(found(|lines| lines.retain(|line| !matches!(line, Line::Checkpoint(_)))), Fault::Unsigned);
    assert_eq!(found(|lines| lines.push(lines[3].clone())), Fault::Rewritten { size: 2 });

    // The end cut off together with what was signed about it: only who kept a checkpoint can tell.
    let short = &whole[..4];
    assert!(verify(&key, short, &[]).is_ok());
    assert_eq!(verify(&key, short, &kept), Err(Fault::Truncated { last: 2, signed: 4 }));
    // Written anew, every hash fitting, and signed again: the same.
    let anew = log(&key, &["a", "eve", "c", "d"], &[4]);
    assert!(verify(&key, &anew, &[]).is_ok());
    assert_eq!(verify(&key, &anew, &kept), Err(Fault::Rewritten { size: 2 }));
    // Written anew by somebody without the key.
    let forged = log(&SigningKey::generate().unwrap(), &["eve"], &[1]);
    assert!(matches!(verify(&key, &forged, &[]), Err(Fault::Checkpoint(_))));
}

/// The same without its first three entries; it has a checkpoint behind them.
fn cut_after_three(whole: &[Line]) -> Vec<Line> {
    let mut tip = Tip::of_nothing(ID);
    for line in whole {
        if let Line::Entry(stored) = line
            && tip.size() < 3
        {
            tip.follow(&stored.entry, &stored.hash).unwrap();
        }
    }
    let mut cut = vec![Line::Begin(Begin::after(checkpoints(whole)[0].clone(), tip.frontier().clone()))];
    cut.extend_from_slice(&whole[5..]);
    cut
}

/// What is left of the first three.
fn left(whole: &[Line]) -> Vec<Hash> {
    let hash = |line: &Line| match line {
        Line::Entry(stored) => Hash::parse(&stored.hash),
        _ => None,
    };
    whole.iter().filter_map(hash).take(3).collect()
}

#[test]
fn a_checkpoint_from_before_a_cut_is_compared_with_what_is_left_of_the_entries() {
    let key = SigningKey::generate().unwrap();
    let whole = log(&key, &["a", "b", "c", "d", "e"], &[3, 5]);
    let cut = cut_after_three(&whole);
    let before = checkpoints(&log(&key, &["a", "b", "c"], &[2]));
    // It says nothing where nothing is left, unless somebody says that it need not.
    assert_eq!(verify(&key, &cut, &before), Err(Fault::Uncompared { kept: 2, cut: 3 }));
    let mut verifier = Verifier::new(key.public(), before.clone()).believing_what_is_uncompared(true);
    for line in &cut {
        verifier.read(line.write().trim_end()).unwrap();
    }
    assert_eq!(verifier.finish().unwrap().before_cut, 1);
    let with = |parts: &[&[Hash]], kept: &[Signed]| {
        let mut lines = cut.clone();
        let parts = parts.iter().map(|part| Line::Gone(part.to_vec()));
        lines.splice(1..1, parts).for_each(drop);
        verify(&key, &lines, kept)
    };
    let hashes = left(&whole);
    for parts in [&[&hashes[..]][..], &[&hashes[..1], &hashes[1..]]] {
        let found = with(parts, &before).unwrap();
        assert_eq!((found.first, found.last, found.before_cut, found.checkpoints), (4, 5, 0, 3));
    }
    // Not all of it; another log's; more than is gone.
    assert_eq!(with(&[&hashes[..2]], &before), Err(Fault::Uncompared { kept: 2, cut: 3 }));
    let anew = left(&log(&key, &["a", "eve", "c"], &[]));
    assert_eq!(with(&[&anew], &before), Err(Fault::Rewritten { size: 2 }));
    assert_eq!(with(&[&anew], &[]), Err(Fault::Rewritten { size: 3 }));
    assert_eq!(with(&[&hashes, &hashes[..1]], &[]), Err(Fault::Beginning));
}

#[test]
fn a_log_written_anew_signed_and_then_cut_shows_to_whoever_kept_a_checkpoint() {
    let key = SigningKey::generate().unwrap();
    let before = checkpoints(&log(&key, &["a", "b", "c"], &[2]));
    let forged = log(&key, &["a", "eve", "c", "d"], &[3]);
    let mut cut = cut_after_three(&forged);
    cut.insert(1, Line::Gone(left(&forged)));
    assert!(verify(&key, &cut, &[]).is_ok(), "nobody else can tell");
    assert_eq!(verify(&key, &cut, &before), Err(Fault::Rewritten { size: 2 }));
}

#[test]
fn a_cut_is_whole_where_a_checkpoint_stands_for_what_is_gone_and_only_there() {
    let key = SigningKey::generate().unwrap();
    let whole = log(&key, &["a", "b", "c", "d", "e"], &[3, 5]);
    let kept = checkpoints(&whole);
    let cut = cut_after_three(&whole);
    let found = verify(&key, &cut, &kept).unwrap();
    assert_eq!((found.first, found.last, found.signed), (4, 5, 5));
    let mut unsigned = cut.clone();
    if let Line::Begin(begin) = &mut unsigned[0] {
        begin.anchor = None;
    }
    assert_eq!(verify(&key, &unsigned, &[]), Err(Fault::Cut { size: 3 }));
    let mut more = cut.clone();
    if let Line::Begin(begin) = &mut more[0] {
        begin.frontier.push(b"one more");
    }
    assert_eq!(verify(&key, &more, &[]), Err(Fault::Cut { size: 4 }));
}

#[test]
fn another_organizations_checkpoint_does_not_count() {
    let key = SigningKey::generate().unwrap();
    let lines = log(&key, &["a"], &[1]);
    let other = Tip::of_nothing("id-2").checkpoint("sly-fox", 1).sign(&key);
    let refused = verify(&key, &lines, &[other]).unwrap_err();
    assert!(matches!(refused, Fault::OtherOrganization { .. }), "{refused}");
}

#[test]
fn what_is_no_line_of_a_log_is_said_where_it_is() {
    let key = SigningKey::generate().unwrap();
    let mut verifier = Verifier::new(key.public(), []);
    verifier.read(Line::Begin(Begin::at_the_first(ORG, ID)).write().trim_end()).unwrap();
    assert_eq!(verifier.read("{\"x\":1}").unwrap_err().to_string().split(':').next(), Some("line 2"));
    let later = "{\"begin\":{\"v\":2,\"org\":\"a\",\"org_id\":\"b\",\"head\":null,\"frontier\":{\"size\":0,\"peaks\":[]},\"anchor\":null}}";
    assert_eq!(Line::parse(later), Err(BadLine::Version(2)));
}
