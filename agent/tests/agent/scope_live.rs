//! The scope under running sessions: from the file, through SIGHUP, to what a developer can do in the database.

use crate::author::{Author, jane};
use crate::plane::Plane;
use crate::program::{Program, Session, bundle_status, files, offer, write_config};
use crate::world::{World, eventually, grant, policies};
use daam_api::link::{FromAgent, ToAgent};
use daam_catalog::RelationPattern;
use daam_model::{PolicySet, Verb};

/// A world with Jane let in by a policy, under a scope.
struct Scene {
    world: World,
    plane: Plane,
    program: Program,
}

impl Scene {
    async fn new(set: PolicySet, scope: &str) -> Self {
        let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
        let program = Program::start(files(&world, &plane, &author, scope)).await;
        plane.say(&ToAgent::DirectoryUpdate { version: 1, users: vec![jane(false)] });
        plane.say(&offer(&author, 1, &set));
        plane.hear("active", |message| bundle_status(message).filter(|(_, state)| state == "active")).await;
        Self { world, plane, program }
    }

    async fn session(&self) -> Session {
        self.program.session(&self.plane).await
    }

    /// Edits the file, sends SIGHUP, and waits until the agent has said so.
    async fn rescope(&mut self, scope: &str) {
        self.plane.unheard();
        write_config(self.program.dir.path(), &self.plane, scope);
        self.program.hang_up();
        self.plane
            .hear("report after the reload", |message| {
                matches!(message, FromAgent::SchemaReport { .. }).then_some(())
            })
            .await;
    }

    /// Relations on which any role of the agent's making has a right.
    async fn granted(&self) -> Vec<String> {
        let sql = "SELECT DISTINCT c.relname::text FROM pg_class c, aclexplode(c.relacl) a JOIN pg_roles r \
                   ON r.oid = a.grantee WHERE starts_with(r.rolname::text, 'daam_') AND c.relkind <> 'S' ORDER BY 1";
        self.world.strings(sql).await
    }
}

async fn answer(session: &Session, sql: &str) -> Result<(), String> {
    match session.client.simple_query(sql).await {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(error.as_db_error().map_or_else(|| error.to_string(), |db| db.code().code().to_owned()))
        }
    }
}

fn reads() -> PolicySet {
    policies(vec![grant("public.*", &[Verb::Select])], &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everyone_can_reach_is_refused_outside_the_scope() {
    let mut everything = grant("*.*", &[Verb::Select]);
    everything.functions = vec![RelationPattern::parse("*.*").unwrap()];
    let scene = Scene::new(policies(vec![everything], &[]), "  scope: [public.users]\n").await;
    let session = scene.session().await;
    assert_eq!(answer(&session, "SELECT count(*) FROM users").await, Ok(()));
    for sql in [
        "SELECT leak()",
        "SELECT public.leak()",
        "SELECT * FROM leak()",
        "SELECT id FROM users WHERE leak() = 1",
        "SELECT * FROM notice",
        "SELECT * FROM public.notice",
        "TABLE public.notice",
        "COPY public.notice TO STDOUT",
        "SELECT * FROM public.orders",
        "SELECT * FROM hr.staff",
    ] {
        assert_eq!(answer(&session, sql).await, Err("42501".to_owned()), "{sql}");
    }
    assert_eq!(scene.granted().await, ["users"]);
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tightened_scope_takes_rights_from_running_sessions() {
    let mut scene = Scene::new(reads(), "  scope: [public.users, public.orders]\n").await;
    let session = scene.session().await;
    assert_eq!(answer(&session, "SELECT count(*) FROM orders").await, Ok(()));
    assert_eq!(scene.granted().await, ["orders", "users"]);
    scene.rescope("  scope: [public.users]\n").await;
    eventually("the right is revoked in the database", async || scene.granted().await == ["users"]).await;
    eventually("the session is told", async || {
        answer(&session, "SELECT count(*) FROM public.orders").await.is_err_and(|code| code == "42501")
    })
    .await;
    assert_eq!(answer(&session, "SELECT count(*) FROM users").await, Ok(()));
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_widened_scope_is_for_new_sessions_only() {
    let mut scene = Scene::new(reads(), "  scope: [public.users]\n").await;
    let before = scene.session().await;
    assert_eq!(answer(&before, "SELECT count(*) FROM users").await, Ok(()));
    scene.rescope("  scope: [public.users, public.orders]\n").await;
    let after = scene.session().await;
    assert_eq!(answer(&after, "SELECT count(*) FROM public.orders").await, Ok(()));
    assert_eq!(answer(&before, "SELECT count(*) FROM users").await, Ok(()));
    assert_eq!(answer(&before, "SELECT count(*) FROM public.orders").await, Err("42501".to_owned()));
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_edit_leaves_scope_and_sessions_as_they_are() {
    let scene = Scene::new(reads(), "  scope: [public.users, public.orders]\n").await;
    let session = scene.session().await;
    write_config(scene.program.dir.path(), &scene.plane, "  scopes: [public.users]\n");
    scene.program.hang_up();
    eventually("the refusal is in the log", async || {
        scene.program.log().contains("the previous scope stays in force")
    })
    .await;
    assert!(scene.program.log().contains("unknown key `scopes`"), "{}", scene.program.log());
    assert_eq!(answer(&session, "SELECT count(*) FROM orders").await, Ok(()));
    assert_eq!(scene.program.detailed().await["scope"]["in_scope_object_count"], 2);
    scene.program.stop().await;
}
