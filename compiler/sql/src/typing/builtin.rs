//! What row filters may use of `pg_catalog`, per major version: read once from `builtin/catalog.txt`, which
//! `ci/builtin` writes from real servers. A version outside the supported ones is treated as the nearest of them.

use super::kind::{Cast, Context, Form, Method, Routine, RoutineKind, Subscript, TypeId, TypeInfo};
use daam_catalog::Volatility;
use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, OnceLock};

const CATALOG: &str = include_str!("../../builtin/catalog.txt");
const ZONES: &str = include_str!("../../builtin/zones.txt");
const OLDEST: u32 = 14;
const NEWEST: u32 = 18;

/// The built-in objects of one major version.
#[derive(Debug, Default)]
pub(super) struct Builtin {
    pub(super) major: u32,
    pub(super) types: Vec<TypeInfo>,
    pub(super) internal: HashMap<&'static str, TypeId>,
    pub(super) printed: HashMap<&'static str, TypeId>,
    pub(super) casts: HashMap<(TypeId, TypeId), Cast>,
    pub(super) operators: HashMap<&'static str, Vec<Routine>>,
    pub(super) functions: HashMap<&'static str, Vec<Routine>>,
    abbreviations: Vec<&'static str>,
    pub(super) ids: Known,
}

macro_rules! known {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// The types the resolution rules name.
        #[derive(Debug, Default, Clone, Copy)]
        pub(super) struct Known { $(pub(super) $field: TypeId),* }

        impl Known {
            fn read(internal: &HashMap<&'static str, TypeId>) -> Self {
                Self { $($field: internal.get($name).copied().unwrap_or_default()),* }
            }
        }
    };
}

known! {
    unknown = "unknown", text = "text", boolean = "bool", int4 = "int4", int8 = "int8", numeric = "numeric",
    uuid = "uuid", text_array = "_text", interval = "interval", date = "date", time = "time", timetz = "timetz",
    timestamp = "timestamp", timestamptz = "timestamptz", record = "record", record_array = "_record", any = "any",
    any_element = "anyelement", any_array = "anyarray", any_nonarray = "anynonarray", any_enum = "anyenum",
    any_range = "anyrange", any_multirange = "anymultirange", any_compatible = "anycompatible",
    any_compatible_array = "anycompatiblearray", any_compatible_nonarray = "anycompatiblenonarray",
    any_compatible_range = "anycompatiblerange", any_compatible_multirange = "anycompatiblemultirange",
    oidvector = "oidvector", int2vector = "int2vector", bytea = "bytea", float4 = "float4", float8 = "float8",
    money = "money", jsonb = "jsonb",
}

