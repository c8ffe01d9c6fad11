//! `daam-agent introspect` and `doctor`, as a person runs them.

use crate::world::World;
use std::path::Path;
use std::process::{Command, Output};

fn config(dir: &Path, dsn: &str, scope: &str) -> std::path::PathBuf {
    std::fs::write(dir.join("dsn"), format!("{dsn}\n")).unwrap();
    let path = dir.join("config.yaml");
    std::fs::write(&path, format!("upstream:\n  dsn_file: dsn\n{scope}")).unwrap();
    path
}

fn agent(arguments: &[&str], config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_daam-agent"))
        .args(arguments)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn introspect_prints_a_scope_block_that_covers_the_database() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let plain = config(dir.path(), &world.agent_dsn(), "");
    let output = agent(&["introspect"], &plain);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let block = text(&output.stdout);
    assert!(block.starts_with("scope:\n  - hr.staff\n  - public.contacts\n"), "{block}");
    let indented = format!("  {}\n", block.trim_end().replace('\n', "\n  "));
    let pasted = config(dir.path(), &world.agent_dsn(), &indented);
    let output = agent(&["introspect", "--diff"], &pasted);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_shown_and_told_by_the_exit_status() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), &world.agent_dsn(), "  scope: [public.*, analytics.deprecated_metrics]\n");
    let output = agent(&["introspect", "--diff"], &path);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "+ hr.staff\n- analytics.deprecated_metrics\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_form_reads_back_as_the_same_catalogue() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let output = agent(&["introspect", "--format", "json"], &config(dir.path(), &world.agent_dsn(), ""));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(daam_catalog::snapshot::from_json(&value).unwrap(), *world.full().await.unfiltered());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grants_say_who_holds_what_and_whether_the_schema_lets_them() {
    let world = World::start().await;
    world
        .superuser
        .batch_execute(
            "CREATE SCHEMA vault; CREATE TABLE vault.a (id int, b int); CREATE ROLE grantee; CREATE ROLE shut; \
             GRANT USAGE ON SCHEMA vault TO grantee; GRANT SELECT (id) ON vault.a TO grantee; \
             GRANT SELECT ON vault.a TO shut, PUBLIC, pg_monitor; CREATE ROLE member IN ROLE grantee",
        )
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = agent(&["introspect", "--format", "grants"], &config(dir.path(), &world.agent_dsn(), ""));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let grant = |role: Option<&str>, column: Option<&str>, usage: bool| {
        serde_json::json!({
            "schema": "vault", "relation": "a", "role": role, "privilege": "select", "column": column, "usage": usage,
        })
    };
    let found: Vec<_> =
        value["grants"].as_array().unwrap().iter().filter(|grant| grant["schema"] == "vault").collect();
    let expected = [
        grant(Some("grantee"), Some("id"), true),
        grant(Some("shut"), None, false),
        grant(None, None, false),
    ];
    for one in &expected {
        assert!(found.contains(&one), "{one} is missing in {found:?}");
    }
    let others: Vec<_> =
        found.iter().filter(|grant| !expected.contains(grant) && grant["role"] != "agent").collect();
    assert!(others.is_empty(), "{others:?}");
    let member = serde_json::json!({ "role": "grantee", "member": "member" });
    assert!(value["members"].as_array().unwrap().contains(&member), "{value}");
}

#[test]
fn a_database_that_does_not_answer_gives_status_one_and_no_scope() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "postgresql://agent:hunter2@127.0.0.1:1/shop", "");
    let output = agent(&["introspect"], &path);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""));
    assert!(!text(&output.stderr).contains("hunter2"));
}

