//! Whom the agent believes while one certificate authority takes the place of another.

use crate::author::Author;
use crate::plane::{Plane, now};
use crate::program::{Program, files, in_force};
use crate::world::{World, grant, policies};
use daam_api::link::{Authority, FromAgent, ToAgent};
use daam_identity::CertificateAuthority;
use daam_model::Verb;

const SCOPE: &str = "  scope: [public.users]\n";

fn told(ca: &CertificateAuthority, by: Option<&CertificateAuthority>, in_force: bool) -> Authority {
    Authority {
        certificate_pem: ca.cert_pem().to_owned(),
        handover_pem: by.map(|by| by.hand_over(ca, now()).unwrap()),
        in_force,
        issues: false,
    }
}

/// What the agent makes of it.
async fn offered(plane: &mut Plane, version: u64, authorities: Vec<Authority>) -> Option<String> {
    plane.say(&ToAgent::CaUpdate { version, authorities });
    let answered = |message| match message {
        FromAgent::CaStatus { version: said, reason } if said == version => Some(reason),
        _ => None,
    };
    plane.hear("what it makes of the authorities", answered).await
}

#[tokio::test]
async fn an_authority_is_believed_by_the_word_of_the_pinned_one_alone_and_sessions_go_on() {
    let (world, mut plane, author) = (World::start().await, Plane::start().await, Author::new());
    let program = Program::start(files(&world, &plane, &author, SCOPE)).await;
    in_force(&mut plane, &author, 1, &policies(vec![grant("public.users", &[Verb::Select])], &[])).await;
    let session = program.session(&plane).await;
    let made = || CertificateAuthority::generate("acme", now()).unwrap();
    let (new, stranger) = (made(), made());
    // Of a control plane that has not the old one's key: nothing of it counts, whatever it says of itself.
    for (version, handed_over) in [(2, None), (3, Some(&stranger)), (4, Some(&new))] {
        let old = told(&plane.ca, None, true);
        let why = offered(&mut plane, version, vec![old, told(&stranger, handed_over, true)]).await.unwrap();
        assert!(why.contains("vouches for"), "{why}");
        assert!(program.dial_by(&stranger, &plane).await.is_err());
        assert!(program.dial(&plane).await.is_ok());
    }
    let (old, by_old) = (told(&plane.ca, None, true), told(&new, Some(&plane.ca), true));
    assert_eq!(offered(&mut plane, 5, vec![old.clone(), by_old.clone()]).await, None);
    // When it has said so, it is so.
    assert!(program.dial_by(&new, &plane).await.is_ok() && program.dial(&plane).await.is_ok());
    let retired = Authority { in_force: false, ..old.clone() };
    assert_eq!(offered(&mut plane, 6, vec![retired, by_old.clone()]).await, None);
    assert!(program.dial(&plane).await.is_err() && program.dial_by(&new, &plane).await.is_ok());
    session.client.simple_query("select 1").await.unwrap();
    // The one that went does not come back, by word or by a restart with the old pin.
    assert_eq!(offered(&mut plane, 7, vec![old, by_old]).await, None);
    assert!(program.dial(&plane).await.is_err());
    drop(session);
    let program = Program::start(program.stop().await).await;
    assert!(program.dial(&plane).await.is_err() && program.dial_by(&new, &plane).await.is_ok());
}
