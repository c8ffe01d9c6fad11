//! Every type, cast and function a filter of one database can meet: the built-in ones of its major version and
//! those of its own schemas. Built once per database; looked up by the type texts of the catalogue.
//!
//! A type the catalogue does not describe has no operators and no literals; it can only be tested for NULL.

use super::builtin::{Builtin, Known};
use super::kind::{Cast, Context, Form, Method, Routine, RoutineKind, Subscript, TypeId, TypeInfo};
use daam_catalog::{Catalog, FunctionKind, Identifier, RelationName, Volatility};
use std::collections::{BTreeMap, HashMap};

/// What a type of a user schema is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// An enum and its labels.
    Enum(Vec<String>),
    /// A domain over a type.
    Domain(String),
    /// A composite type and its fields.
    Composite(Vec<(Identifier, String)>),
    /// A range over a type.
    Range(String),
    /// A type of an extension.
    Base,
}

/// The types, casts and functions of one database.
#[derive(Debug)]
pub struct Universe {
    builtin: &'static Builtin,
    own: Vec<TypeInfo>,
    named: BTreeMap<(String, String), TypeId>,
    texts: HashMap<String, TypeId>,
    casts: HashMap<(TypeId, TypeId), Cast>,
    functions: BTreeMap<(String, String), Vec<Routine>>,
    multiranges: BTreeMap<TypeId, TypeId>,
    fallback: TypeInfo,
}

impl Universe {
    /// The built-in objects of a major version.
    pub fn built_in(major: u32) -> Self {
        let builtin = Builtin::of(major);
        let mut multiranges = BTreeMap::new();
        for (index, info) in builtin.types.iter().enumerate() {
            if let (Form::Multirange, Some(range)) = (info.form, info.of) {
                multiranges.insert(range, TypeId::from_index(index));
            }
        }
        Self {
            builtin,
            own: Vec::new(),
            named: BTreeMap::new(),
            texts: HashMap::new(),
            casts: HashMap::new(),
            functions: BTreeMap::new(),
            multiranges,
            fallback: blank(String::new(), Form::Pseudo, 'X'),
        }
    }

    /// Everything a lock describes, with the types of its schemas; these may refer to each other in any order.
    pub fn of(catalog: &Catalog, types: &[(RelationName, Definition)]) -> Self {
        let mut universe = Self::built_in(catalog.server.major());
        universe.define(types);
        for relation in catalog.relations.values() {
            for column in &relation.columns {
                universe.meet(&column.data_type.sql);
            }
        }
        for function in catalog.functions.values() {
            let arguments: Vec<TypeId> =
                function.name.arguments.iter().map(|text| universe.meet(text)).collect();
            let result = universe.meet(&function.returns);
            let last = arguments.last().copied().filter(|_| function.parameters.variadic);
            let variadic = last.and_then(|last| universe.spread(last));
            let key = (function.name.schema.as_str().to_owned(), function.name.name.as_str().to_owned());
            universe.functions.entry(key).or_default().push(Routine {
                arguments,
                result,
                kind: match function.kind {
                    FunctionKind::Function => RoutineKind::Function,
                    FunctionKind::Procedure => RoutineKind::Procedure,
                    FunctionKind::Aggregate => RoutineKind::Aggregate,
                    FunctionKind::Window => RoutineKind::Window,
                },
                variadic,
                defaults: function.parameters.defaults,
                volatility: function.volatility,
                leakproof: false,
                set: function.returns_set,
            });
        }
        universe
    }

    /// What each of the values is that a variadic last argument of that type takes.
    fn spread(&self, last: TypeId) -> Option<TypeId> {
        let ids = self.ids();
        if last == ids.any_array {
            Some(ids.any_element)
        } else if last == ids.any_compatible_array {
            Some(ids.any_compatible)
        } else if last == ids.any {
            // `VARIADIC "any"` takes what it likes.
            Some(last)
        } else {
            self.element(last)
        }
    }

