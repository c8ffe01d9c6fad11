//! From serialised structs to a catalogue, with every check.

use super::wire::{
    Snapshot, WireColumn, WireColumnRef, WireForeignKey, WireFunction, WireName, WireRelation,
};
use super::{SnapshotError, VERSION, refuse_system};
use crate::catalog::{Catalog, Column, ColumnRef, ForeignKey, Function, Generated, Relation, ServerVersion};
use crate::data_type::DataType;
use crate::name::{FunctionName, Identifier, RelationName};

impl TryFrom<Snapshot> for Catalog {
    type Error = SnapshotError;

    fn try_from(snapshot: Snapshot) -> Result<Self, SnapshotError> {
        if snapshot.version != VERSION {
            return Err(SnapshotError::Version(snapshot.version));
        }
        let mut catalog = Self { server: ServerVersion(snapshot.server_version), ..Self::default() };
        for relation in snapshot.relations {
            let relation = read_relation(relation)?;
            let shown = relation.name.to_string();
            refuse_system(relation.name.schema.as_str(), &shown)?;
            if catalog.relations.insert(relation.name.clone(), relation).is_some() {
                return Err(SnapshotError::Duplicate(shown));
            }
        }
        for function in snapshot.functions {
            let function = read_function(function)?;
            let shown = function.name.to_string();
            refuse_system(function.name.schema.as_str(), &shown)?;
            if catalog.functions.insert(function.name.clone(), function).is_some() {
                return Err(SnapshotError::Duplicate(shown));
            }
        }
        Ok(catalog)
    }
}

fn read_relation(wire: WireRelation) -> Result<Relation, SnapshotError> {
    let place = format!("{}.{}", wire.schema, wire.name);
    let relation = Relation {
        name: relation_name(WireName { schema: wire.schema, name: wire.name }, &place)?,
        kind: wire.kind,
        owner: identifier(wire.owner, &place)?,
        columns: read_all(wire.columns, |column| read_column(column, &place))?,
        primary_key: identifiers(wire.primary_key, &place)?,
        unique: read_all(wire.unique, |columns| identifiers(columns, &place))?,
        foreign_keys: read_all(wire.foreign_keys, |key| read_foreign_key(key, &place))?,
        parents: read_all(wire.parents, |parent| relation_name(parent, &place))?,
        reads: read_all(wire.reads, |read| read_column_ref(read, &place))?.into_iter().collect(),
        public: wire.public.into_iter().map(|privilege| privilege.0).collect(),
        triggers: wire.triggers,
        comment: wire.comment,
    };
    check_columns(&relation)?;
    Ok(relation)
}

/// A column listed twice would be granted and masked by whichever is found first, and an unlisted source of a
/// generated column would lose its mask.
fn check_columns(relation: &Relation) -> Result<(), SnapshotError> {
    for (index, column) in relation.columns.iter().enumerate() {
        if relation.columns.iter().skip(index + 1).any(|other| other.name == column.name) {
            return Err(SnapshotError::Duplicate(format!("{}.{}", relation.name, column.name)));
        }
    }
    let generated = relation.columns.iter().filter_map(|column| match &column.generated {
        Generated::From(reads) => Some(reads),
        Generated::No | Generated::Identity => None,
    });
    let mut used = relation
        .primary_key
        .iter()
        .chain(relation.unique.iter().flatten())
        .chain(relation.foreign_keys.iter().flat_map(|key| &key.columns))
        .chain(generated.flatten());
    match used.find(|name| relation.column(name).is_none()) {
        None => Ok(()),
        Some(column) => Err(SnapshotError::NoSuchColumn {
            relation: relation.name.to_string(),
            column: column.to_string(),
        }),
    }
}

fn read_column(wire: WireColumn, relation: &str) -> Result<Column, SnapshotError> {
    let place = format!("{relation}.{}", wire.name);
    let generated = match (wire.identity, wire.generated_from) {
        (_, Some(reads)) => Generated::From(identifiers(reads, &place)?),
        (true, None) => Generated::Identity,
        (false, None) => Generated::No,
    };
    Ok(Column {
        name: identifier(wire.name, &place)?,
        data_type: DataType { sql: wire.sql, class: wire.class },
        not_null: wire.not_null,
        has_default: wire.has_default,
        generated,
        sequence: wire.sequence.map(|name| relation_name(name, &place)).transpose()?,
        comment: wire.comment,
    })
}

fn read_foreign_key(wire: WireForeignKey, place: &str) -> Result<ForeignKey, SnapshotError> {
    Ok(ForeignKey {
        columns: identifiers(wire.columns, place)?,
        references: relation_name(wire.references, place)?,
        referenced: identifiers(wire.referenced, place)?,
    })
}

fn read_column_ref(wire: WireColumnRef, place: &str) -> Result<ColumnRef, SnapshotError> {
    Ok(ColumnRef {
        relation: relation_name(WireName { schema: wire.schema, name: wire.relation }, place)?,
        column: identifier(wire.column, place)?,
    })
}

fn read_function(wire: WireFunction) -> Result<Function, SnapshotError> {
    let place = format!("{}.{}", wire.schema, wire.name);
    Ok(Function {
        name: FunctionName {
            schema: identifier(wire.schema, &place)?,
            name: identifier(wire.name, &place)?,
            arguments: wire.arguments,
        },
        owner: identifier(wire.owner, &place)?,
        volatility: wire.volatility,
        security_definer: wire.security_definer,
        public_execute: wire.public_execute,
        returns: wire.returns,
        returns_set: wire.returns_set,
    })
}

fn relation_name(wire: WireName, place: &str) -> Result<RelationName, SnapshotError> {
    Ok(RelationName { schema: identifier(wire.schema, place)?, name: identifier(wire.name, place)? })
}

fn identifier(text: String, place: &str) -> Result<Identifier, SnapshotError> {
    Identifier::stored(text).map_err(|source| SnapshotError::Name { place: place.to_owned(), source })
}

fn identifiers(texts: Vec<String>, place: &str) -> Result<Vec<Identifier>, SnapshotError> {
    read_all(texts, |text| identifier(text, place))
}

fn read_all<W, T>(
    list: Vec<W>,
    read: impl FnMut(W) -> Result<T, SnapshotError>,
) -> Result<Vec<T>, SnapshotError> {
    list.into_iter().map(read).collect()
}
