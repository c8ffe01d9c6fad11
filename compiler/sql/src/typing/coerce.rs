//! Which type becomes which: cast pathways, implicit coercion, common types. The rules are those of PostgreSQL's
//! `parse_coerce.c`; what a pathway does to values never matters here.

use super::kind::{Context, Form, Method, TypeId};
use super::universe::Universe;

/// How a value gets from one type to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pathway {
    Relabel,
    Function(daam_catalog::Volatility),
    /// Element by element.
    Array(TypeId, TypeId),
    /// Output function, then input function.
    Text,
}

impl Universe {
    /// The pathway between two types in a context, if there is one.
    pub(super) fn pathway(&self, to: TypeId, from: TypeId, context: Context) -> Option<Pathway> {
        let (to, from) = (self.base(to), self.base(from));
        if to == from {
            return Some(Pathway::Relabel);
        }
        if let Some(cast) = self.cast(from, to) {
            return (context >= cast.context).then_some(match cast.method {
                Method::Binary => Pathway::Relabel,
                Method::Function => Pathway::Function(cast.volatility),
                Method::Text => Pathway::Text,
            });
        }
        if to != self.ids().oidvector
            && to != self.ids().int2vector
            && let (Some(to), Some(from)) = (self.element(to), self.element(from))
            && self.pathway(to, from, context).is_some()
        {
            return Some(Pathway::Array(to, from));
        }
        let text = (context >= Context::Assignment && self.info(to).category == 'S')
            || (context >= Context::Explicit && self.info(from).category == 'S');
        text.then_some(Pathway::Text)
    }

    /// Whether arguments of these types can be given to those parameters.
    pub(super) fn can_coerce(&self, from: &[TypeId], to: &[TypeId], context: Context) -> bool {
        let mut generic = false;
        for (from, to) in from.iter().zip(to) {
            if from == to || *to == self.ids().any {
                continue;
            }
            if self.is_polymorphic(*to) {
                generic = true;
                continue;
            }
            if !self.can_coerce_one(*from, *to, context) {
                return false;
            }
        }
        !generic || self.generic(from, to, None).is_ok_and(|consistent| consistent.is_some())
    }

    /// [`Universe::can_coerce`] for one type that is not polymorphic.
    pub(super) fn can_coerce_one(&self, from: TypeId, to: TypeId, context: Context) -> bool {
        from == to
            || from == self.ids().unknown
            || self.pathway(to, from, context).is_some()
            || (from == self.ids().record && self.is_complex(to))
            || (to == self.ids().record && self.is_complex(from))
            || (to == self.ids().record_array
                && self.element(from).is_some_and(|element| self.is_complex(element)))
    }

    /// A composite type, or a domain over one.
    pub(super) fn is_complex(&self, id: TypeId) -> bool {
        self.info(self.base(id)).form == Form::Composite
    }

    /// The type of a `CASE`, `COALESCE`, `ARRAY`, … over these types; `Err` holds the two that do not go together.
    pub(super) fn common_type(&self, types: &[TypeId]) -> Result<TypeId, (TypeId, TypeId, usize)> {
        let unknown = self.ids().unknown;
        let Some(first) = types.first().copied() else { return Ok(self.ids().text) };
        if first != unknown && types.iter().all(|one| *one == first) {
            return Ok(first);
        }
        let mut chosen = self.base(first);
        for (index, next) in types.iter().enumerate().skip(1) {
            let next = self.base(*next);
            if next == unknown || next == chosen {
                continue;
            }
            let (old, new) = (self.info(chosen), self.info(next));
            if chosen == unknown {
                chosen = next;
            } else if old.category != new.category {
                return Err((chosen, next, index));
            } else if !old.preferred
                && self.can_coerce(&[chosen], &[next], Context::Implicit)
                && !self.can_coerce(&[next], &[chosen], Context::Implicit)
            {
                chosen = next;
            }
        }
        Ok(if chosen == unknown { self.ids().text } else { chosen })
    }
}
