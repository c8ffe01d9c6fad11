//! Roles and grants of sessions: what a session can do, and that nothing is left afterwards.

use crate::world::{World, eventually, grant, plan, policies};
use daam_agent::admin::{AdminError, SessionGrant, Switched};
use daam_agent::session_id::SessionId;
use daam_enforce::{HashKey, SessionPlan, activate_call};
use daam_model::{Mask, Verb};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

const READ: &[Verb] = &[Verb::Select];

fn code(result: Result<u64, tokio_postgres::Error>) -> Option<SqlState> {
    result.err().and_then(|error| error.code().cloned())
}

async fn log_in(world: &World, grant: &SessionGrant) -> Client {
    world.login(grant.role(), grant.password().expose()).await.unwrap()
}

async fn install(
    world: &World,
    admin: &daam_agent::admin::Admin,
    grant: &mut SessionGrant,
    plan: &SessionPlan,
    client: &Client,
) {
    admin.lend(grant).await.unwrap();
    if let Some(owner) = grant.view_owner() {
        client.batch_execute(&format!("SET ROLE \"{owner}\"")).await.unwrap();
        for statement in plan.install(&HashKey::new([7; 32])) {
            client.batch_execute(&statement).await.unwrap();
        }
        client.batch_execute("RESET ROLE").await.unwrap();
    }
    admin.take_back(grant).await.unwrap();
    let owner = grant.view_owner().unwrap_or_default().to_owned();
    let members = world
        .strings(&format!(
            "SELECT m.rolname::text FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid \
             JOIN pg_roles m ON m.oid = a.member WHERE r.rolname = '{owner}' AND m.rolname = '{}'",
            grant.role()
        ))
        .await;
    assert!(members.is_empty(), "the session is still a member of its view owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_can_do_what_was_granted_and_leaves_nothing_behind() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let plan = plan(&policies(vec![grant("public.orders", READ)], &[]), &*world.catalog().await);
    let grant = admin.open(&SessionId::fresh(), &plan).await.unwrap();
    let client = log_in(&world, &grant).await;
    assert_eq!(code(client.execute("SELECT * FROM public.orders", &[]).await), None);
    let denied = Some(SqlState::INSUFFICIENT_PRIVILEGE);
    assert_eq!(code(client.execute("SELECT * FROM public.users", &[]).await), denied);
    assert_eq!(code(client.execute("DELETE FROM public.orders", &[]).await), denied);
    client.execute("SELECT lo_create(0)", &[]).await.unwrap();
    admin.close(grant).await.unwrap();
    assert_eq!(world.roles().await, Vec::<String>::new());
    eventually("the session's connection is closed", async || client.is_closed()).await;
    let left = world.strings("SELECT oid::text FROM pg_largeobject_metadata").await;
    assert!(left.is_empty(), "large objects of the session are still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_role_cannot_log_in_again() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let plan = plan(&policies(vec![grant("public.orders", READ)], &[]), &*world.catalog().await);
    let grant = admin.open(&SessionId::fresh(), &plan).await.unwrap();
    let client = log_in(&world, &grant).await;
    let second = world.login(grant.role(), grant.password().expose()).await.err().unwrap();
    assert_eq!(second.code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
    admin.seal(&grant).await.unwrap();
    drop(client);
    eventually("the sealed role is refused", async || {
        world.login(grant.role(), grant.password().expose()).await.err().is_some_and(|error| {
            error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
                || error.code() == Some(&SqlState::INVALID_PASSWORD)
        })
    })
    .await;
    admin.close(grant).await.unwrap();
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_under_one_policy_share_a_role_that_goes_with_the_last_of_them() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let plan = plan(&policies(vec![grant("public.orders", READ)], &[]), &*world.catalog().await);
    let first = admin.open(&SessionId::fresh(), &plan).await.unwrap();
    let second = admin.open(&SessionId::fresh(), &plan).await.unwrap();
    assert_eq!(world.roles().await.iter().filter(|role| role.starts_with("daam_p_")).count(), 1);
    admin.close(first).await.unwrap();
    let client = log_in(&world, &second).await;
    assert_eq!(code(client.execute("SELECT * FROM public.orders", &[]).await), None);
    admin.close(second).await.unwrap();
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_of_one_cluster_do_not_share_roles() {
    let world = World::start().await;
    let (one, two) = (world.admin("a1").await, world.admin("a2").await);
    let plan = plan(&policies(vec![grant("public.orders", READ)], &[]), &*world.catalog().await);
    let first = one.open(&SessionId::fresh(), &plan).await.unwrap();
    let second = two.open(&SessionId::fresh(), &plan).await.unwrap();
    one.close(first).await.unwrap();
    let client = log_in(&world, &second).await;
    assert_eq!(code(client.execute("SELECT * FROM public.orders", &[]).await), None);
    assert_eq!(one.sweep().await.unwrap().dropped, Vec::<String>::new());
    two.close(second).await.unwrap();
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_kills_the_old_views_at_once_and_new_ones_take_over() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let catalog = world.catalog().await;
    let grants = || vec![grant("public.users", READ)];
    let old = plan(&policies(grants(), &[("public.users.email", Mask::Redact)]), &catalog);
    let new = plan(&policies(grants(), &[("public.users.email", Mask::Null)]), &catalog);
    let mut session = admin.open(&SessionId::fresh(), &old).await.unwrap();
    let client = log_in(&world, &session).await;
    install(&world, &admin, &mut session, &old, &client).await;
    let tables = old.protected().keys().cloned().collect();
    client.batch_execute(&activate_call(&tables)).await.unwrap();
    let read = "SELECT email FROM pg_temp.\"public.users\" LIMIT 1";
    let email: Option<String> = client.query_one(read, &[]).await.unwrap().get(0);
    assert_eq!(email.as_deref(), Some("***"));

    // An open transaction that has read through the view holds its lock; the switch must not wait for it.
    client.batch_execute("BEGIN").await.unwrap();
    client.query(read, &[]).await.unwrap();
    assert_eq!(admin.switch(&mut session, &old, &new).await.unwrap(), Switched::Reinstall);
    assert_eq!(code(client.execute(read, &[]).await), Some(SqlState::INSUFFICIENT_PRIVILEGE));
    client.batch_execute("ROLLBACK").await.unwrap();

    install(&world, &admin, &mut session, &new, &client).await;
    client.batch_execute(&activate_call(&tables)).await.unwrap();
    let email: Option<String> = client.query_one(read, &[]).await.unwrap().get(0);
    assert_eq!(email, None);
    assert_eq!(admin.switch(&mut session, &new, &new).await.unwrap(), Switched::Unchanged);
    admin.close(session).await.unwrap();
    assert!(world.roles().await.is_empty(), "{:?}", world.roles().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_one_session_leaves_another_under_the_same_policy_alone() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let catalog = world.catalog().await;
    let old = plan(&policies(vec![grant("public.*", READ)], &[]), &catalog);
    let new = plan(&policies(vec![grant("public.orders", READ)], &[]), &catalog);
    let mut moved = admin.open(&SessionId::fresh(), &old).await.unwrap();
    let stays = admin.open(&SessionId::fresh(), &old).await.unwrap();
    let (moved_client, stays_client) = (log_in(&world, &moved).await, log_in(&world, &stays).await);
    admin.switch(&mut moved, &old, &new).await.unwrap();
    let read = "SELECT * FROM public.users";
    assert_eq!(code(moved_client.execute(read, &[]).await), Some(SqlState::INSUFFICIENT_PRIVILEGE));
    assert_eq!(code(stays_client.execute(read, &[]).await), None);
    admin.close(moved).await.unwrap();
    admin.close(stays).await.unwrap();
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_a_crashed_agent_are_swept_by_the_same_agent_only() {
    let world = World::start().await;
    let plan = plan(
        &policies(vec![grant("public.users", READ)], &[("public.users.email", Mask::Null)]),
        &*world.catalog().await,
    );
    let crashed = world.admin("a1").await;
    let grant = crashed.open(&SessionId::fresh(), &plan).await.unwrap();
    let client = log_in(&world, &grant).await;
    std::mem::forget(grant);
    drop(crashed);

    let other = world.admin("a2").await;
    assert_eq!(other.sweep().await.unwrap().dropped, Vec::<String>::new());
    let restarted = world.admin("a1").await;
    let swept = restarted.sweep().await.unwrap();
    assert!(swept.dropped.is_empty(), "a living session was swept: {swept:?}");
    assert!(!client.is_closed());
    drop(client);
    eventually("the orphans are gone", async || {
        restarted.sweep().await.unwrap();
        world.roles().await.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_dropped_without_close_is_swept() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let plan = plan(&policies(vec![grant("public.orders", READ)], &[]), &*world.catalog().await);
    let grant = admin.open(&SessionId::fresh(), &plan).await.unwrap();
    assert!(admin.sweep().await.unwrap().dropped.is_empty());
    drop(grant);
    assert_eq!(admin.sweep().await.unwrap().dropped.len(), 2);
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_the_agent_may_not_give_is_an_error_and_leaves_nothing() {
    let world = World::start().await;
    world
        .superuser
        .batch_execute(
            "CREATE TABLE public.foreign_owned (id int); GRANT SELECT ON public.foreign_owned TO agent",
        )
        .await
        .unwrap();
    let admin = world.admin("a1").await;
    let plan = plan(&policies(vec![grant("public.foreign_owned", READ)], &[]), &*world.catalog().await);
    let error = admin.open(&SessionId::fresh(), &plan).await.unwrap_err();
    assert!(
        matches!(&error, AdminError::MissingRight { warning } if warning.contains("foreign_owned")),
        "{error}"
    );
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_connection_comes_back_after_it_was_lost() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let plan = plan(&policies(vec![grant("public.orders", READ)], &[]), &*world.catalog().await);
    world
        .superuser
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'agent'", &[])
        .await
        .unwrap();
    eventually("a session opens again", async || match admin.open(&SessionId::fresh(), &plan).await {
        Ok(grant) => admin.close(grant).await.is_ok(),
        Err(_) => false,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sessions_opened_at_once_do_not_collide() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let plan = plan(
        &policies(vec![grant("public.*", READ)], &[("public.users.email", Mask::Null)]),
        &*world.catalog().await,
    );
    let opening = (0..50).map(|_| {
        let (admin, plan) = (admin.clone(), plan.clone());
        tokio::spawn(async move { admin.open(&SessionId::fresh(), &plan).await })
    });
    let mut grants = Vec::new();
    for opened in opening.collect::<Vec<_>>() {
        grants.push(opened.await.unwrap().unwrap());
    }
    for grant in grants {
        admin.close(grant).await.unwrap();
    }
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_may_not_have_its_grants_fails_alone_among_many() {
    let world = World::start().await;
    let sql = "CREATE TABLE public.foreign_owned (id int); GRANT SELECT ON public.foreign_owned TO agent";
    world.superuser.batch_execute(sql).await.unwrap();
    let admin = world.admin("a1").await;
    let catalog = world.catalog().await;
    let good = plan(&policies(vec![grant("public.orders", READ)], &[]), &catalog);
    let bad = plan(&policies(vec![grant("public.foreign_owned", READ)], &[]), &catalog);
    let opening = (0..36).map(|n| {
        let (admin, plan) = (admin.clone(), if n % 6 == 5 { bad.clone() } else { good.clone() });
        tokio::spawn(async move { admin.open(&SessionId::fresh(), &plan).await })
    });
    for (n, opened) in opening.collect::<Vec<_>>().into_iter().enumerate() {
        match opened.await.unwrap() {
            Ok(grant) => {
                assert_ne!(n % 6, 5);
                admin.close(grant).await.unwrap();
            }
            Err(error) => assert!(n % 6 == 5 && matches!(error, AdminError::MissingRight { .. }), "{error}"),
        }
    }
    assert!(world.roles().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sessions_move_to_another_policy_together() {
    let world = World::start().await;
    let admin = world.admin("a1").await;
    let catalog = world.catalog().await;
    let old = plan(&policies(vec![grant("public.*", READ)], &[("public.users.email", Mask::Null)]), &catalog);
    let new = plan(&policies(vec![grant("public.orders", READ)], &[]), &catalog);
    let mut sessions = Vec::new();
    for _ in 0..40 {
        sessions.push(admin.open(&SessionId::fresh(), &old).await.unwrap());
    }
    let moving = sessions.into_iter().map(|mut grant| {
        let (admin, old, new) = (admin.clone(), old.clone(), new.clone());
        tokio::spawn(async move {
            admin.switch(&mut grant, &old, &new).await.unwrap();
            grant
        })
    });
    let mut moved = Vec::new();
    for grant in moving.collect::<Vec<_>>() {
        moved.push(grant.await.unwrap());
    }
    let shared = world
        .roles()
        .await
        .into_iter()
        .filter(|role| role.starts_with("daam_p_") || role.starts_with("daam_v_"));
    assert_eq!(shared.count(), 1, "nothing of the old policy is held by anybody");
    // One that never came to its next safe point ends like any other.
    for grant in moved {
        admin.close(grant).await.unwrap();
    }
    assert!(world.roles().await.is_empty(), "{:?}", world.roles().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_work_where_public_may_neither_connect_nor_make_temporary_objects() {
    let world = World::start().await;
    world
        .superuser
        .batch_execute(
            "REVOKE ALL ON DATABASE shop FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE shop TO agent WITH GRANT OPTION",
        )
        .await
        .unwrap();
    let admin = world.admin("a1").await;
    let set = policies(vec![grant("public.users", READ)], &[("public.users.email", Mask::Redact)]);
    let plan = plan(&set, &*world.catalog().await);
    let mut session = admin.open(&SessionId::fresh(), &plan).await.unwrap();
    let client = log_in(&world, &session).await;
    install(&world, &admin, &mut session, &plan, &client).await;
    client.batch_execute(&activate_call(&plan.protected().keys().cloned().collect())).await.unwrap();
    let read = "SELECT email FROM pg_temp.\"public.users\" LIMIT 1";
    let email: Option<String> = client.query_one(read, &[]).await.unwrap().get(0);
    assert_eq!(email.as_deref(), Some("***"));
    admin.close(session).await.unwrap();
    assert!(world.roles().await.is_empty());
}