impl Builtin {
    /// The objects of that major version.
    pub(super) fn of(major: u32) -> &'static Self {
        static READ: [OnceLock<Builtin>; 5] = [const { OnceLock::new() }; 5];
        static NONE: OnceLock<Builtin> = OnceLock::new();
        let major = major.clamp(OLDEST, NEWEST);
        let index = usize::try_from(major - OLDEST).unwrap_or(0);
        READ.get(index).unwrap_or(&NONE).get_or_init(|| Self::read(major))
    }

    /// Whether it is the name of a time zone or an abbreviation of one.
    pub(super) fn is_zone(&self, name: &str) -> bool {
        self.abbreviations.iter().any(|known| known.eq_ignore_ascii_case(name))
            || ZONES.lines().any(|known| known.eq_ignore_ascii_case(name))
    }

    pub(super) fn is_abbreviation(&self, name: &str) -> bool {
        self.abbreviations.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn read(major: u32) -> Self {
        let rows: Vec<Vec<&'static str>> = CATALOG.lines().filter_map(|line| row(line, major)).collect();
        let mut read = Self { major, ..Self::default() };
        for fields in &rows {
            if let ["T", name, printed, ..] = fields.as_slice() {
                let id = TypeId::from_index(read.internal.len());
                read.internal.insert(name, id);
                read.printed.insert(printed, id);
            }
        }
        read.ids = Known::read(&read.internal);
        for fields in &rows {
            read.add(fields);
        }
        read
    }

    fn add(&mut self, fields: &[&'static str]) {
        match *fields {
            ["T", ..] => self.types.extend(self.type_of(fields)),
            ["C", from, to, context, method, function] => {
                if let (Some(from), Some(to)) = (self.find(from), self.find(to)) {
                    self.casts.insert((from, to), cast(context, method, function));
                }
            }
            ["O", name, left, right, result, changes, leakproof] => {
                let sides = [left, right].into_iter().filter(|side| *side != "-");
                let routine = Routine {
                    arguments: sides.filter_map(|side| self.find(side)).collect(),
                    result: self.find(result).unwrap_or_default(),
                    kind: RoutineKind::Function,
                    variadic: None,
                    defaults: 0,
                    volatility: volatility(changes),
                    leakproof: leakproof == "l",
                    set: false,
                };
                self.operators.entry(name).or_default().push(routine);
            }
            ["F", name, arguments, result, kind, variadic, defaults, changes, leakproof, set] => {
                let arguments = arguments.split(',').filter(|argument| *argument != "-");
                let routine = Routine {
                    arguments: arguments.filter_map(|argument| self.find(argument)).collect(),
                    result: self.find(result).unwrap_or_default(),
                    kind: if kind == "a" { RoutineKind::Aggregate } else { RoutineKind::Function },
                    variadic: self.find(variadic),
                    defaults: defaults.parse().unwrap_or(0),
                    volatility: volatility(changes),
                    leakproof: leakproof == "l",
                    set: set == "s",
                };
                self.functions.entry(name).or_default().push(routine);
            }
            ["Z", name] => self.abbreviations.push(name),
            _ => {}
        }
    }

    fn find(&self, name: &str) -> Option<TypeId> {
        self.internal.get(name).copied()
    }

    fn type_of(&self, fields: &[&'static str]) -> Option<TypeInfo> {
        let [
            "T",
            internal,
            printed,
            form,
            category,
            preferred,
            element,
            subscript,
            array,
            of,
            _,
            _,
            modifiers,
        ] = *fields
        else {
            return None;
        };
        Some(TypeInfo {
            name: printed.to_owned(),
            internal,
            form: form_of(form),
            category: category.chars().next().unwrap_or('X'),
            preferred: preferred == "p",
            element: self.find(element),
            subscript: match subscript {
                "a" => Subscript::Array,
                "r" => Subscript::Raw,
                "j" => Subscript::Jsonb,
                _ => Subscript::None,
            },
            array: self.find(array),
            of: self.find(of),
            modifiers: modifiers == "m",
            labels: Vec::new(),
            fields: Vec::new(),
        })
    }
}

/// Whether some major has a type of that name in `pg_catalog`.
pub fn is_built_in_type(name: &str) -> bool {
    CATALOG.lines().any(|line| line.split('\t').collect::<Vec<_>>().starts_with(&["T", name]))
}

/// Whether some major has an operator of that symbol in `pg_catalog`.
pub fn is_built_in_operator(symbol: &str) -> bool {
    static SYMBOLS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        let operators = CATALOG.lines().filter_map(|line| line.strip_prefix("O\t"));
        operators.filter_map(|fields| fields.split('\t').next()).collect()
    });
    SYMBOLS.contains(symbol)
}

/// The fields of a line if that major has it.
fn row(line: &'static str, major: u32) -> Option<Vec<&'static str>> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields: Vec<&str> = line.split('\t').collect();
    let expected = match fields.first().copied()? {
        "T" => 13,
        "C" => 6,
        "O" => 7,
        "F" => 10,
        "Z" => 2,
        _ => return None,
    };
    if fields.len() > expected {
        let range = fields.pop()?;
        let number = |text: &str| text.parse::<u32>().unwrap_or(0);
        let has = match range.split_at_checked(1)? {
            ("<", before) => major < number(before),
            (">", after) => major > number(after),
            _ => range.split(',').any(|one| number(one) == major),
        };
        if !has {
            return None;
        }
    }
    Some(fields)
}

fn form_of(letter: &str) -> Form {
    match letter {
        "p" => Form::Pseudo,
        "r" => Form::Range,
        "m" => Form::Multirange,
        _ => Form::Base,
    }
}

fn volatility(letter: &str) -> Volatility {
    match letter {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    }
}

fn cast(context: &str, method: &str, function: &str) -> Cast {
    Cast {
        context: match context {
            "i" => Context::Implicit,
            "a" => Context::Assignment,
            _ => Context::Explicit,
        },
        method: match method {
            "b" => Method::Binary,
            "i" => Method::Text,
            _ => Method::Function,
        },
        volatility: if function == "-" { Volatility::Immutable } else { volatility(function) },
    }
}