#[test]
fn a_misspelt_scope_stops_every_command_before_it_connects() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "postgresql://agent@127.0.0.1:1/shop", "  scopes: [public.users]\n");
    for command in ["introspect", "run", "doctor"] {
        let output = agent(&[command], &path);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("config.yaml:3:3: unknown key `scopes`") && said.contains("`scope`"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_what_policies_cannot_close() {
    let world = World::start().await;
    world
        .superuser
        .batch_execute(
            "CREATE TABLE public.orphaned (id int); GRANT CREATE ON SCHEMA public TO PUBLIC; \
             CREATE FUNCTION public.log_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (NEW.email); RETURN NEW; END'; \
             CREATE TRIGGER log_it BEFORE INSERT ON public.users FOR EACH ROW EXECUTE FUNCTION public.log_it(); \
             CREATE FUNCTION public.ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO log VALUES (tg_tag); END'; \
             REVOKE EXECUTE ON FUNCTION public.ddl() FROM PUBLIC; \
             CREATE EVENT TRIGGER ddl ON ddl_command_end EXECUTE FUNCTION public.ddl(); ALTER EVENT TRIGGER ddl ENABLE REPLICA",
        )
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), &world.agent_dsn(), "");
    let output = agent(&["doctor"], &path);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    for expected in [
        "REVOKE ALL ON \"public\".\"notice\" FROM PUBLIC;",
        "REVOKE EXECUTE ON ROUTINE \"public\".\"leak\"() FROM PUBLIC;",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
        "GRANT ALL ON public.orphaned TO agent WITH GRANT OPTION;",
        "public.log_it(), fired by public.users, runs with the rights of the session",
        "ALTER FUNCTION public.log_it() SET search_path = public, pg_temp;",
        "public.ddl(), fired by event trigger `ddl`, runs with the rights of `",
        "ALTER FUNCTION public.ddl() SET search_path = public, pg_temp;",
    ] {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    world
        .superuser
        .batch_execute(
            "DROP TABLE public.orphaned; REVOKE ALL ON public.notice FROM PUBLIC; \
             REVOKE EXECUTE ON ROUTINE public.leak() FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
             ALTER FUNCTION public.log_it() SET search_path = public, pg_temp; DROP EVENT TRIGGER ddl",
        )
        .await
        .unwrap();
    let output = agent(&["doctor"], &path);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn an_environment_that_means_nothing_stops_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "postgresql://agent@127.0.0.1:1/shop", "");
    let with = |name: &str, value: &str, command: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_daam-agent"));
        let output = program.arg(command).arg("--config").arg(&path).env(name, value).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    for command in ["introspect", "run", "doctor"] {
        let (status, said) = with("DAAM_UPSTREAM_SCOPES", "[public.users]", command);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("`DAAM_UPSTREAM_SCOPES`") && said.contains("`DAAM_UPSTREAM_SCOPE`"), "{said}");
    }
    let (status, said) = with("DAAM_LOG", "daam_agent=loud", "introspect");
    assert!(status == Some(1) && said.contains("`DAAM_LOG`"), "{said}");
}

#[test]
fn wrong_usage_is_not_mistaken_for_drift() {
    let program = env!("CARGO_BIN_EXE_daam-agent");
    for arguments in [vec![], vec!["introspect"], vec!["introspect", "--dif"], vec!["inspect"]] {
        let output = Command::new(program).args(&arguments).env_remove("DAAM_AGENT_CONFIG").output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", text(&output.stderr));
    }
    let help = Command::new(program).arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("64 wrong usage"), "{}", text(&help.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn introspect_writes_nothing_and_asks_only_the_database() {
    let world = World::start().await;
    let plane = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    plane.set_nonblocking(true).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), &world.agent_dsn(), "  scope: [public.*]\n");
    let whole = format!(
        "{}agent: {{ name: a, database: shop, listen: 127.0.0.1:0, state_dir: state }}\n\
         control_plane: {{ url: 'http://{}', enrolment_token_file: token }}\n",
        std::fs::read_to_string(&path).unwrap(),
        plane.local_addr().unwrap()
    );
    std::fs::write(&path, whole).unwrap();
    for arguments in [&["introspect"][..], &["introspect", "--diff"]] {
        let output = agent(arguments, &path);
        assert!(output.stdout.len() > 5, "{}", text(&output.stderr));
    }
    let files: std::collections::BTreeSet<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["config.yaml", "dsn"].map(std::ffi::OsString::from).into());
    assert!(plane.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    assert_eq!(world.roles().await, Vec::<String>::new());
}
