//! The whole program against a small control plane: enrolment, reports, bundles, SIGHUP, and life without the link.

use crate::author::{Author, jane};
use crate::plane::{Plane, now};
use crate::program::{Program, files, in_force, offer, report, write_config};
use crate::world::{World, eventually, grant, policies};
use daam_api::link::{FromAgent, ToAgent};
use daam_model::{Mask, Verb};
use std::path::PathBuf;

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_enrols_reports_only_what_is_in_scope_and_judges_bundles() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let scope = "  scope: [public.users, public.orders]\n";
    let program = Program::start(files(&world, &plane, &author, scope)).await;
    let version = plane
        .hear("hello", |message| match message {
            FromAgent::Hello { version, bundle_serial: 0, .. } => Some(version),
            _ => None,
        })
        .await;
    assert_eq!(version, daam_api::link::VERSION);
    assert_eq!(plane.hear("schema report", report).await, ["public.orders", "public.users"]);
    assert_eq!(program.get("/health/ready").await.0, 503);

    let reads = |on: &str| grant(on, &[Verb::Select]);
    let bad = policies(vec![reads("public.users")], &[("hr.staff.salary", Mask::Null)]);
    plane.say(&offer(&author, 1, &bad));
    let violation = plane
        .hear("scope violation", |message| match message {
            FromAgent::ScopeViolation { policy_id, schema, table, site } => {
                Some([policy_id, schema, table, site])
            }
            _ => None,
        })
        .await;
    assert_eq!(violation, ["everyone", "hr", "staff", "policy_load"]);
    in_force(&mut plane, &author, 2, &policies(vec![reads("public.*")], &[])).await;
    assert_eq!(program.get("/health/ready").await.0, 200);
    let health = program.detailed().await;
    assert_eq!(health["scope"]["active"], true);
    assert_eq!(health["scope"]["patterns"], serde_json::json!(["public.users", "public.orders"]));
    assert_eq!(health["scope"]["in_scope_object_count"], 2);
    assert_eq!(health["bundle"]["serial"], 2);
    assert!(program.get("/metrics").await.1.contains("daam_bundle_serial 2\n"));
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_request_and_a_hang_up_report_again_through_the_filter() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let scope = "  scope: [public.users, public.orders]\n";
    let program = Program::start(files(&world, &plane, &author, scope)).await;
    plane.hear("first report", report).await;
    world.superuser.batch_execute("DROP TABLE public.orders CASCADE").await.unwrap();
    plane.say(&ToAgent::SchemaRequest {});
    assert_eq!(plane.hear("report after the request", report).await, ["public.users"]);

    write_config(program.dir.path(), &plane, "  scope: [hr.*]\n");
    program.hang_up();
    assert_eq!(plane.hear("report after the reload", report).await, ["hr.staff"]);
    eventually("health shows the new scope", async || {
        program.detailed().await["scope"]["patterns"] == serde_json::json!(["hr.*"])
    })
    .await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_database_is_noticed_without_being_asked_for() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "  scope: [hr.*]\n")).await;
    assert_eq!(plane.hear("first report", report).await, ["hr.staff"]);
    world.superuser.batch_execute("CREATE TABLE hr.leave (id int)").await.unwrap();
    assert_eq!(plane.hear("report after the change", report).await, ["hr.leave", "hr.staff"]);
    program.stop().await;
}

fn greeted(message: FromAgent) -> Option<String> {
    match message {
        FromAgent::Hello { agent_version, .. } => Some(agent_version),
        _ => None,
    }
}