    fn define(&mut self, types: &[(RelationName, Definition)]) {
        for (name, definition) in types {
            let (form, category) = match definition {
                Definition::Enum(_) => (Form::Enum, 'E'),
                Definition::Domain(_) => (Form::Domain, 'U'),
                Definition::Composite(_) => (Form::Composite, 'C'),
                Definition::Range(_) => (Form::Range, 'R'),
                // The one extension type whose category matters in practice.
                Definition::Base if name.name.as_str() == "citext" => (Form::Base, 'S'),
                Definition::Base => (Form::Base, 'U'),
            };
            let key = (name.schema.as_str().to_owned(), name.name.as_str().to_owned());
            let mut info = blank(written(&key), form, category);
            info.modifiers = *definition == Definition::Base;
            self.add(key, info);
        }
        for (name, definition) in types {
            let key = (name.schema.as_str().to_owned(), name.name.as_str().to_owned());
            let Some(id) = self.named.get(&key).copied() else { continue };
            match definition {
                Definition::Enum(labels) => self.change(id, |info| info.labels.clone_from(labels)),
                Definition::Domain(base) => {
                    let base = self.meet(base);
                    let category = self.info(self.base(base)).category;
                    self.change(id, |info| (info.of, info.category) = (Some(base), category));
                }
                Definition::Composite(fields) => {
                    let fields = fields.iter().map(|(name, text)| (name.clone(), self.meet(text))).collect();
                    self.change(id, |info| info.fields = fields);
                }
                Definition::Range(subtype) => {
                    let subtype = self.meet(subtype);
                    self.change(id, |info| info.of = Some(subtype));
                    self.add_multirange(key, id);
                }
                Definition::Base => {}
            }
        }
        // A domain over a domain takes the category of what is at the bottom.
        for (name, _) in types {
            let key = (name.schema.as_str().to_owned(), name.name.as_str().to_owned());
            if let Some(id) = self.named.get(&key).copied() {
                let category = self.info(self.base(id)).category;
                self.change(id, |info| info.category = category);
            }
        }
    }

    /// Adds a cast between two types, at least one of them a user's.
    pub fn define_cast(&mut self, from: &str, to: &str, implicit: Option<bool>, through_function: bool) {
        let context = match implicit {
            Some(true) => Context::Implicit,
            Some(false) => Context::Assignment,
            None => Context::Explicit,
        };
        let method = if through_function { Method::Function } else { Method::Binary };
        let (from, to) = (self.meet(from), self.meet(to));
        self.casts.insert((from, to), Cast { context, method, volatility: Volatility::Immutable });
    }

    /// PostgreSQL's default name for the multirange of a range, which the catalogue does not hold.
    fn add_multirange(&mut self, (schema, name): (String, String), range: TypeId) {
        let name = if name.contains("range") {
            name.replacen("range", "multirange", 1)
        } else {
            format!("{name}_multirange")
        };
        let key = (schema, name);
        let mut info = blank(written(&key), Form::Multirange, 'R');
        info.of = Some(range);
        let id = self.add(key, info);
        self.multiranges.insert(range, id);
    }

    fn add(&mut self, key: (String, String), mut info: TypeInfo) -> TypeId {
        let id = TypeId::from_index(self.builtin.types.len() + self.own.len());
        let array = TypeId::from_index(id.index() + 1);
        let mut list = blank(format!("{}[]", info.name), Form::Base, 'A');
        (list.element, list.subscript) = (Some(id), Subscript::Array);
        info.array = Some(array);
        self.own.push(info);
        self.own.push(list);
        self.named.insert(key, id);
        id
    }

    fn change(&mut self, id: TypeId, with: impl FnOnce(&mut TypeInfo)) {
        if let Some(info) = self.own.get_mut(id.index().wrapping_sub(self.builtin.types.len())) {
            with(info);
        }
    }

    /// The type of a text as `format_type` prints it; an unknown one becomes a type of its own.
    fn meet(&mut self, text: &str) -> TypeId {
        if let Some(id) = self.texts.get(text) {
            return *id;
        }
        let (plain, dimensions) = without_modifiers(text);
        let id = match self.find(&plain) {
            Some(id) => id,
            None => self.add(parts(&plain), blank(plain.clone(), Form::Base, 'U')),
        };
        let id = if dimensions { self.info(id).array.unwrap_or(id) } else { id };
        self.texts.insert(text.to_owned(), id);
        id
    }

    fn find(&self, plain: &str) -> Option<TypeId> {
        let builtin = self.builtin.printed.get(plain).or_else(|| self.builtin.internal.get(plain));
        builtin.copied().or_else(|| self.named.get(&parts(plain)).copied())
    }

