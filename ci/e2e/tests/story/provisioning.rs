//! Whom an identity provider deactivates is out of the database at once, also in the middle of a session.

use crate::shop;
use daam_e2e::{Fabric, wait_for};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A request with a token; the answer's body.
pub(crate) fn ask(fabric: &Fabric, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let address = fabric.ready().control_plane.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let body = body.to_string();
    let mut connection = TcpStream::connect(&address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 2"), "{answer}");
    serde_json::from_str(body).unwrap_or(Value::Null)
}

#[test]
fn a_deactivated_person_is_out_of_the_database_in_the_middle_of_a_session() {
    let fabric = shop::open();
    let admin = std::fs::read_to_string(fabric.ready().state.join("admin-token")).unwrap();
    let made = ask(&fabric, "POST", "/v1/scim-tokens", admin.trim(), &json!({ "name": "idp" }));
    let token = made.get("token").unwrap().as_str().unwrap();
    let sam = shop::support(&fabric);
    let mut session = sam.connect().unwrap();
    assert!(session.query("select count(*) from customers").errors.is_empty());
    let filter = "/scim/v2/Users?filter=userName%20eq%20%22sam@acme.test%22";
    let found = ask(&fabric, "GET", filter, token, &Value::Null);
    let id = found.pointer("/Resources/0/id").unwrap().as_str().unwrap();
    let off = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "Replace", "path": "active", "value": "False" }] });
    let began = Instant::now();
    ask(&fabric, "PATCH", &format!("/scim/v2/Users/{id}"), token, &off);
    wait_for(Duration::from_secs(30), || {
        let answer = session.query("select count(*) from customers");
        Ok(answer.closed.then_some(()))
    })
    .unwrap();
    let took = began.elapsed();
    let told = format!("from deactivation to the end of the session: {took:?}\n");
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    // Sooner than anything that merely looks again from time to time.
    assert!(took < Duration::from_secs(4), "{took:?}");
}
