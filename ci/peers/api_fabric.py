"""Makes what trying the API takes: people of every role, an agent, a relay, a trust file and a published bundle. Prints it as
one JSON object. Arguments: the address, a file with the first admin's token, a trust file, a bundle."""

import json
import subprocess
import sys
from pathlib import Path

import requests

base, token_file, trust_file, bundle_file = sys.argv[1:]
admin = Path(token_file).read_text().strip()


def ask(method, path, body=None, who=admin, raw=None, kind="application/json"):
    headers = {"authorization": "Bearer " + who, "content-type": kind}
    data = json.dumps(body) if raw is None else raw
    answer = requests.request(method, base + path, data=data, headers=headers, timeout=30)
    if not answer.ok:
        sys.exit(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


def openssl(*arguments, text=""):
    return subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, check=True).stdout


def person(email, role, groups):
    ask("PUT", f"/v1/users/{email}", {"role": role, "groups": groups, "attributes": {}})
    return ask("POST", "/v1/tokens", {"name": "tried", "email": email})["token"]


key = openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout")
csr = openssl("req", "-new", "-key", "/dev/stdin", "-subj", "/", text=key)


def enrolled(kind, more):
    token = ask("POST", "/v1/enrolment-tokens", {"kind": kind} | more)["token"]
    return ask("POST", "/v1/enrol", {"name": kind} | ({"csr_pem": csr} if kind == "agent" else {}), token)


certificate = openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=idp", "-days", "30")
der = "".join(line for line in certificate.splitlines() if not line.startswith("-----"))
at = "https://idp.example.com"
metadata = (
    f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{at}/metadata">'
    '<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing">'
    f'<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>{der}</ds:X509Certificate>'
    "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    f'<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{at}/sso"/>'
    "</md:IDPSSODescriptor></md:EntityDescriptor>"
)

ask("PUT", "/v1/users/ana@acme.example", {"role": "admin", "groups": ["admin"], "attributes": {}})
trust = Path(trust_file).read_text()
ask("PUT", "/v1/trust", raw=trust)
agent, relay = enrolled("agent", {"database": "shop"}), enrolled("relay", {})
bundle = Path(bundle_file).read_bytes()
ask("PUT", "/v1/databases/shop/bundle?expect_head=0", raw=bundle, kind="application/octet-stream")
wanted = {"kind": "policy", "policy_id": "oncall-orders"}
fabric = {
    "admin": admin,
    "member": person("mo@acme.example", "member", ["support"]),
    "approver": person("di@acme.example", "approver", ["admin"]),
    "auditor": person("cy@acme.example", "auditor", []),
    "agent": agent["link_token"],
    "agent_id": agent["id"],
    "relay": relay["link_token"],
    "enrolment": ask("POST", "/v1/enrolment-tokens", {"kind": "relay"})["token"],
    "csr": csr,
    "trust": json.loads(trust),
    "metadata": metadata,
    "request": {"database": "shop", "what": wanted, "seconds": 600, "reason": "an incident"},
}
# What stays there to try the rest with: an id or an address that answers name is tried with, too.
known = [*ask("GET", "/v1/tokens"), *ask("GET", "/v1/agents"), *ask("GET", "/v1/relays")]
fabric["kept"] = [one["id"] for one in known]
fabric["people"] = [user["email"] for user in ask("GET", "/v1/users")]
json.dump(fabric, sys.stdout)
