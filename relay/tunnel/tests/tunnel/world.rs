//! An organization with a CA, an agent that echoes, and developers.

use daam_identity::{AgentPrincipal, CertificateAuthority, Issued, Principal, UserPrincipal, make_csr};
use daam_tunnel::{DialPlan, Incoming, ListenConfig, Listener, PathPreference, TcpSettings, Tunnel, listen};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

pub(crate) fn agent() -> AgentPrincipal {
    AgentPrincipal { org: "acme".into(), agent_id: "shop-1".into(), database: "shop".into() }
}

pub(crate) fn ada() -> UserPrincipal {
    UserPrincipal {
        org: "acme".into(),
        user_id: "u-ada".into(),
        email: "ada@acme.example".into(),
        device: "laptop".into(),
        databases: daam_identity::Databases::Any,
    }
}

pub(crate) struct Papers {
    pub(crate) cert_pem: String,
    pub(crate) key_pem: Zeroizing<String>,
    pub(crate) issued: Issued,
}

/// A certificate valid from a minute ago until `seconds` from now.
pub(crate) fn papers(ca: &CertificateAuthority, principal: &Principal, seconds: i64) -> Papers {
    let (key_pem, csr_pem) = make_csr().unwrap();
    let until = now() + seconds;
    let issued = ca.issue(&csr_pem, principal, until.min(now()) - 60, until).unwrap();
    Papers { cert_pem: issued.pem.clone(), key_pem, issued }
}

pub(crate) fn authority() -> CertificateAuthority {
    CertificateAuthority::generate("acme", now() - 7200).unwrap()
}

pub(crate) async fn listener(ca: &CertificateAuthority) -> Listener {
    let own = papers(ca, &Principal::Agent(agent()), 3600);
    listener_with(own, ca.cert_pem()).await
}

pub(crate) async fn listener_with(own: Papers, ca_pem: &str) -> Listener {
    listener_at("127.0.0.1:0", own, ca_pem).await
}

pub(crate) async fn listener_at(bind: &str, own: Papers, ca_pem: &str) -> Listener {
    listen(ListenConfig {
        reset_secret: "of this agent alone".to_owned().into(),
        bind: bind.parse().unwrap(),
        cert_pem: own.cert_pem,
        key_pem: own.key_pem,
        ca_pem: ca_pem.to_owned(),
        org: "acme".into(),
        database: "shop".into(),
        tcp: TcpSettings::default(),
    })
    .await
    .unwrap()
}

/// A plan for Ada to reach the agent directly.
pub(crate) fn plan(ca: &CertificateAuthority, own: &Papers, listener: &Listener) -> DialPlan {
    DialPlan {
        agent: agent(),
        ca_pem: ca.cert_pem().to_owned(),
        cert_pem: own.cert_pem.clone(),
        key_pem: own.key_pem.clone(),
        direct: vec![listener.local_addr()],
        relays: Vec::new(),
        prefer: PathPreference::Auto,
        tcp: TcpSettings::default(),
    }
}

/// Takes every connection and echoes every stream.
pub(crate) fn echo(listener: Arc<Listener>) {
    tokio::spawn(async move {
        while let Some(incoming) = listener.accept().await {
            tokio::spawn(echo_streams(incoming));
        }
    });
}

async fn echo_streams(incoming: Incoming) {
    while let Some(stream) = incoming.accept_stream().await {
        tokio::spawn(async move {
            let (mut read, mut write) = tokio::io::split(stream);
            tokio::io::copy(&mut read, &mut write).await.unwrap_or_default();
            write.shutdown().await.unwrap_or_default();
        });
    }
}

pub(crate) async fn echoes(tunnel: &Tunnel, text: &[u8]) {
    let stream = tunnel.open_stream().await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        write.write_all(text).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let both = async { tokio::join!(sending, async { read.read_to_end(&mut back).await.unwrap() }) };
    tokio::time::timeout(DEADLINE, both).await.unwrap();
    assert!(back == text, "{} bytes came back for {}", back.len(), text.len());
}
