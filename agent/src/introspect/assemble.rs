//! From rows to a catalogue. Rows that belong to nothing we kept (an index of a system table) are passed over.

use super::queries::{Facts, get};
use super::{FullCatalog, IntrospectError};
use super::{bodies, extensions, type_class, user_types, views};
use daam_catalog::{
    Catalog, Column, DataType, ForeignKey, Function, FunctionKind, FunctionName, Generated, Identifier,
    NameError, Parameters, Privilege, Relation, RelationKind, RelationName, RowClass, SearchPath,
    ServerVersion, ViewOptions, Volatility,
};
use daam_enforce::{Objects, RelationObject};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// Relations by oid while the pieces come together; `numbers` maps attribute numbers to column positions.
#[derive(Default)]
struct Work {
    relations: BTreeMap<i64, Relation>,
    numbers: BTreeMap<(i64, i32), usize>,
    owned_sequences: BTreeSet<RelationName>,
    /// The numbers of a relation and its columns.
    objects: BTreeMap<i64, Vec<(i32, String)>>,
}

pub(super) fn assemble(facts: &Facts) -> Result<FullCatalog, IntrospectError> {
    let mut work = Work::default();
    work.add(&facts.relations, Work::relation)?;
    work.add(&facts.columns, Work::column)?;
    work.add(&facts.generated, Work::generated)?;
    work.add(&facts.sequences, Work::sequence)?;
    work.add(&facts.keys, Work::key)?;
    work.add(&facts.foreign_keys, Work::foreign_key)?;
    work.add(&facts.parents, Work::parent)?;
    work.add(&facts.indexes, Work::index)?;
    work.settle_sizes();
    let mut functions = BTreeMap::new();
    let mut oids = BTreeMap::new();
    let mut reached = bodies::reached(&facts.bodies)?;
    for row in &facts.functions {
        let (oid, function) = function(row)?;
        let function = Function { reaches: reached.remove(&oid), ..function };
        oids.insert(oid, function.clone());
        functions.insert(function.name.clone(), function);
    }
    let objects = Objects {
        relations: work.objects().collect(),
        functions: oids.iter().map(|(oid, function)| (function.name.clone(), oid.to_string())).collect(),
    };
    views::trace(&mut work.relations, &oids, facts)?;
    let mut catalog = Catalog {
        server: ServerVersion(u32::try_from(facts.version).unwrap_or(0)),
        relations: work.relations.into_values().map(|relation| (relation.name.clone(), relation)).collect(),
        functions,
        types: user_types::read(&facts.types)?,
        operators: facts.operators.iter().map(user_types::operator).collect::<Result<_, _>>()?,
        casts: facts.casts.iter().map(user_types::cast).collect::<Result<_, _>>()?,
        system: facts.system.as_deref().map(daam_catalog::lock::system_hash),
        captured: None,
    };
    extensions::keep_used(&mut catalog, &user_types::of_extensions(facts)?);
    Ok(FullCatalog { catalog, owned_sequences: work.owned_sequences, objects })
}

impl Work {
    fn add(
        &mut self,
        rows: &[Row],
        take: impl Fn(&mut Self, &Row) -> Result<(), IntrospectError>,
    ) -> Result<(), IntrospectError> {
        rows.iter().try_for_each(|row| take(self, row))
    }

    fn relation(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "relations";
        let kind = match get::<String>(row, 3, WHAT)?.as_str() {
            "p" => RelationKind::PartitionedTable,
            "v" => RelationKind::View,
            "m" => RelationKind::MaterializedView,
            "f" => RelationKind::ForeignTable,
            _ => RelationKind::Table,
        };
        let (public, rules): (Vec<String>, Vec<String>) = (get(row, 7, WHAT)?, get(row, 12, WHAT)?);
        let name = relation_name(get(row, 1, WHAT)?, get(row, 2, WHAT)?)?;
        let relation = Relation {
            public: public.iter().filter_map(|text| privilege(text)).collect(),
            triggers: get(row, 6, WHAT)?,
            rules: rules.iter().filter_map(|text| privilege(text)).collect(),
            row_security: get(row, 8, WHAT)?,
            size: row_class(get(row, 9, WHAT)?),
            view: ViewOptions {
                security_barrier: get(row, 10, WHAT)?,
                security_invoker: get(row, 11, WHAT)?,
            },
            comment: get(row, 5, WHAT)?,
            ..Relation::new(name, kind, identifier(get(row, 4, WHAT)?, "role")?)
        };
        self.relations.insert(get(row, 0, WHAT)?, relation);
        Ok(())
    }

