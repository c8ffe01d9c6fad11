//! `daam-agent quiesce` beside the running program, as an operator uses it.

use crate::author::Author;
use crate::plane::Plane;
use crate::program::{Program, Session, files, in_force};
use crate::world::{World, eventually, grant, policies};
use daam_model::{Mask, Verb};
use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::Command;
use tokio_postgres::error::SqlState;

pub(crate) const EMAIL: &str = "SELECT email FROM users ORDER BY id LIMIT 1";

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) plane: Plane,
    pub(crate) program: Program,
}

impl Scene {
    /// Views stay for ten minutes, so whatever becomes free is freed by the command.
    pub(crate) async fn open() -> Self {
        let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
        let scope = "  scope: [public.*]\nviews:\n  linger: 600s\n";
        let program = Program::start(files(&world, &plane, &author, scope)).await;
        let verbs = [Verb::Select, Verb::Update];
        let set = policies(vec![grant("public.users", &verbs)], &[("public.*.*email*", Mask::Email)]);
        in_force(&mut plane, &author, 1, &set).await;
        Self { world, plane, program }
    }

    pub(crate) async fn try_session(&self) -> Result<Session, tokio_postgres::Error> {
        self.program.try_session(&self.plane).await
    }

    pub(crate) async fn session(&self) -> Session {
        let session = self.program.session(&self.plane).await;
        let email: String = session.client.query_one(EMAIL, &[]).await.unwrap().get(0);
        assert!(email.contains('*'), "{email}");
        session
    }

    /// A shell that finds the program, with the way to the database as its owner in `DSN`.
    fn shell(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_daam-agent")).parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths([program].into_iter().chain(std::env::split_paths(&path))).unwrap();
        let line = line.replace("/etc/daam-agent", &self.program.dir.path().display().to_string());
        let mut command = Command::new("sh");
        let dsn = self.world.cluster.superuser_dsn("shop");
        command.args(["-c", &line]).env("PATH", path).env("DSN", dsn).env_remove("DAAM_LOG");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, line: &str) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.shell(line).output().await.unwrap();
        (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
    }

