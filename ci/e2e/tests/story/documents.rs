//! What the documents show is run: every command of the pages, every configuration they print.

use crate::shop;
use std::path::{Path, PathBuf};
use std::process::Command;

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The contents of the fenced blocks of one language.
fn fences(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening)
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next())
        .map(|block| format!("{block}\n"))
        .collect()
}

/// The commands of a console block, without their prompts.
fn commands(block: &str) -> Vec<String> {
    block.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

/// A shell in `folder` that finds our programs.
fn shell(folder: &Path, line: &str) -> (bool, String) {
    let programs = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let path = std::env::join_paths(
        [programs].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path.unwrap())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn copy_of_shop() -> tempfile::TempDir {
    copy_of("shop")
}

fn copy_of(example: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = root().join("policy-examples").join(example);
    let copied = Command::new("cp").arg("-r").arg(from.join(".")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    folder
}

#[test]
fn the_commands_of_the_examples_page_run_in_the_shop() {
    let folder = copy_of_shop();
    let lines: Vec<String> = fences(&page("policy-examples/README.md"), "console")
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    assert!(lines.len() >= 7, "{lines:?}");
    for line in lines {
        let (fine, text) = shell(folder.path(), &line);
        assert!(fine, "`{line}` failed:\n{text}");
    }
    assert!(folder.path().join("published").exists());
}

#[test]
fn the_commands_of_the_other_examples_run_in_them() {
    for example in ["tiny", "saas", "large"] {
        let folder = copy_of(example);
        let shown = fences(&page(&format!("policy-examples/{example}/README.md")), "console");
        let lines: Vec<String> = shown.iter().flat_map(|block| commands(block)).collect();
        assert!(lines.len() >= 3, "{lines:?}");
        for line in lines {
            let (fine, text) = shell(folder.path(), &line);
            assert!(fine, "{example}: `{line}` failed:\n{text}");
        }
    }
}

#[test]
fn the_ceremonies_of_the_bundle_page_run_in_the_shop() {
    let folder = copy_of_shop();
    let lines: Vec<String> = fences(&page("policy-examples/bundle.md"), "console")
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        let (ok, said) = shell(folder.path(), &line);
        assert!(ok, "`{line}`: {said}");
    }
}

#[test]
fn the_commands_of_the_page_on_tests_run_in_the_shop() {
    let folder = copy_of_shop();
    let git = "git -c user.name=a -c user.email=a@b.test -c commit.gpgsign=false";
    let (fine, text) = shell(folder.path(), &format!("git init -q && git add . && {git} commit -q -m shop"));
    assert!(fine, "{text}");
    let shown: Vec<String> = fences(&page("policy-examples/tests.md"), "yaml");
    assert!(!shown.is_empty());
    std::fs::write(folder.path().join("tests/shown.yaml"), shown.join("---\n")).unwrap();
    let lines: Vec<String> = fences(&page("policy-examples/tests.md"), "console")
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    assert!(lines.len() >= 15, "{lines:?}");
    for line in lines {
        let (fine, text) = shell(folder.path(), &line);
        assert!(fine, "`{line}` failed:\n{text}");
    }
}

#[test]
fn the_commands_of_the_pipeline_page_run_in_a_repository_with_the_shop() {
    let folder = copy_of_shop();
    let (fine, text) = shell(
        folder.path(),
        "git init -q . && git add . && git -c user.name=t -c user.email=t@acme.test commit -q -m shop",
    );
    assert!(fine, "{text}");
    let lines: Vec<String> =
        fences(&page("policy-examples/ci.md"), "console").iter().flat_map(|block| commands(block)).collect();
    assert!(lines.len() >= 14, "{lines:?}");
    for line in lines {
        let (fine, text) = shell(folder.path(), &line);
        assert!(fine, "`{line}` failed:\n{text}");
    }
}

#[test]
fn the_policy_of_the_language_page_is_one() {
    let folder = copy_of_shop();
    let policies: Vec<String> = fences(&page("policy-examples/language.md"), "yaml")
        .into_iter()
        .filter(|text| text.starts_with("kind: policy") || text.starts_with("kind: request-ceiling"))
        .collect();
    assert!(!policies.is_empty());
    std::fs::remove_dir_all(folder.path().join("policies")).unwrap();
    std::fs::remove_dir_all(folder.path().join("tests")).unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("policies/shown.yaml"), policies.join("---\n")).unwrap();
    let (fine, text) = shell(folder.path(), "daam policy check");
    assert!(fine, "{text}");
}

#[test]
fn the_configuration_of_the_agent_page_is_accepted() {
    let fabric = shop::open();
    let dsn = fabric.scratch().join("dsn");
    std::fs::write(&dsn, &fabric.ready().upstream).unwrap();
    let shown = fences(&page("policy-examples/agent.md"), "yaml").remove(0);
    let config = fabric.scratch().join("shown.yaml");
    std::fs::write(&config, shown.replace("/etc/daam-agent/dsn", &dsn.display().to_string())).unwrap();
    let (fine, text) = shell(fabric.scratch(), "daam-agent introspect --config shown.yaml");
    assert!(fine, "{text}");
    assert!(text.contains("- public.customers") && text.starts_with("scope:"), "{text}");
    std::fs::write(&config, shown.replace("scope:", "scopes:")).unwrap();
    let (fine, text) = shell(fabric.scratch(), "daam-agent introspect --config shown.yaml");
    assert!(!fine && text.contains("scopes") && text.contains("scope"), "{text}");
}

#[test]
fn the_commands_of_the_page_on_connecting_run_for_somebody_who_signed_in() {
    let fabric = shop::open();
    let laptop = crate::roaming::Laptop::signed_in(&fabric);
    let lines: Vec<String> = fences(&page("policy-examples/connecting.md"), "console")
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let home = laptop.home.display();
        let (fine, text) = shell(fabric.scratch(), &format!("DAAM_HOME='{home}'; export DAAM_HOME; {line}"));
        assert!(fine, "`{line}` failed:\n{text}");
    }
}

#[test]
fn the_first_look_of_the_readme_shows_what_it_says() {
    let fabric = shop::open();
    let block =
        fences(&page("README.md"), "console").into_iter().find(|block| block.contains("dev psql")).unwrap();
    let lines = commands(&block);
    let check = lines.iter().find(|line| line.contains("policy check")).unwrap();
    let (fine, text) = shell(&fabric.project(), check);
    assert!(fine, "{text}");
    let psql = lines.iter().find(|line| line.contains("dev psql")).unwrap();
    let (options, psql_arguments) = psql.split_once(" -- ").unwrap();
    let state = fabric.ready().state.display();
    let (fine, text) = shell(&fabric.project(), &format!("{options} --state {state} -- -X {psql_arguments}"));
    assert!(fine, "{text}");
    let shown: Vec<&str> =
        block.lines().skip_while(|line| !line.contains(" id |")).map(str::trim_end).collect();
    let seen: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(
        seen.get(..shown.len()).unwrap_or_default(),
        shown,
        "the page shows something else than psql:\n{text}"
    );
}
