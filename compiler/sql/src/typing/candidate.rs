//! Choosing among operators and functions of one name: PostgreSQL's `func_match_argtypes`,
//! `func_select_candidate` and the exact matches tried before them.

use super::kind::{Context, Routine, TypeId};
use super::universe::Universe;

/// What a name and its argument types lead to.
#[derive(Debug)]
pub(super) enum Choice<'u> {
    /// One routine, and the types its parameters have for this call.
    One(&'u Routine, Vec<TypeId>),
    /// None fits.
    None,
    /// Several fit equally well.
    Several,
}

type Candidate<'u> = (&'u Routine, Vec<TypeId>);

impl Universe {
    /// An operator of `pg_catalog`; one argument is a prefix operator.
    pub(super) fn operator(&self, name: &str, arguments: &[TypeId]) -> Choice<'_> {
        let named = self.operators(name);
        let exact = |wanted: &[TypeId]| named.iter().find(|one| one.arguments == wanted);
        let taken = |routine: &'_ Routine| routine.arguments.clone();
        let unknown = self.ids().unknown;
        let assumed: Option<TypeId> = match arguments {
            [left, right] if *left == unknown => Some(*right),
            [left, right] if *right == unknown => Some(*left),
            _ => None,
        };
        let first = match assumed {
            None => exact(arguments),
            Some(same) => exact(&[same, same]).or_else(|| {
                let base = self.base(same);
                (base != same).then(|| exact(&[base, base])).flatten()
            }),
        };
        if let Some(routine) = first {
            return Choice::One(routine, taken(routine));
        }
        let candidates = named
            .iter()
            .filter(|one| one.arguments.len() == arguments.len())
            .map(|one| (one, taken(one)))
            .collect();
        self.choose(arguments, candidates)
    }

    /// One of the functions of a name.
    pub(super) fn function<'u>(&self, named: &'u [Routine], arguments: &[TypeId]) -> Choice<'u> {
        let candidates = called(named, arguments.len());
        let mut exact = candidates.iter().filter(|(_, types)| types == arguments);
        match (exact.next(), exact.next()) {
            (Some((routine, types)), None) => return Choice::One(routine, types.clone()),
            (Some(_), Some(_)) => return Choice::Several,
            (None, _) => {}
        }
        self.choose(arguments, candidates)
    }

    fn choose<'u>(&self, arguments: &[TypeId], candidates: Vec<Candidate<'u>>) -> Choice<'u> {
        let mut fitting: Vec<Candidate<'u>> = candidates
            .into_iter()
            .filter(|(_, types)| self.can_coerce(arguments, types, Context::Implicit))
            .collect();
        match fitting.len() {
            0 => Choice::None,
            1 => fitting.pop().map_or(Choice::None, |(routine, types)| Choice::One(routine, types)),
            _ => self
                .select(arguments, fitting)
                .map_or(Choice::Several, |(routine, types)| Choice::One(routine, types)),
        }
    }

    /// The best of several candidates that all fit.
    fn select<'u>(&self, arguments: &[TypeId], candidates: Vec<Candidate<'u>>) -> Option<Candidate<'u>> {
        let unknown = self.ids().unknown;
        let inputs: Vec<TypeId> = arguments.iter().map(|one| self.base(*one)).collect();
        let exact = |types: &[TypeId]| {
            inputs.iter().zip(types).filter(|(input, one)| **input != unknown && input == one).count()
        };
        let mut left = keep_best(candidates, exact);
        if left.len() == 1 {
            return left.pop();
        }
        let preferred = |types: &[TypeId]| {
            inputs
                .iter()
                .zip(types)
                .filter(|(input, one)| **input != unknown && (input == one || self.prefers(**input, **one)))
                .count()
        };
        left = keep_best(left, preferred);
        if left.len() == 1 {
            return left.pop();
        }
        if !inputs.contains(&unknown) {
            return None;
        }
        if let Some(slots) = self.slots(&inputs, &left) {
            let fits = |types: &[TypeId]| {
                types.iter().zip(&slots).all(|(one, slot)| {
                    slot.is_none_or(|(category, wants_preferred)| {
                        let info = self.info(*one);
                        info.category == category && (!wants_preferred || info.preferred)
                    })
                })
            };
            if left.iter().any(|(_, types)| fits(types)) {
                left.retain(|(_, types)| fits(types));
            }
            if left.len() == 1 {
                return left.pop();
            }
        }
        let mut known = inputs.iter().copied().filter(|input| *input != unknown);
        let first = known.next()?;
        if known.any(|other| other != first) {
            return None;
        }
        let assumed = vec![first; inputs.len()];
        let mut fitting =
            left.into_iter().filter(|(_, types)| self.can_coerce(&assumed, types, Context::Implicit));
        let only = fitting.next();
        if fitting.next().is_some() { None } else { only }
    }

    /// Whether the second is the preferred type of the first's category.
    fn prefers(&self, input: TypeId, candidate: TypeId) -> bool {
        let info = self.info(candidate);
        info.category == self.info(input).category && info.preferred
    }

    /// For every unknown argument the category the candidates agree on, and whether one of them is preferred.
    fn slots(&self, inputs: &[TypeId], candidates: &[Candidate<'_>]) -> Option<Vec<Option<(char, bool)>>> {
        let mut slots = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            if *input != self.ids().unknown {
                slots.push(None);
                continue;
            }
            let mut slot: Option<(char, bool)> = None;
            let mut conflict = false;
            for (_, types) in candidates {
                let info = types.get(index).map(|id| self.info(*id))?;
                slot = Some(match slot {
                    None => (info.category, info.preferred),
                    Some((category, preferred)) if category == info.category => {
                        (category, preferred || info.preferred)
                    }
                    Some(_) if info.category == 'S' => ('S', info.preferred),
                    Some(kept) => {
                        conflict = true;
                        kept
                    }
                });
            }
            if conflict && slot.is_none_or(|(category, _)| category != 'S') {
                return None;
            }
            slots.push(slot);
        }
        Some(slots)
    }
}

