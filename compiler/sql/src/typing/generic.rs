//! Polymorphic arguments: `anyelement`, `anyarray`, `anyenum`, ranges, and the `anycompatible` family.

use super::kind::{Context, Form, TypeId};
use super::universe::Universe;

/// Parameters with every polymorphic type made a real one, as far as the arguments decide it.
#[derive(Debug)]
pub(super) struct Consistent {
    pub(super) arguments: Vec<TypeId>,
    pub(super) result: TypeId,
}

/// What the arguments say about each family.
#[derive(Debug, Default)]
struct Found {
    element: Option<TypeId>,
    array: Option<TypeId>,
    range: Option<TypeId>,
    multirange: Option<TypeId>,
    compatible: Vec<TypeId>,
    /// What the compatible ones have in common.
    common: Option<TypeId>,
    compatible_range: Option<TypeId>,
    compatible_multirange: Option<TypeId>,
    nonarray: bool,
    enumeration: bool,
    compatible_nonarray: bool,
}

impl Universe {
    pub(super) fn is_polymorphic(&self, id: TypeId) -> bool {
        self.is_simple_polymorphic(id) || self.is_compatible_polymorphic(id)
    }

    fn is_simple_polymorphic(&self, id: TypeId) -> bool {
        let ids = self.ids();
        [ids.any_element, ids.any_array, ids.any_nonarray, ids.any_enum, ids.any_range, ids.any_multirange]
            .contains(&id)
    }

    fn is_compatible_polymorphic(&self, id: TypeId) -> bool {
        let ids = self.ids();
        [
            ids.any_compatible,
            ids.any_compatible_array,
            ids.any_compatible_nonarray,
            ids.any_compatible_range,
            ids.any_compatible_multirange,
        ]
        .contains(&id)
    }

    /// `Ok(None)`: the arguments contradict each other. `Err`: they leave a type open (only asked for a result).
    pub(super) fn generic(
        &self,
        actual: &[TypeId],
        declared: &[TypeId],
        result: Option<TypeId>,
    ) -> Result<Option<Consistent>, String> {
        let Some(mut found) = self.collect(actual, declared) else { return Ok(None) };
        if self.consistent(&mut found).is_none() {
            return Ok(None);
        }
        match result {
            None => Ok(Some(Consistent { arguments: Vec::new(), result: TypeId::default() })),
            Some(result) => self.settle(&found, actual, declared, result).map(Some),
        }
    }

    fn collect(&self, actual: &[TypeId], declared: &[TypeId]) -> Option<Found> {
        let ids = self.ids();
        let mut found = Found::default();
        let agree = |slot: &mut Option<TypeId>, value: TypeId| *slot.get_or_insert(value) == value;
        for (actual, declared) in actual.iter().copied().zip(declared.iter().copied()) {
            found.nonarray |= declared == ids.any_nonarray;
            found.enumeration |= declared == ids.any_enum;
            found.compatible_nonarray |= declared == ids.any_compatible_nonarray;
            if actual == ids.unknown || !self.is_polymorphic(declared) {
                continue;
            }
            let base = self.base(actual);
            let fits = if declared == ids.any_array {
                agree(&mut found.array, base)
            } else if declared == ids.any_range {
                agree(&mut found.range, base)
            } else if declared == ids.any_multirange {
                agree(&mut found.multirange, base)
            } else if self.is_simple_polymorphic(declared) {
                agree(&mut found.element, actual)
            } else if declared == ids.any_compatible_array {
                found.compatible.push(self.element(base)?);
                true
            } else if declared == ids.any_compatible_range {
                agree(&mut found.compatible_range, base)
            } else if declared == ids.any_compatible_multirange {
                agree(&mut found.compatible_multirange, base)
            } else {
                found.compatible.push(actual);
                true
            };
            if !fits {
                return None;
            }
        }
        Some(found)
    }

