//! sqlx as a program of its own: `ci/clients/run` runs it through the fabric and directly, and compares what it says.

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Column as _, Connection as _, Error, Row as _, TypeInfo as _};
use std::io::Write as _;

fn line(kind: char, what: &str, value: &str) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{kind} {what} -> {}", value.replace('\n', " ")).map_err(Error::Io)
}

fn say(what: &str, value: impl std::fmt::Debug) -> Result<(), Error> {
    line('=', what, &format!("{value:?}"))
}

fn want(what: &str, value: &str) -> Result<(), Error> {
    line('!', what, value)
}

fn texts(rows: &[PgRow]) -> Result<String, Error> {
    let row = |row: &PgRow| -> Result<String, Error> {
        let values: Result<Vec<String>, Error> =
            (0..row.len()).map(|at| Ok(row.try_get::<Option<String>, _>(at)?.unwrap_or_default())).collect();
        Ok(values?.join("|"))
    };
    let rows: Result<Vec<String>, Error> = rows.iter().map(row).collect();
    Ok(rows?.join("; "))
}

fn sqlstate(error: &Error) -> String {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .map_or_else(|| error.to_string(), Into::into)
}

async fn same(db: &mut PgConnection) -> Result<(), Error> {
    let all = sqlx::query("SELECT * FROM app.types ORDER BY id").fetch_all(&mut *db).await?;
    let columns: Option<Vec<(String, String)>> = all.first().map(|row| {
        row.columns()
            .iter()
            .map(|column| (column.name().to_owned(), column.type_info().name().to_owned()))
            .collect()
    });
    say("columns", columns)?;
    for row in &all {
        say("words", (row.try_get::<i32, _>("id")?, row.try_get::<Option<String>, _>("words")?))?;
        say("numbers", row.try_get::<Option<Vec<Option<i32>>>, _>("numbers")?)?;
        say("bytes", row.try_get::<Option<Vec<u8>>, _>("bytes")?)?;
    }
    for amount in [2, 4, 7] {
        let found =
            sqlx::query_scalar::<_, String>("SELECT name FROM app.items WHERE amount > $1 ORDER BY id");
        say("prepared", found.bind(amount).fetch_all(&mut *db).await?)?;
    }
    let made = sqlx::query_as::<_, (i64, i32)>(
        "INSERT INTO app.items (name, amount) VALUES ($1, $2) RETURNING id, twice",
    );
    say("insert", made.bind("fig").bind(4).fetch_one(&mut *db).await?)?;
    let mut outer = db.begin().await?;
    sqlx::query("DELETE FROM app.items").execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    let twice = sqlx::query("INSERT INTO app.items (name) VALUES ('x'), ('x')").execute(&mut *inner).await;
    say("unique", twice.err().as_ref().map(sqlstate))?;
    inner.rollback().await?;
    say(
        "inside",
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM app.items").fetch_one(&mut *outer).await?,
    )?;
    outer.rollback().await?;
    let mut total = 0_i64;
    let mut stream = sqlx::query_scalar::<_, i32>("SELECT n FROM generate_series(1, 1000) n").fetch(&mut *db);
    while let Some(number) = stream.try_next().await? {
        total += i64::from(number);
    }
    drop(stream);
    say("stream", total)?;
    let mut copy = db.copy_in_raw("COPY app.items (name, amount) FROM STDIN").await?;
    for number in 1..=300 {
        copy.send(format!("copied {number}\t{number}\n").as_bytes()).await?;
    }
    say("copy in", copy.finish().await?)?;
    let mut bytes = 0;
    let mut copy = db.copy_out_raw("COPY (SELECT name FROM app.items ORDER BY id) TO STDOUT").await?;
    while let Some(block) = copy.try_next().await? {
        bytes += block.len();
    }
    drop(copy);
    say("copy out", bytes)?;
    for text in ["SELEC 1", "SELECT 1/0"] {
        let found = sqlx::raw_sql(text).fetch_all(&mut *db).await;
        say(text, found.err().as_ref().map(sqlstate))?;
    }
    Ok(())
}

async fn masked(db: &mut PgConnection) -> Result<(), Error> {
    let all = sqlx::query("SELECT id::text, name, email, ssn FROM app.people ORDER BY id")
        .fetch_all(&mut *db)
        .await?;
    want("people", &texts(&all)?)?;
    for (name, key) in [("by key", 1), ("by key again", 3)] {
        let found = sqlx::query("SELECT name, email FROM app.people WHERE id = $1").bind(key);
        want(name, &texts(&found.fetch_all(&mut *db).await?)?)?;
    }
    let compared =
        sqlx::query("SELECT count(*)::text FROM app.people WHERE email = $1").bind("ann@example.com");
    want("compared", &texts(&compared.fetch_all(&mut *db).await?)?)?;
    let joined = "SELECT p.name, i.name FROM app.people p JOIN app.items i ON i.id = p.id ORDER BY 1";
    want("joined", &texts(&sqlx::query(joined).fetch_all(&mut *db).await?)?)?;
    let made = "INSERT INTO app.contacts (email, note) VALUES ($1, $2) RETURNING id::text, email, note";
    let made = sqlx::query(made).bind("emil@example.com").bind("second").fetch_all(&mut *db).await?;
    want("insert", &texts(&made)?)?;
    let changed = "UPDATE app.contacts SET note = $1 WHERE id = 1 RETURNING email, note";
    want("update", &texts(&sqlx::query(changed).bind("changed").fetch_all(&mut *db).await?)?)?;
    let gone = sqlx::query("DELETE FROM app.contacts").execute(&mut *db).await?;
    want("delete", &gone.rows_affected().to_string())?;
    let refused = sqlx::query("SELECT * FROM app.secrets").fetch_all(&mut *db).await;
    want("secrets", &refused.err().as_ref().map(sqlstate).unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::var("DATABASE_URL").map_err(|error| Error::Configuration(error.into()))?;
    let mut db = PgConnection::connect(&url).await?;
    same(&mut db).await?;
    masked(&mut db).await?;
    db.close().await
}
