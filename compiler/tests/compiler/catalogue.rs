//! A short notation for catalogues, so that a specification can show one.
//!
//! ```text
//! table public.users: id integer not null, email text, shown text generated from email
//! table public.users_eu inherits public.users: id integer, email text, shown text
//! table public.orders: user_id integer references public.users.id
//! view public.user_list reads public.users.email: email text
//! function public.order_total(integer) returns numeric stable
//! function public.whoami() volatile definer public
//! function public.any_of(text, text[]) stable variadic defaults=1
//! function public.shell(text) volatile untrusted=plperlu
//! counts public.user_list public.orders
//! calls public.user_list public.whoami()
//! type public.mood enum good bad
//! type public.zip domain text not null
//! type public.price composite (amount numeric, currency text)
//! type public.span range integer
//! type public.citext base S
//! operator public.=(public.citext, public.citext) boolean via public.citext_eq
//! cast public.citext text implicit
//! index public.users(email, id)
//! label public.users.email anon: MASKED
//! comment public.users.email where to write
//! public public.users select
//! size public.users large
//! captured 2026-11-22
//! ```

use daam_catalog::{
    CastContext, Catalog, Column, ColumnRef, DataType, ForeignKey, Function, FunctionName, Generated,
    Identifier, Parameters, Privilege, Relation, RelationKind, RelationName, RowClass, SearchPath,
    ServerVersion, TypeClass, UserCast, UserOperator, UserType, UserTypeKind, Volatility, lock,
};
use daam_compiler::MemoryFiles;
use std::collections::BTreeSet;

/// The files of a lock below a directory.
pub(crate) fn with_lock(files: MemoryFiles, directory: &str, catalog: &Catalog) -> MemoryFiles {
    lock::to_files(catalog)
        .into_iter()
        .fold(files, |files, (name, text)| files.with(format!("{directory}/{name}"), text))
}

/// Reads the notation.
pub(crate) fn parse(text: &str) -> Catalog {
    let mut catalog = Catalog { server: ServerVersion(170_000), ..Catalog::default() };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (kind, rest) = line.split_once(' ').unwrap();
        match kind {
            "function" => {
                let function = function(rest);
                catalog.functions.insert(function.name.clone(), function);
            }
            "type" => {
                let (name, rest) = rest.split_once(' ').unwrap();
                catalog.types.insert(relation_name(name), user_type(rest));
            }
            "operator" => {
                catalog.operators.insert(operator(rest));
            }
            "cast" => {
                catalog.casts.insert(cast(rest));
            }
            "index" => {
                let (name, columns) = rest.trim_end_matches(')').split_once('(').unwrap();
                let columns = columns.split(',').map(|column| identifier(column.trim())).collect();
                relation_of(&mut catalog, name).indexes.push(columns);
            }
            "label" | "comment" => {
                let (name, said) = rest.split_once(' ').unwrap();
                let (name, column) = name.rsplit_once('.').unwrap();
                let relation = relation_of(&mut catalog, name);
                let column = relation.columns.iter_mut().find(|known| known.name.as_str() == column).unwrap();
                let place = if kind == "label" { &mut column.security_label } else { &mut column.comment };
                *place = Some(said.to_owned());
            }
            "public" => {
                let (name, privileges) = rest.split_once(' ').unwrap();
                relation_of(&mut catalog, name).public =
                    privileges.split_whitespace().map(privilege).collect();
            }
            "counts" => {
                let (name, other) = rest.split_once(' ').unwrap();
                relation_of(&mut catalog, name).scans.insert(relation_name(other));
            }
            "calls" => {
                let (name, called) = rest.split_once(' ').unwrap();
                let called = function(called).name;
                relation_of(&mut catalog, name).calls.insert(called);
            }
            "size" => {
                let (name, class) = rest.split_once(' ').unwrap();
                relation_of(&mut catalog, name).size = row_class(class);
            }
            "captured" => catalog.captured = Some(rest.to_owned()),
            _ => {
                let relation = relation(kind, rest);
                catalog.relations.insert(relation.name.clone(), relation);
            }
        }
    }
    settle_classes(&mut catalog);
    catalog
}

/// Types may be written below the tables that use them.
fn settle_classes(catalog: &mut Catalog) {
    let Catalog { relations, types, .. } = catalog;
    for column in relations.values_mut().flat_map(|relation| &mut relation.columns) {
        if column.data_type.sql.contains('.') && column.data_type.class == TypeClass::Other {
            column.data_type.class = match types.get(&relation_name(&column.data_type.sql)).map(|it| &it.kind)
            {
                Some(UserTypeKind::Enum { .. }) => TypeClass::Enum,
                Some(UserTypeKind::Domain { .. }) => TypeClass::Domain,
                Some(UserTypeKind::Base) if column.data_type.sql.ends_with(".citext") => TypeClass::Text,
                Some(_) => TypeClass::Other,
                None => panic!("no type {}", column.data_type.sql),
            };
        }
    }
}