    fn column(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "columns";
        let oid: i64 = get(row, 0, WHAT)?;
        let Some(relation) = self.relations.get_mut(&oid) else { return Ok(()) };
        let (kind, category): (String, String) = (get(row, 3, WHAT)?, get(row, 4, WHAT)?);
        let class = type_class::class(&kind, &category, &get::<String>(row, 5, WHAT)?, get(row, 6, WHAT)?);
        let generated = match (get(row, 9, WHAT)?, get(row, 10, WHAT)?) {
            (true, _) => Generated::Identity,
            (_, true) => Generated::From(Vec::new()),
            _ => Generated::No,
        };
        let number: i32 = get(row, 12, WHAT)?;
        self.numbers.insert((oid, number), relation.columns.len());
        self.objects.entry(oid).or_default().push((number, get(row, 1, WHAT)?));
        let data_type = DataType { sql: get(row, 2, WHAT)?, class };
        relation.columns.push(Column {
            not_null: get(row, 7, WHAT)?,
            has_default: get(row, 8, WHAT)?,
            generated,
            comment: get(row, 11, WHAT)?,
            security_label: get(row, 13, WHAT)?,
            ..Column::new(identifier(get(row, 1, WHAT)?, "column")?, data_type)
        });
        Ok(())
    }

    /// Every relation with its numbers.
    fn objects(&self) -> impl Iterator<Item = (RelationName, RelationObject)> {
        self.relations.iter().map(|(oid, relation)| {
            let columns = self.objects.get(oid).cloned().unwrap_or_default();
            (relation.name.clone(), RelationObject { oid: u32::try_from(*oid).unwrap_or(0), columns })
        })
    }

    fn column_of(&mut self, oid: i64, number: i32) -> Option<&mut Column> {
        let position = *self.numbers.get(&(oid, number))?;
        self.relations.get_mut(&oid)?.columns.get_mut(position)
    }

    fn generated(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "generated columns";
        let source = identifier(get(row, 2, WHAT)?, "column")?;
        if let Some(column) = self.column_of(get(row, 0, WHAT)?, get(row, 1, WHAT)?)
            && let Generated::From(sources) = &mut column.generated
        {
            sources.push(source);
        }
        Ok(())
    }

    fn sequence(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "sequences";
        let (oid, number) = (get(row, 0, WHAT)?, get(row, 1, WHAT)?);
        let name = relation_name(get(row, 2, WHAT)?, get(row, 3, WHAT)?)?;
        let owned: bool = get(row, 4, WHAT)?;
        let Some(column) = self.column_of(oid, number) else { return Ok(()) };
        // The last row wins: owned ones come last, so a sequence that belongs to the column is preferred.
        column.sequence = Some(name.clone());
        if owned {
            self.owned_sequences.insert(name);
        }
        Ok(())
    }

    fn key(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "keys";
        let Some(relation) = self.relations.get_mut(&get::<i64>(row, 0, WHAT)?) else { return Ok(()) };
        let columns = identifiers(get(row, 2, WHAT)?)?;
        if get(row, 1, WHAT)? {
            relation.primary_key = columns;
        } else if !relation.unique.contains(&columns) {
            relation.unique.push(columns);
        }
        Ok(())
    }

    fn index(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "indexes";
        let Some(relation) = self.relations.get_mut(&get::<i64>(row, 0, WHAT)?) else { return Ok(()) };
        let columns = identifiers(get(row, 1, WHAT)?)?;
        if !columns.is_empty() && !relation.indexes.contains(&columns) {
            relation.indexes.push(columns);
            relation.indexes.sort();
        }
        Ok(())
    }

    /// The server estimates no rows for a partitioned table before somebody analyses it by name; it is at least as
    /// large as its largest partition.
    fn settle_sizes(&mut self) {
        let sizes: Vec<(RelationName, RowClass)> = self
            .relations
            .values()
            .flat_map(|child| child.parents.iter().map(|parent| (parent.clone(), child.size)))
            .collect();
        let mut by_name: BTreeMap<RelationName, &mut Relation> =
            self.relations.values_mut().map(|relation| (relation.name.clone(), relation)).collect();
        for (parent, size) in sizes {
            if let Some(parent) = by_name.get_mut(&parent) {
                parent.size = parent.size.max(size);
            }
        }
    }

