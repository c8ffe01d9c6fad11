//! How many connections one person holds: nobody can take all of an agent's places alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Connections held, by user id.
#[derive(Debug)]
pub(crate) struct Seats {
    each: usize,
    taken: Mutex<BTreeMap<String, usize>>,
}

/// One connection's place, free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    user_id: String,
}

impl Seats {
    pub(crate) fn new(each: usize) -> Arc<Self> {
        Arc::new(Self { each, taken: Mutex::default() })
    }

    /// `None` if that person holds as many as allowed.
    pub(crate) fn take(self: &Arc<Self>, user_id: &str) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let held = taken.entry(user_id.to_owned()).or_default();
        if *held >= self.each {
            return None;
        }
        *held += 1;
        Some(Seat { seats: Arc::clone(self), user_id: user_id.to_owned() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get_mut(&self.user_id).map_or(0, |held| {
            *held = held.saturating_sub(1);
            *held
        });
        if left == 0 {
            taken.remove(&self.user_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_fills_only_her_own_seats() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take("ada").unwrap(), seats.take("ada").unwrap());
        assert!(seats.take("ada").is_none());
        assert!(seats.take("bo").is_some());
        drop(first);
        let third = seats.take("ada").unwrap();
        assert!(seats.take("ada").is_none());
        drop((second, third));
        assert!(seats.taken.lock().unwrap().is_empty());
    }
}