    /// The type of a column.
    pub(super) fn column_type(&self, text: &str) -> Option<TypeId> {
        self.texts.get(text).copied().or_else(|| {
            let (plain, dimensions) = without_modifiers(text);
            let id = self.find(&plain)?;
            if dimensions { self.info(id).array } else { Some(id) }
        })
    }

    /// A type as a cast names it.
    pub(super) fn named(&self, schema: Option<&Identifier>, name: &str) -> Option<TypeId> {
        match schema {
            None => self.builtin.internal.get(name).copied(),
            Some(schema) => self.named.get(&(schema.as_str().to_owned(), name.to_owned())).copied(),
        }
    }

    pub(super) fn info(&self, id: TypeId) -> &TypeInfo {
        let own = || self.own.get(id.index().wrapping_sub(self.builtin.types.len()));
        self.builtin.types.get(id.index()).or_else(own).unwrap_or(&self.fallback)
    }

    pub(super) fn name(&self, id: TypeId) -> &str {
        &self.info(id).name
    }

    pub(super) fn ids(&self) -> &Known {
        &self.builtin.ids
    }

    pub(super) fn builtin(&self) -> &'static Builtin {
        self.builtin
    }

    /// The type under any domains.
    pub(super) fn base(&self, id: TypeId) -> TypeId {
        let mut id = id;
        // A domain can only be made over what exists, so a chain longer than this is no chain of domains.
        for _ in 0..64 {
            match self.info(id) {
                TypeInfo { form: Form::Domain, of: Some(of), .. } => id = *of,
                _ => break,
            }
        }
        id
    }

    /// The element type of a true array.
    pub(super) fn element(&self, id: TypeId) -> Option<TypeId> {
        let info = self.info(id);
        if info.subscript == Subscript::Array { info.element } else { None }
    }

    pub(super) fn part_of(&self, id: TypeId, form: Form) -> Option<TypeId> {
        let info = self.info(id);
        if info.form == form { info.of } else { None }
    }

    pub(super) fn multirange_of(&self, range: TypeId) -> Option<TypeId> {
        self.multiranges.get(&range).copied()
    }

    pub(super) fn cast(&self, from: TypeId, to: TypeId) -> Option<Cast> {
        self.builtin.casts.get(&(from, to)).or_else(|| self.casts.get(&(from, to))).copied()
    }

    pub(super) fn operators(&self, name: &str) -> &[Routine] {
        self.builtin.operators.get(name).map_or(&[], Vec::as_slice)
    }

    /// The functions of that name; no schema is `pg_catalog`.
    pub(super) fn functions(&self, schema: Option<&Identifier>, name: &str) -> &[Routine] {
        match schema {
            None => self.builtin.functions.get(name).map_or(&[], Vec::as_slice),
            Some(schema) => {
                let key = (schema.as_str().to_owned(), name.to_owned());
                self.functions.get(&key).map_or(&[], Vec::as_slice)
            }
        }
    }
}

fn blank(name: String, form: Form, category: char) -> TypeInfo {
    TypeInfo {
        name,
        internal: "",
        form,
        category,
        preferred: false,
        element: None,
        subscript: Subscript::None,
        array: None,
        of: None,
        modifiers: false,
        labels: Vec::new(),
        fields: Vec::new(),
    }
}

/// `schema.name` as PostgreSQL prints it.
fn written((schema, name): &(String, String)) -> String {
    if schema.is_empty() { name.clone() } else { format!("{schema}.{name}") }
}

/// A type text without `(…)` modifiers and `[]`, and whether it was an array.
fn without_modifiers(text: &str) -> (String, bool) {
    let mut plain = String::with_capacity(text.len());
    let (mut depth, mut quoted) = (0_usize, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            _ => {}
        }
        if depth == 0 {
            plain.push(c);
        }
        if c == ')' && !quoted {
            depth = depth.saturating_sub(1);
        }
    }
    let mut rest = plain.trim_end();
    let mut array = false;
    while let Some(shorter) = rest.strip_suffix("[]") {
        (rest, array) = (shorter, true);
    }
    let rest = if rest.starts_with("interval ") { "interval" } else { rest };
    (rest.to_owned(), array)
}

/// `schema` and `name` of a text, unquoted.
fn parts(plain: &str) -> (String, String) {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = plain.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                parts.last_mut().into_iter().for_each(|part| part.push('"'));
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop().unwrap_or_default(), name)
}