fn relation_of<'a>(catalog: &'a mut Catalog, name: &str) -> &'a mut Relation {
    catalog.relations.get_mut(&relation_name(name)).unwrap_or_else(|| panic!("no relation {name} yet"))
}

fn relation(kind: &str, rest: &str) -> Relation {
    let (head, columns) = rest.split_once(':').unwrap();
    let (head, reads) = head.split_once(" reads ").unwrap_or((head, ""));
    let (name, parents) = head.split_once(" inherits ").unwrap_or((head, ""));
    let kind = match kind {
        "table" => RelationKind::Table,
        "partitioned" => RelationKind::PartitionedTable,
        "view" => RelationKind::View,
        "matview" => RelationKind::MaterializedView,
        "foreign" => RelationKind::ForeignTable,
        other => panic!("no kind {other}"),
    };
    Relation {
        columns: columns.split(',').map(|text| column(&without_reference(text))).collect(),
        parents: parents.split_whitespace().map(relation_name).collect(),
        foreign_keys: columns.split(',').filter_map(reference).collect(),
        reads: reads.split_whitespace().map(column_ref).collect(),
        ..Relation::new(relation_name(name), kind, identifier("owner"))
    }
}

fn identifier(text: &str) -> Identifier {
    Identifier::stored(text).unwrap()
}

fn relation_name(text: &str) -> RelationName {
    let (schema, name) = text.trim().split_once('.').unwrap();
    RelationName::stored(schema, name).unwrap()
}

fn column_ref(text: &str) -> ColumnRef {
    let (relation, column) = text.rsplit_once('.').unwrap();
    ColumnRef { relation: relation_name(relation), column: identifier(column) }
}

/// `id integer references public.orders.id` without the reference.
fn without_reference(text: &str) -> String {
    text.split_once(" references ").map_or(text, |(column, _)| column).trim().to_owned()
}

fn reference(text: &str) -> Option<ForeignKey> {
    let (column, target) = text.split_once(" references ")?;
    let target = column_ref(target.trim());
    let name = Identifier::stored(column.split_whitespace().next()?).unwrap();
    Some(ForeignKey { columns: vec![name], references: target.relation, referenced: vec![target.column] })
}

fn column(text: &str) -> Column {
    let (name, rest) = text.split_once(' ').unwrap();
    let (rest, generated) = match rest.split_once(" generated from ") {
        Some((rest, sources)) => {
            (rest, Generated::From(sources.split_whitespace().map(identifier).collect()))
        }
        None => (rest, Generated::No),
    };
    let sql = rest.trim_end_matches("not null").trim();
    Column {
        not_null: rest.ends_with("not null"),
        generated,
        ..Column::new(identifier(name), DataType { sql: sql.to_owned(), class: class(sql) })
    }
}

fn class(sql: &str) -> TypeClass {
    match sql {
        array if array.ends_with("[]") => TypeClass::Array,
        text if text.starts_with("character") => TypeClass::Text,
        "text" => TypeClass::Text,
        "uuid" => TypeClass::Uuid,
        "smallint" | "integer" | "bigint" => TypeClass::Integer,
        numeric if numeric.starts_with("numeric") => TypeClass::Numeric,
        "real" | "double precision" => TypeClass::Float,
        "boolean" => TypeClass::Boolean,
        "date" => TypeClass::Date,
        "timestamp without time zone" => TypeClass::Timestamp,
        "timestamptz" | "timestamp with time zone" => TypeClass::TimestampTz,
        "time without time zone" | "time with time zone" | "interval" => TypeClass::Time,
        "json" => TypeClass::Json,
        "jsonb" => TypeClass::Jsonb,
        "inet" => TypeClass::Inet,
        "cidr" => TypeClass::Cidr,
        "bytea" => TypeClass::Bytea,
        "money" | "point" | "bit" | "xml" | "tsvector" | "macaddr" => TypeClass::Other,
        user if user.contains('.') => TypeClass::Other,
        other => panic!("no type {other}"),
    }
}

fn privilege(text: &str) -> Privilege {
    match text {
        "select" => Privilege::Select,
        "insert" => Privilege::Insert,
        "update" => Privilege::Update,
        "delete" => Privilege::Delete,
        "truncate" => Privilege::Truncate,
        other => panic!("no privilege {other}"),
    }
}

