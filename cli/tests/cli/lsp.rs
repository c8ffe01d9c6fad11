//! The language server as an editor meets it: a process that speaks on standard input and output.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Session {
    fn start(root: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_daam"))
            .args(["lsp", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut session = Self { child, input, output, next: 0 };
        let folder = json!({ "uri": address(root), "name": "project" });
        let answer = session.ask("initialize", &json!({ "capabilities": {}, "workspaceFolders": [folder] }));
        assert_eq!(answer["capabilities"]["positionEncoding"], "utf-16");
        session.tell("initialized", &json!({}));
        session
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.until(|message| message["id"] == id && message.get("method").is_none())["result"].clone()
    }

    /// Reads on, answering what the server asks, until a message is the one wanted.
    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.receive();
            if wanted(&message) {
                return message;
            }
            if message.get("method").is_some() && message.get("id").is_some() {
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }));
            }
        }
    }

    fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server went away");
            match line.trim_end().split_once(": ") {
                Some(("Content-Length", number)) => length = number.parse().unwrap(),
                _ if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// The findings the server tells of a file, once they are as wanted: those of an earlier state may come before.
    fn findings(&mut self, file: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let told = self.until(|message| {
            message["method"] == "textDocument/publishDiagnostics"
                && message["params"]["uri"].as_str().is_some_and(|uri| uri.ends_with(file))
                && message["params"]["diagnostics"].as_array().is_some_and(|found| wanted(found))
        });
        told["params"]["diagnostics"].as_array().unwrap().clone()
    }

    fn end(mut self) {
        assert_eq!(self.ask("shutdown", &Value::Null), Value::Null);
        self.tell("exit", &Value::Null);
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

fn address(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// A copy of the shop example, since an editor saves.
fn shop() -> tempfile::TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-examples/shop");
    let dir = tempfile::tempdir().unwrap();
    copy(&source, dir.path());
    dir
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_mistake_shows_while_it_is_typed_is_repaired_by_an_offer_and_goes_away() {
    let dir = shop();
    let mut editor = Session::start(dir.path());
    let path = dir.path().join("policies/support.yaml");
    let uri = address(&path);
    let sound = std::fs::read_to_string(&path).unwrap();
    let wrong = sound.replace("public.customers.birth_date", "public.customers.birthdate");
    assert_ne!(sound, wrong);
    let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": wrong });
    editor.tell("textDocument/didOpen", &json!({ "textDocument": document }));
    let unknown = |found: &Value| found["code"] == "DAAM203 unknown-column";
    let found = editor.findings("support.yaml", |found| found.iter().any(unknown));
    let finding = found.iter().find(|found| unknown(found)).unwrap();
    assert!(finding["message"].as_str().unwrap().contains("birthdate"), "{finding}");

    let place = json!({ "textDocument": { "uri": uri }, "range": finding["range"], "context": { "diagnostics": [] } });
    let offers = editor.ask("textDocument/codeAction", &place);
    let edit = &offers[0]["edit"]["changes"][uri.as_str()][0];
    assert!(edit["newText"].as_str().unwrap().contains("birth_date"), "{offers}");

    let change =
        json!({ "textDocument": { "uri": uri, "version": 2 }, "contentChanges": [{ "text": sound }] });
    editor.tell("textDocument/didChange", &change);
    let left = editor.findings("support.yaml", |found| !found.iter().any(unknown));
    assert!(left.iter().all(|found| found["severity"] != 1), "{left:?}");
    editor.end();
}

#[test]
fn hovers_completions_definitions_and_formatting_answer() {
    let dir = shop();
    let mut editor = Session::start(dir.path());
    let path = dir.path().join("policies/support.yaml");
    let uri = address(&path);
    let text = std::fs::read_to_string(&path).unwrap();
    let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
    editor.tell("textDocument/didOpen", &json!({ "textDocument": document }));
    let line = text.lines().position(|line| line.contains("public.customers.birth_date")).unwrap();
    let character = text.lines().nth(line).unwrap().find("birth_date").unwrap() + 2;
    let at = json!({ "textDocument": { "uri": uri }, "position": { "line": line, "character": character } });

    // The first answer waits for nothing but the first check.
    let shown = loop {
        let shown = editor.ask("textDocument/hover", &at);
        if !shown.is_null() && shown["contents"]["value"].as_str().unwrap().contains("Masked") {
            break shown;
        }
    };
    assert!(shown["contents"]["value"].as_str().unwrap().contains("birth_date** — date"), "{shown}");

    let proposals = editor.ask("textDocument/completion", &at);
    let labels: Vec<&str> =
        proposals.as_array().unwrap().iter().filter_map(|item| item["label"].as_str()).collect();
    assert!(labels.contains(&"public.customers.birth_date"), "{labels:?}");

    let targets = editor.ask("textDocument/definition", &at);
    assert!(targets[0]["uri"].as_str().unwrap().ends_with("schema/shop/public.json"), "{targets}");

    let options =
        json!({ "textDocument": { "uri": uri }, "options": { "tabSize": 2, "insertSpaces": true } });
    let edits = editor.ask("textDocument/formatting", &options);
    assert!(edits.is_null() || edits.as_array().is_some_and(|edits| edits.len() <= 1), "{edits}");
    editor.end();
}

#[test]
fn a_file_outside_a_project_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = Session::start(dir.path());
    let uri = address(&dir.path().join("notes.yaml"));
    let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": "kind: policy\n" });
    editor.tell("textDocument/didOpen", &json!({ "textDocument": document }));
    let at = json!({ "textDocument": { "uri": uri }, "position": { "line": 0, "character": 1 } });
    assert_eq!(editor.ask("textDocument/hover", &at), Value::Null);
    assert_eq!(editor.ask("textDocument/completion", &at), json!([]));
    editor.end();
}
