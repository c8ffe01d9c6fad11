//! Which objects differ between two catalogues, and in what.

use super::{Kind, SchemaChange, Significance};
use daam_catalog::{
    Catalog, Column, Function, FunctionName, Generated, Identifier, Relation, RelationName, UserCast,
    UserOperator, UserTypeKind, Volatility,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Display};

/// Something of a schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// The server itself.
    Server,
    /// A table, view or the like.
    Relation(RelationName),
    /// A column.
    Column(RelationName, Identifier),
    /// A function.
    Function(FunctionName),
    /// A type.
    Type(RelationName),
    /// An operator, written with its operands.
    Operator(String),
    /// A cast, written with its ends.
    Cast(String),
}

impl Object {
    /// The kind of thing it is, for reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Relation(_) => "relation",
            Self::Column(..) => "column",
            Self::Function(_) => "function",
            Self::Type(_) => "type",
            Self::Operator(_) => "operator",
            Self::Cast(_) => "cast",
        }
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Relation(name) | Self::Type(name) => write!(f, "{name}"),
            Self::Column(relation, column) => write!(f, "{relation}.{column}"),
            Self::Function(name) => write!(f, "{name}"),
            Self::Operator(text) | Self::Cast(text) => f.write_str(text),
        }
    }
}

fn change(object: Object, kind: Kind, what: String) -> SchemaChange {
    SchemaChange {
        significance: Significance::Neutral,
        object,
        kind,
        what,
        hint: false,
        reached: Vec::new(),
        named: BTreeSet::new(),
    }
}

pub(super) fn changes(before: &Catalog, after: &Catalog) -> Vec<SchemaChange> {
    let mut out = Vec::new();
    server(before, after, &mut out);
    let described =
        |relation: &Relation| format!("{} with {} columns", relation.kind.noun(), relation.columns.len());
    maps((&before.relations, &after.relations), Object::Relation, described, &mut out, relation);
    maps((&before.functions, &after.functions), Object::Function, described_function, &mut out, function);
    let described = |user_type: &daam_catalog::UserType| definition(&user_type.kind);
    maps((&before.types, &after.types), Object::Type, described, &mut out, |name, before, after, out| {
        let mut facts = Facts::default();
        facts.differ("definition", &definition(&before.kind), &definition(&after.kind));
        facts.differ("category", &before.category, &after.category);
        facts.differ("extension", &shown(before.extension.as_ref()), &shown(after.extension.as_ref()));
        out.extend(facts.change(Object::Type(name.clone())));
    });
    let operators = |catalog: &Catalog| catalog.operators.iter().map(operator).collect::<BTreeMap<_, _>>();
    texts(&operators(before), &operators(after), Object::Operator, &mut out);
    let casts = |catalog: &Catalog| catalog.casts.iter().map(cast).collect::<BTreeMap<_, _>>();
    texts(&casts(before), &casts(after), Object::Cast, &mut out);
    out
}

fn server(before: &Catalog, after: &Catalog, out: &mut Vec<SchemaChange>) {
    let mut facts = Facts::default();
    facts.differ("major version", &before.server.major(), &after.server.major());
    if let (Some(before), Some(after)) = (&before.system, &after.system)
        && before != after
    {
        facts.say("another database".to_owned());
    }
    out.extend(facts.change(Object::Server));
}

/// What differs within one object.
#[derive(Default)]
struct Facts {
    said: Vec<String>,
    only_hints: bool,
}

impl Facts {
    fn say(&mut self, text: String) {
        self.said.push(text);
        self.only_hints = false;
    }

    fn hint(&mut self, text: String) {
        self.only_hints = self.only_hints || self.said.is_empty();
        self.said.push(text);
    }

    fn differ<T: PartialEq + Display>(&mut self, what: &str, before: &T, after: &T) {
        if before != after {
            self.say(format!("{what}: {before} → {after}"));
        }
    }

    fn flag(&mut self, what: &str, (before, after): (bool, bool)) {
        if before != after {
            self.say(format!("{what}: {} → {}", yes(before), yes(after)));
        }
    }