/// The candidates with the highest score, in order.
fn keep_best(candidates: Vec<Candidate<'_>>, score: impl Fn(&[TypeId]) -> usize) -> Vec<Candidate<'_>> {
    let best = candidates.iter().map(|(_, types)| score(types)).max().unwrap_or(0);
    candidates.into_iter().filter(|(_, types)| score(types) == best).collect()
}

/// The functions that can be called with so many arguments, with the types each argument would have.
fn called(named: &[Routine], count: usize) -> Vec<Candidate<'_>> {
    let mut found: Vec<(Candidate<'_>, bool)> = Vec::new();
    for routine in named {
        let declared = routine.arguments.len();
        let (types, spread) = match routine.variadic {
            Some(element) if count >= declared => {
                let mut types: Vec<TypeId> =
                    routine.arguments.iter().copied().take(declared.saturating_sub(1)).collect();
                types.resize(count, element);
                (types, true)
            }
            _ if count == declared => (routine.arguments.clone(), false),
            _ if count < declared && count + routine.defaults >= declared => {
                (routine.arguments.iter().copied().take(count).collect(), false)
            }
            _ => continue,
        };
        // Of two that look the same to the caller, the one without a variadic argument wins; otherwise nothing tells
        // them apart, and both stay.
        let same: Option<bool> =
            found.iter().find(|((_, other), _)| *other == types).map(|(_, spread)| *spread);
        match same {
            Some(false) if spread => {}
            Some(true) if !spread => {
                found.retain(|((_, other), _)| *other != types);
                found.push(((routine, types), spread));
            }
            _ => found.push(((routine, types), spread)),
        }
    }
    found.into_iter().map(|(candidate, _)| candidate).collect()
}
