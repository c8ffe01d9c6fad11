//! Settings: what the table says is what is read, from the file and from variables, and what the documents show.

use crate::world::World;
use daam_agent::config::environment::Environment;
use daam_agent::config::settings::{Kind, Need, SETTINGS, Setting};
use daam_agent::config::{Config, reference};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file with these settings, by section.
fn file(settings: &[(&Setting, &str)]) -> String {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    for (setting, value) in settings {
        let (section, key) = setting.parts();
        writeln!(sections.entry(section).or_default(), "  {key}: {value}").unwrap();
    }
    sections.into_iter().fold(String::new(), |text, (section, lines)| text + section + ":\n" + &lines)
}

/// What a setting needs beside it.
fn company(setting: &Setting) -> Vec<(&'static Setting, &'static str)> {
    let needed = |other: &&Setting| {
        let same = other.parts().0 == setting.parts().0 && other.need == Need::Section;
        other.key != setting.key && (same || other.need == Need::Always)
    };
    SETTINGS.iter().filter(needed).map(|other| (other, other.example)).collect()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::read(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
        .unwrap()
}

/// What a configuration says, wherever it stands.
fn meaning(config: &Config) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        config.agent, config.audit, config.control_plane, config.trust, config.upstream, config.linger
    )
}

#[test]
fn every_setting_is_read_alike_from_the_file_and_from_its_variable() {
    let path = Path::new("/etc/daam-agent/config.yaml");
    for setting in &SETTINGS {
        let others = company(setting);
        let with: Vec<_> = others.iter().copied().chain([(setting, setting.example)]).collect();
        let in_file = Config::combine(Some((&file(&with), path)), &Environment::default()).unwrap();
        let variable = environment(&[(setting.variable, setting.example)]);
        let text = file(&others);
        let rest = (!text.is_empty()).then_some((text.as_str(), path));
        let in_variable = Config::combine(rest, &variable).unwrap();
        assert_eq!(meaning(&in_file), meaning(&in_variable), "{}", setting.key);
        // It does something: without it there is another configuration, or none.
        match (setting.need, Config::combine(rest, &Environment::default())) {
            (Need::Otherwise(_), Ok(without)) => {
                assert_ne!(
                    meaning(&without),
                    meaning(&in_file),
                    "{}: the example is the default",
                    setting.key
                );
            }
            (Need::Otherwise(_), Err(error)) => panic!("{}: {error}", setting.key),
            (_, Ok(_)) => panic!("{} is not needed", setting.key),
            (_, Err(_)) => {}
        }
    }
}

#[test]
fn what_the_reference_says_holds_without_a_setting_holds() {
    let path = Path::new("/etc/daam-agent/config.yaml");
    for setting in &SETTINGS {
        let Need::Otherwise(value) = setting.need else { continue };
        // In words it is no value.
        if matches!(setting.kind, Kind::Path | Kind::Patterns) {
            continue;
        }
        let others = company(setting);
        let with: Vec<_> = others.iter().copied().chain([(setting, value)]).collect();
        let read = |settings: &[(&Setting, &str)]| meaning(&Config::parse(&file(settings), path).unwrap());
        assert_eq!(read(&with), read(&others), "{}", setting.key);
    }
}

#[test]
fn a_variable_is_called_as_its_setting_and_each_once() {
    let names: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.variable).collect();
    assert_eq!(names.len(), SETTINGS.len());
    for setting in &SETTINGS {
        assert_eq!(setting.variable, format!("DAAM_{}", setting.key.replace('.', "_").to_uppercase()));
        assert!(setting.about.ends_with('.') && !setting.example.is_empty(), "{}", setting.key);
    }
    assert!(SETTINGS.windows(2).all(|pair| pair[0].key < pair[1].key));
}

/// `DAAM_WRITE_SCHEMAS=1 cargo test -p daam-agent committed` writes both.
#[test]
fn the_committed_reference_and_schema_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let schema = format!("{}\n", serde_json::to_string_pretty(&reference::schema()).unwrap());
    let files = [
        ("policy-examples/agent-configuration.md", reference::page()),
        ("schemas/agent.schema.json", schema),
    ];
    for (name, text) in files {
        let path = root.join(name);
        if std::env::var_os("DAAM_WRITE_SCHEMAS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "{name} is not current");
    }
}

fn agent(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_daam-agent"));
    program.args(arguments).envs(variables.iter().copied()).env_remove("DAAM_AGENT_CONFIG").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn written(dir: &Path, text: &str) -> (PathBuf, String) {
    let path = dir.join("config.yaml");
    std::fs::write(&path, text).unwrap();
    let shown = path.to_str().unwrap().to_owned();
    (path, shown)
}

#[test]
fn config_check_says_what_is_in_force_and_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let (_, path) = written(dir.path(), "upstream: { dsn_file: dsn }\nviews: { linger: 2s }\n");
    let check = ["config", "check", "--config", path.as_str()];
    let output = agent(&check, &[("DAAM_VIEWS_LINGER", "3s"), ("DAAM_UPSTREAM_SCOPE", "[a.b]")]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for line in [
        "views.linger: 3s  (DAAM_VIEWS_LINGER, over the file)",
        "upstream.scope: [a.b]  (DAAM_UPSTREAM_SCOPE)",
        "upstream.dsn_file: dsn  (the file)",
        "audit.keep: 16  (not set)",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} is missing in:\n{said}");
    }
    let output = agent(&check, &[("DAAM_UPSTREAM_SCOPE", "public.users")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("DAAM_UPSTREAM_SCOPE: it must be a list"),
        "{}",
        text(&output.stderr)
    );
    let output = agent(&["config", "check"], &[]);
    assert_eq!(output.status.code(), Some(64), "nothing to check is wrong usage");
    assert_eq!(text(&agent(&["config", "reference"], &[]).stdout), reference::page());
    let schema: serde_json::Value =
        serde_json::from_str(&text(&agent(&["config", "schema"], &[]).stdout)).unwrap();
    assert_eq!(schema, reference::schema());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_from_the_environment_is_the_scope() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let dsn = dir.path().join("dsn");
    std::fs::write(&dsn, world.agent_dsn()).unwrap();
    let dsn = dsn.to_str().unwrap();
    let diff = |scope: &str| {
        agent(&["introspect", "--diff"], &[("DAAM_UPSTREAM_DSN_FILE", dsn), ("DAAM_UPSTREAM_SCOPE", scope)])
    };
    let covered = diff("[public.*, hr.*]");
    assert_eq!((covered.status.code(), text(&covered.stdout)), (Some(0), String::new()));
    let nothing = diff("[]");
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
    assert!(text(&nothing.stdout).contains("+ hr.staff\n"), "{}", text(&nothing.stdout));
}