fn open_sessions(message: FromAgent) -> Option<Vec<String>> {
    match message {
        FromAgent::OpenSessions { session_ids } => Some(session_ids),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_which_sessions_there_are() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "")).await;
    plane.hear("hello", greeted).await;
    plane.say(&ToAgent::SessionsRequest {});
    assert!(plane.hear("the first list", open_sessions).await.is_empty());
    in_force(&mut plane, &author, 1, &policies(vec![grant("public.*", &[Verb::Select])], &[])).await;
    let _session = program.session(&plane).await;
    let id = plane
        .hear("the session's begin", |message| match message {
            FromAgent::SessionEvent { session_id, event, .. } if event == "started" => Some(session_id),
            _ => None,
        })
        .await;
    plane.say_raw(axum::extract::ws::Message::Close(None));
    plane.hear("the next hello", greeted).await;
    plane.say(&ToAgent::SessionsRequest {});
    assert_eq!(plane.hear("the list of the next link", open_sessions).await, [id]);
    // Whoever dies has none, and says so.
    let program = Program::start(program.kill().await).await;
    plane.hear("the last hello", greeted).await;
    plane.say(&ToAgent::SessionsRequest {});
    assert!(plane.hear("the list after the crash", open_sessions).await.is_empty());
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_control_plane_the_agent_starts_from_what_it_holds() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "")).await;
    in_force(&mut plane, &author, 4, &policies(vec![grant("public.*", &[Verb::Select])], &[])).await;
    let dir = program.stop().await;
    drop(plane);
    let program = Program::start(dir).await;
    assert_eq!(program.get("/health/ready").await.0, 200);
    let health = program.detailed().await;
    assert_eq!((&health["bundle"]["serial"], &health["directory"]["version"]), (&4.into(), &3.into()));
    assert_eq!(health["control_plane"]["connected"], false);
    assert_eq!(health["scope"]["active"], false);
    let dir = program.stop().await;
    assert_secret_files(dir.path().join("state"));
}

/// Nothing in the state directory can be read by others.
fn assert_secret_files(state: PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let files: Vec<_> = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_renewed_at_half_life_and_met_by_new_connections() {
    let (world, author) = (World::start().await, Author::new());
    let ends = now() + 4;
    // More than half of its life is over when it is issued.
    let plane = Plane::start_with(now() - 3600, ends).await;
    let program = Program::start(files(&world, &plane, &author, "")).await;
    let end =
        async |program: &Program| program.detailed().await["certificate"]["not_after"].as_i64().unwrap();
    eventually("the certificate is renewed", async || end(&program).await > ends).await;
    eventually("the first certificate has run out", async || now() > ends).await;
    let tunnel = program.dial(&plane).await.unwrap();
    tunnel.close("seen");
    let renewed = end(&program).await;
    assert!(
        program.get("/metrics").await.1.contains(&format!("daam_certificate_not_after_seconds {renewed}\n"))
    );
    let dir = program.stop().await;
    let program = Program::start(dir).await;
    assert!(end(&program).await >= renewed, "the renewed certificate survives a restart");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_taken_only_of_what_is_held_and_a_list_out_of_reach_is_replaced() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, "")).await;
    plane.say(&ToAgent::DirectoryUpdate { version: 3, users: vec![jane(false)] });
    let status = |wanted: u64| {
        move |message| {
            matches!(message, FromAgent::DirectoryStatus { version } if version == wanted).then_some(())
        }
    };
    plane.hear("the directory", status(3)).await;
    let digest = daam_api::directory::whole([daam_api::directory::entry(&jane(true))].iter());
    let change = |from, digest: &str| ToAgent::DirectoryDelta {
        from,
        version: 4,
        users: vec![jane(true)],
        digest: digest.to_owned(),
    };
    for bad in [change(2, &digest), change(3, "of something else")] {
        plane.say(&bad);
        plane
            .hear("a request", |message| matches!(message, FromAgent::DirectoryRequest {}).then_some(()))
            .await;
    }
    plane.say(&change(3, &digest));
    plane.hear("the change", status(4)).await;

    let access = |wanted: u64| {
        move |message| {
            matches!(message, FromAgent::AccessStatus { version, .. } if version == wanted).then_some(())
        }
    };
    plane.say(&ToAgent::AccessUpdate { version: u64::MAX, grants: Vec::new() });
    plane.hear("a list out of reach", access(u64::MAX)).await;
    plane.say(&ToAgent::AccessUpdate { version: 2, grants: Vec::new() });
    plane.hear("an older list is ignored", access(u64::MAX)).await;
    plane.say(&ToAgent::AccessReplaced { held: 5, version: 2, grants: Vec::new() });
    plane.hear("one in place of another list, too", access(u64::MAX)).await;
    plane.say(&ToAgent::AccessReplaced { held: u64::MAX, version: 2, grants: Vec::new() });
    plane.hear("a list in place of the one held", access(2)).await;
    program.stop().await;
}
