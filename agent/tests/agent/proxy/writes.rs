//! What can be written, and what is said where it cannot.

use super::stage::{Stage, message, writing};
use crate::world::{grant, policies};
use daam_model::{Mask, Verb};
use futures_util::SinkExt as _;
use std::pin::pin;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Rows joined with `|` and `;`, or the SQLSTATE and the message.
async fn outcome(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(messages) => {
            let rows = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    let values: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect();
                    Some(values.join("|"))
                }
                _ => None,
            });
            rows.collect::<Vec<_>>().join(";")
        }
        Err(error) => error.as_db_error().map_or_else(
            || error.to_string(),
            |error| format!("{}: {}", error.code().code(), error.message()),
        ),
    }
}

/// Runs each statement in a transaction that is rolled back; the last word of a line that begins with an SQLSTATE
/// must be in the message.
async fn check(stage: &Stage, cases: &[(&str, &str)]) {
    let client = stage.client().await;
    let mut wrong = Vec::new();
    for (sql, wanted) in cases {
        client.batch_execute("BEGIN").await.unwrap();
        let seen = outcome(&client, sql).await;
        client.batch_execute("ROLLBACK").await.unwrap();
        let code = wanted.split_once(": ").filter(|(code, _)| code.len() == 5);
        let right = match code {
            Some((code, part)) => seen.starts_with(code) && seen.contains(part),
            None => seen == *wanted,
        };
        if !right {
            wrong.push(format!("{sql}\n  wanted {wanted}\n  got    {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn major(stage: &Stage) -> u32 {
    let number = stage.world.strings("SELECT current_setting('server_version_num')").await;
    number[0].parse::<u32>().unwrap() / 10_000
}

const ORDERS: &str = "INSERT INTO orders (user_id, total) VALUES (1, 10), (2, 20), (1, 500)";

async fn stage() -> Stage {
    let stage = Stage::new(writing()).await;
    stage.world.superuser.batch_execute(ORDERS).await.unwrap();
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_know_defaults_sequences_identity_and_generated_columns() {
    let cases = [
        (
            "INSERT INTO users (email, name) VALUES ('zed@example.net', 'Zed') RETURNING id > 0, email, initials, region",
            "t|z***@e***.net|Z|eu",
        ),
        (
            "INSERT INTO users (email, region) VALUES ('zed@example.net', DEFAULT), ('zoe@example.net', 'us') RETURNING region",
            "eu;us",
        ),
        (
            "INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (100, 'zed@example.net') RETURNING users.*",
            "100|z***@e***.net|∅|∅|∅|∅|∅|eu",
        ),
        ("INSERT INTO users (id, email) VALUES (100, 'zed@example.net')", "428C9: \"id\""),
        ("INSERT INTO users (email, initials) VALUES ('zed@example.net', 'x')", "428C9: \"initials\""),
        ("INSERT INTO users DEFAULT VALUES", "23502: \"email\""),
        ("INSERT INTO users (email) VALUES ('joe@example.org')", "23505: users_email_key"),
        ("INSERT INTO orders (user_id, total) VALUES (1, 5) RETURNING id > 3, total", "t|5.00"),
        ("INSERT INTO orders (user_id, total) SELECT id, 7 FROM users RETURNING total", "7.00;7.00"),
        ("INSERT INTO orders (user_id, total) VALUES (99, 7)", "23503: orders_user_id_fkey"),
        ("INSERT INTO orders (user_id, total) VALUES (1, 100)", "44000: `public.orders`"),
        ("WITH i AS (INSERT INTO users (email) VALUES ('a1@b.cc') RETURNING *) SELECT email FROM i", "***"),
    ];
    check(&stage().await, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_deletes_join_other_tables_and_return_masked_values() {
    let cases = [
        (
            "UPDATE users SET name = 'J' WHERE email = 'j***@e***.com' RETURNING name, email, initials",
            "J|j***@e***.com|J",
        ),
        ("UPDATE users SET email = 'new@mail.example' WHERE id = 1 RETURNING email", "n***@m***.example"),
        (
            "UPDATE users u SET name = o.total::text FROM orders o WHERE o.user_id = u.id RETURNING u.name, o.total",
            "10.00|10.00;20.00|20.00",
        ),
        ("UPDATE users SET (name, region) = (SELECT 'x', 'y') WHERE id = 2 RETURNING name, region", "x|y"),
        ("UPDATE users SET tags[1] = 'x' WHERE id = 2 RETURNING tags", "{x}"),
        ("UPDATE users SET email = DEFAULT", "23502: \"email\""),
        ("UPDATE users SET name = email", "42501: `public.users`: the statement reads a masked column"),
        ("UPDATE users SET name = upper(users.email)", "42501: `public.users`"),
        ("UPDATE orders SET total = total + 1 WHERE total < 100 RETURNING id, total", "1|11.00;2|21.00"),
        ("UPDATE orders SET total = 1000 WHERE id = 1", "44000: `public.orders`"),
        ("UPDATE orders SET total = 1 WHERE id = 3 RETURNING id", ""),
        (
            "DELETE FROM orders USING users u WHERE u.id = orders.user_id AND u.name = 'Jane' RETURNING orders.id, u.email",
            "1|j***@e***.com",
        ),
        (
            "WITH gone AS (DELETE FROM orders RETURNING user_id) UPDATE users SET name = 'gone' FROM gone WHERE gone.user_id = users.id RETURNING id",
            "1;2",
        ),
        (
            "WITH u AS (UPDATE users SET name = 'x' RETURNING email) INSERT INTO users (email) SELECT email FROM u",
            "42501: masked",
        ),
        ("UPDATE contacts SET mail = 'x'", "42501: the view reads `public.users.email`"),
        ("DELETE FROM users WHERE id = 1", "23503: orders"),
        ("TRUNCATE users", "42501: truncate on relation `public.users`"),
        ("DELETE FROM hr.staff", "42501: `hr.staff`"),
        ("SELECT name FROM users WHERE id = 1 FOR UPDATE", "Jane"),
    ];
    check(&stage().await, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upserts_work_where_they_cannot_reach_hidden_rows() {
    let cases = [
        ("INSERT INTO users (email) VALUES ('joe@example.org') ON CONFLICT DO NOTHING RETURNING id", ""),
        (
            "INSERT INTO users (id, email, name) OVERRIDING SYSTEM VALUE VALUES (1, 'q@q.q', 'Q') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name, email",
            "1|Q|j***@e***.com",
        ),
        (
            "INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (1, 'q@q.q') ON CONFLICT (id) DO UPDATE SET email = 'new@mail.example' WHERE users.name = 'Jane' RETURNING email",
            "n***@m***.example",
        ),
        (
            "INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (1, 'q@q.q') ON CONFLICT (id) DO UPDATE SET email = excluded.email",
            "42501: excluded.email",
        ),
        (
            "INSERT INTO users (email) VALUES ('joe@example.org') ON CONFLICT (email) DO NOTHING",
            "42501: `email`",
        ),
        (
            "INSERT INTO users (email) VALUES ('joe@example.org') ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING",
            "0A000: `public.users`",
        ),
        ("INSERT INTO orders (id, user_id, total) VALUES (3, 1, 1) ON CONFLICT DO NOTHING RETURNING id", ""),
        (
            "INSERT INTO orders (id, user_id, total) VALUES (3, 1, 1) ON CONFLICT (id) DO UPDATE SET total = 1",
            "0A000: `public.orders`",
        ),
    ];
    check(&stage().await, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_and_both_rows_in_returning_work_where_the_server_has_them() {
    let stage = stage().await;
    let major = major(&stage).await;
    let merge = "MERGE INTO users u USING (VALUES (1, 'x')) AS n(id, name) ON n.id = u.id WHEN MATCHED THEN UPDATE SET name = n.name";
    let insert = "MERGE INTO users u USING (VALUES ('y@example.net')) AS n(mail) ON false WHEN NOT MATCHED THEN INSERT (email) VALUES (n.mail)";
    let back = "MERGE INTO users u USING users r ON r.id = u.id WHEN MATCHED THEN UPDATE SET email = r.email";
    let mixed = "MERGE INTO orders o USING users u ON o.user_id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (user_id, total) VALUES (u.id, 1)";
    let filtered =
        "MERGE INTO orders o USING users u ON o.user_id = u.id WHEN MATCHED THEN UPDATE SET total = 1000";
    let source = "CREATE TEMP TABLE mine (a text); MERGE INTO mine USING users u ON false WHEN NOT MATCHED THEN INSERT VALUES (u.email); SELECT a FROM mine ORDER BY a LIMIT 1";
    let returning = "MERGE INTO users u USING (VALUES (1)) AS n(i) ON n.i = u.id WHEN MATCHED THEN UPDATE SET name = 'M' RETURNING merge_action(), u.email, u.name";
    let both = "UPDATE users SET email = 'new@mail.example' WHERE id = 1 RETURNING old.email, new.email";
    let named = "UPDATE users SET name = 'N' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.name, n.name, o.email, n.*";
    match major {
        14 => {
            check(&stage, &[(merge, "0A000: needs PostgreSQL 17"), (source, "42601: "), (both, "42P01: ")])
                .await;
        }
        15 | 16 => {
            check(
                &stage,
                &[(merge, "0A000: needs PostgreSQL 17"), (source, "j***@e***.com"), (both, "42P01: ")],
            )
            .await;
        }
        _ => {
            let cases = [
                (merge, ""),
                (insert, ""),
                (back, "42501: column `email` of `public.users`"),
                (mixed, "0A000: `public.orders`"),
                (filtered, "44000: `public.orders`"),
                (source, "j***@e***.com"),
                (returning, "UPDATE|j***@e***.com|M"),
            ];
            check(&stage, &cases).await;
        }
    }
    if major >= 18 {
        let cases = [
            (both, "j***@e***.com|n***@m***.example"),
            (named, "Jane|N|j***@e***.com|1|j***@e***.com|N|N|∅|∅|∅|eu"),
        ];
        check(&stage, &cases).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_value_is_not_written_back_however_it_comes() {
    let stage = stage().await;
    let refused = "42501: the value for column `email` of `public.users` is a masked one";
    let cases = [
        ("UPDATE users SET email = 'j***@e***.com' WHERE id = 1", refused),
        ("UPDATE users SET email = '***' WHERE id = 1", refused),
        ("UPDATE users SET name = 'x', email = 'j***@e***.com'", refused),
        ("INSERT INTO users (email, name) VALUES ('k***@e***.com', 'x')", refused),
        ("INSERT INTO users (email, name) SELECT email, 'copy' FROM users", refused),
        ("UPDATE users SET email = (SELECT u.email FROM users u WHERE u.id = users.id)", refused),
        ("UPDATE users SET email = u.email FROM users u WHERE u.id = users.id", refused),
        (
            "INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES (1, 'q@q.q') ON CONFLICT (id) DO UPDATE SET email = 'j***@e***.com'",
            refused,
        ),
        ("UPDATE users SET email = 'jane*@example.com' WHERE id = 1 RETURNING id", "1"),
        ("UPDATE users SET name = 'j***@e***.com' WHERE id = 1 RETURNING id", "1"),
    ];
    check(&stage, &cases).await;
    let client = stage.client().await;
    let sql = "UPDATE users SET name = $2, email = $1 WHERE id = 1";
    let told = message(client.execute(sql, &[&"j***@e***.com", &"Janet"]).await);
    for part in
        ["42501", "`email`", "masked (`email`)", "`everyone`", "leave `email` out", "column: Some(\"email\")"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(client.execute(sql, &[&"janet@example.com", &"Janet"]).await.unwrap(), 1);
    // What is stored already may look as it likes.
    stage.world.superuser.batch_execute("UPDATE users SET email = '***' WHERE id = 2").await.unwrap();
    assert_eq!(client.execute("UPDATE users SET name = 'Odd' WHERE id = 2", &[]).await.unwrap(), 1);
    assert_eq!(
        client.execute("UPDATE users SET email = '***', name = 'Odd' WHERE id = 2", &[]).await.unwrap(),
        1
    );
    let stored = stage.world.strings("SELECT email FROM users ORDER BY id").await;
    assert_eq!(stored, ["janet@example.com", "***"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_the_database_is_written_like_a_table() {
    let verbs = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];
    let set = policies(vec![grant("public.contacts", &verbs)], &[("public.contacts.mail", Mask::Email)]);
    let stage = Stage::new(set).await;
    let refused = "42501: column `mail` of `public.contacts`";
    let cases = [
        ("INSERT INTO contacts (mail) VALUES ('new@example.com') RETURNING mail", "n***@e***.com"),
        ("UPDATE contacts SET mail = 'other@example.com' WHERE id = 1 RETURNING mail", "o***@e***.com"),
        ("UPDATE contacts SET mail = 'j***@e***.com' WHERE id = 1", refused),
        ("INSERT INTO contacts (mail) VALUES ('***')", refused),
        ("DELETE FROM contacts WHERE mail LIKE 'joe%' RETURNING id", ""),
        ("DELETE FROM contacts WHERE mail LIKE 'j%' RETURNING id", "1;2"),
    ];
    check(&stage, &cases).await;
    let client = stage.client().await;
    let told = message(copied(&client, "COPY contacts (mail) FROM STDIN", b"e1@example.net\n").await);
    assert!(told.contains("0A000") && told.contains("`public.contacts`"), "{told}");
}

async fn copied(client: &Client, sql: &str, data: &'static [u8]) -> Result<u64, tokio_postgres::Error> {
    let sink = client.copy_in(sql).await?;
    let mut sink = pin!(sink);
    // Whether the server still listens does not matter: its answer does.
    let _ = sink.send(bytes::Bytes::from_static(data)).await;
    sink.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_goes_into_protected_tables_and_obeys_what_inserts_obey() {
    let stage = stage().await;
    let client = stage.client().await;
    for (sql, data, rows) in [
        ("COPY users (email, name) FROM STDIN", &b"a1@example.net\tA\nb1@example.net\tB\n"[..], 2),
        (
            "COPY public.users (email, zip, tags) FROM STDIN (FORMAT csv)",
            b"c1@example.net,1010,\"{x,y}\"\n",
            1,
        ),
        ("COPY users FROM STDIN", b"70\td1@example.net\tD\tgood\t\\N\t\\N\tus\n", 1),
        ("COPY orders (user_id, total) FROM STDIN", b"1\t1\n2\t2\n", 2),
        ("COPY orders (user_id, total) FROM STDIN WHERE total < 2", b"1\t1\n2\t2\n", 1),
        (
            "COPY orders (user_id) FROM STDIN (FORMAT binary)",
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x08\0\0\0\0\0\0\0\x01\xff\xff",
            0,
        ),
    ] {
        let seen = copied(&client, sql, data).await;
        match seen {
            Ok(count) => assert_eq!(count, rows, "{sql}"),
            // NULL is not below 100.
            Err(error) => {
                assert!(rows == 0 && error.code().is_some_and(|it| it.code() == "44000"), "{sql}: {error:?}");
            }
        }
    }
    let stored = stage.world.strings("SELECT concat_ws(' ', id > 0, email, initials, region, zip) FROM users WHERE id > 2 AND email LIKE '_1@%' ORDER BY email").await;
    assert_eq!(
        stored,
        [
            "t a1@example.net A eu",
            "t b1@example.net B eu",
            "t c1@example.net eu 1010",
            "t d1@example.net D us"
        ]
    );
    for (sql, data, code, part) in [
        ("COPY users (email) FROM STDIN", &b"k@example.net\nk***@e***.com\n"[..], "42501", "masked one"),
        ("COPY orders (user_id, total) FROM STDIN", b"1\t100\n", "44000", "`public.orders`"),
        ("COPY users (email) FROM STDIN", b"one\ttwo\n", "22P04", "COPY users, line 1"),
        ("COPY users (email) FROM STDIN", b"joe@example.org\n", "23505", "users_email_key"),
        ("COPY users (email, zip) FROM STDIN", b"zip@example.net\t\n", "23514", "zip"),
        ("COPY users (email, initials) FROM STDIN", b"", "42501", "`initials`"),
        ("COPY users (email) FROM STDIN WITH (FREEZE)", b"", "0A000", "leave `freeze` out"),
        ("COPY hr.staff FROM STDIN", b"", "42501", "`hr.staff`"),
    ] {
        let told = message(copied(&client, sql, data).await);
        assert!(told.contains(code) && told.contains(part), "{sql}: {told}");
        assert!(!told.contains("c:public") && !told.contains("PL/pgSQL"), "{sql}: {told}");
    }
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(copied(&client, "COPY users (email) FROM STDIN", b"gone@example.net\n").await.unwrap(), 1);
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(copied(&client, "COPY users (email) FROM STDIN", b"kept@example.net\n").await.unwrap(), 1);
    assert!(stage.world.strings("SELECT email FROM users WHERE email LIKE 'gone%'").await.is_empty());
}
