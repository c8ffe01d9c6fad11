//! What the bodies of functions with their caller's rights do that a statement of a session may not.
//!
//! A function is the customer's own code, and runs as the session; but no statement was looked at in it. One that runs text
//! as SQL opens what `DO` does; one that calls a function with its owner's rights which everyone may execute passes it on.
//! Bodies are read as words, so a name in a comment counts, too.

use super::IntrospectError;
use super::queries::{get, user_schema};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio_postgres::Row;

/// Functions of users, without those that only triggers call: what they are, and the bodies of those with their callers'
/// rights.
pub(super) const BODIES: &str = concat!(
    "\
SELECT p.oid::int8, p.proname::text, p.oid::regprocedure::text, \
  p.prosecdef AND EXISTS (SELECT 1 FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0), \
  CASE WHEN NOT p.prosecdef AND p.prokind IN ('f', 'p') THEN l.lanname::text END, \
  CASE WHEN NOT p.prosecdef AND l.lanname IN ('sql', 'plpgsql') THEN p.prosrc END, \
  ARRAY(SELECT d.refobjid::int8 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid \
    AND d.refclassid = 'pg_proc'::regclass) \
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang \
WHERE ",
    user_schema!(),
    " AND l.lanname NOT IN ('c', 'internal') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) \
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')"
);

/// A function, as its body matters to others.
struct Body {
    name: String,
    signature: String,
    /// Everyone may execute it, with its owner's rights.
    left_open: bool,
    /// Of functions with their callers' rights.
    language: Option<String>,
    source: Option<String>,
    depends: Vec<i64>,
}

/// What functions reach, by oid, in words that follow the function's name.
pub(super) fn reached(rows: &[Row]) -> Result<BTreeMap<i64, String>, IntrospectError> {
    const WHAT: &str = "functions";
    let body = |row: &Row| {
        Ok((
            get(row, 0, WHAT)?,
            Body {
                name: get::<String>(row, 1, WHAT)?.to_lowercase(),
                signature: get(row, 2, WHAT)?,
                left_open: get(row, 3, WHAT)?,
                language: get(row, 4, WHAT)?,
                source: get(row, 5, WHAT)?,
                depends: get(row, 6, WHAT)?,
            },
        ))
    };
    Ok(spread(&rows.iter().map(body).collect::<Result<_, _>>()?))
}

/// From those that do it themselves to those that call them.
fn spread(bodies: &BTreeMap<i64, Body>) -> BTreeMap<i64, String> {
    let mut callers: HashMap<i64, BTreeSet<i64>> = HashMap::new();
    let mut reached = BTreeMap::new();
    let mut open = Vec::new();
    let named = Named::of(bodies);
    for (oid, body) in bodies {
        let Some(language) = &body.language else {
            if body.left_open {
                open.push((*oid, format!("calls `{}`, which runs with its owner's rights,", body.signature)));
            }
            continue;
        };
        let words = words(body.source.as_deref().unwrap_or_default());
        if runs_text(language, &words) {
            open.push((*oid, "runs text as SQL".to_owned()));
        }
        let called = named.among(&words, body.source.as_deref().unwrap_or_default());
        for called in called.chain(body.depends.iter().copied()).filter(|called| called != oid) {
            callers.entry(called).or_default().insert(*oid);
        }
    }
    while let Some((oid, what)) = open.pop() {
        if bodies.get(&oid).is_some_and(|body| body.language.is_some()) {
            if reached.contains_key(&oid) {
                continue;
            }
            reached.insert(oid, what.clone());
        }
        open.extend(callers.get(&oid).into_iter().flatten().map(|caller| (*caller, what.clone())));
    }
    reached
}

fn runs_text(language: &str, words: &BTreeSet<String>) -> bool {
    let of_others = |word: &String| daam_enforce::runs_text(word);
    match language {
        "plpgsql" => words.contains("execute") || words.iter().any(of_others),
        "sql" => words.iter().any(of_others),
        // What other languages do with a text is theirs.
        _ => true,
    }
}

/// Functions by name: those that are one word, and those that are not.
struct Named<'a> {
    words: HashMap<&'a str, Vec<i64>>,
    others: Vec<(&'a str, i64)>,
}

impl<'a> Named<'a> {
    fn of(bodies: &'a BTreeMap<i64, Body>) -> Self {
        let mut named = Self { words: HashMap::new(), others: Vec::new() };
        for (oid, body) in bodies {
            if body.name.chars().all(is_of_a_word) {
                named.words.entry(&body.name).or_default().push(*oid);
            } else {
                named.others.push((&body.name, *oid));
            }
        }
        named
    }

    fn among(&self, words: &BTreeSet<String>, source: &str) -> impl Iterator<Item = i64> {
        let found = words.iter().filter_map(|word| self.words.get(word.as_str())).flatten().copied();
        let source =
            if self.others.is_empty() { String::new() } else { source.to_lowercase().replace("\"\"", "\"") };
        found.chain(self.others.iter().filter(move |(name, _)| source.contains(name)).map(|(_, oid)| *oid))
    }
}

fn words(source: &str) -> BTreeSet<String> {
    source.split(|c| !is_of_a_word(c)).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}
