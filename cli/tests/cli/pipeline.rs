//! What the pipelines of `ci/github` and `ci/gitlab` run, run: on a repository with a branch, against a service that
//! remembers comments.

use crate::policy::{POLICY, project, write};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// Number, author, text.
type Comment = (u64, String, String);

/// A service that keeps comments, spoken to as GitHub or GitLab.
struct Service {
    address: String,
    comments: Arc<Mutex<Vec<Comment>>>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let comments = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&comments);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap(), &kept);
            }
        });
        Self { address, comments }
    }

    fn comments(&self) -> Vec<Comment> {
        self.comments.lock().unwrap().clone()
    }

    fn add(&self, author: &str, text: &str) {
        let mut comments = self.comments.lock().unwrap();
        let number = u64::try_from(comments.len()).unwrap() + 1;
        comments.push((number, author.to_owned(), text.to_owned()));
    }
}

fn answer(stream: &TcpStream, comments: &Mutex<Vec<Comment>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() <= 2 {
            break;
        }
        lines.push(line.trim_end().to_ascii_lowercase());
    }
    let header = |name: &str| {
        lines
            .iter()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
            .unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let first: Vec<&str> = lines[0].split(' ').collect();
    let (method, path) = (first[0], first[1].split('?').next().unwrap());
    let github = path.starts_with("/repos/acme/data/issues");
    let allowed = header("authorization") == "bearer secret" || header("private-token") == "secret";
    let mut comments = comments.lock().unwrap();
    let author = if github { "github-actions[bot]" } else { "daam-bot" };
    let text =
        || serde_json::from_slice::<serde_json::Value>(&body).unwrap()["body"].as_str().unwrap().to_owned();
    let (status, said) = match (method, path) {
        _ if !allowed => (403, serde_json::json!({})),
        ("get", "/user") => (200, serde_json::json!({ "username": "daam-bot" })),
        ("get", "/repos/acme/data/issues/17/comments" | "/projects/5/merge_requests/17/notes") => {
            let list: Vec<serde_json::Value> = comments
                .iter()
                .map(|(id, who, body)| {
                    serde_json::json!({ "id": id, "body": body, "user": { "login": who }, "author": { "username": who } })
                })
                .collect();
            (200, list.into())
        }
        ("post", "/repos/acme/data/issues/17/comments" | "/projects/5/merge_requests/17/notes") => {
            let number = u64::try_from(comments.len()).unwrap() + 1;
            comments.push((number, author.to_owned(), text()));
            (201, serde_json::json!({ "id": number }))
        }
        ("patch" | "put", path) => {
            let number: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
            let found = comments.iter_mut().find(|(id, ..)| *id == number).unwrap();
            found.2 = text();
            (200, serde_json::json!({ "id": number }))
        }
        _ => (404, serde_json::json!({})),
    };
    let said = said.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
        said.len()
    )
    .unwrap();
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&std::fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// The scripts of a workflow's or an action's steps, by name.
fn steps(path: &str) -> BTreeMap<String, String> {
    let file = yaml(path);
    let steps =
        file["runs"]["steps"].as_sequence().or(file["jobs"]["policy"]["steps"].as_sequence()).unwrap();
    let scripts = steps.iter().filter_map(|step| Some((step["name"].as_str()?, step["run"].as_str()?)));
    scripts.map(|(name, script)| (name.to_owned(), script.to_owned())).collect()
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@acme.test", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A repository whose main has the project and whose branch takes the mask away; the commit of main.
fn branched() -> (tempfile::TempDir, String) {
    let scratch = project();
    let directory = scratch.path();
    write(
        directory,
        "daam.yaml",
        "kind: project\ndatabases:\n  shop:\n    lock: schema/shop\n    policies: [policies/*.yaml]\n    \
         tests: [tests/*.yaml]\n    classification: [{ on: public.users.email, is: none, reason: role addresses }]\n",
    );
    git(directory, &["init", "-q", "-b", "main", "."]);
    git(directory, &["add", "."]);
    git(directory, &["commit", "-q", "-m", "main"]);
    let base = git(directory, &["rev-parse", "HEAD"]);
    git(directory, &["checkout", "-q", "-b", "work"]);
    write(directory, "policies/support.yaml", POLICY.split("masks:").next().unwrap());
    write(
        directory,
        "tests/support.yaml",
        "kind: test\ndatabase: shop\ncases:\n  - name: reads\n    as: { email: sam@acme.test, groups: [support] }\n    expect: { public.users: { select: allow } }\n",
    );
    git(directory, &["commit", "-q", "-a", "-m", "no mask"]);
    (scratch, base)
}

fn run(directory: &Path, script: &str, variables: &[(&str, &str)]) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_daam")).parent().unwrap().to_owned();
    let path = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    Command::new("bash")
        .args(["-eo", "pipefail", "-c", script])
        .current_dir(directory)
        .env("PATH", std::env::join_paths([programs].into_iter().chain(path)).unwrap())
        .env("DAAM_PROJECT", ".")
        .env("GITHUB_STEP_SUMMARY", directory.join(".summary.md"))
        .env("DAAM_SARIF", "daam.sarif")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

fn github(service: &Service, directory: &Path, base: &str, path: &str) -> Output {
    let variables = [
        ("DAAM_BASE", base),
        ("DAAM_PULL", "17"),
        ("DAAM_FORK", "false"),
        ("GITHUB_TOKEN", "secret"),
        ("GITHUB_REPOSITORY", "acme/data"),
        ("GITHUB_API_URL", &service.address),
    ];
    run(directory, &steps(path)["access changes"], &variables)
}

#[test]
fn a_pull_request_has_one_comment_however_often_it_is_pushed_to() {
    for path in ["ci/github/action.yml", "ci/github/workflow.yml"] {
        let service = Service::start();
        service.add("mallory", "<!-- daam policy diff of . -->\nno effect changed");
        let (scratch, base) = branched();
        for _ in 0..2 {
            let output = github(&service, scratch.path(), &base, path);
            assert!(output.status.success(), "{}", said(&output));
        }
        let comments = service.comments();
        assert_eq!(comments.len(), 2, "{comments:?}");
        assert!(comments[0].2.ends_with("no effect changed"), "a stranger's comment stays theirs");
        assert!(
            comments[1].2.contains("### Access changes") && comments[1].2.contains("1 widened"),
            "{comments:?}"
        );
        write(scratch.path(), "policies/support.yaml", POLICY);
        assert!(github(&service, scratch.path(), &base, path).status.success());
        let comments = service.comments();
        assert!(comments.len() == 2 && comments[1].2.contains("no effect changed"), "{comments:?}");
        let summary = std::fs::read_to_string(scratch.path().join(".summary.md")).unwrap();
        assert!(summary.contains("1 widened"), "{summary}");
    }
}

#[test]
fn what_main_got_since_is_not_the_branchs_doing() {
    let service = Service::start();
    let (scratch, _) = branched();
    let directory = scratch.path();
    git(directory, &["checkout", "-q", "main"]);
    write(
        directory,
        "policies/more.yaml",
        &POLICY.replace("name: support", "name: more").replace("[support]", "[sales]"),
    );
    git(directory, &["add", "."]);
    git(directory, &["commit", "-q", "-m", "more"]);
    let base = git(directory, &["rev-parse", "HEAD"]);
    git(directory, &["checkout", "-q", "work"]);
    assert!(github(&service, directory, &base, "ci/github/workflow.yml").status.success());
    assert!(!service.comments()[0].2.contains("sales"), "{:?}", service.comments());
}

#[test]
fn check_and_test_fail_the_job_and_leave_their_reports() {
    for path in ["ci/github/action.yml", "ci/github/workflow.yml"] {
        let (scratch, _) = branched();
        let directory = scratch.path();
        let steps = steps(path);
        assert!(run(directory, &steps["daam"], &[]).status.success());
        assert!(run(directory, &steps["check"], &[]).status.success());
        assert!(run(directory, &steps["test"], &[]).status.success());
        write(directory, "policies/support.yaml", &POLICY.replace("masks:", "maks:"));
        let output = run(directory, &steps["check"], &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).starts_with("::error file=policies/support.yaml,line=6"), "{}", said(&output));
        let log: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(directory.join("daam.sarif")).unwrap()).unwrap();
        assert_eq!(log["runs"][0]["results"][0]["ruleId"], "DAAM103");
        assert_eq!(run(directory, &steps["test"], &[]).status.code(), Some(1));
    }
}

