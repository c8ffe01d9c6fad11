//! Keys, signers and rotation from the command line, with the real `ssh-keygen`, `ssh-agent` and `openssl`.

use crate::policy::{expect, trusted, write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs a program of the system and expects it to succeed.
fn run(root: &Path, line: &str) -> String {
    let output =
        Command::new("sh").args(["-c", line]).current_dir(root).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `daam` with arguments as they are, talking to an SSH agent if there is one.
fn daam(root: &Path, socket: Option<&Path>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daam"));
    command.args(arguments).current_dir(root).env("DAAM_HOME", root.join("home")).stdin(Stdio::null());
    match socket {
        Some(socket) => command.env("SSH_AUTH_SOCK", socket),
        None => command.env_remove("SSH_AUTH_SOCK"),
    };
    let output = command.output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

fn done(root: &Path, socket: Option<&Path>, arguments: &[&str]) -> String {
    let (code, said) = daam(root, socket, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

fn ssh_key(root: &Path, kind: &str, name: &str) {
    run(root, &format!("ssh-keygen -q -t {kind} -N '' -C {name}@laptop -f {name}"));
}

/// An SSH agent that ends with the test.
struct Agent(Child);

impl Agent {
    fn start(root: &Path) -> Self {
        let socket = root.join("agent.sock");
        let child =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self(child);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(std::time::Instant::now() < deadline, "the SSH agent does not answer");
            std::thread::yield_now();
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn people_sign_with_their_ssh_keys_through_the_agent() {
    let scratch = trusted();
    let root = scratch.path();
    let _agent = Agent::start(root);
    let socket = root.join("agent.sock");
    let socket = Some(socket.as_path());
    for (kind, name) in [("ed25519", "ana"), ("ecdsa", "bo")] {
        ssh_key(root, kind, name);
        run(root, &format!("SSH_AUTH_SOCK=agent.sock ssh-add -q {name}"));
    }
    std::fs::remove_file(root.join("trust.json")).unwrap();
    let keys = "trust init --org acme --policy ana=ana.pub --policy bo=bo.pub --policy-threshold 2";
    expect(root, 0, keys);
    expect(root, 0, "policy build");
    let said = done(root, socket, &["policy", "sign", "shop.daam", "--key", "ssh-agent:ana@laptop"]);
    assert!(said.contains("with ana (policy)") && said.contains("1 more signature"), "{said}");
    expect(root, 20, "policy verify shop.daam --trust trust.json");
    let fingerprint = run(root, "ssh-keygen -lf bo.pub").split_whitespace().nth(1).unwrap().to_owned();
    // Half of all ECDSA signatures come with the higher s; each of these has to be accepted.
    for _ in 0..8 {
        done(root, socket, &["policy", "sign", "shop.daam", "--key", &format!("ssh-agent:{fingerprint}")]);
        expect(root, 0, "policy verify shop.daam --trust trust.json");
    }
    let said = expect(root, 0, "policy inspect shop.daam --trust trust.json");
    assert!(
        said.contains("signature     ana (policy) ") && said.contains("signature     bo (policy) "),
        "{said}"
    );
    let (code, said) = daam(root, socket, &["policy", "sign", "shop.daam", "--key", "ssh-agent:eve@laptop"]);
    assert!(code == Some(2) && said.contains("holds no Ed25519 or P-256 key called `eve@laptop`"), "{said}");
    let (code, said) = daam(root, None, &["policy", "sign", "shop.daam", "--key", "ssh-agent:ana@laptop"]);
    assert!(code == Some(2) && said.contains("SSH_AUTH_SOCK"), "{said}");
}

#[test]
fn commands_sign_for_key_services_and_ssh_keygen() {
    let scratch = trusted();
    let root = scratch.path();
    run(root, "openssl ecparam -name prime256v1 -genkey -noout -out kms.pem");
    run(root, "openssl pkey -in kms.pem -pubout -out kms.pub.pem");
    ssh_key(root, "ed25519", "ana");
    std::fs::remove_file(root.join("trust.json")).unwrap();
    let keys =
        ["trust", "init", "--org", "acme", "--policy", "CI key=kms.pub.pem", "--policy", "ana=ana.pub"];
    done(root, None, &[&keys[..], &["--policy-threshold", "2"]].concat());
    expect(root, 0, "policy build");
    let openssl = "exec:openssl dgst -sha256 -sign kms.pem | base64";
    let keygen = "exec:ssh-keygen -q -Y sign -n daam -f ana";
    let sign = |signer: &str, name: &str| {
        daam(root, None, &["policy", "sign", "shop.daam", "--key", signer, "--as", name])
    };
    for (signer, name) in [(openssl, "CI key"); 8].into_iter().chain([(keygen, "ana")]) {
        let (code, said) = sign(signer, name);
        assert_eq!(code, Some(0), "{said}");
    }
    let said = expect(root, 0, "policy verify shop.daam --trust trust.json");
    assert!(said.contains("CI key (policy)") && said.contains("ana (policy)"), "{said}");
    // Another key, another purpose, garbage, a command that fails, a key nobody named.
    let refused = [
        (openssl, "policy key", "does not verify under the key"),
        ("exec:ssh-keygen -q -Y sign -n git -f ana", "ana", "does not verify under the key"),
        ("exec:echo ?!", "ana", "base64"),
        ("exec:false", "ana", "ended with exit status: 1"),
        (openssl, "eve", "no key of the trust file is called `eve`"),
        ("pkcs11:slot", "ana", "is not a signer"),
    ];
    for (signer, name, expected) in refused {
        let (code, said) = sign(signer, name);
        assert!(code == Some(2) && said.contains(expected), "{signer} {name}: {said}");
    }
    let (code, said) = daam(root, None, &["policy", "sign", "shop.daam", "--key", openssl]);
    assert!(code == Some(2) && said.contains("--as"), "{said}");
    expect(root, 0, "policy verify shop.daam --trust trust.json");
}

#[test]
fn our_ssh_signatures_are_those_of_ssh_keygen() {
    let scratch = trusted();
    let root = scratch.path();
    ssh_key(root, "ed25519", "ana");
    write(root, "message", "DSSEv1 1 t 2 {}");
    run(root, "ssh-keygen -q -Y sign -n daam -f ana message");
    let public =
        daam_bundle::PublicKey::from_text(&std::fs::read_to_string(root.join("ana.pub")).unwrap()).unwrap();
    let armoured = std::fs::read(root.join("message.sig")).unwrap();
    let signature = public.normalise(&armoured).unwrap();
    assert!(public.verifies(b"DSSEv1 1 t 2 {}", &signature));
    assert!(!public.verifies(b"DSSEv1 1 t 2 {]", &signature));
}

#[test]
fn a_key_the_trust_file_does_not_list_is_refused_with_a_remedy() {
    let scratch = trusted();
    let root = scratch.path();
    expect(root, 0, "trust init --org acme --out other.json --key other.key");
    expect(root, 0, "policy build");
    let said = expect(root, 20, "policy sign shop.daam --key file:other.key");
    assert!(said.contains("would count for nothing") && said.contains("daam trust rotate"), "{said}");
    expect(root, 0, "policy sign shop.daam --key file:other.key --trust other.json");
}

/// A trust file with two root keys, both needed, and a policy key.
fn rooted() -> tempfile::TempDir {
    let scratch = trusted();
    let root = scratch.path();
    for name in ["ana", "bo", "cleo"] {
        run(root, &format!("openssl genpkey -algorithm ed25519 -out {name}.key 2>/dev/null"));
        run(root, &format!("openssl pkey -in {name}.key -pubout -out {name}.pub"));
    }
    std::fs::remove_file(root.join("trust.json")).unwrap();
    expect(root, 0, "trust init --org acme --root ana=ana.pub --root bo=bo.pub --root-threshold 2");
    scratch
}

#[test]
fn replacing_a_root_key_takes_signatures_of_old_and_new() {
    let scratch = rooted();
    let root = scratch.path();
    let said = expect(root, 0, "trust rotate trust.json --replace root:ana=cleo.pub");
    assert!(said.contains("trust.2.json: version 2"), "{said}");
    assert!(said.contains("version 1: 0 of 2 root signatures; still possible: ana, bo"), "{said}");
    assert!(said.contains("version 2: 0 of 2 root signatures; still possible: bo, ana"), "{said}");
    expect(root, 2, "trust rotate trust.json --replace root:ana=cleo.pub");
    let said = expect(root, 20, "trust verify trust.json trust.2.json");
    assert!(said.contains("0 root key(s) of version 1 signed"), "{said}");
    expect(root, 0, "trust sign trust.2.json --key file:ana.key --key file:bo.key");
    let said = expect(root, 20, "trust verify trust.json trust.2.json");
    assert!(said.contains("version 2: 1 of 2 root signatures, by bo"), "{said}");
    expect(root, 20, "trust sign trust.2.json --key file:policy.key");
    let said = expect(root, 0, "trust sign trust.2.json --key file:cleo.key");
    assert!(said.contains("version 2: 2 of 2 root signatures, by bo, ana"), "{said}");
    assert!(expect(root, 0, "trust verify trust.json trust.2.json").contains("followed: version 2"));
    let said = expect(root, 0, "trust show trust.2.json");
    assert!(said.contains("version       2") && said.contains("signed by     bo (root)"), "{said}");
    // The next step is not signed by the keys of version 1 any more, and version 2 cannot be left out.
    expect(root, 0, "trust rotate trust.2.json --epoch shop");
    expect(root, 0, "trust sign trust.3.json --from trust.2.json --key file:bo.key --key file:cleo.key");
    expect(root, 0, "trust verify trust.json trust.2.json trust.3.json");
    expect(root, 21, "trust verify trust.json trust.3.json");
}

#[test]
fn a_rotation_revokes_policy_keys_and_raises_epochs_for_verification_too() {
    let scratch = rooted();
    let root = scratch.path();
    expect(root, 0, "policy build");
    expect(root, 0, "policy sign shop.daam --key file:policy.key");
    expect(root, 0, "policy verify shop.daam --trust trust.json --database shop --state head.json");
    expect(root, 0, "trust init --org acme --out unused.json --key new.key");
    expect(
        root,
        0,
        "trust rotate trust.json --add policy:release=new.key --threshold policy=2 --minimum shop=4",
    );
    expect(root, 0, "trust sign trust.2.json --key file:ana.key --key file:bo.key");
    let both = "--trust trust.json --trust trust.2.json";
    expect(root, 20, &format!("policy verify shop.daam {both}"));
    expect(root, 0, "policy sign shop.daam --trust trust.2.json --key file:new.key");
    // What is held may stay; who holds nothing is told that later bundles exist.
    expect(root, 0, &format!("policy verify shop.daam {both} --database shop --state head.json"));
    let said = expect(root, 21, &format!("policy verify shop.daam {both}"));
    assert!(said.contains("serial 4 are the lowest accepted"), "{said}");
    // The state has seen version 2, so version 1 alone is refused.
    let said =
        expect(root, 21, "policy verify shop.daam --trust trust.json --database shop --state head.json");
    assert!(said.contains("version 2 was seen already"), "{said}");
    expect(
        root,
        22,
        &format!(
            "policy verify shop.daam {both} --database shop --state head.json --at 2100-01-01T00:00:00Z"
        ),
    );
    expect(root, 21, "policy verify shop.daam --trust trust.json --minimum 1.2");
}

#[test]
fn what_cannot_be_rotated_says_why() {
    let scratch = trusted();
    let root = scratch.path();
    let said = expect(root, 2, "trust rotate trust.json --epoch shop");
    assert!(said.contains("no root keys") && said.contains("daam trust init --root"), "{said}");
    let scratch = rooted();
    let root = scratch.path();
    let refused = [
        ("", "nothing changes"),
        ("--remove root:eve", "not exactly one key called `eve`"),
        ("--remove root:ana", "the threshold 2 cannot be met by 1 key(s)"),
        ("--add boss:eve=ana.pub", "`boss` is not a role"),
        ("--add root:again=ana.pub", "is listed twice"),
        ("--threshold root=none", "is not a number"),
        ("--threshold emergency=1", "nothing changes"),
    ];
    for (options, expected) in refused {
        let said = expect(root, 2, format!("trust rotate trust.json {options}").trim_end());
        assert!(said.contains(expected), "{options}: {said}");
    }
    assert!(!root.join("trust.2.json").exists());
}

#[test]
fn an_emergency_key_narrows_and_cannot_widen() {
    let scratch = rooted();
    let root = scratch.path();
    std::fs::remove_file(root.join("trust.json")).unwrap();
    expect(root, 0, "trust init --org acme --emergency oncall=cleo.pub");
    expect(root, 0, "policy build --out-dir one");
    expect(root, 0, "policy sign one/shop.daam --key file:policy.key");
    expect(root, 20, "policy sign one/shop.daam --key file:cleo.key");
    let policy = crate::policy::POLICY;
    let verify = "policy verify two/shop.daam --trust trust.json --held one/shop.daam";
    for (text, code) in [
        (policy.replace("allow: [select]", "allow: [select, update]"), 20),
        (policy.replace("grants: [{ on: public.users, allow: [select] }]", "grants: []"), 0),
    ] {
        write(root, "policies/support.yaml", &text);
        if daam(root, None, &["policy", "build", "--prev", "one/shop.daam", "--out-dir", "two"]).0 != Some(0)
        {
            continue;
        }
        expect(root, 0, "policy sign two/shop.daam --emergency --key file:cleo.key");
        let said = expect(root, code, verify);
        assert!(code == 0 || said.contains("may only narrow"), "{said}");
        expect(root, 20, "policy verify two/shop.daam --trust trust.json");
    }
}
