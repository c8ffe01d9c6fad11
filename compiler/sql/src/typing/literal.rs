//! Literals without a type of their own: whether a text can be read as a value of the type it is needed as, by the
//! rules of that type's input function. PostgreSQL reads them when it reads the statement.
//!
//! Types whose input cannot be checked here (those of extensions, `xml`, names of catalogue objects) take no literal:
//! write a cast of a typed value, or compare with a column.

mod interval;
mod json;
mod moment;
mod nested;
mod network;
mod number;
mod scan;
mod text_search;

use super::kind::{Form, TypeId};
use super::universe::Universe;
pub(super) use interval::is_pure_time;

/// Why a text is no value of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) state: &'static str,
    pub(super) message: String,
}

impl Bad {
    fn new(state: &'static str, message: impl Into<String>) -> Self {
        Self { state, message: message.into() }
    }

    fn syntax(name: &str, text: &str) -> Self {
        Self::new("22P02", format!("invalid input syntax for type {name}: \"{text}\""))
    }

    fn range(name: &str, text: &str) -> Self {
        Self::new("22003", format!("value \"{text}\" is out of range for type {name}"))
    }
}

/// What a literal takes from the session that reads it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// A moment without a time zone, where one is needed.
    pub(super) zone: bool,
    /// A date whose day and month could be exchanged.
    pub(super) order: bool,
    /// `today`, `now`.
    pub(super) moving: bool,
}

impl Facts {
    fn and(self, other: Self) -> Self {
        Self {
            zone: self.zone || other.zone,
            order: self.order || other.order,
            moving: self.moving || other.moving,
        }
    }
}

pub(super) fn check(universe: &Universe, text: &str, to: TypeId) -> Result<(), Bad> {
    facts(universe, text, to).map(|_| ())
}

/// Reads a text as a value of that type.
pub(super) fn facts(universe: &Universe, text: &str, to: TypeId) -> Result<Facts, Bad> {
    let id = universe.base(to);
    let info = universe.info(id);
    if universe.element(id).is_some() && !matches!(info.internal, "int2vector" | "oidvector") {
        return nested::array(universe, text, id);
    }
    match info.form {
        Form::Enum if info.labels.iter().any(|label| label == text) => Ok(Facts::default()),
        Form::Enum => {
            let message = format!("invalid input value for enum {}: \"{text}\"", short(&info.name));
            Err(Bad::new("22P02", message))
        }
        Form::Composite => nested::row(universe, text, id),
        Form::Range => nested::range(universe, text, id).map(|(facts, _)| facts),
        Form::Multirange => nested::multirange(universe, text, id),
        Form::Pseudo if id == universe.ids().record => {
            Err(Bad::new("0A000", "input of anonymous composite types is not implemented"))
        }
        Form::Pseudo => Err(Bad::new("0A000", format!("cannot accept a value of type {}", info.name))),
        // `citext` reads what text reads.
        Form::Base if info.internal.is_empty() && info.category == 'S' => Ok(Facts::default()),
        Form::Base | Form::Domain => builtin(universe, text, info.internal, &info.name),
    }
}

fn short(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

fn builtin(universe: &Universe, text: &str, internal: &str, name: &str) -> Result<Facts, Bad> {
    let major = universe.builtin().major;
    let plain = |result: Result<(), Bad>| result.map(|()| Facts::default());
    match internal {
        "text" | "varchar" | "bpchar" | "name" | "char" | "refcursor" | "unknown" => Ok(Facts::default()),
        "int2" => plain(number::integer(text, name, major, i64::from(i16::MIN), i64::from(i16::MAX))),
        "int4" => plain(number::integer(text, name, major, i64::from(i32::MIN), i64::from(i32::MAX))),
        "int8" => plain(number::integer(text, name, major, i64::MIN, i64::MAX)),
        "oid" | "xid" | "cid" => plain(number::unsigned(text, internal, major)),
        "numeric" => plain(number::numeric(text, major).map(|_| ())),
        "float4" | "float8" => plain(number::float(text, name, internal == "float4")),
        "money" => plain(number::money(text)),
        "bool" => plain(number::boolean(text)),
        "uuid" => plain(network::uuid(text)),
        "bytea" => plain(network::bytea(text)),
        "bit" | "varbit" => plain(number::bits(text)),
        "inet" | "cidr" => plain(network::address(text, internal == "cidr")),
        "macaddr" => plain(network::macaddr(text)),
        "macaddr8" => plain(network::macaddr8(text)),
        "pg_lsn" => plain(network::log_position(text)),
        "json" => plain(json::json(text, false)),
        "jsonb" => plain(json::json(text, true)),
        "jsonpath" => plain(text_search::jsonpath(text)),
        "tsvector" => plain(text_search::vector(text)),
        "tsquery" => plain(text_search::query(text)),
        "date" | "timestamp" | "timestamptz" => moment::moment(universe.builtin(), text, internal),
        "time" | "timetz" => moment::time_of_day(universe.builtin(), text, internal),
        "interval" => plain(interval::interval(text, major)),
        "point" | "lseg" | "box" | "path" | "polygon" | "circle" | "line" => {
            plain(number::geometry(text, internal))
        }
        _ => {
            let message = format!("a literal of type {name} cannot be checked here");
            Err(Bad::new("0A000", message))
        }
    }
}