#[test]
fn a_token_that_may_not_write_fails_and_is_not_printed() {
    let service = Service::start();
    let (scratch, base) = branched();
    let variables = [
        ("DAAM_BASE", base.as_str()),
        ("DAAM_PULL", "17"),
        ("GITHUB_TOKEN", "wr0ng"),
        ("GITHUB_REPOSITORY", "acme/data"),
        ("GITHUB_API_URL", &service.address),
    ];
    let script = &steps("ci/github/action.yml")["access changes"];
    let output = run(scratch.path(), script, &variables);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("403") && !said(&output).contains("wr0ng"), "{}", said(&output));
    let fork = [variables.as_slice(), &[("DAAM_FORK", "true")]].concat();
    assert!(run(scratch.path(), script, &fork).status.success(), "a fork's report is in the summary");
    let plain = [variables.as_slice(), &[("GITHUB_API_URL", "http://api.acme.test")]].concat();
    let output = run(scratch.path(), script, &plain);
    assert!(said(&output).contains("not an address with `https://`"), "{}", said(&output));
}

#[test]
fn gitlab_gets_its_reports_and_one_note() {
    let service = Service::start();
    let (scratch, base) = branched();
    let directory = scratch.path();
    let template = yaml("ci/gitlab/policy.yml");
    let script = template["policy"]["script"][0].as_str().unwrap();
    let variables = [
        ("CI_MERGE_REQUEST_IID", "17"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &base),
        ("CI_PROJECT_ID", "5"),
        ("CI_API_V4_URL", &service.address),
        ("DAAM_GITLAB_TOKEN", "secret"),
    ];
    for _ in 0..2 {
        let output = run(directory, script, &variables);
        assert!(output.status.success(), "{}", said(&output));
    }
    let comments = service.comments();
    assert!(comments.len() == 1 && comments[0].2.contains("1 widened"), "{comments:?}");
    for report in ["codequality", "junit"] {
        let path = template["policy"]["artifacts"]["reports"][report].as_str().unwrap();
        assert!(directory.join(path).is_file(), "{path}");
    }
    assert!(run(directory, script, &[]).status.success(), "a branch has no note to write");
    write(directory, "policies/support.yaml", &POLICY.replace("masks:", "maks:"));
    assert_eq!(run(directory, script, &[]).status.code(), Some(1));
}

#[test]
fn scripts_take_no_text_of_a_pull_request_but_from_variables() {
    for path in ["ci/github/action.yml", "ci/github/workflow.yml"] {
        for (name, script) in steps(path) {
            assert!(!script.contains("${{"), "{path}: {name} would run what a pull request says");
        }
    }
    let workflow = yaml("ci/github/workflow.yml");
    assert_eq!(workflow["permissions"]["contents"], "read");
    let triggers = workflow["on"].as_mapping().unwrap();
    assert!(triggers.contains_key("pull_request") && triggers.contains_key("workflow_call"));
    assert!(!triggers.contains_key("pull_request_target"));
    let action = yaml("ci/github/action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let inputs = action["inputs"].as_mapping().unwrap();
    assert!(inputs.values().all(|input| input["description"].is_string()));
    for step in action["runs"]["steps"].as_sequence().unwrap() {
        assert_eq!(step["shell"], "bash", "{step:?}");
    }
}
