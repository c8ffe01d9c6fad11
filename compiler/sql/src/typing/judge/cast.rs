//! Casts, subscripts and the clock.

use super::super::kind::{Context, Subscript, TypeId};
use super::{Judge, Judged, Value};
use crate::filter::expression::{Expression, Kind, TypeRef};

impl<'e> Judge<'e, '_> {
    pub(in crate::typing) fn coerce_explicit(
        &mut self,
        value: Value<'e>,
        to: TypeId,
        at: usize,
    ) -> Judged<()> {
        if !self.universe.can_coerce(&[value.id], &[to], Context::Explicit) {
            let (from, to) = (self.universe.name(value.id), self.universe.name(to));
            return self.fail("42846", at, format!("cannot cast type {from} to {to}"));
        }
        self.coerce(value, to, Context::Explicit)
    }

    pub(in crate::typing) fn cast(
        &mut self,
        node: &'e Expression,
        value: &'e Expression,
        to: &TypeRef,
    ) -> Judged<TypeId> {
        let id = self.type_ref(node, to)?;
        let base = self.universe.base(id);
        let value = match &value.kind {
            Kind::Array(parts) if self.universe.element(base).is_some() => {
                Value { id: self.array(value, parts, Some(base))?, text: None, node: value }
            }
            _ => self.value(value)?,
        };
        self.coerce_explicit(value, id, node.offset)?;
        Ok(id)
    }

    pub(in crate::typing) fn type_ref(&mut self, node: &Expression, to: &TypeRef) -> Judged<TypeId> {
        let universe = self.universe;
        let Some(id) = universe.named(to.schema.as_ref(), &to.name) else {
            let schema = to.schema.as_ref().map_or_else(String::new, |schema| format!("{schema}."));
            return self.fail("42704", node.offset, format!("type \"{schema}{}\" does not exist", to.name));
        };
        if !to.modifiers.is_empty() {
            let info = universe.info(id);
            if !info.modifiers {
                let name = if info.internal.is_empty() { info.name.as_str() } else { info.internal };
                return self.fail(
                    "42601",
                    node.offset,
                    format!("type modifier is not allowed for type \"{name}\""),
                );
            }
            if let Some(message) = bad_modifier(info.internal, &to.modifiers, universe.builtin().major) {
                return self.fail("22023", node.offset, message);
            }
        }
        if !to.array {
            return Ok(id);
        }
        match universe.info(id).array {
            Some(array) => Ok(array),
            None => self.fail("42704", node.offset, format!("type \"{}[]\" does not exist", to.name)),
        }
    }

    pub(in crate::typing) fn element(
        &mut self,
        node: &'e Expression,
        value: &'e Expression,
        indices: &'e [Expression],
    ) -> Judged<TypeId> {
        let value = self.value(value)?;
        let universe = self.universe;
        let ids = *universe.ids();
        let id = universe.base(value.id);
        let info = universe.info(id);
        for index in indices {
            if info.subscript == Subscript::None {
                break;
            }
            let index = self.value(index)?;
            let at = index.node.start();
            if info.subscript != Subscript::Jsonb {
                if !universe.can_coerce(&[index.id], &[ids.int4], Context::Assignment) {
                    return self.fail("42804", at, "array subscript must have type integer".to_owned());
                }
                self.coerce(index, ids.int4, Context::Assignment)?;
            } else if index.id != ids.unknown {
                let fits = [ids.int4, ids.text]
                    .into_iter()
                    .filter(|to| universe.can_coerce(&[index.id], &[*to], Context::Implicit))
                    .count();
                if fits != 1 {
                    let message = format!("subscript type {} is not supported", universe.name(index.id));
                    return self.fail("42804", at, message);
                }
            }
        }
        match info.subscript {
            Subscript::Jsonb => Ok(ids.jsonb),
            Subscript::Array | Subscript::Raw => Ok(info.element.unwrap_or(id)),
            Subscript::None => {
                let name = universe.name(id);
                let message =
                    format!("cannot subscript type {name} because it does not support subscripting");
                self.fail("42804", node.start(), message)
            }
        }
    }

    pub(in crate::typing) fn clock(&mut self, at: usize, word: &str) -> TypeId {
        let ids = *self.universe.ids();
        self.note_clock(at, word);
        match word {
            "CURRENT_DATE" => ids.date,
            "CURRENT_TIME" => ids.timetz,
            "LOCALTIME" => ids.time,
            "LOCALTIMESTAMP" => ids.timestamp,
            _ => ids.timestamptz,
        }
    }
}

/// What PostgreSQL says about a modifier it does not take.
fn bad_modifier(name: &str, modifiers: &[i64], major: u32) -> Option<String> {
    match (name, modifiers) {
        ("varchar" | "bpchar" | "bit" | "varbit", [length]) => {
            let shown = match name {
                "bpchar" => "char",
                other => other,
            };
            if *length < 1 {
                Some(format!("length for type {shown} must be at least 1"))
            } else if *length > 10_485_760 && matches!(name, "varchar" | "bpchar") {
                Some(format!("length for type {shown} cannot exceed 10485760"))
            } else {
                None
            }
        }
        ("numeric", [precision]) if !(1..=1000).contains(precision) => {
            Some(format!("NUMERIC precision {precision} must be between 1 and 1000"))
        }
        ("numeric", [precision, scale]) => {
            let scales = if major < 15 { 0..=*precision } else { -1000..=1000 };
            if !(1..=1000).contains(precision) {
                Some(format!("NUMERIC precision {precision} must be between 1 and 1000"))
            } else if !scales.contains(scale) {
                Some(format!("NUMERIC scale {scale} must be between {} and {}", scales.start(), scales.end()))
            } else {
                None
            }
        }
        ("timestamp" | "timestamptz" | "time" | "timetz", [precision]) => {
            (*precision < 0).then(|| format!("precision {precision} must not be negative"))
        }
        ("", _) | ("numeric", [_]) => None,
        _ => Some("invalid type modifier".to_owned()),
    }
}
