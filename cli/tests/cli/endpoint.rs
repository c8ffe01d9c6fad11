//! The local endpoint's manners: what it answers before a session, who gets in, what a broken tunnel looks like.

use anyhow::{Context as _, bail};
use daam::local::Tool;
use daam::local::address::{Address, Host};
use daam::local::connection::{Ended, join};
use daam::local::endpoint::random_password;
use daam::local::greeting::{Greeting, GreetingError, greet};
use daam_pgwire::TransactionStatus;
use daam_pgwire::backend::{authentication_ok, ready_for_query};
use daam_pgwire::scram::Verifier;
use daam_pgwire::startup::{CancelKey, encode_cancel, encode_session, encode_ssl_request};
use daam_pgwire::startup::{Startup, StartupParameters, parse_startup};
use std::process::Command;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::TcpListener;
use tokio_postgres::NoTls;

/// Greets one client on loopback and, if it proves the password, plays an agent that is ready.
async fn gate(
    verifier: Option<Arc<Verifier>>,
) -> anyhow::Result<(u16, tokio::task::JoinHandle<anyhow::Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let served = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await?;
        match greet(&mut client, verifier.as_deref()).await {
            Ok(Greeting::Session(_)) => {
                client.write_all(&authentication_ok()).await?;
                client.write_all(&ready_for_query(TransactionStatus::Idle)).await?;
                // Until the client leaves.
                client.read_to_end(&mut Vec::new()).await?;
                Ok(())
            }
            Ok(Greeting::Cancel(_)) => bail!("a cancel request"),
            Err(error) => {
                let report = error.report().context("the client left")?;
                client.write_all(&report.to_error()).await?;
                Err(error.into())
            }
        }
    });
    Ok((port, served))
}

#[tokio::test]
async fn the_printed_password_opens_a_tcp_endpoint() {
    let (password, verifier) = random_password().unwrap();
    let (port, served) = gate(Some(verifier)).await.unwrap();
    let url = format!("postgresql://sam:{password}@127.0.0.1:{port}/shop");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    drop(client);
    connection.await.unwrap();
    served.await.unwrap().unwrap();
}

/// A real shell reads it, a real psql connects with it and says as whom.
#[tokio::test]
async fn what_is_printed_for_psql_survives_shell_and_libpq_whatever_the_names_are() {
    let odd = r#"o'b"r;i=en\ & $(co) co@acme.test"#;
    let (password, verifier) = random_password().unwrap();
    let (port, served) = gate(Some(verifier)).await.unwrap();
    let address =
        Address { host: Host::Loopback(password), port, user: odd.to_owned(), database: "s'h op".to_owned() };
    let line = format!("{} -X -c '\\conninfo'", address.told_to(Tool::Psql).unwrap());
    let output = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("\"s'h op\"") && said.contains(odd), "{said}");
    served.await.unwrap().unwrap();
}

/// The same names through a driver's own reader of URLs.
#[tokio::test]
async fn the_printed_url_survives_a_drivers_reader() {
    let odd = r#"o'b"r;i=en\ & co@acme.test"#;
    let address = Address {
        host: Host::Loopback("p/w?&%".to_owned()),
        port: 15432,
        user: odd.to_owned(),
        database: "s'h/op?".to_owned(),
    };
    for tool in [Tool::Url, Tool::Prisma] {
        let read: tokio_postgres::Config = address.told_to(tool).unwrap().parse().unwrap();
        assert_eq!(read.get_user(), Some(odd));
        assert_eq!(read.get_password(), Some(&b"p/w?&%"[..]));
        assert_eq!(read.get_dbname(), Some("s'h/op?"));
    }
}

#[tokio::test]
async fn another_password_is_refused_with_28p01() {
    let (_, verifier) = random_password().unwrap();
    let (port, served) = gate(Some(verifier)).await.unwrap();
    let url = format!("postgresql://sam:guess@127.0.0.1:{port}/shop");
    let error = tokio_postgres::connect(&url, NoTls).await.err().unwrap();
    assert_eq!(error.code().unwrap().code(), "28P01");
    let refused = served.await.unwrap().unwrap_err();
    assert!(matches!(refused.downcast::<GreetingError>().unwrap(), GreetingError::Password(_)));
}