    fn foreign_key(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "foreign keys";
        let target: i64 = get(row, 1, WHAT)?;
        let Some(references) = self.relations.get(&target).map(|relation| relation.name.clone()) else {
            return Ok(());
        };
        let Some(relation) = self.relations.get_mut(&get::<i64>(row, 0, WHAT)?) else { return Ok(()) };
        let columns = identifiers(get(row, 2, WHAT)?)?;
        let target_columns = identifiers(get(row, 3, WHAT)?)?;
        relation.foreign_keys.push(ForeignKey { columns, references, referenced: target_columns });
        Ok(())
    }

    fn parent(&mut self, row: &Row) -> Result<(), IntrospectError> {
        const WHAT: &str = "partitions";
        let parent: i64 = get(row, 1, WHAT)?;
        let name = self.relations.get(&parent).map(|relation| relation.name.clone());
        if let (Some(name), Some(child)) = (name, self.relations.get_mut(&get::<i64>(row, 0, WHAT)?)) {
            child.parents.push(name);
        }
        Ok(())
    }
}

fn function(row: &Row) -> Result<(i64, Function), IntrospectError> {
    const WHAT: &str = "functions";
    let name = FunctionName {
        schema: identifier(get(row, 0, WHAT)?, "schema")?,
        name: identifier(get(row, 1, WHAT)?, "function")?,
        arguments: get(row, 8, WHAT)?,
    };
    let volatility = match get::<String>(row, 3, WHAT)?.as_str() {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let extension: Option<String> = get(row, 10, WHAT)?;
    let kind = match get::<String>(row, 12, WHAT)?.as_str() {
        "p" => FunctionKind::Procedure,
        "a" => FunctionKind::Aggregate,
        "w" => FunctionKind::Window,
        _ => FunctionKind::Function,
    };
    let names: Vec<String> = get(row, 15, WHAT)?;
    let pinned: Option<bool> = get(row, 16, WHAT)?;
    let function = Function {
        volatility,
        security_definer: get(row, 4, WHAT)?,
        public_execute: get(row, 5, WHAT)?,
        returns: get(row, 6, WHAT)?,
        returns_set: get(row, 7, WHAT)?,
        leakproof: get(row, 9, WHAT)?,
        extension: extension.map(|name| identifier(name, "extension")).transpose()?,
        kind,
        parameters: Parameters {
            names: if names.iter().all(String::is_empty) { Vec::new() } else { names },
            defaults: usize::try_from(get::<i32>(row, 13, WHAT)?).unwrap_or(0),
            variadic: get(row, 14, WHAT)?,
        },
        search_path: pinned.map(|pinned| if pinned { SearchPath::Pinned } else { SearchPath::Callers }),
        untrusted: get(row, 17, WHAT)?,
        ..Function::new(name, identifier(get(row, 2, WHAT)?, "role")?)
    };
    Ok((get(row, 11, WHAT)?, function))
}

/// The server's estimate; negative where there is none yet.
fn row_class(rows: f32) -> RowClass {
    if rows < 0.0 {
        RowClass::Small
    } else if rows < 1.0 {
        RowClass::Empty
    } else if rows < 10_000.0 {
        RowClass::Small
    } else if rows < 1_000_000.0 {
        RowClass::Medium
    } else {
        RowClass::Large
    }
}

fn privilege(text: &str) -> Option<Privilege> {
    match text {
        "SELECT" => Some(Privilege::Select),
        "INSERT" => Some(Privilege::Insert),
        "UPDATE" => Some(Privilege::Update),
        "DELETE" => Some(Privilege::Delete),
        "TRUNCATE" => Some(Privilege::Truncate),
        "EXECUTE" => Some(Privilege::Execute),
        _ => None,
    }
}

fn named<T>(result: Result<T, NameError>, what: &'static str) -> Result<T, IntrospectError> {
    result.map_err(|source| IntrospectError::Name { what, source })
}

pub(super) fn identifier(text: String, what: &'static str) -> Result<Identifier, IntrospectError> {
    named(Identifier::stored(text), what)
}

fn identifiers(texts: Vec<String>) -> Result<Vec<Identifier>, IntrospectError> {
    texts.into_iter().map(|text| identifier(text, "column")).collect()
}

pub(super) fn relation_name(schema: String, name: String) -> Result<RelationName, IntrospectError> {
    named(RelationName::stored(schema, name), "relation")
}
