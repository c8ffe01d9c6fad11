//! From serialised structs to a catalogue, with every check.

use super::wire::{
    Snapshot, WireCast, WireColumn, WireColumnRef, WireDefinition, WireForeignKey, WireFunction,
    WireFunctionName, WireName, WireOperator, WireRelation, WireType,
};
use super::{SnapshotError, VERSION, refuse_system};
use crate::catalog::{
    Catalog, Column, ColumnRef, ForeignKey, Function, Generated, Parameters, Relation, ServerVersion,
    ViewOptions,
};
use crate::data_type::DataType;
use crate::name::{FunctionName, Identifier, RelationName};
use crate::user_type::{UserCast, UserOperator, UserType, UserTypeKind};
use std::collections::BTreeSet;

impl TryFrom<Snapshot> for Catalog {
    type Error = SnapshotError;

    fn try_from(snapshot: Snapshot) -> Result<Self, SnapshotError> {
        if snapshot.version != VERSION {
            return Err(SnapshotError::Version(snapshot.version));
        }
        let mut catalog = Self {
            server: ServerVersion(snapshot.server_version),
            system: snapshot.system,
            captured: snapshot.captured,
            ..Self::default()
        };
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
        for user_type in snapshot.types {
            let (name, user_type) = read_type(user_type)?;
            let shown = name.to_string();
            refuse_system(name.schema.as_str(), &shown)?;
            if catalog.types.insert(name, user_type).is_some() {
                return Err(SnapshotError::Duplicate(shown));
            }
        }
        catalog.operators = read_operators(snapshot.operators)?;
        let mut known = BTreeSet::new();
        for cast in snapshot.casts {
            let cast = read_cast(cast)?;
            if !known.insert((cast.from.clone(), cast.to.clone())) {
                return Err(SnapshotError::Duplicate(format!("{} AS {}", cast.from, cast.to)));
            }
            catalog.casts.insert(cast);
        }
        Ok(catalog)
    }
}

fn read_type(wire: WireType) -> Result<(RelationName, UserType), SnapshotError> {
    let place = format!("{}.{}", wire.schema, wire.name);
    let kind = match wire.definition {
        WireDefinition::Enum(labels) => UserTypeKind::Enum { labels },
        WireDefinition::Domain { base, not_null } => UserTypeKind::Domain { base, not_null },
        WireDefinition::Composite(fields) => {
            let field = |field: super::wire::WireField| Ok((identifier(field.name, &place)?, field.sql));
            UserTypeKind::Composite { fields: read_all(fields, field)? }
        }
        WireDefinition::Range(subtype) => UserTypeKind::Range { subtype },
        WireDefinition::Base => UserTypeKind::Base,
    };
    let user_type = UserType {
        category: wire.category.unwrap_or_else(|| kind.usual_category()),
        kind,
        preferred: wire.preferred,
        extension: wire.extension.map(|name| identifier(name, &place)).transpose()?,
    };
    Ok((relation_name(WireName { schema: wire.schema, name: wire.name }, &place)?, user_type))
}

/// Two operators of one name over the same types would make every expression with them ambiguous.
fn read_operators(wire: Vec<WireOperator>) -> Result<BTreeSet<UserOperator>, SnapshotError> {
    let mut known = BTreeSet::new();
    let mut operators = BTreeSet::new();
    for wire in wire {
        let place = format!("{}.{}", wire.schema, wire.name);
        refuse_system(&wire.schema, &place)?;
        let operator = UserOperator {
            schema: identifier(wire.schema, &place)?,
            name: identifier(wire.name, &place)?,
            left: wire.left,
            right: wire.right,
            result: wire.result,
            function: function_name(wire.function, &place)?,
        };
        let UserOperator { schema, name, left, right, .. } = operator.clone();
        if !known.insert((schema, name, left, right)) {
            return Err(SnapshotError::Duplicate(place));
        }
        operators.insert(operator);
    }
    Ok(operators)
}

fn read_cast(wire: WireCast) -> Result<UserCast, SnapshotError> {
    let place = format!("{} AS {}", wire.from, wire.to);
    let function = wire.function.map(|name| function_name(name, &place)).transpose()?;
    Ok(UserCast { from: wire.from, to: wire.to, context: wire.context, function })
}

fn function_name(wire: WireFunctionName, place: &str) -> Result<FunctionName, SnapshotError> {
    Ok(FunctionName {
        schema: identifier(wire.schema, place)?,
        name: identifier(wire.name, place)?,
        arguments: wire.arguments,
    })
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
        scans: read_all(wire.scans, |name| relation_name(name, &place))?.into_iter().collect(),
        calls: read_all(wire.calls, |name| function_name(name, &place))?.into_iter().collect(),
        view: ViewOptions {
            security_barrier: wire.security_barrier,
            security_invoker: wire.security_invoker,
        },
        public: wire.public.into_iter().map(|privilege| privilege.0).collect(),
        triggers: wire.triggers,
        rules: wire.rules.into_iter().map(|privilege| privilege.0).collect(),
        row_security: wire.row_security,
        indexes: read_all(wire.indexes, |columns| identifiers(columns, &place))?,
        size: wire.size.0,
        comment: wire.comment,
    };
    check_columns(&relation)?;
    Ok(relation)
}

/// A column listed twice would be granted and masked by whichever is found first, and an unlisted source of a
/// generated column would lose its mask.
fn check_columns(relation: &Relation) -> Result<(), SnapshotError> {
    let mut names = BTreeSet::new();
    if let Some(column) = relation.columns.iter().find(|column| !names.insert(&column.name)) {
        return Err(SnapshotError::Duplicate(format!("{}.{}", relation.name, column.name)));
    }
    let generated = relation.columns.iter().filter_map(|column| match &column.generated {
        Generated::From(reads) => Some(reads),
        Generated::No | Generated::Identity => None,
    });
    let mut used = relation
        .primary_key
        .iter()
        .chain(relation.unique.iter().flatten())
        .chain(relation.indexes.iter().flatten())
        .chain(relation.foreign_keys.iter().flat_map(|key| &key.columns))
        .chain(generated.flatten());
    match used.find(|name| !names.contains(name)) {
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
        security_label: wire.security_label,
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
    let name = WireFunctionName { schema: wire.schema, name: wire.name, arguments: wire.arguments };
    Ok(Function {
        name: function_name(name, &place)?,
        owner: identifier(wire.owner, &place)?,
        volatility: wire.volatility,
        security_definer: wire.security_definer,
        public_execute: wire.public_execute,
        leakproof: wire.leakproof,
        returns: wire.returns,
        returns_set: wire.returns_set,
        extension: wire.extension.map(|name| identifier(name, &place)).transpose()?,
        kind: wire.kind.0,
        parameters: wire.parameters.map_or_else(Parameters::default, |wire| Parameters {
            names: wire.names,
            defaults: wire.defaults,
            variadic: wire.variadic,
        }),
        search_path: wire.search_path.map(|path| path.0),
        untrusted: wire.untrusted,
        reaches: wire.reaches,
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