    async fn held(&self) -> usize {
        self.program.detailed().await["held"].as_array().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_agent_page_migrate_beside_a_session_that_holds_views() {
    let scene = Scene::open().await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("policy-examples/agent.md");
    let page = std::fs::read_to_string(page).unwrap();
    let commands: Vec<&str> = page
        .split("```console\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("$ "))
        .filter(|line| line.starts_with("daam-agent quiesce"))
        .collect();
    assert!(commands.len() >= 2, "{commands:?}");
    let session = scene.session().await;
    let alone = scene.world.superuser.batch_execute("ALTER TABLE users DROP COLUMN tags").await;
    let blocked = alone.err().and_then(|error| error.code().cloned());
    assert_eq!(blocked, Some(SqlState::DEPENDENT_OBJECTS_STILL_EXIST), "there is something to quiesce");
    for line in commands {
        let (code, text) = scene.run(line).await;
        assert_eq!(code, Some(0), "`{line}`: {text}");
        let email: String = session.client.query_one(EMAIL, &[]).await.unwrap().get(0);
        assert!(email.contains('*'), "{email}");
    }
    assert_eq!(scene.held().await, 0);
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_see_what_the_migration_made_as_soon_as_it_is_over_and_masked() {
    let scene = Scene::open().await;
    let session = scene.session().await;
    let sql = "ALTER TABLE users ADD COLUMN other_email text DEFAULT 'raw@example.com'; ALTER TABLE users DROP COLUMN tags";
    let line = format!(
        "daam-agent quiesce --config /etc/daam-agent/config.yaml public.users -- psql \"$DSN\" -qc \"{sql}\""
    );
    let (code, text) = scene.run(&line).await;
    assert_eq!(code, Some(0), "{text}");
    let row = session.client.query_one("SELECT * FROM users ORDER BY id LIMIT 1", &[]).await.unwrap();
    let columns: Vec<&str> = row.columns().iter().map(tokio_postgres::Column::name).collect();
    assert!(columns.contains(&"other_email") && !columns.contains(&"tags"), "{columns:?}");
    assert!(row.get::<_, String>("other_email").contains('*'));
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_runs_only_when_the_tables_are_free() {
    let scene = Scene::open().await;
    let marker = scene.program.dir.path().join("ran");
    let touch = format!("touch {}", marker.display());
    let quiesce = "daam-agent quiesce --config /etc/daam-agent/config.yaml";

    let (code, text) = scene.run(&format!("{quiesce} public.user -- {touch}")).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("`public.user`") && text.contains("did you mean `public.users`"), "{text}");

    let session = scene.session().await;
    session.client.batch_execute("BEGIN; UPDATE users SET name = name").await.unwrap();
    let (code, text) = scene.run(&format!("{quiesce} --wait 200ms public.users -- {touch}")).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("jane@example.com") && text.contains("--end-sessions"), "{text}");
    assert!(!marker.exists(), "it ran although a session used the table");
    session.client.batch_execute("COMMIT; BEGIN; UPDATE users SET name = name").await.unwrap();

    let (code, text) = scene
        .run(&format!("{quiesce} --wait 200ms --end-sessions public.users -- sh -c '{touch}; exit 7'"))
        .await;
    assert_eq!(code, Some(7), "{text}");
    assert!(marker.exists());
    assert!(session.client.is_closed(), "the session was ended");
    assert!(scene.session().await.client.batch_execute("SELECT 1").await.is_ok());
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_killed_holds_nobody_off() {
    let scene = Scene::open().await;
    let session = scene.session().await;
    // What it runs ends with its standard input.
    let line = "exec daam-agent quiesce --config /etc/daam-agent/config.yaml public.users -- cat";
    let mut child = scene.shell(line).stdin(Stdio::piped()).spawn().unwrap();
    eventually("the tables are held", async || scene.held().await > 0).await;
    let waiting = tokio::spawn(async move { session.client.query_one(EMAIL, &[]).await.map(drop) });
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    waiting.await.unwrap().unwrap();
    eventually("nothing is held", async || scene.held().await == 0).await;
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_the_command_does_not_run() {
    let scene = Scene::open().await;
    let line =
        "daam-agent quiesce --config /etc/daam-agent/config.yaml public.users -- touch /etc/daam-agent/ran";
    let (code, text) = scene.run(line).await;
    assert_eq!(code, Some(0), "{text}");
    let dir = scene.program.dir.path().to_owned();
    std::fs::remove_file(dir.join("ran")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(dir.join("state/control.sock")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    std::fs::remove_file(dir.join("state/control.sock")).unwrap();
    let (code, text) = scene.run(line).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no agent answers"), "{text}");
    assert!(!dir.join("ran").exists());
    scene.program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_stay_held_until_the_agent_knows_them_as_they_are() {
    let scene = Scene::open().await;
    let session = scene.session().await;
    // The names change places, so that whoever goes by the old ones shows the wrong column.
    let sql = "ALTER TABLE users RENAME COLUMN email TO name_; ALTER TABLE users RENAME COLUMN name TO email; \
               ALTER TABLE users RENAME COLUMN name_ TO name; ALTER ROLE agent CONNECTION LIMIT 0";
    let line = format!(
        "daam-agent quiesce --config /etc/daam-agent/config.yaml --patience 200ms public.users -- psql \"$DSN\" -qc \"{sql}\""
    );
    let (code, text) = scene.run(&line).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("stay held") && text.contains("too many connections"), "{text}");
    let refused = session.client.query_one("SELECT name FROM users LIMIT 1", &[]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{refused}");
    scene.world.superuser.batch_execute("ALTER ROLE agent CONNECTION LIMIT -1").await.unwrap();
    eventually("the tables are released", async || scene.held().await == 0).await;
    let row = session.client.query_one("SELECT name, email FROM users WHERE id = 1", &[]).await.unwrap();
    // What is called `email` is masked, and is somebody's name now.
    assert_ne!(row.get::<_, String>("email"), "Jane");
    scene.program.stop().await;
}
