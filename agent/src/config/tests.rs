//! What the configuration accepts and refuses.

use super::*;
use daam_catalog::Scope;

const WHOLE: &str = "\
agent: { name: shop-1, database: shop, listen: 0.0.0.0:6432, advertise: [127.0.0.1:6432], state_dir: state }
control_plane: { url: https://daam.example/, enrolment_token_file: token }
trust: { file: trust.json, identity_ca: ca.pem }
upstream:
  dsn_file: /etc/daam-agent/dsn
  scope:
    - public.users
    - analytics.*
views: { linger: 250ms }
";

fn refused(text: &str) -> String {
    Config::parse(text, Path::new("conf/agent.yaml")).unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_read() {
    let config = Config::parse(WHOLE, Path::new("conf/agent.yaml")).unwrap();
    let agent = config.agent.unwrap();
    assert_eq!(agent.state_dir, Path::new("conf/state"));
    assert_eq!(agent.health.port(), 9464);
    assert_eq!(config.control_plane.unwrap().url, "https://daam.example");
    assert_eq!(config.upstream.patterns, ["public.users", "analytics.*"]);
    assert_eq!(config.linger, Duration::from_millis(250));
}

#[test]
fn the_audit_is_on_and_strict_unless_the_file_says_otherwise() {
    use crate::audit::{Level, Unwritable, Upload};
    let settings = Config::parse(WHOLE, Path::new("a.yaml")).unwrap().audit.settings;
    assert_eq!((settings.statements, settings.literals), (Level::All, false));
    assert_eq!((settings.upload, settings.unwritable), (Upload::Statements, Unwritable::Refuse));
    let text = "audit: { path: log, statements: refused, literals: true, max_size: 2 MiB, keep: 3, upload: none, \
                on_failure: continue }\nupstream: { dsn_file: x }\n";
    let audit = Config::parse(text, Path::new("conf/a.yaml")).unwrap().audit;
    assert_eq!(audit.path.as_deref(), Some(Path::new("conf/log")));
    assert_eq!((audit.settings.statements, audit.settings.literals), (Level::Refused, true));
    assert_eq!((audit.settings.max_size, audit.settings.keep), (2 << 20, 3));
    assert_eq!((audit.settings.upload, audit.settings.unwritable), (Upload::None, Unwritable::Continue));
}

#[test]
fn the_audit_section_of_the_agent_page_says_what_holds_without_it() {
    let page = include_str!("../../../policy-examples/agent.md");
    let block = page.split("```yaml\n").find(|block| block.starts_with("audit:")).unwrap();
    let text = format!("{}upstream: {{ dsn_file: x }}\n", block.split("```").next().unwrap());
    let shown = Config::parse(&text, Path::new("a.yaml")).unwrap().audit;
    assert_eq!(shown.settings, crate::audit::AuditSettings::default());
    assert_eq!(shown.path.as_deref(), Some(Path::new("/var/lib/daam-agent/audit")));
}

#[test]
fn a_misspelt_scope_refuses_the_file_and_says_what_was_meant() {
    let text = refused("upstream:\n  dsn_file: x\n  scopes: [public.users]\n");
    assert!(text.starts_with("conf/agent.yaml:3:3: unknown key `scopes` in `upstream`"), "{text}");
    assert!(text.contains("`scope`"), "{text}");
    let text = refused("upstream: { dsn_file: x }\nupstream.scopes: []\n");
    assert!(text.contains(":2:1: unknown key `upstream.scopes`"), "{text}");
}

#[test]
fn absent_empty_and_listed_scope_are_three_things() {
    let scope = |text: &str| {
        let text = format!("upstream:\n  dsn_file: x\n{text}");
        Config::parse(&text, Path::new("a.yaml")).unwrap().upstream.scope
    };
    assert_eq!(scope(""), Scope::Absent);
    assert_eq!(scope("  scope: []\n"), Scope::Patterns(vec![]));
    assert_eq!(scope("  scope: [public.users]\n").patterns().len(), 1);
}

#[test]
fn a_scope_without_a_value_is_refused() {
    for value in ["", "~", "null"] {
        let text = refused(&format!("upstream:\n  dsn_file: x\n  scope: {value}\n"));
        assert!(text.contains("write `scope: []` to deny everything"), "{text}");
    }
}

#[test]
fn duplicate_keys_anchors_aliases_tags_and_wrong_kinds_are_refused_with_their_place() {
    let cases = [
        ("upstream:\n  dsn_file: x\n  dsn_file: y\n", ":3:3: `dsn_file` is written twice"),
        ("upstream: &a\n  dsn_file: x\n", "anchors are not accepted"),
        ("upstream:\n  dsn_file: !!str x\n", "tags are not accepted"),
        ("upstream:\n  dsn_file: [x]\n", ":2:13: `upstream.dsn_file` must be a text, found a list"),
        ("upstream:\n  dsn_file: 12\n", "must be a text, found a number"),
        ("upstream:\n  dsn_file: x\n  scope: public.users\n", "`upstream.scope` must be a list"),
        ("upstream:\n  dsn_file: x\n  scope: ['!public.users']\n", "is a negation"),
        ("upstream:\n  dsn_file: x\n  scope: [users]\n", "`schema.table`"),
        ("upstream: []\n", "`upstream` must be a mapping, found a list"),
        ("", "the file is empty"),
        ("agent: { hash_key_file: }\nupstream: { dsn_file: x }\n", "`agent.hash_key_file` has no value"),
        ("agent: { hash_key: x }\nupstream: { dsn_file: x }\n", "unknown key `hash_key` in `agent`"),
        ("upstream:\n  dsn_file: x\n  scope: [1]\n", "`upstream.scope` must be a text, found a number"),
        ("upstream:\n  dsn_file: x\n  scope: [public.users, ]\n  scope: []\n", "`scope` is written twice"),
        ("upstream:\n  dsn_file: x\n  scope:\n    - *.users\n", ":4:7: aliases are not accepted"),
        ("upstream:\n  dsn_file: x\n  scope: [*.*]\n", "needs quotes, such as `\"*.users\"`"),
        ("upstream: {\n", "this is not YAML"),
        ("views: { linger: soon }\nupstream: { dsn_file: x }\n", "`views.linger` must be a duration"),
        ("upstream: { scope: [] }\n", "`dsn_file` is missing in `upstream`"),
        ("audit: { statement: all }\nupstream: { dsn_file: x }\n", "unknown key `statement` in `audit`"),
        (
            "audit: { statements: some }\nupstream: { dsn_file: x }\n",
            "expected one of `none`, `refused`, `all`",
        ),
        (
            "audit: { literals: yes }\nupstream: { dsn_file: x }\n",
            "`audit.literals` must be `true` or `false`",
        ),
        ("audit: { max_size: 64 }\nupstream: { dsn_file: x }\n", "`audit.max_size` must be a size"),
        ("audit: { keep: 1 }\nupstream: { dsn_file: x }\n", "`audit.keep` must be a number of files"),
        ("audit: { on_failure: ignore }\nupstream: { dsn_file: x }\n", "one of `refuse`, `continue`"),
        ("upstream: { dsn_file: x }\n---\nupstream: { dsn_file: x }\n", "only one document"),
    ];
    for (text, expected) in cases {
        let message = refused(text);
        assert!(message.contains(expected), "{text:?} gave {message:?}");
    }
}

#[test]
fn every_fault_is_reported_in_order() {
    let text = refused("agent: { name: 1, databas: shop }\nupstream: { dsn_fil: x }\n");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() >= 4, "{text}");
    assert!(lines.windows(2).all(|pair| pair[0].split(':').nth(1) <= pair[1].split(':').nth(1)), "{text}");
}

#[test]
fn a_token_travels_in_clear_to_this_machine_only() {
    let with = |url: &str| {
        let text = format!(
            "control_plane: {{ url: '{url}', enrolment_token_file: t }}\nupstream: {{ dsn_file: x }}\n"
        );
        Config::parse(&text, Path::new("a.yaml")).is_ok()
    };
    for good in ["https://daam.example", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:80/"] {
        assert!(with(good), "{good}");
    }
    for bad in [
        "http://daam.example",
        "http://127.0.0.1.evil.example",
        "ftp://x",
        "http://localhost@evil.example",
        "http://localhost:1@evil.example",
    ] {
        assert!(!with(bad), "{bad}");
    }
}
