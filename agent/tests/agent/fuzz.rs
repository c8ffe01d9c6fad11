//! The properties the agent's fuzz targets look for a counterexample to, over what they start from and over every input
//! that broke one of them once: compiled and run with every change, without instrumentation.
//!
//! `DAAM_WRITE_SEEDS=DIRECTORY cargo test -p daam-agent seeds` writes what the targets start from.

#[path = "../../fuzz/properties/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own where the fuzzer runs it")]
mod properties;

use daam_audit::{Chain, Detail, Event, Who};
use daam_pgwire::frontend::{Target, bind, close, execute, flush, parse_statement, query, sync, terminate};
use daam_pgwire::startup::{StartupParameters, encode_session, encode_ssl_request};
use daam_pgwire::{Report, TransactionStatus, backend};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Seeds = BTreeMap<&'static str, BTreeSet<Vec<u8>>>;

const STATEMENTS: &[&str] = &[
    "SELECT * FROM users",
    "SELECT u.email, 'x''y', E'\\'', $$z$$ FROM public.users AS u JOIN orders USING (id) WHERE u.id = $1 -- c",
    "WITH a AS (SELECT email FROM users) SELECT * FROM a, LATERAL (SELECT 1 FROM orders) o",
    "INSERT INTO users (id, email) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET region = 'x' RETURNING email",
    "UPDATE users SET region = (SELECT region FROM orders LIMIT 1) WHERE email = 'x' RETURNING *",
    "DELETE FROM orders USING users WHERE users.id = orders.id",
    "MERGE INTO notes USING users ON true WHEN MATCHED THEN DELETE",
    "COPY users TO STDOUT; COPY (TABLE users) TO STDOUT",
    "COPY notes FROM STDIN",
    "EXPLAIN ANALYZE TABLE ONLY users",
    "PREPARE p AS SELECT * FROM U&\"\\0075sers\" UESCAPE '!'; EXECUTE p",
    "BEGIN READ ONLY; DECLARE c CURSOR FOR SELECT users FROM users; FETCH ALL c",
    "SELECT * FROM hidden",
    "SET search_path = public; DISCARD ALL",
    "CREATE TEMP TABLE t AS SELECT * FROM users TABLESAMPLE system (1)",
    "SELECT query_to_xml('select 1', true, true, '')",
    "SELECT (users).email, users.ctid FROM users GROUP BY id",
    "selec 'open",
];

fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    let mut add = |target, bytes: &[u8]| seeds.entry(target).or_default().extend([bytes.to_vec()]);
    let batch = [
        parse_statement(b"s", "SELECT $1::int", b"\0\x01\0\0\0\x17"),
        bind(b"p", b"s"),
        execute(b"p"),
        close(Target::Portal(b"p")),
        flush(),
        sync(),
    ]
    .concat();
    for sql in STATEMENTS {
        add("rewrite", sql.as_bytes());
        add("frontend", &query(sql));
    }
    add("frontend", &batch);
    add("frontend", b"F\0\0\0\x0e\0\0\0\x2a\0\0\0\0\0\0");
    add("frontend", &[&b"d\0\0\0\x06xyc\0\0\0\x04"[..], &terminate()].concat());
    let report = Report::error("42501", "no").detail("d".to_owned()).hint("h".to_owned()).position(Some(3));
    let replies = [
        backend::authentication_ok(),
        backend::parameter_status("search_path", "a, b"),
        backend::command_complete("SELECT 2"),
        report.to_error(),
        report.to_notice(),
        backend::ready_for_query(TransactionStatus::Idle),
    ];
    for reply in &replies {
        add("backend", reply);
        add("backend", reply.get(5..).unwrap());
    }
    add("backend", b"\0\x02\0\0\0\x01x\xff\xff\xff\xff");
    let row = b"D\0\0\0\x0b\0\x01\0\0\0\x01x";
    for step in [1_u8, 3, 200] {
        add("frames", &[&[step][..], &batch, row, row, &replies.concat(), row].concat());
        add("frames", &[&[step][..], b"Q\x7f\xff\xff\xff", row].concat());
    }
    add("pipeline", b"\x02\x04\x0a\x0e\x19\x1b\x09\x01");
    add("pipeline", &(0..=255).collect::<Vec<u8>>());
    let parameters = ["user", "jane", "options", "-c search_path=a\\ b --work-mem=1", "_pq_.x", "1"];
    let parameters =
        parameters.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect::<Vec<_>>();
    for minor in [0, 2, 9] {
        let packet = encode_session(&StartupParameters { minor, parameters: parameters.clone() });
        add("startup", packet.get(4..).unwrap());
    }
    add("startup", encode_ssl_request().get(4..).unwrap());
    add("startup", b"\x04\xd2\x16\x2e\0\0\0\x01abcd");
    let (mut chain, mut lines) = (Chain::new(), String::new());
    let who = Who { id: "u".into(), email: "e".into(), device: "d".into() };
    for text in ["SELECT $1", "é\u{1}\"\\"] {
        let event = Event::SessionRefused { who: who.clone(), bundle: 1, sqlstate: "42501".into() };
        let detail = Detail::salted([1; 16]).with_text(Some(text));
        lines.push_str(&chain.append("2026-01-02T03:04:05.000000Z".into(), event, Some(detail)).line());
        lines.push('\n');
    }
    add("audit", lines.as_bytes());
    seeds
}

/// Inputs that broke a property once.
fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/kept").join(target);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn the_properties_hold_for_every_seed_and_every_damaged_one() {
    for (target, seeds) in seeds() {
        let property = properties::target(target);
        for seed in seeds.into_iter().chain(kept(target)) {
            property(&seed);
            // Cut short, and with a byte that should not be there, at a spread of places.
            for at in (0..seed.len()).step_by(seed.len() / 16 + 1) {
                property(&seed[..at]);
                for byte in [0, 0x27, 0xff] {
                    let mut damaged = seed.clone();
                    damaged[at] = byte;
                    property(&damaged);
                }
            }
        }
    }
}

#[test]
fn every_target_has_seeds() {
    let seeds = seeds();
    let names: Vec<&str> = properties::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seeds.keys().copied().collect::<Vec<_>>(), names);
    let Some(directory) = std::env::var_os("DAAM_WRITE_SEEDS").map(PathBuf::from) else { return };
    for (target, seeds) in seeds {
        let folder = directory.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        for (index, seed) in seeds.into_iter().chain(kept(target)).enumerate() {
            std::fs::write(folder.join(format!("seed-{index}")), seed).unwrap();
        }
    }
}
