//! Another certificate authority takes the place of the organization's while people work.

use crate::provisioning::ask;
use crate::shop;
use daam_e2e::{Fabric, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const QUERY: &str = "select count(*) from customers";

fn list(fabric: &Fabric, admin: &str) -> Value {
    ask(fabric, "GET", "/v1/authorities", admin, &Value::Null)
}

#[test]
fn sessions_go_on_while_one_authority_takes_the_place_of_another_and_new_ones_are_believed() {
    let fabric = shop::open();
    let admin = std::fs::read_to_string(fabric.ready().state.join("admin-token")).unwrap();
    let admin = admin.trim();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    assert!(session.query(QUERY).errors.is_empty());
    ask(&fabric, "POST", "/v1/authorities", admin, &json!({}));
    // The agent believes the new one, and has a certificate of it, by itself.
    wait_for(SOON, || {
        let list = list(&fabric, admin);
        let state = list.pointer("/authorities/1/state").and_then(Value::as_str);
        let waits = list.pointer("/standing/agents_on_it").and_then(Value::as_array);
        Ok((state == Some("issuing") && waits.is_some_and(Vec::is_empty)).then_some(()))
    })
    .map_err(|error| error.context(fabric.logs()))
    .unwrap();
    assert!(session.query(QUERY).errors.is_empty(), "the session began under the old one");
    assert!(sam.connect().unwrap().query(QUERY).errors.is_empty(), "another one of the same program");
    let ana = shop::analyst(&fabric);
    assert!(ana.connect().unwrap().query("select 1").errors.is_empty(), "somebody with a new certificate");
    // By force: what stands on the old one ends, and the same person goes on with a certificate of the new one.
    ask(&fabric, "POST", "/v1/authorities/retire", admin, &json!({ "force": true }));
    wait_for(SOON, || Ok(session.query(QUERY).closed.then_some(()))).unwrap();
    wait_for(SOON, || {
        let answer = sam.connect().map(|mut session| session.query(QUERY));
        Ok(answer.is_ok_and(|answer| answer.errors.is_empty()).then_some(()))
    })
    .map_err(|error| error.context(fabric.logs()))
    .unwrap();
}
