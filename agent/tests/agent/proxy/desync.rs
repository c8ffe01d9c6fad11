//! What would put the agent's and the server's idea of a session apart (PRO12, PRO13 and PRO16 of the bypass corpus).

use super::stage::{Raw, Stage, masked};
use daam_pgwire::frontend::{bind, execute, parse_statement, query, sync};
use daam_pgwire::startup::{StartupParameters, encode_session};

/// The values of every row up to the next `ReadyForQuery`, and the summary without notices.
async fn rows(raw: &mut Raw) -> (String, String) {
    let frames = raw.until_ready().await;
    let text = frames
        .iter()
        .filter(|frame| frame.tag() == b'D')
        .map(|frame| String::from_utf8_lossy(frame.body()).into_owned())
        .collect();
    let told = frames.iter().filter(|frame| frame.tag() != b'N').map(super::stage::summary);
    (text, told.collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_keeps_its_first_text() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let other = "SELECT email, 'second' FROM users ORDER BY id";
    raw.send(&[parse_statement(b"s1", "SELECT 'first'", b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "1 ZI");
    // Taken: refused by the server, whatever came with it in one go.
    raw.send(&[parse_statement(b"s1", other, b""), bind(b"", b"s1"), execute(b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "E:42P05 ZI");
    raw.send(&[bind(b"", b"s1"), execute(b""), sync()].concat()).await;
    let (text, summary) = rows(&mut raw).await;
    assert_eq!(summary, "2 D C ZI");
    assert!(text.contains("first") && !text.contains("second"), "{text}");
    // The agent's own refusal must not take the name either.
    raw.send(&[parse_statement(b"s1", "SELECT * FROM hr.staff", b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "E:42501 ZI");
    raw.send(&[bind(b"", b"s1"), execute(b""), sync()].concat()).await;
    assert!(rows(&mut raw).await.0.contains("first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_skips_after_an_error_the_agent_skips_too() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let masked = "SELECT email FROM users ORDER BY id LIMIT 1";
    let batch = [
        parse_statement(b"p", masked, b""),
        // No such statement: everything up to Sync is ignored, a simple query included.
        bind(b"", b"nope"),
        execute(b""),
        query("SELECT 'never'"),
        parse_statement(b"p", "SELECT 'never'", b""),
        bind(b"", b"p"),
        execute(b""),
        sync(),
        query("SELECT 'after'"),
    ]
    .concat();
    raw.send(&batch).await;
    let (text, summary) = rows(&mut raw).await;
    assert_eq!((text.as_str(), summary.as_str()), ("", "1 E:26000 ZI"));
    let (text, summary) = rows(&mut raw).await;
    assert_eq!(summary, "T D C ZI");
    assert!(text.contains("after") && !text.contains("never"), "{text}");
    raw.send(&[bind(b"", b"p"), execute(b""), sync()].concat()).await;
    let (text, _) = rows(&mut raw).await;
    assert!(text.contains('*') && !text.contains("jane@example.com"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_protocol_and_unknown_options_are_answered_and_not_passed_on() {
    let stage = Stage::new(masked()).await;
    for (minor, option, negotiated) in
        [(0, None, false), (2, None, false), (9, None, true), (2, Some("_pq_.x"), true)]
    {
        let (stream, session) = stage.stream();
        let mut raw = Raw::over(stream, session);
        let mut parameters =
            vec![("user".to_owned(), "jane".to_owned()), ("database".to_owned(), "shop".to_owned())];
        parameters.extend(option.map(|name| (name.to_owned(), "on".to_owned())));
        raw.send(&encode_session(&StartupParameters { minor, parameters })).await;
        let frames = raw.until_ready().await;
        assert_eq!(frames[0].tag() == b'v', negotiated, "{minor} {option:?}");
        raw.send(&query("SELECT email FROM users ORDER BY id LIMIT 1")).await;
        assert!(rows(&mut raw).await.0.contains('*'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_the_server_would_cut_are_refused() {
    // PostgreSQL compares 63 bytes of these names: two that differ later are one for it and would be two here.
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    let (fits, long) = ("a".repeat(63), "a".repeat(64));
    raw.send(&[parse_statement(fits.as_bytes(), "SELECT 1", b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "1 ZI");
    raw.send(&[parse_statement(long.as_bytes(), "SELECT 2", b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "E:42622 ZI");
    raw.send(&[bind(b"", long.as_bytes()), execute(b""), sync()].concat()).await;
    assert_eq!(raw.summary().await, "E:42622 ZI");
    raw.send(&[bind(long.as_bytes(), fits.as_bytes()), sync()].concat()).await;
    assert_eq!(raw.summary().await, "E:42622 ZI");
    raw.send(&[bind(fits.as_bytes(), fits.as_bytes()), execute(fits.as_bytes()), sync()].concat()).await;
    assert_eq!(raw.summary().await, "2 D C ZI");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_forgotten_by_sql_are_forgotten_here_and_their_names_are_free() {
    let stage = Stage::new(masked()).await;
    let mut raw = stage.raw().await;
    for forget in ["DEALLOCATE s1", "deallocate prepare \"s1\" ;", "DEALLOCATE ALL", "DISCARD ALL"] {
        raw.send(&[parse_statement(b"s1", "SELECT 'first'", b""), sync()].concat()).await;
        assert_eq!(raw.summary().await, "1 ZI");
        raw.send(&query(forget)).await;
        assert!(raw.summary().await.ends_with("C ZI"), "{forget}");
        raw.send(&[bind(b"", b"s1"), sync()].concat()).await;
        assert_eq!(raw.summary().await, "E:26000 ZI", "{forget}");
    }
}
