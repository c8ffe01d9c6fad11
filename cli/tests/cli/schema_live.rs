//! Beginning from a live database, and noticing when it changes: `policy init --from-db`, `schema pull`, `check`
//! and `diff` against a real PostgreSQL.

use crate::policy::{expect, write};
use crate::policy_effects::git;
use daam_postgres::Cluster;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Two schemas, grants to two roles and PUBLIC, and names that are hard to write down.
const SHOP: &str = r#"
    CREATE SCHEMA app; CREATE SCHEMA hr;
    CREATE ROLE analyst; CREATE ROLE "Data Team"; CREATE ROLE ann LOGIN IN ROLE analyst; CREATE ROLE reader LOGIN;
    GRANT pg_read_all_data TO reader;
    GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT USAGE ON SCHEMA hr TO "Data Team";
    CREATE TYPE app.mood AS ENUM ('glad', 'sad');
    CREATE TABLE app.users (id bigint PRIMARY KEY, email text NOT NULL, mood app.mood, "e.mail" text,
        initials text GENERATED ALWAYS AS (left(email, 1)) STORED);
    CREATE TABLE app.orders (id bigint PRIMARY KEY, user_id bigint REFERENCES app.users, total numeric);
    CREATE TABLE app.events (id bigint, at date) PARTITION BY RANGE (at);
    CREATE TABLE app.events_2026 PARTITION OF app.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE TABLE app."MixedCase" (id int, "Weird Col" text);
    CREATE TABLE app."dot.ted" (id int, email text);
    CREATE TABLE app.notice (id int, title text);
    CREATE VIEW app.totals AS SELECT user_id, sum(total) AS total FROM app.orders GROUP BY 1;
    CREATE VIEW app.mails AS SELECT email FROM app.users;
    CREATE VIEW app.aliases AS SELECT u."e.mail" AS a, d.email AS b FROM app.users u JOIN app."dot.ted" d USING (id);
    CREATE TABLE hr.staff (id int, full_name text, ssn text);
    CREATE FUNCTION app.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
    GRANT SELECT ON app.users, app.orders, app.totals, app.mails, app.aliases, app."dot.ted" TO analyst;
    GRANT SELECT ON hr.staff TO analyst;
    GRANT REFERENCES ON app.users TO analyst;
    GRANT SELECT, INSERT, UPDATE, DELETE ON app.events TO "Data Team";
    GRANT SELECT ("Weird Col") ON app."MixedCase" TO "Data Team";
    GRANT SELECT (id, full_name) ON hr.staff TO "Data Team";
    GRANT SELECT ON app.notice TO PUBLIC;
"#;

struct Shop {
    cluster: Cluster,
    runtime: Runtime,
    scratch: TempDir,
}

impl Shop {
    fn start() -> Self {
        let agent = Path::new(env!("CARGO_BIN_EXE_daam")).with_file_name("daam-agent");
        assert!(agent.is_file(), "`daam` reads databases by the agent's program: cargo build -p daam-agent");
        let shop = Self {
            cluster: Cluster::for_test().unwrap(),
            runtime: Runtime::new().unwrap(),
            scratch: tempfile::tempdir().unwrap(),
        };
        shop.sql(SHOP);
        shop
    }

    /// With a project from the grants.
    fn with_project() -> Self {
        let shop = Self::start();
        shop.daam(0, "policy init --database shop --from-db");
        shop
    }

