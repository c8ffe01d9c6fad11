//! A small internet of namespaces: a backbone with two relays, a router and a host for either end.

use crate::ends::Peer;
use daam_identity::ticket::{TicketRole, TicketSigner};
use daam_identity::{AgentPrincipal, CertificateAuthority, Principal, UserPrincipal, make_csr};
use daam_postgres::Cluster;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const RELAYS: [&str; 2] = ["203.0.113.10:443", "203.0.113.20:443"];
const BENCH_SECONDS: &str = "4";
/// Networks of this process so far: each has names of its own.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// What a router does to packets from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Nat {
    /// No router: a public address.
    None,
    FullCone,
    PortRestricted,
    Symmetric,
}

/// Where the agent's host is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lan {
    /// Behind its own router.
    Own,
    /// Beside the client.
    Shared,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) lan: Lan,
    pub(crate) client: Nat,
    pub(crate) agent: Nat,
    pub(crate) udp_blocked: bool,
    pub(crate) only_proxy: bool,
    pub(crate) mtu: Option<u16>,
    pub(crate) loss_percent: u8,
    pub(crate) delay_ms: u64,
    pub(crate) relays: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            lan: Lan::Own,
            client: Nat::PortRestricted,
            agent: Nat::PortRestricted,
            udp_blocked: false,
            only_proxy: false,
            mtu: None,
            loss_percent: 0,
            delay_ms: 0,
            relays: true,
        }
    }
}

