"""What schemathesis cannot know by the description of the API alone: bodies that are signed, and things that have to be
there before they can be read, decided or removed. Where it sends what the description allows, every second call is for
something that was made for it just before, so that it is answered and not only refused. Calls that are to be refused are
left as they are. At the end it adds to a file how often each operation was answered with what.

From the environment: DAAM_API (address), DAAM_API_WHO (which credential is tried), DAAM_API_TALLY (the file), and
DAAM_API_FABRIC, a JSON object with tokens of every kind, a certificate request, a trust file and a bundle."""

import atexit
import json
import os
from collections import Counter, defaultdict
from pathlib import Path

import requests
import schemathesis
from schemathesis.generation import GenerationMode

BASE = os.environ["DAAM_API"]
FABRIC = json.loads(Path(os.environ["DAAM_API_FABRIC"]).read_text())
TALLY = Path(os.environ["DAAM_API_TALLY"])
WHO = os.environ["DAAM_API_WHO"]
counts = defaultdict(Counter)
made = Counter()


def ask(method, path, body=None, who="admin", raw=None):
    """An answer of the control plane to one of these tokens; whatever it is, it has to be good."""
    headers = {"authorization": "Bearer " + FABRIC[who]}
    answer = requests.request(method, BASE + path, json=body, data=raw, headers=headers, timeout=30)
    if not answer.ok:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json() if answer.content else None


def number():
    made["number"] += 1
    return f"{WHO}-{made['number']}"


def token():
    return ask("POST", "/v1/tokens", {"name": number()}, WHO if WHO in ("member", "approver", "auditor") else "admin")["id"]


def enrolment(kind):
    wanted = {"kind": kind, "database": "shop"} if kind == "agent" else {"kind": kind}
    return ask("POST", "/v1/enrolment-tokens", wanted)["token"]