#[tokio::test]
async fn psql_signs_in_with_the_printed_password() {
    let (password, verifier) = random_password().unwrap();
    let (port, served) = gate(Some(verifier)).await.unwrap();
    let url = format!("postgresql://sam@127.0.0.1:{port}/shop");
    // `\conninfo` needs a session but no statement.
    let output = tokio::task::spawn_blocking(move || {
        Command::new("psql").args(["-X", "-d", &url, "-c", "\\conninfo"]).env("PGPASSWORD", password).output()
    });
    let output = output.await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("shop"), "{told}");
    served.await.unwrap().unwrap();
}

fn session() -> Vec<u8> {
    let parameters = vec![("user".to_owned(), "sam".to_owned()), ("database".to_owned(), "shop".to_owned())];
    encode_session(&StartupParameters { minor: 0, parameters }).to_vec()
}

#[tokio::test]
async fn encryption_is_declined_and_the_session_goes_on() {
    let (mut client, mut endpoint) = duplex(4096);
    let greeted = tokio::spawn(async move { greet(&mut endpoint, None).await });
    client.write_all(&encode_ssl_request()).await.unwrap();
    let mut answer = [0_u8; 1];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"N");
    client.write_all(&session()).await.unwrap();
    let Greeting::Session(first) = greeted.await.unwrap().unwrap() else { panic!("no session") };
    let Startup::Session(forwarded) = parse_startup(&first[4..]).unwrap() else { panic!("no start-up") };
    assert_eq!(forwarded.database(), Some("shop"));
}

#[tokio::test]
async fn what_a_client_sends_before_the_answer_to_its_encryption_request_is_not_believed() {
    let (mut client, mut endpoint) = duplex(4096);
    let smuggled = [encode_ssl_request().to_vec(), session()].concat();
    client.write_all(&smuggled).await.unwrap();
    let error = greet(&mut endpoint, None).await.unwrap_err();
    assert_eq!(error.report().unwrap().code(), "08P01");
}

#[tokio::test]
async fn a_cancel_request_needs_no_password_and_is_passed_on_whole() {
    let (_, verifier) = random_password().unwrap();
    let (mut client, mut endpoint) = duplex(4096);
    let packet = encode_cancel(&CancelKey { pid: 42, secret: vec![1, 2, 3, 4].into() });
    client.write_all(&packet).await.unwrap();
    let greeting = greet(&mut endpoint, Some(&verifier)).await.unwrap();
    assert_eq!(greeting, Greeting::Cancel(packet));
}

#[tokio::test]
async fn nonsense_is_refused_without_waiting_for_more_of_it() {
    for nonsense in [&b"\xff\xff\xff\xff"[..], b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\0\x02\0\0"] {
        let (mut client, mut endpoint) = duplex(4096);
        client.write_all(nonsense).await.unwrap();
        let error = greet(&mut endpoint, None).await.unwrap_err();
        assert!(error.report().is_some(), "{nonsense:?}");
    }
}

#[tokio::test]
async fn an_ended_stream_can_be_explained_only_between_two_messages() {
    for (sent, expected) in
        [(&b"C\0\0\0\x0dSELECT 1\0"[..], Ended::BetweenMessages), (b"C\0\0\0\x0dSELE", Ended::InsideMessage)]
    {
        let (mut client, mut local) = duplex(4096);
        let (agent, mut remote) = duplex(4096);
        remote.write_all(sent).await.unwrap();
        remote.shutdown().await.unwrap();
        assert_eq!(join(&mut local, agent, b"hello").await, expected);
        drop(local);
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, sent);
    }
}

#[tokio::test]
async fn the_agent_gets_the_start_and_then_what_the_client_says() {
    let (mut client, mut local) = duplex(4096);
    let (agent, mut remote) = duplex(4096);
    client.write_all(b"X\0\0\0\x04").await.unwrap();
    client.shutdown().await.unwrap();
    let joined = tokio::spawn(async move { join(&mut local, agent, b"start").await });
    let mut received = Vec::new();
    remote.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"startX\0\0\0\x04");
    drop(remote);
    assert_eq!(joined.await.unwrap(), Ended::ByClient);
}
