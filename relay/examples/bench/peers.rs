//! Programs that people use instead: a real sshd with `ssh -L`, a real pgbouncer.

use daam_postgres::Cluster;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

fn quiet(command: &mut Command) -> std::io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

async fn answers(at: SocketAddr, what: &str) -> anyhow::Result<()> {
    for _ in 0..50 {
        if TcpStream::connect(at).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{what} did not come up")
}

/// A pgbouncer in front of the server, with its default of one server connection for each client's session.
pub(crate) struct Bouncer {
    pub(crate) at: SocketAddr,
    child: Child,
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

impl Bouncer {
    pub(crate) async fn start(directory: &Path, cluster: &Cluster) -> anyhow::Result<Self> {
        let at = SocketAddr::from(([127, 0, 0, 1], free().await?));
        let file = directory.join("pgbouncer.ini");
        let (port, password) = (cluster.port(), cluster.superuser_password());
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={port} user=postgres password='{password}'\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nauth_type = any\nunix_socket_dir =\n",
            at.port()
        );
        std::fs::write(&file, text)?;
        // It does not run as root.
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
        let child = quiet(Command::new("/usr/sbin/pgbouncer").args(["-q", "-u", "nobody"]).arg(&file))?;
        let bouncer = Self { at, child };
        answers(at, "pgbouncer").await?;
        Ok(bouncer)
    }
}

/// A real sshd and a real `ssh -L` to the plain server.
pub(crate) struct Ssh {
    pub(crate) at: SocketAddr,
    children: [Child; 2],
}

impl Drop for Ssh {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

impl Ssh {
    pub(crate) async fn start(directory: &Path, to: SocketAddr) -> anyhow::Result<Self> {
        let ports = [free().await?, free().await?];
        let path = |name: &str| directory.join(name).display().to_string();
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)])
                .status()?;
            anyhow::ensure!(made.success(), "ssh-keygen failed");
        }
        let [server, local] = ports;
        let options = format!(
            "ListenAddress 127.0.0.1:{server}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n",
            path("host"),
            path("user.pub")
        );
        std::fs::write(path("sshd_config"), options)?;
        let daemon = quiet(Command::new("/usr/sbin/sshd").args(["-D", "-f", &path("sshd_config")]))?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let forward = format!("127.0.0.1:{local}:{to}");
        let client = quiet(Command::new("ssh").args([
            "-N",
            "-i",
            &path("user"),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-p",
            &server.to_string(),
            "-L",
            &forward,
            "127.0.0.1",
        ]))?;
        let ssh = Self { at: SocketAddr::from(([127, 0, 0, 1], local)), children: [daemon, client] };
        answers(ssh.at, "ssh").await?;
        Ok(ssh)
    }
}

async fn free() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}
