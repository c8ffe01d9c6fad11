//! The type checker against a real server: both judge the same expressions, and never differently.

use crate::corpus_expressions::all;
use crate::corpus_functions;
use crate::corpus_literals::COLUMNS;
use crate::typing::{function, relation};
use daam_catalog::{Catalog, Identifier, RelationName, ServerVersion};
use daam_postgres::Cluster;
use daam_sql::typing::{AttributeKind, Definition, Environment, Universe, judge};
use daam_sql::{BuiltInTypes, Filter, SubjectValue};
use tokio_postgres::{Client, NoTls};

const SCHEMA: &str = "
    CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy');
    CREATE TYPE public.\"Odd Type\" AS ENUM ('A b', 'B');
    CREATE DOMAIN public.positive AS integer CHECK (value > 0);
    CREATE DOMAIN public.label AS varchar(10);
    CREATE DOMAIN public.mood_domain AS public.mood;
    CREATE DOMAIN public.tags AS text[];
    CREATE TYPE public.pair AS (a integer, b text);
    CREATE TYPE public.floatrange AS RANGE (subtype = double precision);
    CREATE FUNCTION public.twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'select $1 * 2';
    CREATE FUNCTION public.twice(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'select $1 * 2';
    CREATE FUNCTION public.shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'select upper($1)';
    CREATE FUNCTION public.same(anyelement, anyelement) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'select true';
    CREATE TABLE public.other (id integer, name text, owner uuid, tags text[], m public.mood, amount numeric);
    CREATE FUNCTION public.judge(relation text, texts text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE one text;
    BEGIN
        FOREACH one IN ARRAY texts LOOP
            BEGIN
                EXECUTE 'PREPARE judged AS SELECT 1 FROM public.' || relation || ' AS \"t\" WHERE ' || one;
                EXECUTE 'DEALLOCATE judged';
                RETURN NEXT '';
            EXCEPTION WHEN OTHERS THEN RETURN NEXT SQLSTATE || ' ' || SQLERRM;
            END;
        END LOOP;
    END $$;
";

fn subject(name: &str) -> Option<SubjectValue> {
    match name {
        "region" => Some(SubjectValue::Text("eu".to_owned())),
        "tenant" => Some(SubjectValue::Uuid("00000000-0000-0000-0000-000000000001".to_owned())),
        "clearance" => Some(SubjectValue::Integer(3)),
        "admin" => Some(SubjectValue::Boolean(true)),
        "groups" => Some(SubjectValue::TextArray(vec!["a".to_owned()])),
        _ => None,
    }
}

fn attribute(name: &str) -> Option<AttributeKind> {
    subject(name).map(|value| match value {
        SubjectValue::Text(_) => AttributeKind::Text,
        SubjectValue::Uuid(_) => AttributeKind::Uuid,
        SubjectValue::Integer(_) => AttributeKind::Integer,
        SubjectValue::Boolean(_) => AttributeKind::Boolean,
        SubjectValue::TextArray(_) => AttributeKind::TextList,
    })
}

fn definitions() -> Vec<(RelationName, Definition)> {
    let name = |name: &str| RelationName::stored("public", name).unwrap();
    let labels = |labels: &[&str]| Definition::Enum(labels.iter().map(|label| (*label).to_owned()).collect());
    let domain = |base: &str| Definition::Domain(base.to_owned());
    let field = |name: &str, sql: &str| (Identifier::stored(name).unwrap(), sql.to_owned());
    vec![
        (name("mood"), labels(&["sad", "ok", "happy"])),
        (name("Odd Type"), labels(&["A b", "B"])),
        (name("positive"), domain("integer")),
        (name("label"), domain("character varying(10)")),
        (name("mood_domain"), domain("public.mood")),
        (name("tags"), domain("text[]")),
        (name("pair"), Definition::Composite(vec![field("a", "integer"), field("b", "text")])),
        (name("floatrange"), Definition::Range("double precision".to_owned())),
    ]
}

/// The catalogue as the lock would describe that database.
fn catalog(version: u32) -> Catalog {
    let mut catalog = Catalog { server: ServerVersion(version), ..Catalog::default() };
    let columns: Vec<(&str, &str)> = COLUMNS.iter().map(|(name, sql, ..)| (*name, *sql)).collect();
    let other = [
        ("id", "integer"),
        ("name", "text"),
        ("owner", "uuid"),
        ("tags", "text[]"),
        ("m", "public.mood"),
        ("amount", "numeric"),
    ];
    let callers = relation("callers", corpus_functions::COLUMNS);
    for found in [relation("t", &columns), relation("other", &other), callers] {
        catalog.relations.insert(found.name.clone(), found);
    }
    for (name, arguments, returns) in [
        ("twice", &["integer"][..], "integer"),
        ("twice", &["numeric"], "numeric"),
        ("shout", &["text"], "text"),
        ("same", &["anyelement", "anyelement"], "boolean"),
    ] {
        let found = function(name, arguments, returns);
        catalog.functions.insert(found.name.clone(), found);
    }
    corpus_functions::describe(&mut catalog);
    catalog
}

async fn connect(cluster: &Cluster) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&cluster.superuser_dsn("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(SCHEMA).await.unwrap();
    let columns: Vec<String> = COLUMNS.iter().map(|(name, sql, ..)| format!("{name} {sql}")).collect();
    client.batch_execute(&format!("CREATE TABLE public.t ({})", columns.join(", "))).await.unwrap();
    let columns: Vec<String> =
        corpus_functions::COLUMNS.iter().map(|(name, sql)| format!("{name} {sql}")).collect();
    client.batch_execute(&format!("CREATE TABLE public.callers ({})", columns.join(", "))).await.unwrap();
    client.batch_execute(&corpus_functions::declarations()).await.unwrap();
    client.batch_execute("SET search_path = pg_catalog; SET client_min_messages = error").await.unwrap();
    client
}

/// What the server says: nothing, or SQLSTATE and message.
async fn server(client: &Client, relation: &str, conditions: &[String]) -> Vec<String> {
    let mut said = Vec::new();
    for part in conditions.chunks(500) {
        let rows = client.query("SELECT public.judge($1, $2)", &[&relation, &part]).await.unwrap();
        said.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    said
}

/// What both said, and where they differ.
#[derive(Debug, Default)]
struct Verdicts {
    judged: usize,
    accepted: usize,
    /// Refused with the same SQLSTATE by both.
    states: usize,
    /// Refused in the same words by both.
    sentences: usize,
    outside: usize,
    differ: Vec<String>,
}

impl Verdicts {
    fn rejected(&self) -> usize {
        self.judged - self.accepted
    }

    fn summary(&self) -> String {
        format!(
            "{} judged, {} accepted, {} refused (same SQLSTATE {}, same sentence {}), {} outside the language, {} differ\n{}",
            self.judged,
            self.accepted,
            self.rejected(),
            self.states,
            self.sentences,
            self.outside,
            self.differ.len(),
            self.differ.join("\n")
        )
    }
}

async fn judged_by_both(client: &Client, relation: &str, expressions: Vec<String>) -> Verdicts {
    let version: i32 =
        client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await.unwrap().get(0);
    let catalog = catalog(u32::try_from(version).unwrap());
    let universe = Universe::of(&catalog, &definitions());
    let table = catalog.relation(&RelationName::stored("public", relation).unwrap()).unwrap();
    let environment =
        Environment { relation: table, find: &|name| catalog.relation(name), attribute: &attribute };
    let (mut texts, mut conditions, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    let mut verdicts = Verdicts::default();
    for text in expressions {
        let Ok(filter) = Filter::parse(&text) else {
            verdicts.outside += 1;
            continue;
        };
        let judgement = judge(&filter, &universe, &environment);
        ours.push(judgement.errors.first().map(|error| format!("{} {}", error.sqlstate, error.message)));
        conditions.push(filter.bind("t", &subject, &BuiltInTypes).sql);
        texts.push(text);
    }
    let theirs = server(client, relation, &conditions).await;
    assert_eq!(theirs.len(), ours.len());
    verdicts.judged = texts.len();
    for ((text, ours), theirs) in texts.iter().zip(&ours).zip(&theirs) {
        let refused = ours.as_deref().unwrap_or("");
        verdicts.accepted += usize::from(theirs.is_empty());
        verdicts.states += usize::from(!theirs.is_empty() && theirs.get(..5) == refused.get(..5));
        verdicts.sentences += usize::from(!theirs.is_empty() && theirs == refused);
        if theirs.is_empty() != refused.is_empty() {
            verdicts.differ.push(format!("{text}\n    here:   {refused}\n    server: {theirs}"));
        }
    }
    verdicts
}

#[tokio::test]
async fn the_checker_and_the_server_agree_on_every_expression() {
    let cluster = Cluster::for_test().unwrap();
    let client = connect(&cluster).await;
    let found = judged_by_both(&client, "t", all()).await;
    let summary = found.summary();
    assert!(found.differ.is_empty(), "{summary}");
    assert!(found.judged >= 3_000 && found.accepted >= 1_000 && found.rejected() >= 1_000, "{summary}");
    assert!(found.states * 100 >= found.rejected() * 95, "{summary}");
}

#[tokio::test]
async fn the_checker_and_the_server_agree_on_every_call_of_a_function_of_ones_own() {
    let cluster = Cluster::for_test().unwrap();
    let client = connect(&cluster).await;
    let found = judged_by_both(&client, "callers", corpus_functions::calls()).await;
    let summary = found.summary();
    assert!(found.differ.is_empty(), "{summary}");
    assert!(found.judged >= 10_000 && found.accepted >= 1_000 && found.rejected() >= 1_000, "{summary}");
    assert!(found.states * 100 >= found.rejected() * 95, "{summary}");
}
