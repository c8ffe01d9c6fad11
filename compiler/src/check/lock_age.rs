//! How old a schema lock may be. Without a limit, a known day and the day it is, nothing is said.

use crate::day::Day;
use crate::rule;
use crate::syntax::project::WrittenDatabase;
use daam_catalog::Catalog;
use daam_diagnostic::Sink;

const DAY: u64 = 86_400;

pub(crate) fn lock_age(
    written: &WrittenDatabase,
    catalog: Option<&Catalog>,
    today: Option<Day>,
    sink: &mut Sink,
) {
    let (Some(limit), Some(catalog), Some(lock)) = (&written.lock_max_age, catalog, &written.lock) else {
        return;
    };
    let pull = format!("run `daam schema pull --dsn … --out {}`", lock.value);
    let Some(captured) = catalog.captured.as_deref().and_then(Day::parse) else {
        let message = "the schema lock does not say which day it was read".to_owned();
        sink.push(
            rule::LOCK_STALE.at(lock.at, message).label(limit.at, "this limit cannot be checked").help(pull),
        );
        return;
    };
    let Some(age) = today.and_then(|today| u64::try_from(today.days_after(captured)).ok()) else { return };
    if age > limit.value.as_secs() / DAY {
        let message = format!("the schema lock was read on {captured}, {age} days ago");
        sink.push(rule::LOCK_STALE.at(lock.at, message).label(limit.at, "the limit").help(pull));
    }
}