def enrolled(kind):
    headers = {"authorization": "Bearer " + enrolment(kind)}
    body = {"name": number()} | ({"csr_pem": FABRIC["csr"]} if kind == "agent" else {})
    answer = requests.post(BASE + "/v1/enrol", json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()["id"]


def asked():
    """An access request of the member's."""
    return ask("POST", "/v1/requests", FABRIC["request"], "member")["id"]


def approved():
    request = asked()
    ask("POST", f"/v1/requests/{request}/approve", {"reason": "yes"}, "admin")
    return request


def device_code():
    """Of a sign-in that somebody in a browser said yes to."""
    begun = requests.post(BASE + "/v1/sign-in/device", json={"device": "a machine"}, timeout=30).json()
    link = ask("POST", "/v1/console-link", {})["link"]
    path = "/" + link.split("/", 3)[3]
    browser = {"sec-fetch-site": "same-origin"}
    entered = requests.post(BASE + path, headers=browser, allow_redirects=False, timeout=30)
    session = entered.headers["set-cookie"].split(";")[0]
    form = {"code": begun["user_code"], "answer": "yes"}
    requests.post(BASE + "/device", data=form, headers=browser | {"cookie": session}, timeout=30).raise_for_status()
    return begun["device_code"]


def saml(name):
    return {"name": name, "metadata": FABRIC["metadata"]}


# What the {id} of a path is to be: of something of its own.
IDS = {
    ("DELETE", "/v1/tokens/{id}"): token,
    ("DELETE", "/v1/invites/{id}"): lambda: ask("POST", "/v1/invites", {"email": number() + "@acme.example"})["id"],
    ("DELETE", "/v1/scim-tokens/{id}"): lambda: ask("POST", "/v1/scim-tokens", {"name": number()})["id"],
    ("DELETE", "/v1/webhooks/{id}"): lambda: ask(
        "POST", "/v1/webhooks", {"name": number(), "url": "https://hooks.example.com/daam"}
    )["id"],
    ("DELETE", "/v1/agents/{id}"): lambda: enrolled("agent"),
    ("GET", "/v1/agents/{id}/audit"): lambda: FABRIC["agent_id"],
    ("DELETE", "/v1/relays/{id}"): lambda: enrolled("relay"),
    ("PUT", "/v1/saml-providers/{id}"): lambda: ask("POST", "/v1/saml-providers", saml(number()))["id"],
    ("DELETE", "/v1/identity-providers/{id}"): lambda: ask("POST", "/v1/saml-providers", saml(number()))["id"],
    ("GET", "/v1/requests/{id}"): asked,
    ("POST", "/v1/requests/{id}/approve"): asked,
    ("POST", "/v1/requests/{id}/deny"): asked,
    ("POST", "/v1/requests/{id}/end"): asked,
    ("POST", "/v1/requests/{id}/extend"): approved,
}

# What a body is to be.
BODIES = {
    ("POST", "/v1/agent/certificate"): lambda: {"csr_pem": FABRIC["csr"]},
    ("POST", "/v1/certificates"): lambda: {"csr_pem": FABRIC["csr"], "device": "laptop"},
    ("POST", "/v1/enrol"): lambda: {"name": number(), "csr_pem": FABRIC["csr"]},
    ("POST", "/v1/enrolment-tokens"): lambda: {"kind": "relay"},
    ("POST", "/v1/requests"): lambda: FABRIC["request"],
    ("POST", "/v1/requests/{id}/approve"): lambda: {"reason": "yes"},
    ("POST", "/v1/requests/{id}/deny"): lambda: {"reason": "no"},
    ("POST", "/v1/requests/{id}/extend"): lambda: {"seconds": 600, "reason": "not done yet"},
    ("POST", "/v1/saml-providers"): lambda: saml(number()),
    ("PUT", "/v1/saml-providers/{id}"): lambda: saml(number()),
    ("POST", "/v1/sign-in/device"): lambda: {"device": "a machine"},
    ("POST", "/v1/sign-in/fetch"): lambda: {"code": device_code()},
    ("POST", "/v1/webhooks"): lambda: {"name": number(), "url": "https://hooks.example.com/daam"},
    ("PUT", "/v1/audit/otlp"): lambda: {"endpoint": "https://collector.example.com/v1/logs"},
    ("PUT", "/v1/relay/address"): lambda: {"address": "relay.example.com:443"},
    ("POST", "/v1/invites"): lambda: {"email": number() + "@acme.example"},
    ("POST", "/v1/bootstrap"): lambda: {"organization": "Acme", "admin_email": "ana@acme.example"},
}

NAMES = {"db": "shop", "version": "1", "email": "pat@acme.example"}


def keep(case):
    """Whom the rest is tried as is not deleted, disabled or made somebody else on the way."""
    if case.method.upper() == "GET":
        return
    for name, kept in (("id", FABRIC["kept"]), ("email", FABRIC["people"])):
        if (case.path_parameters or {}).get(name) in kept:
            case.path_parameters[name] = "pat@acme.example" if name == "email" else "somebody-elses"


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = (case.method.upper(), case.operation.path)
    keep(case)
    meta = case.meta
    if meta is None or meta.generation.mode != GenerationMode.POSITIVE:
        return
    made[operation] += 1
    if made[operation] % 2 == 0:
        return
    for name, value in NAMES.items():
        if case.path_parameters and name in case.path_parameters:
            case.path_parameters[name] = value
    if operation in IDS:
        case.path_parameters["id"] = IDS[operation]()
    if operation in BODIES:
        # Another body with a key that was used for one is another request.
        (case.headers or {}).pop("Idempotency-Key", None)
        case.body, case.media_type = BODIES[operation](), "application/json"
    if operation == ("PUT", "/v1/trust"):
        case.body = FABRIC["trust"]
    if operation == ("GET", "/v1/databases/{db}/bundle"):
        case.query = {}
    if operation == ("POST", "/v1/enrol") and WHO == "enrolment":
        # Good for one of them.
        case.headers["Authorization"] = "Bearer " + enrolment("agent")


@schemathesis.hook
def after_call(context, case, response):
    counts[f"{case.method.upper()} {case.operation.path}"][str(response.status_code)] += 1


@atexit.register
def add():
    with TALLY.open("a") as file:
        file.write(json.dumps({"who": WHO, "counts": counts}) + "\n")
