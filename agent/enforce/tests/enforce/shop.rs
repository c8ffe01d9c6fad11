//! The tables and policies of these tests.

use daam_catalog::{
    Catalog, Column, DataType, Function, FunctionName, Identifier, Privilege, Relation, RelationKind,
    RelationName, ServerVersion, TypeClass,
};
use daam_enforce::SessionPlan;
use daam_model::{
    AttributeValue, EffectiveMask, EffectivePolicy, FilterClause, Mask, Origin, RelationAccess, RowFilter,
    SessionLimits, Subject, Verb,
};
use std::collections::{BTreeMap, BTreeSet};

/// The tables as SQL; the owner runs it.
pub(crate) const SCHEMA: &str = "
CREATE TABLE public.users(id int PRIMARY KEY, email text NOT NULL UNIQUE, name text NOT NULL, region text NOT NULL);
CREATE TABLE public.orders(id serial PRIMARY KEY, user_id int, amount numeric(10,2), region text);
CREATE TABLE public.tickets(id int PRIMARY KEY, email text, region text, note text);
CREATE TABLE public.notes(id int PRIMARY KEY, body text);
CREATE TABLE public.salaries(id int PRIMARY KEY, amount numeric);
CREATE TABLE public.teams(name text, region text);
CREATE FUNCTION public.first_email() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT email FROM public.users LIMIT 1';
INSERT INTO public.users VALUES (1,'jane@example.com','Jane','eu'),(2,'bob@corp.example.org','Bob','us');
INSERT INTO public.orders(user_id,amount,region) VALUES (1,10,'eu'),(2,20,'us'),(1,30,'eu');
INSERT INTO public.tickets VALUES (1,'jane@example.com','eu','a'),(2,'bob@corp.example.org','us','b');
INSERT INTO public.notes VALUES (1,'one');
INSERT INTO public.salaries VALUES (1,1000);
INSERT INTO public.teams VALUES ('support','eu');
";

pub(crate) fn id(name: &str) -> Identifier {
    Identifier::stored(name).unwrap()
}

pub(crate) fn relation_name(name: &str) -> RelationName {
    let (schema, name) = name.split_once('.').unwrap();
    RelationName::stored(schema, name).unwrap()
}

pub(crate) fn data_type(sql: &str) -> DataType {
    let class = match sql.split('(').next().unwrap() {
        "integer" | "bigint" | "smallint" => TypeClass::Integer,
        "numeric" => TypeClass::Numeric,
        "real" | "double precision" => TypeClass::Float,
        "text" | "character varying" | "character" => TypeClass::Text,
        "uuid" => TypeClass::Uuid,
        "date" => TypeClass::Date,
        "timestamp without time zone" => TypeClass::Timestamp,
        "timestamp with time zone" => TypeClass::TimestampTz,
        "inet" => TypeClass::Inet,
        "cidr" => TypeClass::Cidr,
        "json" => TypeClass::Json,
        "jsonb" => TypeClass::Jsonb,
        "public.code" => TypeClass::Domain,
        _ => TypeClass::Other,
    };
    DataType { sql: sql.to_owned(), class }
}

pub(crate) fn table(name: &str, columns: &[(&str, &str)]) -> Relation {
    Relation {
        columns: columns.iter().map(|(column, sql)| Column::new(id(column), data_type(sql))).collect(),
        primary_key: vec![id(columns[0].0)],
        ..Relation::new(relation_name(name), RelationKind::Table, id("shop_owner"))
    }
}

pub(crate) fn catalog(version: u32) -> Catalog {
    let mut orders = table(
        "public.orders",
        &[("id", "integer"), ("user_id", "integer"), ("amount", "numeric(10,2)"), ("region", "text")],
    );
    orders.columns[0].sequence = Some(relation_name("public.orders_id_seq"));
    let mut salaries = table("public.salaries", &[("id", "integer"), ("amount", "numeric")]);
    salaries.public.insert(Privilege::Select);
    let tables = [
        table("public.users", &[("id", "integer"), ("email", "text"), ("name", "text"), ("region", "text")]),
        orders,
        table(
            "public.tickets",
            &[("id", "integer"), ("email", "text"), ("region", "text"), ("note", "text")],
        ),
        table("public.notes", &[("id", "integer"), ("body", "text")]),
        salaries,
        table("public.teams", &[("name", "text"), ("region", "text")]),
    ];
    let name = FunctionName { schema: id("public"), name: id("first_email"), arguments: Vec::new() };
    let function = Function {
        security_definer: true,
        public_execute: true,
        returns: "text".to_owned(),
        ..Function::new(name.clone(), id("shop_owner"))
    };
    Catalog {
        server: ServerVersion(version),
        relations: tables.into_iter().map(|table| (table.name.clone(), table)).collect(),
        functions: BTreeMap::from([(name, function)]),
        ..Catalog::default()
    }
}

/// Everything granted on the columns of a relation.
pub(crate) fn all(relation: &Relation, verbs: &[Verb]) -> RelationAccess {
    let columns: BTreeSet<Identifier> = relation.columns.iter().map(|column| column.name.clone()).collect();
    RelationAccess {
        verbs: verbs
            .iter()
            .map(|verb| (*verb, if verb.has_columns() { columns.clone() } else { BTreeSet::new() }))
            .collect(),
        ..RelationAccess::default()
    }
}

pub(crate) fn filter(relation: &str, text: &str) -> RowFilter {
    let origin = Origin { file: "policies/support.yaml".to_owned(), line: 3 };
    let clause = FilterClause { relation: relation_name(relation), text: text.to_owned(), origin };
    RowFilter { any: vec![clause], all: Vec::new() }
}

/// users: masked email, no filter; orders: filter; tickets: both; notes: neither; salaries and teams: nothing.
pub(crate) fn policy(catalog: &Catalog) -> EffectivePolicy {
    let writes = [Verb::Select, Verb::Insert, Verb::Update, Verb::Delete];
    let mut relations = BTreeMap::new();
    for name in ["public.users", "public.orders", "public.tickets", "public.notes"] {
        let relation = &catalog.relations[&relation_name(name)];
        let mut access = all(relation, &writes);
        if name == "public.users" || name == "public.tickets" {
            access.masks.insert(id("email"), EffectiveMask::new(Mask::Email));
        }
        if name == "public.orders" || name == "public.tickets" {
            for verb in writes {
                let text = "region = subject.region and exists (select 1 from teams t where t.region = orders.region)";
                let text = if name == "public.orders" { text } else { "region = subject.region" };
                access.rows.insert(verb, filter(name, text));
            }
        }
        relations.insert(relation.name.clone(), access);
    }
    EffectivePolicy {
        subject: Subject {
            id: "u1".to_owned(),
            email: "sam@acme.test".to_owned(),
            groups: BTreeSet::from(["support".to_owned()]),
            attributes: BTreeMap::from([("region".to_owned(), AttributeValue::Text("eu".to_owned()))]),
        },
        policies: BTreeSet::from(["support".to_owned()]),
        relations,
        functions: BTreeSet::new(),
        limits: SessionLimits::default(),
        refused: Vec::new(),
    }
}

pub(crate) fn plan(catalog: &Catalog) -> SessionPlan {
    daam_enforce::plan(&policy(catalog), catalog).unwrap()
}