    fn replaced<T: PartialEq>(&mut self, what: &str, before: &T, after: &T) {
        if before != after {
            self.say(format!("{what} changed"));
        }
    }

    fn change(self, object: Object) -> Option<SchemaChange> {
        let what = self.said.join("; ");
        (!what.is_empty())
            .then(|| SchemaChange { hint: self.only_hints, ..change(object, Kind::Changed, what) })
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn shown<T: Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn maps<K: Ord + Clone, V: PartialEq>(
    (before, after): (&BTreeMap<K, V>, &BTreeMap<K, V>),
    object: impl Fn(K) -> Object,
    describe: impl Fn(&V) -> String,
    out: &mut Vec<SchemaChange>,
    both: impl Fn(&K, &V, &V, &mut Vec<SchemaChange>),
) {
    for (name, old) in before {
        match after.get(name) {
            None => out.push(change(object(name.clone()), Kind::Removed, describe(old))),
            Some(new) if new != old => both(name, old, new, out),
            Some(_) => {}
        }
    }
    for (name, new) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        out.push(change(object(name.clone()), Kind::Added, describe(new)));
    }
}

fn texts(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    object: impl Fn(String) -> Object + Copy,
    out: &mut Vec<SchemaChange>,
) {
    maps((before, after), object, String::clone, out, |name, old, new, out| {
        out.push(change(object(name.clone()), Kind::Changed, format!("{old} → {new}")));
    });
}

fn relation(name: &RelationName, before: &Relation, after: &Relation, out: &mut Vec<SchemaChange>) {
    let mut facts = Facts::default();
    facts.differ("kind", &before.kind.noun(), &after.kind.noun());
    facts.differ("owner", &before.owner, &after.owner);
    facts.flag("row security", (before.row_security, after.row_security));
    facts.flag("triggers", (before.triggers, after.triggers));
    facts.replaced("what rules rewrite", &before.rules, &after.rules);
    facts.replaced("what PUBLIC may do", &before.public, &after.public);
    facts.replaced("parents", &sorted(&before.parents), &sorted(&after.parents));
    facts.replaced("primary key", &before.primary_key, &after.primary_key);
    facts.replaced("unique keys", &sorted(&before.unique), &sorted(&after.unique));
    facts.replaced("foreign keys", &sorted(&before.foreign_keys), &sorted(&after.foreign_keys));
    facts.replaced("columns its definition reads", &before.reads, &after.reads);
    facts.replaced("relations its definition counts", &before.scans, &after.scans);
    facts.replaced("functions it calls with other rights", &before.calls, &after.calls);
    facts.flag("security barrier", (before.view.security_barrier, after.view.security_barrier));
    facts.flag("reads with its reader's rights", (before.view.security_invoker, after.view.security_invoker));
    facts.replaced("comment", &before.comment, &after.comment);
    if order(before, after) != order(after, before) {
        facts.say("order of columns changed".to_owned());
    }
    if before.indexes != after.indexes {
        facts.hint("indexes changed".to_owned());
    }
    out.extend(facts.change(Object::Relation(name.clone())));
    let columns = |relation: &Relation| -> BTreeMap<Identifier, Column> {
        relation.columns.iter().map(|column| (column.name.clone(), column.clone())).collect()
    };
    let object = |column| Object::Column(name.clone(), column);
    let described = |column: &Column| column.data_type.sql.clone();
    maps((&columns(before), &columns(after)), object, described, out, |column, old, new, out| {
        out.extend(column_facts(old, new).change(Object::Column(name.clone(), column.clone())));
    });
}

/// The columns that are in both, in the order of the first.
fn order<'a>(one: &'a Relation, other: &Relation) -> Vec<&'a Identifier> {
    one.columns.iter().map(|column| &column.name).filter(|name| other.column(name).is_some()).collect()
}

fn sorted<T: Ord + Clone>(list: &[T]) -> Vec<T> {
    let mut list = list.to_vec();
    list.sort();
    list
}

