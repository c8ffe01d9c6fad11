//! A sign-in by this machine's own browser: we wait at a port of 127.0.0.1, the browser's person approves, and the
//! control plane sends the browser back to us with a code. The code alone is worth nothing: fetching takes the PKCE
//! verifier, which never left this process. Whatever else knocks at the port is told nothing and changes nothing.

use crate::control_plane::{ControlPlane, percent};
use crate::error::{CliError, Doing as _};
use crate::home::Home;
use crate::{browser, output};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(300);
/// For one visitor to say what it wants.
const VISIT: Duration = Duration::from_secs(5);
const LONGEST_LINE: u64 = 4096;

/// `None` if this machine has no browser to ask.
pub(super) async fn sign_in(
    home: &Home,
    plane: &ControlPlane,
    machine: &str,
) -> Result<Option<String>, CliError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing("wait for the browser")?;
    let port = listener.local_addr().doing("wait for the browser")?.port();
    let (verifier, state) = (random()?, random()?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let url = plane.own_address(&format!(
        "{}/program?port={port}&challenge={challenge}&state={state}&device={}",
        plane.url(),
        percent(machine)
    ))?;
    if !browser::open(home, &url)? {
        return Ok(None);
    }
    output::progress(format!("go on in your browser; if none opened: {url}"));
    let code = timeout(PATIENCE, code(&listener, &state)).await;
    browser::forget(home);
    let code = code.map_err(|_| {
        CliError::usage("nobody approved the sign-in in time").remedy("run `daam login` again")
    })?;
    let fetched = plane.fetch_sign_in(&code?, Some(&verifier)).await?;
    let signed_in = fetched.ok_or_else(|| CliError::usage("the sign-in is not approved"))?;
    Ok(Some(signed_in.token))
}

async fn code(listener: &TcpListener, state: &str) -> Result<String, CliError> {
    loop {
        let (mut visitor, _) = listener.accept().await.doing("wait for the browser")?;
        let said = timeout(VISIT, visit(&mut visitor, state)).await;
        if let Ok(Some(code)) = said {
            return Ok(code);
        }
    }
}

/// The code, if the visitor is the browser we sent off.
async fn visit(visitor: &mut TcpStream, state: &str) -> Option<String> {
    let mut line = String::new();
    let (read, mut write) = visitor.split();
    BufReader::new(read.take(LONGEST_LINE)).read_line(&mut line).await.ok()?;
    let code = asked(&line, state);
    let (status, text) = match &code {
        Some(_) => ("200 OK", "You are signed in. You can close this page and go back to the terminal."),
        None => ("404 Not Found", "There is nothing here."),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    write.write_all(answer.as_bytes()).await.ok()?;
    write.shutdown().await.ok()?;
    code
}

fn asked(line: &str, state: &str) -> Option<String> {
    let path = line.strip_prefix("GET ")?.split(' ').next()?;
    let query = path.strip_prefix("/?")?;
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let code = value("code").filter(|code| plain(code) && code.len() < 200)?;
    (value("state") == Some(state)).then(|| code.to_owned())
}

fn random() -> Result<String, CliError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other).doing("get random bytes")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_browser_we_sent_off_is_believed() {
        assert_eq!(asked("GET /?code=daam_dev_x&state=s HTTP/1.1\r\n", "s").as_deref(), Some("daam_dev_x"));
        for other in [
            "GET /?code=c&state=t HTTP/1.1",
            "GET /?code=c HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "POST /?code=c&state=s HTTP/1.1",
            "GET /?code=%00&state=s HTTP/1.1",
            "",
        ] {
            assert_eq!(asked(other, "s"), None, "{other}");
        }
    }
}
