//! Approved access under a session: the client hears when it begins and ends, and records name it.

use super::core::Core;
use crate::access::InForce;
use daam_pgwire::Report;
use std::collections::BTreeSet;
use time::OffsetDateTime;

impl Core {
    /// Takes what is in force now.
    pub(super) fn requests_are(&mut self, now: BTreeSet<InForce>) {
        if self.rest.requests == now {
            return;
        }
        self.trail.set_requests(now.iter().map(|request| request.id.clone()).collect());
        let before = std::mem::replace(&mut self.rest.requests, now);
        let news: Vec<Report> = before
            .iter()
            .filter(|old| self.rest.requests.iter().all(|request| request.id != old.id))
            .map(|old| {
                let text =
                    format!("access request {} (`{}`) is over, and what it gave with it", old.id, old.name);
                Report::notice(&text)
            })
            .chain(self.rest.requests.difference(&before).map(|new| {
                let text = format!(
                    "access request {} (`{}`) is in force until {}",
                    new.id,
                    new.name,
                    when(new.ends_at)
                );
                Report::notice(&text)
                    .hint("it counts from the next statement on, outside a transaction".to_owned())
            }))
            .collect();
        self.rest.news.extend(news);
    }

    /// Says it between two messages; a large one may be on its way.
    pub(super) fn tell_news(&mut self) {
        if self.wires.passing {
            return;
        }
        for notice in std::mem::take(&mut self.rest.news) {
            self.tell_client(&notice.to_notice());
        }
    }
}

/// A time as people read it, in UTC.
fn when(unix: i64) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(unix) else { return "its end".to_owned() };
    let (date, month) = (at.date(), u8::from(at.month()));
    let (hour, minute, second) = at.time().as_hms();
    format!("{:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC", date.year(), date.day())
}