fn row_class(text: &str) -> RowClass {
    match text {
        "empty" => RowClass::Empty,
        "small" => RowClass::Small,
        "medium" => RowClass::Medium,
        "large" => RowClass::Large,
        other => panic!("no size {other}"),
    }
}

fn user_type(text: &str) -> UserType {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut user_type = UserType::new(match kind {
        "enum" => UserTypeKind::Enum { labels: rest.split_whitespace().map(str::to_owned).collect() },
        "domain" => UserTypeKind::Domain {
            base: rest.trim_end_matches("not null").trim().to_owned(),
            not_null: rest.ends_with("not null"),
        },
        "composite" => {
            let fields = rest.trim_matches(['(', ')']).split(',').map(|field| {
                let (name, sql) = field.trim().split_once(' ').unwrap();
                (identifier(name), sql.to_owned())
            });
            UserTypeKind::Composite { fields: fields.collect() }
        }
        "range" => UserTypeKind::Range { subtype: rest.to_owned() },
        "base" => UserTypeKind::Base,
        other => panic!("no kind of type {other}"),
    });
    if kind == "base" {
        user_type.category = rest.chars().next().unwrap_or('U');
    }
    user_type
}

/// `schema.symbol(left, right) result via schema.function`; a prefix operator has one type.
fn operator(text: &str) -> UserOperator {
    let (head, tail) = text.split_once(") ").unwrap();
    let (name, operands) = head.split_once('(').unwrap();
    let (schema, name) = name.split_once('.').unwrap();
    let operands: Vec<String> = operands.split(',').map(|sql| sql.trim().to_owned()).collect();
    let (result, function) = tail.split_once(" via ").unwrap();
    let function = relation_name(function);
    let (left, right) = match operands.as_slice() {
        [right] => (None, right.clone()),
        [left, right] => (Some(left.clone()), right.clone()),
        other => panic!("{} operands", other.len()),
    };
    UserOperator {
        schema: identifier(schema),
        name: identifier(name),
        left,
        right,
        result: result.trim().to_owned(),
        function: FunctionName { schema: function.schema, name: function.name, arguments: operands },
    }
}

/// `from to implicit|assignment|explicit [via schema.function]`
fn cast(text: &str) -> UserCast {
    let (head, function) = match text.split_once(" via ") {
        Some((head, function)) => (head, Some(relation_name(function))),
        None => (text, None),
    };
    let words: Vec<&str> = head.split_whitespace().collect();
    let [from, to, context] = words.as_slice() else { panic!("{text}") };
    UserCast {
        from: (*from).to_owned(),
        to: (*to).to_owned(),
        context: match *context {
            "implicit" => CastContext::Implicit,
            "assignment" => CastContext::Assignment,
            "explicit" => CastContext::Explicit,
            other => panic!("no context {other}"),
        },
        function: function.map(|name| FunctionName {
            schema: name.schema,
            name: name.name,
            arguments: vec![(*from).to_owned()],
        }),
    }
}

fn function(text: &str) -> Function {
    let (head, tail) = text.split_once(')').unwrap();
    let (name, arguments) = head.split_once('(').unwrap();
    let name = relation_name(name);
    let arguments: Vec<String> =
        arguments.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    let (returns, tail) = match tail.trim().strip_prefix("returns ") {
        Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
        None => ("integer", tail),
    };
    let words: BTreeSet<&str> = tail.split_whitespace().collect();
    let volatility = if words.contains("volatile") {
        Volatility::Volatile
    } else if words.contains("stable") {
        Volatility::Stable
    } else {
        Volatility::Immutable
    };
    let name = FunctionName { schema: name.schema, name: name.name, arguments };
    Function {
        volatility,
        security_definer: words.contains("definer"),
        public_execute: words.contains("public"),
        leakproof: words.contains("leakproof"),
        returns: returns.to_owned(),
        returns_set: words.contains("set"),
        search_path: if words.contains("pinned") {
            Some(SearchPath::Pinned)
        } else {
            (words.contains("definer") || words.contains("callers")).then_some(SearchPath::Callers)
        },
        untrusted: words.iter().find_map(|word| word.strip_prefix("untrusted=")).map(str::to_owned),
        parameters: Parameters {
            names: Vec::new(),
            defaults: words
                .iter()
                .find_map(|word| word.strip_prefix("defaults="))
                .map_or(0, |number| number.parse().unwrap()),
            variadic: words.contains("variadic"),
        },
        ..Function::new(name, identifier("owner"))
    }
}
