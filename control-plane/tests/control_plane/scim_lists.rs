//! Lists of many: what the database finds is what looking at everybody finds.

use crate::world::{Answer, Org, World};
use daam_scim::filter::parse;
use daam_scim::schema::{GROUP, Schema, USER};
use daam_scim::{Object, matches};
use reqwest::Method;
use serde_json::{Value, json};

const PEOPLE: usize = 230;

async fn list(world: &World, token: &str, at: &str, query: &[(&str, &str)]) -> Value {
    let request = world.request(Method::GET, &format!("/scim/v2{at}")).query(query).bearer_auth(token);
    Answer::of(request).await.json(200)
}

/// All of them in parts, each of which says how many there are; in one order whatever the parts.
async fn every(world: &World, token: &str, at: &str, filter: Option<&str>) -> Vec<Object> {
    let mut all: Vec<Object> = Vec::new();
    for count in ["200", "7"] {
        let mut found: Vec<Object> = Vec::new();
        loop {
            let start = (found.len() + 1).to_string();
            let mut query = vec![("startIndex", start.as_str()), ("count", count)];
            query.extend(filter.map(|filter| ("filter", filter)));
            let part = list(world, token, at, &query).await;
            let total = part["totalResults"].as_u64().unwrap();
            let resources = part["Resources"].as_array().unwrap();
            found.extend(resources.iter().map(|one| one.as_object().unwrap().clone()));
            assert!(u64::try_from(found.len()).unwrap() <= total, "{filter:?}: {part}");
            if u64::try_from(found.len()).unwrap() == total {
                break;
            }
            assert!(!resources.is_empty(), "{filter:?}: {part}");
        }
        assert!(all.is_empty() || all == found, "{filter:?}");
        all = found;
        if all.len() > 60 {
            break;
        }
    }
    all
}

/// Members as providers and admins leave them: described and not, renamed, with and without access, gone and back.
async fn fill(world: &World, org: &Org, token: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..PEOPLE {
        let email = format!("User{n}@Example{}.org", n % 3);
        let mut person = json!({ "userName": format!("Name{n}@example.org"), "emails": [
            { "value": email, "type": "work", "primary": true }] });
        if n % 2 == 0 {
            person["externalId"] = json!(format!("X{}", n % 40));
        }
        if n % 3 == 0 {
            let other = json!({ "value": format!("Ünal{}@home.org", n % 9), "type": "home" });
            person["emails"].as_array_mut().unwrap().push(other);
        }
        if n % 5 == 0 {
            person["active"] = json!(false);
        }
        let made: Value = world.call(Method::POST, "/scim/v2/Users", token, &person).await.json(201);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    for n in 0..20 {
        world.put_user(org, &format!("plain{n}@example.org"), n % 4 == 0).await;
    }
    for (id, change) in [
        (&ids[1], json!([{ "op": "replace", "path": "externalId", "value": "renamed" }])),
        (&ids[2], json!([{ "op": "remove", "path": "externalId" }])),
        (
            &ids[3],
            json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "new@example.org" }]),
        ),
        (&ids[4], json!([{ "op": "remove", "path": "active" }])),
        (&ids[6], json!([{ "op": "replace", "path": "userName", "value": "another@example.org" }])),
    ] {
        let path = format!("/scim/v2/Users/{id}");
        world.call(Method::PATCH, &path, token, &json!({ "Operations": change })).await.ok(200);
    }
    for gone in [&ids[7], &ids[8]] {
        world.call(Method::DELETE, &format!("/scim/v2/Users/{gone}"), token, &json!({})).await.ok(204);
    }
    let back = json!({ "userName": "back@example.org", "emails": [{ "value": "user8@example2.org" }] });
    world.call(Method::POST, "/scim/v2/Users", token, &back).await.ok(201);
    ids
}

