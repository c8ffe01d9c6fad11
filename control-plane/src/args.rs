//! The command line.

use crate::base::Base;
use crate::clock::Clock;
use crate::mail::MailConfig;
use crate::rates::RateConfig;
use crate::server::{Config, Transport};
use crate::traffic::{Traffic, TrafficArgs};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  Try it on this machine (embedded database, plain HTTP on loopback):
    daam-control-plane serve --data-dir ./control-plane
    cat ./control-plane/bootstrap-token

  For others, with TLS of its own:
    daam-control-plane serve --listen 0.0.0.0:443 --data-dir /var/lib/daam \\
        --public-url https://daam.example.com --tls-cert /etc/daam/tls.crt --tls-key /etc/daam/tls.key

  Several behind a proxy that does TLS, over one PostgreSQL (copy keys.key to each data directory):
    daam-control-plane serve --listen 0.0.0.0:8080 --behind-tls-proxy --data-dir /var/lib/daam \\
        --public-url https://daam.example.com --database-url postgres://daam@db.internal/daam

  With relays that carry at most 20 MB/s for each developer and 200 MB/s for each agent:
    daam-control-plane serve --data-dir /var/lib/daam --client-rate 20000000 --agent-rate 200000000

  With metrics for Prometheus, and half a minute for the load balancer to look elsewhere before it stops:
    daam-control-plane serve --listen 0.0.0.0:8080 --behind-tls-proxy --data-dir /var/lib/daam \\
        --metrics 127.0.0.1:9091 --drain 30

  A further organization:
    daam-control-plane create-organization --data-dir ./control-plane --name \"Acme\" --admin-email ana@acme.example

  Somebody lost every way in:
    daam-control-plane admin sign-in-link --data-dir ./control-plane --org brave-otter --email ana@acme.example
";

/// The daam control plane: people, agents and published bundles. It never sees a row or a database password.
#[derive(Debug, Parser)]
#[command(name = "daam-control-plane", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API and the agents' links.
    #[command(after_help = EXAMPLES)]
    Serve(Box<Serve>),
    /// Create a further organization, also while a server runs.
    CreateOrganization(CreateOrganization),
    /// For the operator of the installation, also while a server runs.
    #[command(subcommand)]
    Admin(Admin),
    /// Copy the database and its key file into a new directory, also while a server runs.
    #[command(after_help = "Examples:
  daam-control-plane backup --data-dir /var/lib/daam --out /var/backups/daam-2027-01-31

  With PostgreSQL, by its own pg_dump, which has to be installed:
  DAAM_DATABASE_URL=postgres://daam@db.internal/daam daam-control-plane backup --data-dir /var/lib/daam \\
      --out /var/backups/daam-2027-01-31

The directory is as secret as the data directory.")]
    Backup(Backup),
    /// Put a backup into a data directory that has no database, and with PostgreSQL into an empty database.
    #[command(after_help = "Examples:
  daam-control-plane restore --from /var/backups/daam-2027-01-31 --data-dir /var/lib/daam

  With PostgreSQL, after createdb:
  DAAM_DATABASE_URL=postgres://daam@db.internal/daam daam-control-plane restore --from /var/backups/daam-2027-01-31 \\
      --data-dir /var/lib/daam")]
    Restore(Restore),
}

/// `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// Data.
    #[command(flatten)]
    pub data: Data,
    /// The directory to make.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// Data.
    #[command(flatten)]
    pub data: Data,
    /// A directory that `backup` made.
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
}

/// `admin`.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Print an address that signs somebody in to the console once, within an hour: for whoever lost every other way.
    #[command(after_help = "Examples:
  daam-control-plane admin sign-in-link --data-dir /var/lib/daam --public-url https://daam.example.com \\
      --org brave-otter --email ana@acme.example

  Their passkeys were lost or stolen:
  daam-control-plane admin sign-in-link --data-dir /var/lib/daam --public-url https://daam.example.com \\
      --org brave-otter --email ana@acme.example --forget-passkeys")]
    SignInLink(SignInLink),
    /// Have another certificate authority take the place of an organization's, or show how far that is.
    #[command(after_help = "Examples:
  daam-control-plane admin authority --data-dir /var/lib/daam --org brave-otter
  daam-control-plane admin authority --data-dir /var/lib/daam --org brave-otter --begin

  The old one goes by itself once nothing stands on it; now, whatever that ends:
  daam-control-plane admin authority --data-dir /var/lib/daam --org brave-otter --retire --force")]
    Authority(Authority),
}