    fn sql(&self, statements: &str) {
        self.runtime.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(&self.dsn(), tokio_postgres::NoTls).await.unwrap();
            let driver = tokio::spawn(connection);
            client.batch_execute(statements).await.unwrap();
            drop(client);
            driver.await.unwrap().unwrap();
        });
    }

    fn dsn(&self) -> String {
        self.cluster.superuser_dsn("postgres")
    }

    fn root(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs `daam` with this database.
    fn daam(&self, code: i32, line: &str) -> String {
        expect(self.root(), code, &format!("{line} --dsn {}", self.dsn()))
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root().join(path)).unwrap()
    }

    fn files(&self, directory: &str) -> Vec<String> {
        let list = std::fs::read_dir(self.root().join(directory)).unwrap();
        let mut names: Vec<String> =
            list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn has_line(text: &str, wanted: &str) -> bool {
    text.lines().any(|line| line.trim() == wanted)
}

#[test]
fn a_project_from_the_grants_has_no_errors_and_its_tests_hold() {
    let shop = Shop::with_project();
    expect(shop.root(), 0, "policy check");
    let said = expect(shop.root(), 0, "policy test");
    assert!(said.contains("ok      shop: what the grants gave analyst"), "{said}");
    assert!(said.contains("ok      shop: nobody reads hr.staff.full_name as it is"), "{said}");
    assert!(said.contains(" 0 failed, 0 skipped"), "{said}");
    let said = shop.daam(2, "policy init --database shop --from-db");
    assert!(said.contains("exists already"), "{said}");
}

#[test]
fn nobody_reads_a_masked_column_through_a_view_that_was_granted_alone() {
    let shop = Shop::start();
    shop.sql("CREATE ROLE mailer; GRANT SELECT ON app.mails TO mailer");
    shop.daam(0, "policy init --database shop --from-db");
    let said = expect(shop.root(), 0, "policy test");
    assert!(said.contains("ok      shop: nobody reads app.users.email as it is"), "{said}");
    expect(shop.root(), 1, "policy who-can select app.users.email --unmasked");
}

#[test]
fn a_file_that_is_there_stays_and_nothing_is_written_beside_it() {
    let shop = Shop::start();
    write(shop.root(), "policies/analyst.yaml", "# mine\n");
    let said = shop.daam(2, "policy init --database shop --from-db");
    assert!(said.contains("policies/analyst.yaml` exists already"), "{said}");
    assert_eq!(shop.read("policies/analyst.yaml"), "# mine\n");
    assert_eq!(shop.files("."), ["policies"]);
}

#[test]
fn the_scope_lists_what_there_is_and_says_what_no_pattern_can_name() {
    let shop = Shop::start();
    let said = shop.daam(0, "policy init --database shop --from-db");
    let scope = shop.read("scope/shop.yaml");
    let listed: Vec<&str> = scope.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    assert_eq!(
        listed,
        [
            "'app.\"MixedCase\"'",
            "app.aliases",
            "app.events",
            "app.events_2026",
            "app.mails",
            "app.notice",
            "app.orders",
            "app.totals",
            "app.users",
            "hr.staff",
        ]
    );
    assert!(has_line(&scope, "# no pattern can name app.\"dot.ted\": its name has a dot"), "{scope}");
    assert!(said.contains("no policy can name `app.\"dot.ted\"`"), "{said}");
}

#[test]
fn grants_become_policies_and_sensitive_columns_get_masks() {
    let shop = Shop::with_project();
    assert_eq!(shop.files("policies"), ["analyst.yaml", "data-team.yaml", "everyone.yaml"]);

    let analyst = expect(shop.root(), 0, "policy what-can --groups analyst");
    assert!(analyst.contains("app.users") && analyst.contains("app.totals"), "{analyst}");
    let text = shop.read("policies/analyst.yaml");
    assert!(has_line(&text, "- { on: app.users.email, with: email }"), "{text}");
    assert!(has_line(&text, "# Its members there: ann."), "{text}");
    assert!(!text.contains("- app.mails"), "a view of a masked column is not granted: {text}");

    let text = shop.read("policies/data-team.yaml");
    assert!(has_line(&text, "subjects: { groups: [Data Team] }"), "{text}");
    assert!(has_line(&text, "allow: [select, insert, update, delete]"), "{text}");
    assert!(has_line(&text, "select: ['\"Weird Col\"']"), "{text}");
    assert!(has_line(&text, "select: [full_name, id]"), "{text}");
    assert!(has_line(&text, "- { on: hr.staff.full_name, with: name }"), "{text}");

    assert!(has_line(&shop.read("policies/everyone.yaml"), "subjects: { everyone: true }"));
    let said = expect(shop.root(), 0, "policy who-can select app.notice.title");
    assert!(said.contains("everyone"), "{said}");
}

#[test]
fn what_policies_cannot_say_is_told_and_not_granted() {
    let shop = Shop::start();
    let said = shop.daam(0, "policy init --database shop --from-db");
    for expected in [
        "`references` on `app.users`",
        "`analyst` loses the view `app.mails`: it reads `app.users.email`",
        "`analyst` loses the view `app.aliases`",
        "`analyst` no longer reads `app.users.\"e.mail\"`: it looks sensitive",
        "grants in schemas their holder may not use give nothing today and were left out: `hr.staff` to `analyst`",
        "`reader` is a member of `pg_read_all_data`",
        "1 functions were not granted",
    ] {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    let text = shop.read("policies/analyst.yaml");
    assert!(!text.contains("- hr.staff"), "{text}");
    assert!(has_line(&text, "select: [email, id, initials, mood]"), "{text}");
}

#[test]
fn roles_whose_names_no_policy_may_have_get_one_that_fits() {
    let shop = Shop::start();
    shop.sql(
        r#"CREATE ROLE everyone; CREATE ROLE "ünï"; CREATE ROLE "no"; CREATE ROLE "data team";
           GRANT SELECT ON app.notice TO everyone, "ünï", "no", "data team""#,
    );
    shop.daam(0, "policy init --database shop --from-db");
    expect(shop.root(), 0, "policy check");
    expect(shop.root(), 0, "policy test");
    assert_eq!(
        shop.files("policies"),
        [
            "analyst.yaml",
            "data-team-2.yaml",
            "data-team.yaml",
            "everyone-2.yaml",
            "everyone.yaml",
            "n.yaml",
            "no.yaml"
        ]
    );
    assert!(has_line(&shop.read("policies/n.yaml"), "subjects: { groups: [\"ünï\"] }"));
    assert!(has_line(&shop.read("policies/everyone-2.yaml"), "subjects: { groups: [everyone] }"));
}

#[test]
fn a_database_that_does_not_answer_leaves_nothing_behind() {
    let shop = Shop::start();
    let dsn = "postgresql://reader:hunter2@127.0.0.1:1/shop";
    let said = expect(shop.root(), 2, &format!("policy init --database shop --from-db --dsn {dsn}"));
    assert!(said.contains("the database could not be read") && !said.contains("hunter2"), "{said}");
    assert_eq!(shop.files("."), Vec::<String>::new());
    expect(shop.root(), 2, &format!("schema pull --out lock --dsn {dsn}"));
    assert_eq!(shop.files("."), Vec::<String>::new());
}

#[test]
fn a_lock_is_current_until_the_database_changes() {
    let shop = Shop::with_project();
    let said = shop.daam(0, "schema check");
    assert!(said.contains("the schema is the same"), "{said}");
    shop.sql("INSERT INTO app.notice VALUES (1, 'hello'); ANALYZE; CREATE INDEX ON app.notice (id)");
    shop.daam(0, "schema check");
    shop.sql("ALTER TABLE app.orders ADD COLUMN ssn text");
    let said = shop.daam(4, "schema check");
    assert!(said.contains("added column app.orders.ssn: text") && said.contains("DAAM802"), "{said}");
    shop.daam(0, "schema pull --out schema/shop");
    shop.daam(0, "schema check");
}

#[test]
fn a_lock_of_another_server_is_told_apart_from_a_stale_one() {
    let shop = Shop::with_project();
    let other = Cluster::for_test().unwrap();
    let said = expect(shop.root(), 4, &format!("schema check --dsn {}", other.superuser_dsn("postgres")));
    assert!(
        said.contains("DAAM803") && said.contains("another server, or from another database of this one"),
        "{said}"
    );
    assert!(!said.contains("DAAM802") && said.contains("daam.yaml:"), "{said}");
}

#[test]
fn a_lock_of_another_database_of_the_same_server_is_told_apart_from_a_stale_one() {
    let shop = Shop::with_project();
    shop.sql("CREATE DATABASE other TEMPLATE template0");
    let other = shop.cluster.superuser_dsn("other");
    let said = expect(shop.root(), 4, &format!("schema check --dsn {other}"));
    assert!(said.contains("DAAM803") && !said.contains("DAAM802"), "{said}");
    assert!(said.contains("another database of this one"), "{said}");
}

#[test]
fn a_new_column_is_judged_by_who_reads_it_through_which_policy() {
    let shop = Shop::with_project();
    shop.daam(0, "schema pull --out old");
    shop.sql("ALTER TABLE app.orders ADD COLUMN ssn text; ALTER TABLE app.notice ADD COLUMN lines int");
    shop.daam(0, "schema pull --out new");
    for sides in ["dir:old dir:new", "dir:new"] {
        let code = if sides == "dir:new" { 10 } else { 11 };
        expect(shop.root(), code, &format!("schema diff {sides}"));
    }
    let said = shop.daam(2, "schema diff dir:old dir:new");
    assert!(said.contains("cannot both be the newer side"), "{said}");
    let said = expect(
        shop.root(),
        11,
        "schema diff dir:old dir:new --report text --report json=diff.json --report markdown=diff.md",
    );
    assert!(said.contains("1 newly sensitive, 1 newly matched, 0 neutral"), "{said}");
    assert!(said.contains("group:analyst select without a mask: ssn"), "{said}");
    assert!(said.contains("everyone select without a mask: lines (policies/everyone.yaml:"), "{said}");

    let json: serde_json::Value = serde_json::from_str(&shop.read("diff.json")).unwrap();
    assert_eq!((json["version"].as_u64(), json["database"].as_str()), (Some(1), Some("shop")));
    let first = &json["changes"][0];
    assert_eq!(first["significance"], "newly-sensitive");
    assert_eq!(first["object"], "app.orders.ssn");
    assert_eq!(first["reached"][0]["who"], "group:analyst");
    assert_eq!(first["reached"][0]["origins"][0]["file"], "policies/analyst.yaml");
    assert_eq!(json["changes"][1]["significance"], "newly-matched");

    let markdown = shop.read("diff.md");
    assert!(markdown.starts_with("### Schema changes of `shop`\n"), "{markdown}");
    assert!(markdown.contains("- added column `app.orders.ssn`: `text`"), "{markdown}");
    assert_eq!(shop.daam(11, "schema diff"), said, "the live database says the same as its lock");
}

#[test]
fn a_new_table_is_judged_by_the_pattern_and_the_mask_that_cover_it() {
    let shop = Shop::start();
    shop.daam(0, "schema pull --out schema/shop");
    write(
        shop.root(),
        "daam.yaml",
        "kind: project\ndatabases:\n  shop: { lock: schema/shop, policies: [policies/*.yaml] }\n",
    );
    write(
        shop.root(),
        "policies/hr.yaml",
        "kind: policy\nname: hr\ndatabase: shop\nsubjects: { groups: [hr] }\ngrants:\n  - { on: \"hr.*\", allow: [select] }\n\
         masks:\n  - { on: \"hr.*.*email\", with: email }\n",
    );
    git(shop.root(), "init -q");
    git(shop.root(), "add .");
    git(shop.root(), "commit -q -m one");
    shop.sql("CREATE TABLE hr.leavers (id int, email text); CREATE TABLE app.other (id int)");
    let live = shop.daam(11, "schema diff");
    assert_eq!(shop.daam(11, "schema diff git:HEAD"), live);
    shop.daam(0, "schema pull --out schema/shop");
    assert_eq!(expect(shop.root(), 11, "schema diff git:HEAD"), live);
    assert!(live.contains("0 newly sensitive, 1 newly matched, 1 neutral"), "{live}");
    assert!(live.contains("added relation hr.leavers: table with 2 columns"), "{live}");
    assert!(
        live.contains("group:hr select as `email`: email [") && live.contains("(policies/hr.yaml:6)"),
        "{live}"
    );
    assert!(live.contains("group:hr select without a mask: id (policies/hr.yaml:6)"), "{live}");
}

#[test]
fn a_project_with_errors_of_its_own_has_no_verdict() {
    let shop = Shop::with_project();
    shop.sql("ALTER TABLE app.orders ADD COLUMN ssn text");
    write(shop.root(), "policies/broken.yaml", "kind: policy\nname: broken\n");
    for format in ["text", "markdown"] {
        let said = shop.daam(2, &format!("schema diff --report {format}"));
        assert!(said.contains("not judged by its policies"), "{said}");
    }
    let said = shop.daam(2, "schema diff --report json");
    assert!(said.contains("\"judged\":false"), "{said}");
    shop.daam(4, "schema check");
}

#[test]
fn a_column_a_policy_names_and_that_is_gone_breaks_the_policy() {
    let shop = Shop::with_project();
    shop.sql("ALTER TABLE hr.staff DROP COLUMN full_name");
    let said = shop.daam(1, "schema diff");
    assert!(said.contains("1 break a policy"), "{said}");
    assert!(said.contains("removed column hr.staff.full_name: text"), "{said}");
    assert!(said.contains("named at policies/data-team.yaml:"), "{said}");
    assert!(said.contains("`hr.staff` has no column `full_name`"), "{said}");
    assert!(said.contains("DAAM203") && said.contains("policies/data-team.yaml:"), "{said}");
    let json = shop.daam(1, "schema diff --report json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["changes"][0]["significance"], "breaks-policy");
    assert_eq!(json["changes"][0]["named"][0]["file"], "policies/data-team.yaml");
    let finding = &json["findings"][0];
    assert_eq!(
        (finding["code"].as_str(), finding["file"].as_str()),
        (Some("DAAM203"), Some("policies/data-team.yaml"))
    );
    assert!(finding["span"]["start"]["line"].as_u64().unwrap() > 1, "{finding}");
    let said = shop.daam(4, "schema check --report concise --report json=check.json");
    assert!(said.contains("daam.yaml:") && said.contains("DAAM802"), "{said}");
    assert!(
        said.lines().any(|line| line.starts_with("policies/data-team.yaml:") && line.contains("DAAM203")),
        "{said}"
    );
    let json: serde_json::Value = serde_json::from_str(&shop.read("check.json")).unwrap();
    assert_eq!(json["findings"][0]["code"], "DAAM802");
}

#[test]
fn only_the_schemas_that_are_wanted_are_pulled_and_compared() {
    let shop = Shop::with_project();
    shop.daam(0, "schema pull --out part --schema h*");
    assert_eq!(shop.files("part"), ["hr.json", "lock.json"]);
    shop.daam(0, "schema pull --out part --schema app --schema hr");
    assert_eq!(shop.files("part"), ["app.json", "hr.json", "lock.json"]);
    let said = shop.daam(3, "schema pull --out none --schema nothing_*");
    assert!(said.contains("no schema of that name"), "{said}");
    assert!(!shop.root().join("none").exists());

    let locked = tempfile::tempdir().unwrap();
    let lock = locked.path().join("lock");
    expect(locked.path(), 0, &format!("schema pull --out {} --dsn {}", lock.display(), shop.dsn()));
    expect(locked.path(), 3, "policy init --database shop --lock lock --schema nothing_*");
    expect(locked.path(), 0, "policy init --database shop --lock lock --schema h* --readers all");
    let scope = std::fs::read_to_string(locked.path().join("scope/shop.yaml")).unwrap();
    assert!(scope.contains("hr.*") && !scope.contains("app.*"), "{scope}");
    expect(locked.path(), 0, "policy check");
    let said = expect(shop.root(), 2, "schema diff dir:old dir:new --schema hr");
    assert!(said.contains("`--schema` chooses what is read of the live database"), "{said}");

    let part = tempfile::tempdir().unwrap();
    let init = format!("policy init --database shop --from-db --schema app --dsn {}", shop.dsn());
    expect(part.path(), 0, &init);
    let check = format!("schema check --dsn {}", shop.dsn());
    expect(part.path(), 0, &format!("{check} --schema app"));
    let said = expect(part.path(), 4, &check);
    assert!(said.contains("added relation hr.staff"), "{said}");
}

#[test]
fn a_database_in_the_environment_does_not_stand_in_the_way_of_two_sides() {
    let scratch = crate::policy::project();
    let run = |line: &str| {
        Command::new(env!("CARGO_BIN_EXE_daam"))
            .args(line.split_whitespace())
            .env("DAAM_HOME", scratch.path().join("home"))
            .env("DAAM_DSN", "postgresql://nobody@127.0.0.1:1/shop")
            .current_dir(scratch.path())
            .output()
            .unwrap()
    };
    let output = run("schema diff dir:schema/shop dir:schema/shop");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_lock_is_not_pulled_over_files_of_something_else() {
    let shop = Shop::start();
    write(shop.root(), "site/package.json", "{}");
    let said = shop.daam(2, "schema pull --out site");
    assert!(said.contains("package.json` is not part of a schema lock"), "{said}");
    assert_eq!(shop.files("site"), ["package.json"]);
}
