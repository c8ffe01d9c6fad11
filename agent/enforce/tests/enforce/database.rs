//! PostgreSQL itself says no: the plan applied to a real server by an unprivileged agent role.

use crate::shop;
use daam_catalog::{Catalog, Identifier, RelationName};
use daam_enforce::{HashKey, RewriteContext, SessionPlan, activate_call, release_call, rewrite};
use daam_postgres::Cluster;
use std::collections::BTreeSet;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

pub(crate) struct Session {
    pub(crate) cluster: Cluster,
    pub(crate) agent: Client,
    pub(crate) owner: Client,
    pub(crate) client: Client,
    pub(crate) plan: SessionPlan,
    pub(crate) catalog: Catalog,
    path: Vec<Identifier>,
}

pub(crate) async fn connect(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) async fn prepare(schema: &str) -> (Cluster, Client, Client, u32) {
    let cluster = Cluster::for_test().unwrap();
    let owner = connect(&cluster.superuser_dsn("postgres")).await;
    let sql = format!(
        "CREATE ROLE shop_owner NOLOGIN; CREATE ROLE agent LOGIN CREATEROLE PASSWORD 'a'; GRANT shop_owner TO agent;
         GRANT ALL ON SCHEMA public TO shop_owner; SET ROLE shop_owner; {schema}"
    );
    owner.batch_execute(&sql).await.unwrap();
    let agent = connect(&cluster.dsn("agent", "a", "postgres")).await;
    let version: i32 =
        owner.query_one("SELECT current_setting('server_version_num')::int4", &[]).await.unwrap().get(0);
    (cluster, owner, agent, u32::try_from(version).unwrap())
}

/// The same steps the agent takes.
pub(crate) async fn open(
    cluster: Cluster,
    owner: Client,
    agent: Client,
    catalog: Catalog,
    plan: SessionPlan,
) -> Session {
    let p = plan.permission_role().to_owned();
    agent
        .batch_execute(&format!(
            "CREATE ROLE \"{p}\"; CREATE ROLE s LOGIN PASSWORD 's' CONNECTION LIMIT 1; GRANT \"{p}\" TO s"
        ))
        .await
        .unwrap();
    agent.batch_execute(&plan.permission_grants().join("; ")).await.unwrap();
    let client = connect(&cluster.dsn("s", "s", "postgres")).await;
    agent.batch_execute("ALTER ROLE s NOLOGIN PASSWORD NULL").await.unwrap();
    if let Some(v) = plan.view_owner() {
        agent.batch_execute(&format!("CREATE ROLE \"{v}\"")).await.unwrap();
        agent.batch_execute(&plan.view_owner_grants().join("; ")).await.unwrap();
        agent.batch_execute(&format!("GRANT \"{v}\" TO s")).await.unwrap();
        client.batch_execute(&format!("SET ROLE \"{v}\"")).await.unwrap();
        for statement in plan.install(&HashKey::new([7; 32])) {
            client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        client.batch_execute("RESET ROLE").await.unwrap();
        agent.batch_execute(&format!("REVOKE \"{v}\" FROM s")).await.unwrap();
    }
    Session { cluster, agent, owner, client, plan, catalog, path: vec![shop::id("public")] }
}

pub(crate) async fn shop_session() -> Session {
    let (cluster, owner, agent, version) = prepare(shop::SCHEMA).await;
    let catalog = shop::catalog(version);
    let plan = shop::plan(&catalog);
    open(cluster, owner, agent, catalog, plan).await
}

impl Session {
    fn all(&self) -> BTreeSet<RelationName> {
        self.plan.protected().keys().cloned().collect()
    }

    /// Sends a text as it is; rows joined with `|` and `;`, or the SQLSTATE.
    pub(crate) async fn raw(&self, sql: &str) -> Result<String, String> {
        let messages = self.client.simple_query(sql).await.map_err(|error| match error.as_db_error() {
            Some(error) => format!("{}: {}", error.code().code(), error.message()),
            None => error.to_string(),
        })?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("∅")).collect();
                Some(values.join("|"))
            }
            _ => None,
        });
        Ok(rows.collect::<Vec<_>>().join(";"))
    }

    /// What the proxy does: rewrite, activate, send.
    pub(crate) async fn run(&self, sql: &str) -> Result<String, String> {
        let ctx = RewriteContext { plan: &self.plan, catalog: &self.catalog, search_path: &self.path };
        let result =
            rewrite(sql, &ctx).map_err(|refusal| format!("{}: {}", refusal.sqlstate, refusal.message))?;
        if !result.activate.is_empty() {
            self.client.simple_query(&activate_call(&result.activate)).await.unwrap();
        }
        self.raw(&result.sql).await
    }
}

