//! From a catalogue to the serialised structs; every part is taken over, nothing can fail.

use super::VERSION;
use super::wire::{
    Snapshot, WireCast, WireColumn, WireColumnRef, WireDefinition, WireField, WireForeignKey, WireFunction,
    WireFunctionKind, WireFunctionName, WireName, WireOperator, WireParameters, WirePrivilege, WireRelation,
    WireRowClass, WireSearchPath, WireType,
};
use crate::catalog::{Catalog, Column, ColumnRef, ForeignKey, Function, Generated, Parameters, Relation};
use crate::name::{FunctionName, Identifier, RelationName};
use crate::user_type::{UserCast, UserOperator, UserType, UserTypeKind};

impl From<&Catalog> for Snapshot {
    fn from(catalog: &Catalog) -> Self {
        Self {
            version: VERSION,
            server_version: catalog.server.0,
            relations: catalog.relations.values().map(WireRelation::from).collect(),
            functions: catalog.functions.values().map(WireFunction::from).collect(),
            types: catalog.types.iter().map(|(name, user_type)| write_type(name, user_type)).collect(),
            operators: catalog.operators.iter().map(WireOperator::from).collect(),
            casts: catalog.casts.iter().map(WireCast::from).collect(),
            system: catalog.system.clone(),
            captured: catalog.captured.clone(),
        }
    }
}

impl From<&RelationName> for WireName {
    fn from(name: &RelationName) -> Self {
        Self { schema: text(&name.schema), name: text(&name.name) }
    }
}

impl From<&Relation> for WireRelation {
    fn from(relation: &Relation) -> Self {
        Self {
            schema: text(&relation.name.schema),
            name: text(&relation.name.name),
            kind: relation.kind,
            owner: text(&relation.owner),
            columns: relation.columns.iter().map(WireColumn::from).collect(),
            primary_key: texts(&relation.primary_key),
            unique: relation.unique.iter().map(|columns| texts(columns)).collect(),
            foreign_keys: relation.foreign_keys.iter().map(WireForeignKey::from).collect(),
            parents: relation.parents.iter().map(WireName::from).collect(),
            reads: relation.reads.iter().map(WireColumnRef::from).collect(),
            scans: relation.scans.iter().map(WireName::from).collect(),
            calls: relation.calls.iter().map(WireFunctionName::from).collect(),
            security_barrier: relation.view.security_barrier,
            security_invoker: relation.view.security_invoker,
            public: relation.public.iter().copied().map(WirePrivilege).collect(),
            triggers: relation.triggers,
            rules: relation.rules.iter().copied().map(WirePrivilege).collect(),
            row_security: relation.row_security,
            indexes: relation.indexes.iter().map(|columns| texts(columns)).collect(),
            size: WireRowClass(relation.size),
            comment: relation.comment.clone(),
        }
    }
}

impl From<&ForeignKey> for WireForeignKey {
    fn from(key: &ForeignKey) -> Self {
        Self {
            columns: texts(&key.columns),
            references: WireName::from(&key.references),
            referenced: texts(&key.referenced),
        }
    }
}

impl From<&ColumnRef> for WireColumnRef {
    fn from(read: &ColumnRef) -> Self {
        Self {
            schema: text(&read.relation.schema),
            relation: text(&read.relation.name),
            column: text(&read.column),
        }
    }
}

impl From<&Column> for WireColumn {
    fn from(column: &Column) -> Self {
        Self {
            name: text(&column.name),
            sql: column.data_type.sql.clone(),
            class: column.data_type.class,
            not_null: column.not_null,
            has_default: column.has_default,
            identity: column.generated == Generated::Identity,
            generated_from: match &column.generated {
                Generated::From(reads) => Some(texts(reads)),
                Generated::No | Generated::Identity => None,
            },
            sequence: column.sequence.as_ref().map(WireName::from),
            comment: column.comment.clone(),
            security_label: column.security_label.clone(),
        }
    }
}

impl From<&Function> for WireFunction {
    fn from(function: &Function) -> Self {
        let FunctionName { schema, name, arguments } = &function.name;
        Self {
            schema: text(schema),
            name: text(name),
            arguments: arguments.clone(),
            owner: text(&function.owner),
            volatility: function.volatility,
            security_definer: function.security_definer,
            public_execute: function.public_execute,
            leakproof: function.leakproof,
            returns: function.returns.clone(),
            returns_set: function.returns_set,
            extension: function.extension.as_ref().map(text),
            kind: WireFunctionKind(function.kind),
            parameters: write_parameters(&function.parameters),
            search_path: function.search_path.map(WireSearchPath),
            untrusted: function.untrusted.clone(),
            reaches: function.reaches.clone(),
        }
    }
}

fn write_parameters(parameters: &Parameters) -> Option<WireParameters> {
    (*parameters != Parameters::default()).then(|| WireParameters {
        names: parameters.names.clone(),
        defaults: parameters.defaults,
        variadic: parameters.variadic,
    })
}

impl From<&FunctionName> for WireFunctionName {
    fn from(name: &FunctionName) -> Self {
        Self { schema: text(&name.schema), name: text(&name.name), arguments: name.arguments.clone() }
    }
}

fn write_type(name: &RelationName, user_type: &UserType) -> WireType {
    let usual = user_type.kind.usual_category();
    WireType {
        schema: text(&name.schema),
        name: text(&name.name),
        definition: match &user_type.kind {
            UserTypeKind::Enum { labels } => WireDefinition::Enum(labels.clone()),
            UserTypeKind::Domain { base, not_null } => {
                WireDefinition::Domain { base: base.clone(), not_null: *not_null }
            }
            UserTypeKind::Composite { fields } => WireDefinition::Composite(
                fields.iter().map(|(name, sql)| WireField { name: text(name), sql: sql.clone() }).collect(),
            ),
            UserTypeKind::Range { subtype } => WireDefinition::Range(subtype.clone()),
            UserTypeKind::Base => WireDefinition::Base,
        },
        category: Some(user_type.category).filter(|category| *category != usual),
        preferred: user_type.preferred,
        extension: user_type.extension.as_ref().map(text),
    }
}

impl From<&UserOperator> for WireOperator {
    fn from(operator: &UserOperator) -> Self {
        Self {
            schema: text(&operator.schema),
            name: text(&operator.name),
            left: operator.left.clone(),
            right: operator.right.clone(),
            result: operator.result.clone(),
            function: WireFunctionName::from(&operator.function),
        }
    }
}

impl From<&UserCast> for WireCast {
    fn from(cast: &UserCast) -> Self {
        Self {
            from: cast.from.clone(),
            to: cast.to.clone(),
            context: cast.context,
            function: cast.function.as_ref().map(WireFunctionName::from),
        }
    }
}

fn text(name: &Identifier) -> String {
    name.as_str().to_owned()
}

fn texts(names: &[Identifier]) -> Vec<String> {
    names.iter().map(text).collect()
}