    /// Deduces the families from each other; `None` when they disagree.
    fn consistent(&self, found: &mut Found) -> Option<()> {
        let agree = |slot: &mut Option<TypeId>, value: TypeId| *slot.get_or_insert(value) == value;
        if let Some(array) = found.array
            && !agree(&mut found.element, self.element(array)?)
        {
            return None;
        }
        if let Some(multirange) = found.multirange
            && !agree(&mut found.range, self.part_of(multirange, Form::Multirange)?)
        {
            return None;
        }
        if let Some(range) = found.range
            && !agree(&mut found.element, self.part_of(range, Form::Range)?)
        {
            return None;
        }
        let is_array = |id: Option<TypeId>| id.is_some_and(|id| self.element(self.base(id)).is_some());
        if found.nonarray && is_array(found.element) {
            return None;
        }
        if found.enumeration && !found.element.is_some_and(|id| self.info(id).form == Form::Enum) {
            return None;
        }
        if let Some(multirange) = found.compatible_multirange
            && !agree(&mut found.compatible_range, self.part_of(multirange, Form::Multirange)?)
        {
            return None;
        }
        let subtype = match found.compatible_range {
            Some(range) => Some(self.part_of(range, Form::Range)?),
            None => None,
        };
        found.compatible.extend(subtype);
        if found.compatible.is_empty() {
            return Some(());
        }
        let common = self.common_type(&found.compatible).ok()?;
        let works = found.compatible.iter().all(|one| self.can_coerce(&[*one], &[common], Context::Implicit));
        let refused = !works
            || (found.compatible_nonarray && is_array(Some(common)))
            || subtype.is_some_and(|subtype| subtype != common);
        found.common = Some(common);
        (!refused).then_some(())
    }

    fn settle(
        &self,
        found: &Found,
        actual: &[TypeId],
        declared: &[TypeId],
        result: TypeId,
    ) -> Result<Consistent, String> {
        let ids = self.ids();
        let simple = declared.iter().any(|one| self.is_simple_polymorphic(*one));
        if simple && found.element.is_none() {
            return Err("could not determine polymorphic type because input has type unknown".to_owned());
        }
        let common = found.common.unwrap_or(ids.text);
        let array_of = |element: Option<TypeId>| {
            let element = element.unwrap_or(common);
            self.info(element)
                .array
                .ok_or_else(|| format!("could not find array type for data type {}", self.info(element).name))
        };
        let real = |id: TypeId| -> Result<TypeId, String> {
            let undetermined = || {
                let name = &self.info(id).name;
                format!("could not determine polymorphic type {name} because input has type unknown")
            };
            if id == ids.any_array {
                found.array.map_or_else(|| array_of(found.element), Ok)
            } else if id == ids.any_range {
                found.range.ok_or_else(undetermined)
            } else if id == ids.any_multirange {
                found
                    .multirange
                    .or_else(|| found.range.and_then(|range| self.multirange_of(range)))
                    .ok_or_else(undetermined)
            } else if self.is_simple_polymorphic(id) {
                found.element.ok_or_else(undetermined)
            } else if id == ids.any_compatible_array {
                array_of(None)
            } else if id == ids.any_compatible_range {
                found.compatible_range.ok_or_else(undetermined)
            } else if id == ids.any_compatible_multirange {
                found
                    .compatible_multirange
                    .or_else(|| found.compatible_range.and_then(|range| self.multirange_of(range)))
                    .ok_or_else(undetermined)
            } else if self.is_compatible_polymorphic(id) {
                Ok(common)
            } else {
                Ok(id)
            }
        };
        let mut arguments = Vec::with_capacity(declared.len());
        for (actual, declared) in actual.iter().zip(declared) {
            // A known argument of the simple families keeps its own type.
            let keeps = self.is_simple_polymorphic(*declared) && *actual != ids.unknown;
            arguments.push(if keeps { *actual } else { real(*declared)? });
        }
        Ok(Consistent { arguments, result: real(result)? })
    }
}