fn works(command: &str) -> bool {
    Command::new("sh")
        .args(["-ec", command])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

pub(crate) fn sh(command: &str) {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether this host lets us make namespaces and filter in them.
pub(crate) fn allowed() -> bool {
    let name = format!("daam-try-{}-{:?}", std::process::id(), std::thread::current().id());
    let name = name.replace(['(', ')'], "");
    let fine = works(&format!("ip netns add {name} && ip netns exec {name} nft add table ip t"));
    works(&format!("ip netns del {name}"));
    fine
}

pub(crate) struct Net {
    prefix: String,
    plan: Plan,
    directory: tempfile::TempDir,
    cluster: Cluster,
    ca: CertificateAuthority,
    signer: TicketSigner,
    relays: Mutex<Vec<Option<Peer>>>,
    beside: Vec<Peer>,
    proxy: Option<Child>,
    roots_pem: String,
    /// The last part of the client's address.
    lease: AtomicU32,
    /// The relay that was told to go.
    drained: Mutex<Option<usize>>,
}

impl Drop for Net {
    fn drop(&mut self) {
        self.relays.lock().unwrap().clear();
        self.beside.clear();
        if let Some(proxy) = &mut self.proxy {
            proxy.kill().unwrap_or_default();
            proxy.wait().unwrap();
        }
        for name in ["net", "cr", "ar", "cl", "ag"] {
            works(&format!("ip netns del {}-{name}", self.prefix));
        }
    }
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

impl Net {
    pub(crate) async fn build(plan: Plan) -> Self {
        let cluster = tokio::task::spawn_blocking(|| Cluster::for_test().unwrap()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let names = vec!["relay.test".to_owned(), "203.0.113.10".to_owned(), "203.0.113.20".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
        let mut net = Self {
            prefix: format!("d{}x{}", std::process::id(), BUILT.fetch_add(1, Ordering::Relaxed)),
            plan,
            directory,
            cluster,
            ca: CertificateAuthority::generate("acme", now()).unwrap(),
            signer: TicketSigner::generate().unwrap(),
            relays: Mutex::new(vec![None, None]),
            beside: Vec::new(),
            proxy: None,
            roots_pem: made.cert.pem(),
            lease: AtomicU32::new(2),
            drained: Mutex::default(),
        };
        net.wire();
        net.restart_relays();
        if plan.delay_ms > 0 {
            let config = serde_json::json!({
                "listen": "203.0.113.50:443", "to": RELAYS[0], "millis": plan.delay_ms,
            });
            let peer = Peer::start(&net.namespace("net"), "delay", &net.file("delay", &config));
            net.beside.push(peer);
        }
        if plan.only_proxy {
            net.start_proxy();
        }
        net.start_agent();
        net
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn file(&self, name: &str, content: &serde_json::Value) -> PathBuf {
        let path = self.directory.path().join(format!("{name}.json"));
        std::fs::write(&path, content.to_string()).unwrap();
        path
    }

    fn nft(&self, name: &str, rules: &str) {
        let file = self.directory.path().join("rules.nft");
        std::fs::write(&file, format!("{rules}\n")).unwrap();
        sh(&format!("ip netns exec {} nft -f {}", self.namespace(name), file.display()));
    }

    fn wire(&self) {
        let p = &self.prefix;
        for name in ["net", "cr", "ar", "cl", "ag"] {
            sh(&format!("ip netns add {p}-{name}; ip -n {p}-{name} link set lo up"));
        }
        sh(&format!("ip -n {p}-net link add br0 type bridge; ip -n {p}-net link set br0 up"));
        for host in ["10", "20", "40", "50"] {
            sh(&format!("ip -n {p}-net addr add 203.0.113.{host}/24 dev br0"));
        }
        self.side("cr", "cl", (2, "10.1.0"), self.plan.client);
        if self.plan.lan == Lan::Shared {
            // A second host on the client's network: the router is the switch between them.
            sh(&format!(
                "ip -n {p}-cr link add lan2 type veth peer name eth0 netns {p}-ag
                 ip -n {p}-cr addr add 10.1.1.1/24 dev lan2; ip -n {p}-cr link set lan2 up
                 ip -n {p}-ag addr add 10.1.1.2/24 dev eth0; ip -n {p}-ag link set eth0 up
                 ip -n {p}-ag route add default via 10.1.1.1"
            ));
        } else if self.plan.agent == Nat::None {
            sh(&format!(
                "ip -n {p}-net link add pub type veth peer name eth0 netns {p}-ag
                 ip -n {p}-net link set pub master br0 up
                 ip -n {p}-ag addr add 203.0.113.30/24 dev eth0; ip -n {p}-ag link set eth0 up"
            ));
        } else {
            self.side("ar", "ag", (3, "10.2.0"), self.plan.agent);
        }
        self.filters();
    }

    /// A router on the backbone and a host behind it.
    fn side(&self, router: &str, host: &str, (public, lan): (u8, &str), nat: Nat) {
        let p = &self.prefix;
        let mtu = self.plan.mtu.map_or_else(String::new, |mtu| {
            format!(
                "ip -n {p}-{router} link set wan mtu {mtu}; ip -n {p}-{router} link set lan mtu {mtu}
                 ip -n {p}-{host} link set eth0 mtu {mtu}; ip -n {p}-net link set {router} mtu {mtu}"
            )
        });
        sh(&format!(
            "ip -n {p}-net link add {router} type veth peer name wan netns {p}-{router}
             ip -n {p}-net link set {router} master br0 up
             ip -n {p}-{router} addr add 203.0.113.{public}/24 dev wan; ip -n {p}-{router} link set wan up
             ip -n {p}-{router} link add lan type veth peer name eth0 netns {p}-{host}
             ip -n {p}-{router} addr add {lan}.1/24 dev lan; ip -n {p}-{router} link set lan up
             ip -n {p}-{host} addr add {lan}.2/24 dev eth0; ip -n {p}-{host} link set eth0 up
             ip -n {p}-{host} route add default via {lan}.1
             ip netns exec {p}-{router} sysctl -qw net.ipv4.ip_forward=1
             {mtu}"
        ));
        let (random, open) = match nat {
            Nat::Symmetric => ("fully-random", String::new()),
            Nat::FullCone => ("", format!("iifname \"wan\" udp dport 1024-65535 dnat to {lan}.2")),
            _ => ("", String::new()),
        };
        self.nft(
            router,
            &format!(
                "table ip nat {{
                 chain post {{
                   type nat hook postrouting priority 100
                   oifname \"wan\" masquerade {random}
                 }}
                 chain pre {{
                   type nat hook prerouting priority -100
                   {open}
                 }}
                 chain own {{
                   type filter hook input priority 0
                   iifname \"wan\" drop
                 }}
                 }}"
            ),
        );
    }

    /// What the client's router lets through: `f` for good, `g` for the events of a test.
    fn filters(&self) {
        let mut rules = Vec::new();
        if self.plan.udp_blocked {
            rules.push("meta l4proto udp drop".to_owned());
        }
        if self.plan.only_proxy {
            rules.push("iifname \"lan\" ip daddr != 203.0.113.40 drop".to_owned());
            rules.push("iifname \"lan\" tcp dport != 8888 drop".to_owned());
        }
        if self.plan.loss_percent > 0 {
            rules.push(format!("numgen random mod 100 < {} drop", self.plan.loss_percent));
        }
        let rules = rules.join("\n");
        self.nft(
            "cr",
            &format!(
                "table ip road {{
                 chain f {{
                   type filter hook forward priority 0
                   {rules}
                 }}
                 chain g {{
                   type filter hook forward priority 1
                 }}
                 }}"
            ),
        );
    }

    fn start_proxy(&mut self) {
        let config = self.directory.path().join("tinyproxy.conf");
        let text = "Port 8888\nListen 203.0.113.40\nTimeout 600\nMaxClients 50\nBasicAuth ada secret\n";
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace("net"), "tinyproxy", "-d", "-c"]).arg(&config);
        self.proxy = Some(command.stdout(Stdio::null()).spawn().unwrap());
    }

    /// Both relays, those that run left alone.
    pub(crate) fn restart_relays(&self) {
        let mut relays = self.relays.lock().unwrap();
        for (n, at) in RELAYS.into_iter().enumerate().filter(|_| self.plan.relays) {
            if relays[n].is_none() {
                let config = serde_json::json!({
                    "listen": at, "ticket_key": self.signer.public_base64(),
                    "cert": self.directory.path().join("cert.pem"), "key": self.directory.path().join("key.pem"),
                });
                let file = self.file(&format!("relay{n}"), &config);
                relays[n] = Some(Peer::start(&self.namespace("net"), "relay", &file));
            }
        }
    }

    fn ticket(&self, role: TicketRole) -> String {
        self.signer.issue(&crate::through_relay::grant(role, now() + 3600)).unwrap()
    }

    fn end(&self, principal: &Principal, role: TicketRole) -> serde_json::Value {
        let (key_pem, csr) = make_csr().unwrap();
        let cert_pem = self.ca.issue(&csr, principal, now() - 60, now() + 3600).unwrap().pem;
        let relays = RELAYS.iter().filter(|_| self.plan.relays);
        let relays: Vec<_> = relays.map(|relay| (*relay, self.ticket(role))).collect();
        serde_json::json!({
            "cert_pem": cert_pem, "key_pem": key_pem.as_str(), "ca_pem": self.ca.cert_pem(),
            "roots_pem": self.roots_pem, "relays": relays,
        })
    }

    fn start_agent(&mut self) {
        let agent = AgentPrincipal { org: "acme".into(), agent_id: "shop-1".into(), database: "shop".into() };
        let mut config = self.end(&Principal::Agent(agent), TicketRole::Agent);
        config["direct"] = "0.0.0.0:6432".into();
        let socket = self.cluster.directory().join(format!(".s.PGSQL.{}", self.cluster.port()));
        config["socket"] = socket.to_str().unwrap().into();
        let peer = Peer::start(&self.namespace("ag"), "agent", &self.file("agent", &config));
        self.beside.push(peer);
    }

    /// The client's end, connected.
    pub(crate) async fn client(&mut self) -> Peer {
        let user = UserPrincipal {
            org: "acme".into(),
            user_id: "u-ada".into(),
            email: "ada@acme.example".into(),
            device: "laptop".into(),
            databases: daam_identity::Databases::Any,
        };
        let mut config = self.end(&Principal::User(user), TicketRole::Client);
        config["socket"] = self.directory.path().join(".s.PGSQL.5432").to_str().unwrap().into();
        if self.plan.lan == Lan::Shared {
            config["direct"] = "10.1.1.2:6432".into();
        } else if self.plan.agent == Nat::None {
            config["direct"] = "203.0.113.30:6432".into();
        }
        if self.plan.only_proxy {
            config["proxy"] = "http://ada:secret@203.0.113.40:8888".into();
        }
        if self.plan.delay_ms > 0 {
            config["relays"] = serde_json::json!([("203.0.113.50:443", self.ticket(TicketRole::Client))]);
        }
        let (namespace, file) = (self.namespace("cl"), self.file("client", &config));
        tokio::task::spawn_blocking(move || Peer::start(&namespace, "client", &file)).await.unwrap()
    }

    /// A benchmark over the tunnel; its report.
    pub(crate) fn pgbench(&self) -> JoinHandle<String> {
        let script = self.directory.path().join("bench.sql");
        std::fs::write(&script, "select 1;\nselect repeat('x', 2000);\n").unwrap();
        let program = daam_postgres::find_binaries(None).unwrap().dir.join("pgbench");
        let mut command = Command::new(program);
        command
            .args(["-n", "-c", "3", "-R", "60", "-T", BENCH_SECONDS, "-U", "postgres", "-p", "5432", "-h"])
            .arg(self.directory.path())
            .arg("-f")
            .arg(script)
            .arg("postgres")
            .env("PGPASSWORD", self.cluster.superuser_password());
        tokio::task::spawn_blocking(move || {
            let output = command.output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        })
    }

    /// One query after the other on one session; the longest wait, when told to stop.
    pub(crate) async fn asking(&self) -> (watch::Sender<bool>, JoinHandle<Duration>) {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.directory.path()).port(5432).user("postgres").dbname("postgres");
        config.password(self.cluster.superuser_password());
        let (session, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(async move { connection.await.unwrap_or_default() });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !*stopped.borrow() {
                let asked = Instant::now();
                session.simple_query("select 1").await.unwrap();
                longest = longest.max(asked.elapsed());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            longest
        });
        (stop, task)
    }

    /// `kill -9` of the relay that carries the session, or of both if none does.
    pub(crate) fn kill_relay_in_use(&self, client: &Peer) {
        let mut relays = self.relays.lock().unwrap();
        match client.relay() {
            Some(n) => relays[n] = None,
            None => relays.fill_with(|| None),
        }
    }

    /// Tells the relay that carries the session to go.
    pub(crate) fn drain_relay_in_use(&self, client: &Peer) {
        let relays = self.relays.lock().unwrap();
        let used = client.relay();
        used.and_then(|n| relays[n].as_ref()).expect("a relay is in use").signal("TERM");
        *self.drained.lock().unwrap() = used;
    }

    /// The session is elsewhere, so the relay that was to go has nothing to do any more.
    pub(crate) async fn end_drained_relay(&self, client: &Peer) {
        let drained = self.drained.lock().unwrap().take().expect("a relay was told to go");
        let deadline = Instant::now() + Duration::from_secs(10);
        while client.relay() == Some(drained) {
            assert!(Instant::now() < deadline, "still over the relay that goes: {:?}", client.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.relays.lock().unwrap()[drained] = None;
    }

    /// Of UDP, lets that to the relays pass and nothing else.
    pub(crate) fn block_direct(&self) {
        self.nft(
            "cr",
            "add rule ip road g meta l4proto udp ip daddr != {203.0.113.10, 203.0.113.20} ip saddr != {203.0.113.10, 203.0.113.20} drop",
        );
    }

    pub(crate) fn unblock_direct(&self) {
        self.nft("cr", "flush chain ip road g");
    }

    /// As when a laptop gets another lease, every time another one.
    pub(crate) fn change_address(&self) {
        let p = &self.prefix;
        let old = self.lease.fetch_add(1, Ordering::Relaxed);
        let new = old + 1;
        sh(&format!(
            "ip -n {p}-cl addr add 10.1.0.{new}/24 dev eth0; ip -n {p}-cl addr del 10.1.0.{old}/24 dev eth0
             ip -n {p}-cl addr replace 10.1.0.{new}/24 dev eth0
             ip -n {p}-cl route replace default via 10.1.0.1"
        ));
    }
}