/// `admin authority`.
#[derive(Debug, Args)]
pub struct Authority {
    /// Data.
    #[command(flatten)]
    pub data: Data,
    /// The organization's slug.
    #[arg(long, value_name = "SLUG")]
    pub org: String,
    /// Offer a new one.
    #[arg(long, conflicts_with = "retire")]
    pub begin: bool,
    /// Retire the old one, if nothing stands on it.
    #[arg(long)]
    pub retire: bool,
    /// Retire it whatever stands on it: people's certificates of it are revoked and their sessions end, and agents that have
    /// none of the new one are out until they do.
    #[arg(long, requires = "retire")]
    pub force: bool,
}

/// `admin sign-in-link`.
#[derive(Debug, Args)]
pub struct SignInLink {
    /// Data.
    #[command(flatten)]
    pub data: Data,
    /// The organization's slug.
    #[arg(long, value_name = "SLUG")]
    pub org: String,
    /// First remove every passkey of that person, everywhere, and end the sessions these began: for lost or stolen ones.
    #[arg(long)]
    pub forget_passkeys: bool,
    /// Whom to sign in.
    #[arg(long)]
    pub email: String,
}

/// Where the data is.
#[derive(Debug, Args)]
pub struct Data {
    /// Directory for keys, the bootstrap token and the embedded database; created if missing.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// PostgreSQL to use instead of the embedded database.
    #[arg(long, value_name = "URL", env = "DAAM_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Where people reach the control plane; links, and what browsers may send, go by it.
    #[arg(long, value_name = "URL", env = "DAAM_PUBLIC_URL", value_parser = Base::parse)]
    pub public_url: Option<Base>,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Data.
    #[command(flatten)]
    pub data: Data,
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Listen in plain HTTP on an address others can reach, because a proxy in front does TLS.
    #[arg(long, conflicts_with = "tls_cert")]
    pub behind_tls_proxy: bool,
    /// Let organizations name identity providers, webhooks and receivers of logs inside the network this runs in.
    #[arg(long)]
    pub allow_private_providers: bool,
    /// Add every signed checkpoint of the audit to this file, for somebody else to keep.
    #[arg(long, value_name = "FILE")]
    pub audit_checkpoints: Option<PathBuf>,
    /// Mail server for letters about access requests: `smtps://user:password@host` or
    /// `smtp://user:password@host?tls=required`.
    #[arg(long, value_name = "URL", env = "DAAM_SMTP_URL", hide_env_values = true, requires = "smtp_from")]
    pub smtp_url: Option<String>,
    /// Who letters come from.
    #[arg(long, value_name = "ADDRESS", env = "DAAM_SMTP_FROM", requires = "smtp_url")]
    pub smtp_from: Option<String>,
    /// CA certificates of the mail server, PEM, if this machine does not believe it anyway.
    #[arg(long, value_name = "FILE", requires = "smtp_url")]
    pub smtp_ca: Option<PathBuf>,
    /// How much relays carry for whom.
    #[command(flatten)]
    pub traffic: TrafficArgs,
    /// How often somebody may ask.
    #[command(flatten)]
    pub rates: RateConfig,
    /// Serve metrics for Prometheus at `/metrics` on this address.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// On SIGTERM say at `/readyz` for so many seconds that this server is about to stop, and go on serving meanwhile.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3600))]
    pub drain: u64,
    /// Write `{"address":"…"}` here once requests are answered.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Stop when standard input ends.
    #[arg(long)]
    pub exit_on_stdin_close: bool,
}

/// `create-organization`.
#[derive(Debug, Args)]
pub struct CreateOrganization {
    /// Data.
    #[command(flatten)]
    pub data: Data,
    /// Display name.
    #[arg(long)]
    pub name: String,
    /// The first admin.
    #[arg(long, value_name = "EMAIL")]
    pub admin_email: String,
}

impl Serve {
    /// As the server takes it.
    pub fn config(&self) -> Config {
        let transport = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Transport::Tls { cert: cert.clone(), key: key.clone() },
            _ if self.behind_tls_proxy => Transport::BehindTlsProxy,
            _ => Transport::Loopback,
        };
        let private_providers = self.allow_private_providers;
        let checkpoint_file = self.audit_checkpoints.clone();
        let mail = self.smtp_url.as_ref().zip(self.smtp_from.as_ref());
        let mail = mail.map(|(url, from)| MailConfig {
            url: url.clone(),
            from: from.clone(),
            ca: self.smtp_ca.clone(),
        });
        let config = self.data.config(self.listen, transport);
        let (traffic, rates) = (self.traffic.into(), self.rates);
        let metrics = self.metrics;
        Config { private_providers, checkpoint_file, mail, traffic, rates, metrics, ..config }
    }
}

impl Data {
    /// As the server takes it.
    pub fn config(&self, listen: SocketAddr, transport: Transport) -> Config {
        Config {
            listen,
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            transport,
            public_url: self.public_url.clone(),
            private_providers: false,
            checkpoint_file: None,
            mail: None,
            traffic: Traffic::default(),
            rates: RateConfig::default(),
            metrics: None,
            clock: Clock::system(),
        }
    }
}