fn column_facts(before: &Column, after: &Column) -> Facts {
    let mut facts = Facts::default();
    facts.differ("type", &before.data_type.sql, &after.data_type.sql);
    facts.flag("not null", (before.not_null, after.not_null));
    facts.flag("default", (before.has_default, after.has_default));
    facts.differ("generated", &generated(&before.generated), &generated(&after.generated));
    facts.differ("sequence", &shown(before.sequence.as_ref()), &shown(after.sequence.as_ref()));
    facts.replaced("comment", &before.comment, &after.comment);
    facts.differ(
        "security label",
        &shown(before.security_label.as_ref()),
        &shown(after.security_label.as_ref()),
    );
    facts
}

fn generated(how: &Generated) -> String {
    match how {
        Generated::No => "no".to_owned(),
        Generated::Identity => "identity".to_owned(),
        Generated::From(columns) => {
            let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
            format!("from {}", names.join(", "))
        }
    }
}

fn described_function(function: &Function) -> String {
    let mut text = format!("{} returns {}", volatility(function.volatility), function.returns);
    if function.security_definer {
        text.push_str(", runs with its owner's rights");
    }
    text
}

fn function(name: &FunctionName, before: &Function, after: &Function, out: &mut Vec<SchemaChange>) {
    let mut facts = Facts::default();
    facts.differ("owner", &before.owner, &after.owner);
    facts.differ("volatility", &volatility(before.volatility), &volatility(after.volatility));
    facts.flag("runs with its owner's rights", (before.security_definer, after.security_definer));
    facts.flag("everyone may execute it", (before.public_execute, after.public_execute));
    facts.flag("leakproof", (before.leakproof, after.leakproof));
    facts.differ("returns", &before.returns, &after.returns);
    facts.flag("returns a set", (before.returns_set, after.returns_set));
    facts.replaced("kind", &before.kind, &after.kind);
    facts.replaced("how it may be called", &before.parameters, &after.parameters);
    facts.replaced("where it looks for names", &before.search_path, &after.search_path);
    facts.replaced("untrusted language", &before.untrusted, &after.untrusted);
    facts.replaced("what its body reaches", &before.reaches, &after.reaches);
    facts.differ("extension", &shown(before.extension.as_ref()), &shown(after.extension.as_ref()));
    out.extend(facts.change(Object::Function(name.clone())));
}

fn volatility(volatility: Volatility) -> &'static str {
    match volatility {
        Volatility::Immutable => "immutable",
        Volatility::Stable => "stable",
        Volatility::Volatile => "volatile",
    }
}

fn definition(kind: &UserTypeKind) -> String {
    match kind {
        UserTypeKind::Enum { labels } => format!("enum of {}", labels.join(", ")),
        UserTypeKind::Domain { base, not_null } => {
            format!("domain over {base}{}", if *not_null { " not null" } else { "" })
        }
        UserTypeKind::Composite { fields } => {
            let fields: Vec<String> = fields.iter().map(|(name, sql)| format!("{name} {sql}")).collect();
            format!("composite of {}", fields.join(", "))
        }
        UserTypeKind::Range { subtype } => format!("range of {subtype}"),
        UserTypeKind::Base => "base type".to_owned(),
    }
}

fn operator(operator: &UserOperator) -> (String, String) {
    let left = operator.left.as_deref().unwrap_or("none");
    (
        format!("{}.{} ({left}, {})", operator.schema, operator.name.as_str(), operator.right),
        format!("{} via {}", operator.result, operator.function),
    )
}

fn cast(cast: &UserCast) -> (String, String) {
    let via = cast.function.as_ref().map_or_else(|| "binary or text".to_owned(), ToString::to_string);
    let context = match cast.context {
        daam_catalog::CastContext::Implicit => "implicit",
        daam_catalog::CastContext::Assignment => "on assignment",
        daam_catalog::CastContext::Explicit => "explicit",
    };
    (format!("{} to {}", cast.from, cast.to), format!("{context} via {via}"))
}