#[tokio::test]
async fn the_server_refuses_without_any_rewriting() {
    let session = shop_session().await;
    session.client.simple_query(&activate_call(&session.all())).await.unwrap();
    for sql in [
        "SELECT email FROM public.users",
        "SELECT id FROM public.users",
        "SELECT u::text FROM public.users u",
        "SELECT count(*) FROM public.orders",
        "COPY public.users TO STDOUT",
        "UPDATE public.users SET name = 'x'",
        "INSERT INTO public.users VALUES (9, 'x', 'x', 'eu')",
        "DELETE FROM public.orders",
        "TRUNCATE public.users",
        "SELECT * FROM public.salaries",
        "SELECT * FROM public.teams",
        "SELECT * FROM pg_statistic",
        "SELECT email FROM pg_temp.\"w:public.users\"",
        "UPDATE pg_temp.\"w:public.users\" SET name = email",
        "SELECT * FROM pg_temp.\"w:public.users\"",
        "DROP VIEW pg_temp.\"public.users\"",
        "CREATE OR REPLACE VIEW pg_temp.\"public.users\" AS SELECT 1 AS id",
        "ALTER VIEW pg_temp.\"public.users\" OWNER TO s",
        "DROP FUNCTION pg_temp.\"daam:activate\"(text[])",
        "CREATE OR REPLACE FUNCTION pg_temp.\"daam:activate\"(tables text[]) RETURNS void LANGUAGE sql AS ''",
        &format!("SET ROLE \"{}\"", session.plan.view_owner().unwrap()),
        "INSERT INTO pg_temp.\"w:public.orders\" VALUES (12, 1, 1, 'eu')",
        "UPDATE pg_temp.\"i:public.orders\" SET amount = 1",
        "INSERT INTO pg_temp.\"i:public.orders\" VALUES (2, 1, 1, 'eu') ON CONFLICT (id) DO UPDATE SET region = 'eu'",
        "INSERT INTO pg_temp.\"public.orders\" VALUES (12, 1, 1, 'eu')",
        "ALTER ROLE s LOGIN",
    ] {
        let result = session.raw(sql).await;
        assert!(result.as_ref().is_err_and(|error| error.starts_with("42501")), "{sql}: {result:?}");
    }
    let masked = session.raw("UPDATE pg_temp.\"public.users\" SET email = 'x'").await;
    assert!(masked.unwrap_err().starts_with("0A000: cannot update column"));
    let stats = "SELECT count(*) FROM pg_stats WHERE tablename IN ('users', 'orders')";
    session.owner.batch_execute("ANALYZE").await.unwrap();
    assert_eq!(session.raw(stats).await.unwrap(), "0");
}

#[tokio::test]
async fn reads_are_masked_and_filtered() {
    let session = shop_session().await;
    for (sql, rows) in [
        ("SELECT email FROM users ORDER BY id", "j***@e***.com;b***@c***.org"),
        ("SELECT upper(u.email), u.name FROM public.users u WHERE id = 1", "J***@E***.COM|Jane"),
        ("SELECT to_jsonb(u)->>'email' FROM users u WHERE id = 1", "j***@e***.com"),
        ("TABLE users LIMIT 0", ""),
        ("SELECT count(*) FROM users WHERE email = 'jane@example.com'", "0"),
        ("SELECT id, amount FROM orders ORDER BY id", "1|10.00;3|30.00"),
        ("SELECT count(*) FROM orders WHERE region = 'us'", "0"),
        ("SELECT email, note FROM tickets", "j***@e***.com|a"),
        (
            "SELECT u.name, o.amount FROM users u JOIN orders o ON o.user_id = u.id ORDER BY 2",
            "Jane|10.00;Jane|30.00",
        ),
        ("SELECT * FROM notes", "1|one"),
        ("WITH users AS (SELECT email FROM users WHERE id = 1) SELECT * FROM users", "j***@e***.com"),
        ("SELECT public.users.email FROM public.users WHERE public.users.id = 1", "j***@e***.com"),
        ("SELECT count(*) FROM ONLY (users)", "2"),
        ("SELECT count(*) FROM users *", "2"),
        ("SELECT id FROM orders ORDER BY id FOR UPDATE", "1;3"),
        ("SELECT email FROM users WHERE id = 1 FOR SHARE", "j***@e***.com"),
        ("PREPARE p AS SELECT email FROM users WHERE id = $1; EXECUTE p(2)", "b***@c***.org"),
    ] {
        assert_eq!(session.run(sql).await.as_deref(), Ok(rows), "{sql}");
    }
    let copied = session
        .run("CREATE TEMP TABLE mine AS SELECT * FROM users; SELECT email FROM mine WHERE id = 1")
        .await;
    assert_eq!(copied.as_deref(), Ok("j***@e***.com"));
    assert!(session.run("SELECT nope FROM users").await.unwrap_err().starts_with("42703"));
}

