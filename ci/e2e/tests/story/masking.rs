//! Who sees what: masks, row filters, refusals and writes, with PostgreSQL as the one that refuses.

use crate::shop;
use daam_e2e::wait_for;
use std::process::Command;
use std::time::Duration;

#[test]
fn three_people_ask_the_same_and_see_what_each_may() {
    let fabric = shop::open();
    let sql = "select id, email, birth_date from customers where id = 1";
    let raw = fabric.upstream("select id, email, birth_date from customers where id = 1").unwrap();

    let sam = shop::support(&fabric);
    assert_eq!(sam.connect().unwrap().query(sql).table(), "1|j***@e***.com|1984-01-01");

    let ana = shop::analyst(&fabric);
    let seen = ana.connect().unwrap().query(sql).table();
    assert!(!seen.contains('@'), "{seen}");
    assert!(seen.starts_with("1|") && seen != raw, "{seen}");

    let ada = shop::admin(&fabric);
    assert_eq!(ada.connect().unwrap().query(sql).table(), raw);
}

#[test]
fn a_star_select_is_masked_filtered_and_leaves_no_role_behind() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    let answer = session.query("select * from customers order by id");
    assert!(answer.errors.is_empty(), "{:?}", answer.errors);
    let column = |name: &str| answer.columns.iter().position(|column| column == name).unwrap();
    let (region, ssn, email) = (column("region"), column("ssn"), column("email"));
    let expected = fabric.upstream("select count(*) from customers where region = 'eu'").unwrap();
    assert_eq!(answer.rows.len().to_string(), expected);
    for row in &answer.rows {
        assert_eq!(row[region].as_deref(), Some("eu"));
        assert!(row[ssn].as_deref().is_none_or(|text| text == "***"), "{row:?}");
        assert!(row[email].as_deref().is_some_and(|text| text.contains("***@")), "{row:?}");
    }

    let role = shop::role_of(&mut session);
    assert!(role.starts_with("daam_s_"), "{role}");
    assert!(shop::our_roles(&fabric).contains(&role));
    drop(session);
    wait_for(Duration::from_secs(20), || Ok(shop::our_roles(&fabric).is_empty().then_some(()))).unwrap();
}

#[test]
fn the_same_values_come_over_the_extended_protocol_and_copy() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    let answer = session.extended("select email from customers where id = $1::bigint", &[Some("1")], false);
    assert_eq!(answer.table(), "j***@e***.com", "{:?}", answer.errors);
    let copied = session.query("copy customers (id, email) to stdout");
    assert!(copied.errors.is_empty(), "{:?}", copied.errors);
    assert!(copied.copied.iter().any(|line| line == "1\tj***@e***.com\n"), "{:?}", copied.copied.first());
}

#[test]
fn an_ungranted_table_is_refused_with_the_reason() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    let answer = session.query("select * from salaries");
    assert_eq!(answer.sqlstate(), Some("42501"));
    assert!(answer.message().unwrap().contains("salaries"), "{:?}", answer.message());
    assert_eq!(session.query("select 1").table(), "1");
}

#[test]
fn writing_a_masked_column_works_and_reads_back_masked() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    let updated = session.query("update customers set phone = '+49 30 5550199' where id = 1 returning phone");
    assert_eq!(updated.tags, ["UPDATE 1"], "{:?}", updated.errors);
    assert_eq!(updated.table(), "***-***-0199");
    assert_eq!(fabric.upstream("select phone from customers where id = 1").unwrap(), "+49 30 5550199");

    let copied = session.query("update customers set note = email where id = 1");
    assert!(copied.errors.is_empty() || copied.sqlstate() == Some("42501"), "{:?}", copied.errors);
    let note = fabric.upstream("select coalesce(note, '') from customers where id = 1").unwrap();
    assert!(!note.contains("@example.com"), "the raw address was laundered into a readable column: {note}");

    let elsewhere = session.query("update customers set note = 'x' where region = 'us'");
    assert_eq!(elsewhere.tags, ["UPDATE 0"], "{:?}", elsewhere.errors);
}

#[test]
fn the_session_role_itself_cannot_read_the_base_table() {
    let fabric = shop::open();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    assert!(session.query("select email from customers where id = 1").errors.is_empty());
    let role = shop::role_of(&mut session);

    // Past the proxy: a real login of the very same role, with the rights the agent left it.
    fabric
        .upstream(&format!(
            "alter role \"{role}\" login password 'direct' connection limit 5 valid until 'infinity'"
        ))
        .unwrap();
    let (_, server) = fabric.ready().upstream.split_once('@').unwrap();
    let direct = format!("postgresql://{role}:direct@{server}");
    for sql in [
        "select email from public.customers",
        "select c::text from public.customers c",
        "select id from public.customers",
        "select * from public.salaries",
        "copy public.customers to stdout",
        "update public.customers set note = email",
        "select most_common_vals from pg_stats where tablename = 'customers' and attname = 'email'",
    ] {
        let output =
            Command::new("psql").args(["-X", "-A", "-t", "-q", "-c", sql]).arg(&direct).output().unwrap();
        let (text, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if sql.contains("pg_stats") {
            assert!(text.trim().is_empty(), "{sql}: {text}");
        } else {
            assert!(errors.contains("permission denied"), "{sql}: {text}{errors}");
        }
    }
    let one = Command::new("psql")
        .args(["-X", "-A", "-t", "-c", "select current_user"])
        .arg(&direct)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&one.stdout).trim(), role);
}

#[test]
fn a_person_without_any_policy_is_told_so() {
    let fabric = shop::open();
    let stranger = shop::person(&fabric, "eve@acme.test", "nobody-in-particular", &[]);
    let mut session = stranger.connect().unwrap();
    assert!(!session.query("select count(*) from products").rows.is_empty());
    assert_eq!(session.query("select count(*) from customers").sqlstate(), Some("42501"));
}
