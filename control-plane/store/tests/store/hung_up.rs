//! Whoever hangs up in the middle of anything leaves nothing behind for the next one.

use crate::engine::{admin, put};
use daam_store::Db;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Goes so many steps of the way, and drops it there.
async fn dropped_after(steps: usize, on_its_way: impl Future) {
    let (mut left, mut on_its_way) = (steps, pin!(on_its_way));
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        on_its_way.as_mut().poll(cx).map(drop)
    })
    .await;
}

pub(crate) async fn what_is_dropped_on_its_way_leaves_no_view_and_no_transaction(db: Db) {
    let ana = admin(&db, "calm-otter").await;
    put(&db, &ana, "bo@example.com", false).await;
    for steps in (0..24).cycle().take(240) {
        dropped_after(steps, db.users(ana.scope())).await;
        dropped_after(steps, put(&db, &ana, "cy@example.com", false)).await;
    }
    // Every connection there may be reads what is there now, and writes.
    for number in 0..40 {
        let email = format!("u{number}@example.com");
        put(&db, &ana, &email, false).await;
        let users = db.users(ana.scope()).await.unwrap();
        assert!(users.iter().any(|user| user.email == email), "an old view of the data");
    }
}
