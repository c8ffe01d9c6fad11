//! A real Chromium, as people use it. `ci/setup` installs it.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub(crate) struct Browser {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// Where `ci/setup` puts what tests speak to.
pub(crate) fn peers() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let peers = root.join("target/peers");
    assert!(peers.join("node_modules").is_dir(), "{} is missing; run ci/setup", peers.display());
    peers
}

/// A program that came from PyPI.
pub(crate) fn python(program: &str) -> Command {
    let place = peers().join("python/bin").join(program);
    assert!(place.is_file(), "{} is missing; run ci/setup", place.display());
    // By the interpreter beside it: the script names it by where the tree once was.
    let mut command = Command::new(peers().join("python/bin/python3"));
    command.arg(place).kill_on_drop(true);
    command
}

/// A program of `ci/peers` in Python.
pub(crate) fn python_peer(program: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(peers().join("python/bin/python3"));
    command.args(["-W", "ignore"]).arg(root.join("ci/peers").join(program)).kill_on_drop(true);
    command
}

/// A program of `ci/peers`.
pub(crate) fn peer(program: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new("node");
    command.arg(root.join("ci/peers").join(program)).env("DAAM_PEERS", peers()).kill_on_drop(true);
    command
}

impl Browser {
    pub(crate) fn start() -> Self {
        let path = std::env::var_os("PATH").unwrap();
        let places: Vec<_> = std::env::split_paths(&path).collect();
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let mut programs = names.iter().flat_map(|name| places.iter().map(move |place| place.join(name)));
        let found = programs.find(|program| program.is_file());
        let chromium = found.unwrap_or_else(|| panic!("no chromium on PATH; run ci/setup"));
        let mut child = peer("browser.mjs")
            .env("DAAM_CHROMIUM", chromium)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, input, output }
    }

    async fn ask(&mut self, asked: Value) -> Value {
        self.input.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
        let line = self.output.next_line().await.unwrap();
        let mut answer: Value = serde_json::from_str(line.as_deref().unwrap_or("gone")).unwrap();
        assert!(answer.get("error").is_none(), "{asked}: {answer}");
        answer["ok"].take()
    }

    /// The answer's status.
    pub(crate) async fn goto(&mut self, url: &str) -> u64 {
        self.ask(json!({ "do": "goto", "url": url })).await.as_u64().unwrap()
    }

    pub(crate) async fn click(&mut self, role: &str, name: &str) {
        self.ask(json!({ "do": "click", "role": role, "name": name })).await;
    }

    /// What is no button or link.
    pub(crate) async fn click_text(&mut self, text: &str) {
        self.ask(json!({ "do": "pressText", "text": text })).await;
    }

    pub(crate) async fn fill(&mut self, label: &str, value: &str) {
        self.ask(json!({ "do": "fill", "label": label, "value": value })).await;
    }

    /// Fills the field of that name.
    pub(crate) async fn fill_in(&mut self, name: &str, value: &str) {
        self.ask(json!({ "do": "fillIn", "name": name, "value": value })).await;
    }

    pub(crate) async fn select(&mut self, label: &str, value: &str) {
        self.ask(json!({ "do": "select", "label": label, "value": value })).await;
    }

    pub(crate) async fn press(&mut self, key: &str) {
        self.ask(json!({ "do": "press", "key": key })).await;
    }

    pub(crate) async fn text(&mut self) -> String {
        self.ask(json!({ "do": "text" })).await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn url(&mut self) -> String {
        self.ask(json!({ "do": "url" })).await.as_str().unwrap().to_owned()
    }

    /// What has the keyboard.
    pub(crate) async fn focused(&mut self) -> String {
        self.ask(json!({ "do": "focused" })).await.as_str().unwrap().to_owned()
    }

    /// Plugs in an authenticator of its own in the place of the one before.
    pub(crate) async fn plug(&mut self, options: Value) {
        self.ask(json!({ "do": "plug", "options": options })).await;
    }

    /// Whether its person proves to be there.
    pub(crate) async fn verified(&mut self, yes: bool) {
        self.ask(json!({ "do": "verified", "value": yes })).await;
    }

    /// What the authenticator keeps.
    pub(crate) async fn credentials(&mut self) -> Value {
        self.ask(json!({ "do": "credentials" })).await
    }

    /// What the page says went wrong.
    pub(crate) async fn alert(&mut self) -> String {
        self.ask(json!({ "do": "alert" })).await.as_str().unwrap().to_owned()
    }

    /// Waits until a text is there.
    pub(crate) async fn until(&mut self, text: &str) {
        self.ask(json!({ "do": "until", "text": text })).await;
    }

    /// Forgets every cookie.
    pub(crate) async fn forget(&mut self) {
        self.ask(json!({ "do": "forget" })).await;
    }

    pub(crate) async fn cookies(&mut self) -> Value {
        self.ask(json!({ "do": "cookies" })).await
    }

    /// What the page and the browser complained about since.
    pub(crate) async fn complaints(&mut self) -> Value {
        self.ask(json!({ "do": "complaints" })).await
    }

    /// Nothing for somebody with a screen reader or poor sight to stumble over, light or dark.
    pub(crate) async fn is_accessible(&mut self, page: &str) {
        for scheme in ["light", "dark"] {
            self.ask(json!({ "do": "scheme", "value": scheme })).await;
            let found = self.ask(json!({ "do": "axe" })).await;
            assert_eq!(found, json!([]), "{page}, {scheme}");
        }
    }
}