#[tokio::test]
async fn writes_reach_what_the_policy_grants_and_nothing_else() {
    let session = shop_session().await;
    for (sql, rows) in [
        (
            "INSERT INTO users VALUES (3, 'carl@new.example', 'Carl', 'eu') RETURNING *",
            "3|c***@n***.example|Carl|eu",
        ),
        (
            "INSERT INTO users (id, email, name, region) VALUES (4, 'dora@x.example', 'Dora', 'eu') RETURNING email, id",
            "***|4",
        ),
        ("UPDATE users SET name = 'Jo' WHERE id = 1 RETURNING email, name", "j***@e***.com|Jo"),
        ("UPDATE users SET name = 'Jo' WHERE id = 1 RETURNING public.users.*", "1|j***@e***.com|Jo|eu"),
        ("UPDATE users SET name = 'Jo' FROM (SELECT 'x' AS email) old WHERE id = 1 RETURNING old.email", "x"),
        ("UPDATE users SET email = 'new@mail.example' WHERE id = 1 RETURNING email", "n***@m***.example"),
        (
            "INSERT INTO users VALUES (1, 'q@q.q', 'Q', 'eu') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING name",
            "Q",
        ),
        (
            "UPDATE users SET name = n.body FROM notes n WHERE n.id = users.id RETURNING *",
            "1|n***@m***.example|one|eu|1|one",
        ),
        ("DELETE FROM users WHERE email = 'c***@n***.example' RETURNING id", "3"),
        ("INSERT INTO orders (user_id, amount, region) VALUES (1, 5, 'eu') RETURNING amount", "5.00"),
        ("UPDATE orders SET amount = amount + 1 WHERE region = 'us' RETURNING id", ""),
        ("UPDATE orders SET amount = 11 WHERE id = 1 RETURNING amount", "11.00"),
        ("DELETE FROM orders WHERE id = 2 RETURNING id", ""),
        ("DELETE FROM orders RETURNING region", "eu;eu;eu"),
        ("INSERT INTO orders VALUES (2, 1, 1, 'eu') ON CONFLICT DO NOTHING RETURNING id", ""),
    ] {
        assert_eq!(session.run(sql).await.as_deref(), Ok(rows), "{sql}");
    }
    for (sql, code) in [
        ("UPDATE users SET name = email", "42501"),
        ("INSERT INTO orders VALUES (50, 1, 1, 'us')", "44000"),
        ("INSERT INTO orders VALUES (2, 1, 1, 'eu') ON CONFLICT (id) DO UPDATE SET region = 'eu'", "0A000"),
        ("UPDATE tickets SET region = 'us'", "44000"),
    ] {
        let result = session.run(sql).await;
        assert!(result.as_ref().is_err_and(|error| error.starts_with(code)), "{sql}: {result:?}");
    }
    let kept =
        session.owner.query_one("SELECT count(*) FROM public.orders WHERE region = 'us'", &[]).await.unwrap();
    assert_eq!(kept.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn merge_works_from_17_on_and_is_refused_before() {
    let session = shop_session().await;
    let merge = "MERGE INTO users u USING notes n ON n.id = u.id WHEN MATCHED THEN UPDATE SET name = n.body";
    let result = session.run(merge).await;
    if session.catalog.server.major() < 17 {
        assert!(result.unwrap_err().starts_with("0A000"));
    } else {
        assert_eq!(result.as_deref(), Ok(""));
        assert_eq!(session.run("SELECT name FROM users WHERE id = 1").await.as_deref(), Ok("one"));
    }
}

#[tokio::test]
async fn released_views_do_not_block_a_migration_and_come_back() {
    let session = shop_session().await;
    assert_eq!(session.run("SELECT count(*) FROM users").await.as_deref(), Ok("2"));
    let migration = "ALTER TABLE public.users DROP COLUMN region";
    assert!(session.owner.batch_execute(migration).await.is_err());
    session.client.simple_query(&release_call(&session.all())).await.unwrap();
    session.owner.batch_execute("ALTER TABLE public.notes ADD COLUMN extra int").await.unwrap();
    assert_eq!(session.run("SELECT count(*) FROM users").await.as_deref(), Ok("2"));
    session.client.simple_query(&release_call(&session.all())).await.unwrap();
    session.owner.batch_execute(migration).await.unwrap();
}

#[tokio::test]
async fn installing_again_after_a_discard_restores_the_session() {
    let session = shop_session().await;
    assert_eq!(session.run("SELECT count(*) FROM users").await.as_deref(), Ok("2"));
    session.client.batch_execute("DISCARD ALL").await.unwrap();
    assert!(session.raw("SELECT count(*) FROM public.users").await.is_err());
    let v = session.plan.view_owner().unwrap();
    for round in 0..2 {
        session.agent.batch_execute(&format!("GRANT \"{v}\" TO s")).await.unwrap();
        session.client.batch_execute(&format!("SET ROLE \"{v}\"")).await.unwrap();
        for statement in session.plan.install(&HashKey::new([7; 32])) {
            session.client.batch_execute(&statement).await.unwrap();
        }
        session.client.batch_execute("RESET ROLE").await.unwrap();
        session.agent.batch_execute(&format!("REVOKE \"{v}\" FROM s")).await.unwrap();
        assert_eq!(session.run("SELECT count(*) FROM users").await.as_deref(), Ok("2"), "{round}");
    }
    assert!(session.cluster.port() > 0);
}

#[tokio::test]
async fn a_mask_alone_keeps_the_index() {
    let session = shop_session().await;
    session.client.batch_execute("SET enable_seqscan = off").await.unwrap();
    let explained = session.run("EXPLAIN SELECT email FROM users WHERE id = 1").await.unwrap();
    assert!(explained.contains("users_pkey"), "{explained}");
}