async fn agrees(world: &World, token: &str, (at, schema): (&str, &'static Schema), filters: &[String]) {
    let everybody = every(world, token, at, None).await;
    let in_order = everybody.windows(2).all(|pair| pair[0]["id"].as_str() < pair[1]["id"].as_str());
    assert!(in_order, "by id, so that no part repeats or leaves out");
    for filter in filters {
        let parsed = parse(filter, schema).unwrap();
        let expected: Vec<&Object> = everybody.iter().filter(|one| matches(&parsed, one)).collect();
        let found = every(world, token, at, Some(filter)).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

/// Filters over members.
const USERS_BY: [&str; 27] = [
    r#"userName eq "NAME9@example.ORG""#,
    r#"userName eq "name6@example.org""#,
    r#"userName eq "another@example.org""#,
    r#"userName eq "PLAIN3@example.org""#,
    r#"userName eq "name7@example.org""#,
    r#"userName eq "nobody@example.org""#,
    r#"externalId eq "X4""#,
    r#"externalId eq "x4""#,
    r#"externalId eq "X2""#,
    r#"externalId eq "renamed""#,
    r#"externalId eq "" or externalId eq "X6""#,
    r#"emails.value eq "user9@example0.org""#,
    r#"emails eq "USER9@example0.org""#,
    r#"emails.value eq "üNAL3@HOME.org""#,
    r#"emails[type eq "work"].value eq "new@example.org""#,
    r#"emails[type eq "home"].value eq "new@example.org""#,
    r#"emails.value eq "user3@example0.org""#,
    r#"emails.value eq "Plain2@example.org""#,
    r#"emails.value eq "user8@example2.org""#,
    "active eq true",
    r#"active eq "False""#,
    r#"active eq false and userName sw "name1""#,
    r#"active eq true and externalId eq "X8""#,
    "not (active eq true)",
    r#"userName sw "name2" or emails.value ew "home.org""#,
    "externalId pr and active eq false",
    r#"groups.display eq "even""#,
];

/// Filters over groups.
const GROUPS_BY: [&str; 8] = [
    r#"displayName eq "EVEN""#,
    r#"displayName eq "odd!_%\\""#,
    r#"displayName eq "none""#,
    r#"externalId eq "G3""#,
    r#"externalId eq "g3""#,
    "members pr",
    "not (members pr)",
    r#"displayName sw "e""#,
];

/// Groups of all, of some and of none, one with what patterns and JSON escape in its name.
async fn group(world: &World, token: &str, ids: &[String]) {
    for (name, step) in [("even", 2), ("Odd!_%\\", 3), ("empty", 999), ("a", 50), ("b", 60), ("c", 70)] {
        let within = ids.iter().skip(9).step_by(step).take(if step == 999 { 0 } else { 999 });
        let members: Vec<Value> = within.map(|id| json!({ "value": id })).collect();
        let group = json!({ "displayName": name, "externalId": format!("G{step}"), "members": members });
        world.call(Method::POST, "/scim/v2/Groups", token, &group).await.ok(201);
    }
}

/// Users and groups together go on from the one to the other.
async fn goes_on_from_users_to_groups(world: &World, token: &str, groups: &[Object]) {
    let total = list(world, token, "/Users", &[]).await["totalResults"].as_u64().unwrap();
    let from = usize::try_from(total).unwrap() - 1;
    let search = json!({ "startIndex": from, "count": 5 });
    let both: Value = world.call(Method::POST, "/scim/v2/.search", token, &search).await.json(200);
    let resources = both["Resources"].as_array().unwrap();
    let kinds: Vec<&str> =
        resources.iter().map(|one| one["meta"]["resourceType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["User", "User", "Group", "Group", "Group"], "{both}");
    assert_eq!(both["totalResults"], from + 1 + groups.len());
    assert_eq!(both["Resources"][2]["id"], groups[0]["id"]);
}

pub(crate) async fn what_the_database_finds_is_what_looking_at_everybody_finds(world: World) {
    let org = world.bootstrap().await;
    let token = world.scim(&org).await;
    let ids = fill(&world, &org, &token).await;
    group(&world, &token, &ids).await;
    let mut filters: Vec<String> = USERS_BY.map(str::to_owned).into();
    filters.extend([5, 7, 9].map(|n| format!("id eq \"{}\"", ids[n])));
    agrees(&world, &token, ("/Users", &USER), &filters).await;
    let mut filters: Vec<String> = GROUPS_BY.map(str::to_owned).into();
    for n in [9, 10, 12, 15, 7] {
        filters.push(format!("members.value eq \"{}\"", ids[n]));
        filters.push(format!("members[value eq \"{}\"]", ids[n]));
    }
    let groups = every(&world, &token, "/Groups", None).await;
    filters.push(format!("id eq {}", groups[1]["id"]));
    assert_eq!(groups[0]["members"].as_array().unwrap().len(), (PEOPLE - 9).div_ceil(2));
    agrees(&world, &token, ("/Groups", &GROUP), &filters).await;
    goes_on_from_users_to_groups(&world, &token, &groups).await;
}
