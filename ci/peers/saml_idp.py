"""A real SAML identity provider (pysaml2) with people in it. Argument: the people as JSON ({"bo": {"mail": …,
"eduPersonAffiliation": […]}}). Prints its metadata; then one JSON object per line: {"do": "know", "metadata": …} is our
metadata, {"do": "heard"} says who was told to be signed out. Any password is right."""

import html
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, saml, xmldsig
from saml2.config import IdPConfig
from saml2.metadata import create_metadata_string
from saml2.saml import NAMEID_FORMAT_PERSISTENT, NameID
from saml2.server import Server
from saml2.sigver import get_xmlsec_binary

PEOPLE = json.loads(sys.argv[1])
PLACE = tempfile.TemporaryDirectory()
KEY, CERTIFICATE = (os.path.join(PLACE.name, name) for name in ("key.pem", "cert.pem"))
subprocess.run(
    ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=idp", "-days", "2", "-keyout", KEY, "-out", CERTIFICATE],
    check=True,
    capture_output=True,
)
HTTP = ThreadingHTTPServer(("localhost", 0), None)
BASE = f"http://localhost:{HTTP.server_port}"
ENTITY = BASE + "/metadata"
ALGORITHMS = {"sign_alg": xmldsig.SIG_RSA_SHA256, "digest_alg": xmldsig.DIGEST_SHA256}
sessions = {}
waiting = {}
heard = []
told = []


def configured(metadata=None):
    config = {
        "entityid": ENTITY,
        "xmlsec_binary": get_xmlsec_binary(["/usr/bin", "/usr/local/bin"]),
        "key_file": KEY,
        "cert_file": CERTIFICATE,
        "signing_algorithm": xmldsig.SIG_RSA_SHA256,
        "digest_algorithm": xmldsig.DIGEST_SHA256,
        "service": {
            "idp": {
                "endpoints": {
                    "single_sign_on_service": [(BASE + "/sso", BINDING_HTTP_REDIRECT)],
                    "single_logout_service": [(BASE + "/slo", BINDING_HTTP_REDIRECT)],
                },
                "want_authn_requests_signed": True,
                "policy": {"default": {"lifetime": {"minutes": 5}, "name_form": saml.NAME_FORMAT_URI}},
            }
        },
    }
    if metadata:
        config["metadata"] = {"inline": [metadata]}
    return IdPConfig().load(config)


known = {}


def page(text):
    return 200, {"Content-Type": "text/html; charset=utf-8"}, f"<!doctype html><html lang=en><title>Company</title><main>{text}</main>".encode()


def to(url):
    return 303, {"Location": url}, b""


def by_redirect(message, destination, state, response):
    made = known["idp"].apply_binding(BINDING_HTTP_REDIRECT, str(message), destination, state, response=response, sign=True, sigalg=xmldsig.SIG_RSA_SHA256)
    return to(dict(made["headers"])["Location"])


def carried(query, name):
    return {"relay_state": query.get("RelayState"), "sigalg": query["SigAlg"], "signature": query["Signature"]} if name in query else {}


def sso(query):
    request = known["idp"].parse_authn_request(query["SAMLRequest"], BINDING_HTTP_REDIRECT, **carried(query, "SAMLRequest"))
    waiting[request.message.id] = (request.message, query.get("RelayState"))
    return page(
        f"""<h1>Company</h1><form method=post action=/login><input type=hidden name=id value="{html.escape(request.message.id)}"><label>Login <input name=login></label><button>Sign-in</button></form>"""
    )


def login(form):
    request, state = waiting.pop(form["id"])
    who = form["login"]
    idp = known["idp"]
    destination = request.assertion_consumer_service_url
    sp = request.issuer.text
    name = NameID(format=NAMEID_FORMAT_PERSISTENT, name_qualifier=ENTITY, sp_name_qualifier=sp, text=who)
    response = idp.create_authn_response(
        PEOPLE[who],
        request.id,
        destination,
        sp,
        name_id=name,
        authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": ENTITY},
        sign_assertion=True,
        sign_response=True,
        **ALGORITHMS,
    )
    text = str(response)
    index = re.search(r'SessionIndex="([^"]+)"', text).group(1)
    sessions[who] = (name, index, sp)
    made = idp.apply_binding(BINDING_HTTP_POST, text, destination, state, response=True)
    # Without its script, so that a test presses the button.
    return page(re.sub(r"<script.*?</script>", "", made["data"], flags=re.S).replace("onload", "data-no").replace("noscript", "span"))


def slo(query):
    idp = known["idp"]
    if "SAMLRequest" in query:
        request = idp.parse_logout_request(query["SAMLRequest"], BINDING_HTTP_REDIRECT, **carried(query, "SAMLRequest"))
        heard.append([request.message.name_id.text, [index.text for index in request.message.session_index]])
        sessions.pop(request.message.name_id.text, None)
        answer = idp.create_logout_response(request.message, [BINDING_HTTP_REDIRECT], sign=False)
        return by_redirect(answer, answer.destination, query.get("RelayState") or "", True)
    answer = idp.parse_logout_request_response(query["SAMLResponse"], BINDING_HTTP_REDIRECT)
    assert answer.response.in_response_to in told, "it answers nothing"
    return page(f"<h1>Everywhere</h1><p>{html.escape(answer.response.status.status_code.value)}</p>")


def out(query):
    """Signs somebody out, here and at the one place they went to."""
    name, index, sp = sessions.pop(query["who"])
    idp = known["idp"]
    service = idp.metadata.single_logout_service(sp, BINDING_HTTP_REDIRECT, "spsso")
    destination = service[0]["location"]
    made = idp.create_logout_request(destination, sp, name_id=name, session_indexes=[index], sign=False)
    request = made[1] if isinstance(made, tuple) else made
    told.append(request.id)
    return by_redirect(request, destination, "here", False)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, act, said):
        try:
            status, headers, body = act(dict(urllib.parse.parse_qsl(said)))
        except Exception as error:
            print(repr(error), file=sys.stderr)
            status, headers, body = 400, {"Content-Type": "text/plain"}, repr(error).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        asked = urllib.parse.urlsplit(self.path)
        acts = {"/sso": sso, "/slo": slo, "/out": out}
        self.answer(acts.get(asked.path, lambda _: (404, {}, b"")), asked.query)

    def do_POST(self):
        self.answer(login, self.rfile.read(int(self.headers["Content-Length"])).decode())

    def log_message(self, *_):
        pass


HTTP.RequestHandlerClass = Handler
threading.Thread(target=HTTP.serve_forever, daemon=True).start()
print(json.dumps({"entity": ENTITY, "metadata": create_metadata_string(None, config=configured()).decode()}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "know":
        known["idp"] = Server(config=configured(asked["metadata"]))
    print(json.dumps({"base": BASE, "heard": heard}), flush=True)
