//! A private server with a small shop in it, and an agent role as a customer would make it: no superuser, may create
//! roles, member of the tables' owner, nothing else.

use daam_agent::admin::{Admin, AdminConfig, AgentTag};
use daam_agent::introspect::FullCatalog;
use daam_agent::upkeep;
use daam_agent::upstream::UpstreamConfig;
use daam_catalog::{Catalog, ColumnPattern, RelationPattern, Scope};
use daam_enforce::SessionPlan;
use daam_model::{Grant, Mask, MaskRule, Origin, Policy, PolicySet, SessionLimits, Subject, Subjects, Verb};
use daam_postgres::Cluster;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

const SHOP: &str = "
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE agent LOGIN CREATEROLE PASSWORD 'planted-secret';
GRANT shop_owner TO agent;
CREATE SCHEMA hr AUTHORIZATION shop_owner;
CREATE TYPE public.mood AS ENUM ('good', 'bad');
CREATE DOMAIN public.zip AS text CHECK (value <> '');
CREATE TABLE public.users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, name character varying(40),
  initials text GENERATED ALWAYS AS (left(name, 1)) STORED, mood public.mood, zip public.zip, tags text[],
  region text NOT NULL DEFAULT 'eu');
COMMENT ON TABLE public.users IS 'people';
COMMENT ON COLUMN public.users.email IS 'where to write';
CREATE TABLE public.orders (id serial PRIMARY KEY, user_id bigint NOT NULL REFERENCES public.users(id), total numeric(10,2));
CREATE TABLE hr.staff (id int PRIMARY KEY, salary int);
CREATE TABLE public.events (id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE public.events_2026 PARTITION OF public.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW public.contacts AS SELECT id, email AS mail FROM public.users;
CREATE VIEW public.mails AS SELECT mail FROM public.contacts;
CREATE VIEW public.whole AS SELECT u.id, to_jsonb(u) AS all_of_it FROM public.users u;
CREATE MATERIALIZED VIEW public.totals AS SELECT user_id, sum(total) FROM public.orders GROUP BY 1;
CREATE TABLE public.notice (text text);
GRANT SELECT ON public.notice TO PUBLIC;
CREATE FUNCTION public.leak() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE FUNCTION public.twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * x';
INSERT INTO public.users (email, name) VALUES ('jane@example.com', 'Jane'), ('joe@example.org', 'Joe');
DO $$ DECLARE t regclass; BEGIN
  FOR t IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace IN ('public'::regnamespace, 'hr'::regnamespace)
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO shop_owner', t); END LOOP;
END $$;
ALTER FUNCTION public.leak() OWNER TO shop_owner;
ALTER FUNCTION public.twice(int) OWNER TO shop_owner;
";

/// A server, its superuser, and the agent's way in. The client's task ends with the runtime of the test.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) superuser: Client,
}

impl World {
    pub(crate) async fn start() -> Self {
        daam_suite_log::keep("agent");
        let cluster = tokio::task::spawn_blocking(|| Cluster::for_test().unwrap()).await.unwrap();
        let postgres = connect(&cluster.superuser_dsn("postgres")).await;
        postgres.batch_execute("CREATE DATABASE shop").await.unwrap();
        let superuser = connect(&cluster.superuser_dsn("shop")).await;
        superuser.batch_execute(SHOP).await.unwrap();
        Self { cluster, superuser }
    }

    pub(crate) fn agent_dsn(&self) -> String {
        self.cluster.dsn("agent", "planted-secret", "shop")
    }

    pub(crate) fn upstream(&self) -> UpstreamConfig {
        UpstreamConfig::parse(&self.agent_dsn()).unwrap()
    }

    pub(crate) async fn full(&self) -> FullCatalog {
        upkeep::introspect(&self.upstream()).await.unwrap()
    }

    pub(crate) async fn catalog(&self) -> Arc<Catalog> {
        self.full().await.within(&Scope::Absent).catalog().clone()
    }

    pub(crate) async fn admin(&self, agent: &str) -> Admin {
        let upstream = self.upstream();
        let config = AdminConfig {
            upstream: upstream.tokio_postgres().clone(),
            tls: None,
            tag: AgentTag::new(agent, "shop"),
        };
        Admin::start(config).await.unwrap().0
    }

    /// Roles the agent made, as the superuser sees them.
    pub(crate) async fn roles(&self) -> Vec<String> {
        self.strings(
            "SELECT rolname::text FROM pg_roles WHERE starts_with(rolname::text, 'daam_') ORDER BY 1",
        )
        .await
    }

    pub(crate) async fn strings(&self, sql: &str) -> Vec<String> {
        self.superuser.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Logs in as somebody.
    pub(crate) async fn login(&self, role: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        try_connect(&self.cluster.dsn(role, password, "shop")).await
    }
}

pub(crate) async fn connect(dsn: &str) -> Client {
    try_connect(dsn).await.unwrap()
}

async fn try_connect(dsn: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Asks until the answer is yes, within ten seconds.
pub(crate) async fn eventually(what: &str, mut question: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !question().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A grant of verbs on patterns.
pub(crate) fn grant(on: &str, verbs: &[Verb]) -> Grant {
    Grant {
        on: vec![RelationPattern::parse(on).unwrap()],
        allow: verbs.iter().copied().collect(),
        ..Grant::default()
    }
}

/// A policy for everyone.
pub(crate) fn policies(grants: Vec<Grant>, masks: &[(&str, Mask)]) -> PolicySet {
    let rule = |(on, with): &(&str, Mask)| MaskRule {
        on: vec![ColumnPattern::parse(on).unwrap()],
        with: with.clone(),
        origin: Origin::default(),
    };
    let policy = Policy {
        name: "everyone".into(),
        description: String::new(),
        subjects: Subjects { everyone: true, ..Subjects::default() },
        grants,
        masks: masks.iter().map(rule).collect(),
        session: SessionLimits::default(),
        request: None,
        origin: Origin::default(),
    };
    PolicySet { database: "shop".into(), policies: vec![policy], ..PolicySet::default() }
}

/// What a person without groups gets under it.
pub(crate) fn plan(set: &PolicySet, catalog: &Catalog) -> SessionPlan {
    let subject = Subject { id: "u1".into(), email: "jane@example.com".into(), ..Subject::default() };
    let effective = daam_model::effective::effective(set, catalog, &subject, &BTreeSet::new());
    daam_enforce::plan(&effective, catalog).unwrap()
}
