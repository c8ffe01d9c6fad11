//! Beginning, and beginning again.

use crate::world::World;
use daam_api::v1::WhoAmI;
use daam_control_plane::{Config, Server, StartError, Transport};
use reqwest::Method;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

pub(crate) async fn the_first_organization_is_made_once(world: World) {
    let file = world.bootstrap_file();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap();
    let request = json!({ "organization": "Shop", "admin_email": "ana@example.com" });
    world
        .call(Method::POST, "/v1/bootstrap", "daam_boot_wrong", &request)
        .await
        .refused(401, "auth.required");
    let bad = json!({ "organization": "Shop", "admin_email": "ana" });
    world.call(Method::POST, "/v1/bootstrap", token.trim(), &bad).await.refused(400, "user.email");
    let org = world.bootstrap().await;
    assert!(!file.exists());
    assert_eq!(org.slug.split('-').count(), 2, "{}", org.slug);
    world.call(Method::POST, "/v1/bootstrap", token.trim(), &request).await.refused(401, "auth.required");
    let me: WhoAmI = world.get("/v1/whoami", &org.token).await.json(200);
    assert_eq!(
        (me.org, me.user_id, me.email, me.role),
        (org.slug, org.admin_id, "ana@example.com".into(), "admin".into())
    );
}

pub(crate) async fn a_restart_keeps_everything(world: World) {
    let first = std::fs::read_to_string(world.bootstrap_file()).unwrap();
    let world = world.restart().await;
    assert_eq!(std::fs::read_to_string(world.bootstrap_file()).unwrap(), first, "an unused token stays");
    let org = world.bootstrap().await;
    let ca = world.get("/v1/ca", &org.token).await.ok(200).text();
    let world = world.restart().await;
    assert!(!world.bootstrap_file().exists());
    assert_eq!(world.get("/v1/ca", &org.token).await.ok(200).text(), ca);
    // The sealed keys open again.
    assert!(world.agent(&org, "shop").await.certificate_pem.is_some());
    let database = std::fs::metadata(world.config.data_dir.join("daam.db"));
    assert!(
        database.is_ok_and(|file| file.permissions().mode() & 0o777 == 0o600)
            || world.config.database_url.is_some()
    );
    // No key and no secret lies in the data directory's database in the clear.
    let mut places = vec![world.config.data_dir.clone()];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(place).unwrap();
        let has = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!has("PRIVATE KEY") && !has(&org.token));
    }
}

pub(crate) async fn a_lost_key_file_is_not_papered_over(world: World) {
    world.bootstrap().await;
    let World { server, dir: _dir, config, .. } = world;
    server.stop().await;
    std::fs::remove_file(config.data_dir.join("keys.key")).unwrap();
    assert!(matches!(Server::start(&config).await, Err(StartError::Vault(_))));
}

#[tokio::test]
async fn files_that_do_not_belong_together_or_that_others_can_read_are_noticed_at_the_start() {
    let world = World::start(None).await;
    world.bootstrap().await;
    let World { server, dir: _dir, config, .. } = world;
    server.stop().await;
    let file = |name: &str| config.data_dir.join(name);
    let lock = std::fs::metadata(file("daam.lock")).unwrap().permissions().mode();
    assert_eq!(lock & 0o777, 0o600, "whoever can open it can keep the server from starting");
    let started = async || Server::start(&config).await.map(drop);

    std::fs::set_permissions(file("daam.db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(started().await, Err(StartError::Store(_))), "others can read it");
    std::fs::set_permissions(file("daam.db"), std::fs::Permissions::from_mode(0o600)).unwrap();

    let right = std::fs::read(file("keys.key")).unwrap();
    let other = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]);
    std::fs::write(file("keys.key"), other).unwrap();
    assert!(matches!(started().await, Err(StartError::Vault(_))), "another installation's key file");
    std::fs::write(file("keys.key"), right).unwrap();

    std::fs::rename(file("daam.db"), file("elsewhere")).unwrap();
    assert!(
        matches!(started().await, Err(StartError::NoDatabase { .. })),
        "no new installation in its place"
    );
    std::fs::rename(file("elsewhere"), file("daam.db")).unwrap();
    started().await.unwrap();
}

#[tokio::test]
async fn plain_http_stays_on_loopback_unless_a_proxy_is_promised() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        listen: "0.0.0.0:0".parse().unwrap(),
        data_dir: dir.path().to_owned(),
        database_url: None,
        transport: Transport::Loopback,
        public_url: None,
        private_providers: false,
        checkpoint_file: None,
        mail: None,
        traffic: daam_control_plane::traffic::Traffic::default(),
        rates: daam_control_plane::rates::RateConfig::default(),
        metrics: None,
        clock: daam_control_plane::Clock::system(),
    };
    let refused = Server::start(&config).await.unwrap_err().to_string();
    assert!(refused.contains("--tls-cert") && refused.contains("--behind-tls-proxy"), "{refused}");
    let promised = Config { transport: Transport::BehindTlsProxy, ..config };
    Server::start(&promised).await.unwrap().stop().await;
}
