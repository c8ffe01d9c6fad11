"""A SAML identity provider that lies as it is told: one JSON object per line, answered by one. Prints its metadata first.
Its keys are its own; what it signs, `xmlsec1` can verify ("verify")."""

import base64
import copy
import datetime
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
import zlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

A = "urn:oasis:names:tc:SAML:2.0:assertion"
P = "urn:oasis:names:tc:SAML:2.0:protocol"
D = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = D + "enveloped-signature"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
ENTITY = "https://idp.example/" + uuid.uuid4().hex


def make_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    today = datetime.datetime.utcnow()
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(today - datetime.timedelta(days=2))
    # Long over: what is pinned is the key.
    made = made.not_valid_after(today - datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    return key, base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode(), made


KEY, CERTIFICATE, X509 = make_key()
NEXT, NEXT_CERTIFICATE, _ = make_key()
EVIL, EVIL_CERTIFICATE, _ = make_key()


def key_descriptor(certificate):
    return f"""<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="{D}"><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"""


def metadata(certificates, logout=True, entity=ENTITY):
    redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
    slo = f'<md:SingleLogoutService Binding="{redirect}" Location="https://idp.example/slo" ResponseLocation="https://idp.example/done?a=b"/>'
    keys = "".join(key_descriptor(certificate) for certificate in certificates)
    return f"""<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity}"><md:IDPSSODescriptor protocolSupportEnumeration="{P}">{keys}{slo if logout else ""}<md:SingleSignOnService Binding="{redirect}" Location="https://idp.example/sso"/></md:IDPSSODescriptor></md:EntityDescriptor>"""


# Seconds its clock is ahead.
clock = {"ahead": 0}


def at(seconds=0):
    now = datetime.datetime.utcnow() + datetime.timedelta(seconds=seconds + clock["ahead"])
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def set_clock(asked):
    clock["ahead"] = asked["now"] - int(time.time())
    return {}


def tag(namespace, name):
    return f"{{{namespace}}}{name}"


def canonical(element):
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False)


def find(element, namespace, name):
    return element.find(".//" + tag(namespace, name))


def digest(data, algorithm):
    return base64.b64encode((hashlib.sha1 if algorithm.endswith("sha1") else hashlib.sha256)(data).digest()).decode()


def sign(element, key=KEY, certificate=CERTIFICATE, method=RSA_SHA256, digests=SHA256, uri=None, transforms=(ENVELOPED, EXCLUSIVE), reference=True, whole=None):
    """An enveloped signature right after the issuer."""
    value = digest(canonical(whole if whole is not None else element), digests)
    uri = "#" + element.get("ID") if uri is None else uri
    steps = "".join(f'<ds:Transform Algorithm="{step}"/>' for step in transforms)
    covered = f'<ds:Reference URI="{uri}"><ds:Transforms>{steps}</ds:Transforms><ds:DigestMethod Algorithm="{digests}"/><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>'
    signature = etree.fromstring(
        f"""<ds:Signature xmlns:ds="{D}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/><ds:SignatureMethod Algorithm="{method}"/>{covered if reference else ""}</ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"""
    )
    element.insert(1, signature)
    data = canonical(signature.find(tag(D, "SignedInfo")))
    if "hmac" in method:
        made = hmac.new(X509.public_bytes(serialization.Encoding.PEM), data, hashlib.sha256).digest()
    else:
        made = key.sign(data, padding.PKCS1v15(), hashes.SHA1() if method.endswith("rsa-sha1") else hashes.SHA256())
    signature.find(tag(D, "SignatureValue")).text = base64.b64encode(made).decode()
    return signature


def build(o):
    """A response and its assertion, not signed yet."""
    request = f' InResponseTo="{o["request"]}"' if o["request"] else ""
    audience = f'<saml:AudienceRestriction><saml:Audience>{o["audience"]}</saml:Audience></saml:AudienceRestriction>' if o["audience"] else ""
    name = f'<saml:NameID{o["qualifier"]} Format="{o["format"]}">{o["subject"]}</saml:NameID>' if o["subject"] else ""
    over = f' SessionNotOnOrAfter="{at(o["session_ends"])}"' if o["session_ends"] else ""
    statement = f'<saml:AuthnStatement AuthnInstant="{at()}" SessionIndex="{o["session"]}"{over}><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>' if o["statement"] else ""
    before = f' NotBefore="{at(-60)}"' if o["confirmation_begins"] else ""
    groups = "".join(f"<saml:AttributeValue>{group}</saml:AttributeValue>" for group in o["groups"])
    destination = f' Destination="{o["destination"]}"' if o["destination"] else ""
    return etree.fromstring(
        f"""<samlp:Response xmlns:samlp="{P}" xmlns:saml="{A}" ID="_r{uuid.uuid4().hex}" Version="2.0" IssueInstant="{at(o["issued"])}"{destination}{request}><saml:Issuer>{o["response_issuer"]}</saml:Issuer><samlp:Status><samlp:StatusCode Value="{o["status"]}"/></samlp:Status><saml:Assertion ID="{o["id"]}" Version="2.0" IssueInstant="{at(o["issued"])}"><saml:Issuer>{o["issuer"]}</saml:Issuer><saml:Subject>{name}<saml:SubjectConfirmation Method="{o["method"]}"><saml:SubjectConfirmationData{before} NotOnOrAfter="{at(o["confirmation_ends"])}" Recipient="{o["recipient"]}"{request}/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{at(o["begins"])}" NotOnOrAfter="{at(o["ends"])}">{audience}</saml:Conditions>{statement}<saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>{o["email"]}</saml:AttributeValue></saml:Attribute><saml:Attribute Name="groups">{groups}</saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>"""
    )


def defaults(asked):
    return {
        "request": asked["request"],
        "audience": asked["audience"],
        "destination": asked["acs"],
        "recipient": asked["acs"],
        "subject": asked.get("subject", "bo"),
        "email": asked.get("email", "bo@example.com"),
        "groups": asked.get("groups", []),
        "id": asked.get("id", "_a" + uuid.uuid4().hex),
        "session": asked.get("session", "s1"),
        "issuer": ENTITY,
        "response_issuer": ENTITY,
        "status": SUCCESS,
        "format": PERSISTENT,
        "qualifier": "",
        "method": BEARER,
        "statement": True,
        "issued": 0,
        "begins": -60,
        "ends": 300,
        "confirmation_ends": 300,
        "confirmation_begins": False,
        "session_ends": asked.get("session_ends", 0),
    }


# What is said wrongly, and signed as it should be.
SAID = {
    "wrong audience": {"audience": "https://other.example/sp"},
    "no audience": {"audience": ""},
    "wrong recipient": {"recipient": "https://other.example/acs"},
    "wrong issuer": {"issuer": "https://other.example/idp"},
    "issuer with a slash": {"issuer": ENTITY + "/"},
    "wrong request": {"request": "_another"},
    "no request": {"request": ""},
    "expired": {"ends": -200, "confirmation_ends": -200},
    "confirmation expired": {"confirmation_ends": -200},
    "not yet": {"begins": 400},
    "issued long ago": {"issued": -600},
    "issued later": {"issued": 600},
    "session over": {"session_ends": -200},
    "transient": {"format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"},
    "nobody": {"subject": ""},
    "another's name": {"qualifier": ' NameQualifier="https://other.example"'},
    "for somebody else": {"qualifier": ' SPNameQualifier="https://other.example"'},
    "holder of key": {"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"},
    "confirmation with a beginning": {"confirmation_begins": True},
    "no statement": {"statement": False},
}
# What is said as it should be, and signed wrongly.
SIGNED = {
    "rsa-sha1": {"method": D + "rsa-sha1"},
    "sha1 digest": {"digests": D + "sha1"},
    "evil key with its certificate": {"key": EVIL, "certificate": EVIL_CERTIFICATE},
    "evil key with the good certificate": {"key": EVIL},
    "public key as hmac secret": {"method": "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"},
    "no reference": {"reference": False},
    "no transforms but the standard's": {"transforms": (ENVELOPED, EXCLUSIVE, "http://www.w3.org/TR/1999/REC-xslt-19991116")},
    "xpath": {"transforms": (ENVELOPED, "http://www.w3.org/TR/1999/REC-xpath-19991116")},
}


def evil_of(assertion):
    """The same for somebody else, without a signature."""
    evil = copy.deepcopy(assertion)
    evil.set("ID", "_evil" + uuid.uuid4().hex)
    for signature in evil.findall(tag(D, "Signature")):
        evil.remove(signature)
    find(evil, A, "NameID").text = "mallory"
    evil.find(".//" + tag(A, "AttributeValue")).text = "mallory@example.com"
    return evil


def evil_response(response):
    evil = copy.deepcopy(response)
    evil.set("ID", "_evil" + uuid.uuid4().hex)
    evil.replace(find(evil, A, "Assertion"), evil_of(find(evil, A, "Assertion")))
    return evil


def wrapped(n, response):
    """XSW1 to XSW8; the first two of a signed response, the others of a signed assertion."""
    if n <= 2:
        evil = evil_response(response)
        signature = evil.find(tag(D, "Signature"))
        original = copy.deepcopy(response)
        original.remove(original.find(tag(D, "Signature")))
        if n == 1:
            signature.append(original)
        else:
            evil.insert(1, original)
        return evil
    assertion = response.find(tag(A, "Assertion"))
    evil = evil_of(assertion)
    signature = assertion.find(tag(D, "Signature"))
    if n == 3:
        assertion.addprevious(evil)
    elif n == 4:
        response.replace(assertion, evil)
        evil.append(assertion)
    elif n == 5:
        moved = copy.deepcopy(assertion)
        moved.remove(moved.find(tag(D, "Signature")))
        evil.insert(1, signature)
        response.replace(assertion, evil)
        response.append(moved)
    elif n == 6:
        moved = copy.deepcopy(assertion)
        moved.remove(moved.find(tag(D, "Signature")))
        evil.insert(1, signature)
        signature.append(moved)
        response.replace(assertion, evil)
    elif n == 7:
        extensions = etree.Element(tag(P, "Extensions"))
        extensions.append(evil)
        response.insert(1, extensions)
    else:
        moved = copy.deepcopy(assertion)
        moved.remove(moved.find(tag(D, "Signature")))
        evil.insert(1, signature)
        etree.SubElement(signature, tag(D, "Object")).append(moved)
        response.replace(assertion, evil)
    return response


def bent(vector, o):
    """The text of a response, as the vector wants it."""
    response = build({**o, **SAID.get(vector, {})})
    assertion = find(response, A, "Assertion")
    if vector in ("response signed", "both signed", "xsw1", "xsw2", "next key on the response", "unsigned assertion in a response with another's signature"):
        if vector == "both signed":
            sign(assertion)
        sign(response)
    elif vector == "URI empty":
        sign(assertion, uri="", whole=assertion)
    elif vector == "URI of the response":
        sign(assertion, uri="#" + response.get("ID"), whole=response)
    elif vector == "next key":
        sign(assertion, key=NEXT, certificate=NEXT_CERTIFICATE)
    elif vector != "nothing signed":
        sign(assertion, **SIGNED.get(vector, {}))
    if vector.startswith("xsw"):
        response = wrapped(int(vector[3:]), response)
    name = find(response, A, "NameID")
    signature = find(response, D, "Signature")
    if vector == "stripped":
        signature.getparent().remove(signature)
    elif vector == "tampered subject":
        name.text = "mallory"
    elif vector == "tampered attribute":
        find(response, A, "AttributeValue").text = "root"
    elif vector == "tampered signature":
        value = find(response, D, "SignatureValue")
        value.text = ("B" if value.text[0] == "A" else "A") + value.text[1:]
    elif vector == "duplicate identifiers":
        response.append(evil_of(assertion))
        response[-1].set("ID", assertion.get("ID"))
    elif vector == "identifier of another spelling":
        find(response, A, "Subject").set("Id", assertion.get("ID"))
    elif vector == "comment in the name":
        name.text = "b"
        name.append(etree.Comment("x"))
        name[0].tail = "o"
    elif vector == "instruction in the name":
        name.text = "b"
        name.append(etree.ProcessingInstruction("x"))
        name[0].tail = "o"
    elif vector == "unsigned status":
        find(response, P, "StatusCode").set("Value", "urn:oasis:names:tc:SAML:2.0:status:Responder")
    elif vector == "wrong destination":
        response.set("Destination", "https://other.example/acs")
    elif vector == "wrong issuer of the response":
        response.find(tag(A, "Issuer")).text = "https://other.example/idp"
    elif vector == "wrong request of the response":
        response.set("InResponseTo", "_another")
    elif vector == "second assertion":
        response.append(evil_of(assertion))
    elif vector == "object in the signature":
        etree.SubElement(signature, tag(D, "Object")).text = "x"
    elif vector == "signature in the subject":
        find(response, A, "Subject").append(signature)
    elif vector == "encrypted assertion":
        response.replace(assertion, etree.Element(tag(A, "EncryptedAssertion")))
    elif vector == "encrypted beside":
        response.append(etree.Element(tag(A, "EncryptedAssertion")))
    elif vector == "version 1":
        response.set("Version", "1.1")
    elif vector == "another root":
        response.tag = tag(P, "ArtifactResponse")
    text = etree.tostring(response).decode()
    if vector == "doctype":
        text = "<!DOCTYPE samlp:Response>" + text
    elif vector == "external entity":
        text = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + text.replace(">bo<", ">&e;<")
    elif vector == "billion laughs":
        more = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
        text = f'<!DOCTYPE x [<!ENTITY e0 "lol">{more}]>' + text.replace(">bo<", ">&e9;<")
    elif vector == "cdata in the name":
        text = text.replace(">bo<", "><![CDATA[bo]]><")
    elif vector == "deep":
        text = text.replace("<samlp:Status>", "<samlp:Extensions>" + "<x>" * 5000 + "</x>" * 5000 + "</samlp:Extensions><samlp:Status>")
    elif vector == "many attributes":
        wide = "".join(f' a{n}=""' for n in range(20_000))
        text = text.replace("<samlp:Status>", f"<samlp:Extensions{wide}/><samlp:Status>")
    elif vector == "many elements":
        text = text.replace("<samlp:Status>", "<samlp:Extensions>" + "<x/>" * 40_000 + "</samlp:Extensions><samlp:Status>")
    elif vector == "too large":
        text = text.replace("<samlp:Status>", "<samlp:Extensions>" + " " * 300_000 + "</samlp:Extensions><samlp:Status>")
    elif vector == "cut off":
        text = text[:-30]
    elif vector == "not XML":
        text = "nothing of the kind"
    return text


def answer(asked):
    text = bent(asked.get("vector", ""), defaults(asked)).encode()
    return {"response": base64.b64encode(text).decode()}


def verify(asked):
    """What xmlsec1 says of the first signature, with our key or the one of somebody's metadata."""
    key = X509
    if asked.get("metadata"):
        described = etree.fromstring(asked["metadata"].encode())
        key = x509.load_der_x509_certificate(base64.b64decode(find(described, D, "X509Certificate").text))
    with tempfile.NamedTemporaryFile(suffix=".pem") as certificate, tempfile.NamedTemporaryFile(suffix=".xml") as text:
        certificate.write(key.public_bytes(serialization.Encoding.PEM))
        certificate.flush()
        text.write(base64.b64decode(asked["response"]))
        text.flush()
        ids = [part for name in (f"{A}:Assertion", f"{P}:Response") for part in ("--id-attr:ID", name)]
        done = subprocess.run(["xmlsec1", "--verify", "--pubkey-cert-pem", certificate.name, *ids, text.name], capture_output=True)
    return {"holds": done.returncode == 0}


def logout(asked):
    o = {"issuer": ENTITY, "destination": asked["to"], "issued": 0, "ends": 300, "id": "_l" + uuid.uuid4().hex, **asked.get("say", {})}
    sessions = "".join(f"<samlp:SessionIndex>{session}</samlp:SessionIndex>" for session in asked.get("sessions", []))
    request = etree.fromstring(
        f"""<samlp:LogoutRequest xmlns:samlp="{P}" xmlns:saml="{A}" ID="{o["id"]}" Version="2.0" IssueInstant="{at(o["issued"])}" Destination="{o["destination"]}" NotOnOrAfter="{at(o["ends"])}"><saml:Issuer>{o["issuer"]}</saml:Issuer><saml:NameID Format="{PERSISTENT}">{asked["subject"]}</saml:NameID>{sessions}</samlp:LogoutRequest>"""
    )
    how = asked.get("how", "")
    if asked["by"] == "form":
        if how != "unsigned":
            sign(request, **SIGNED.get(how, {}))
        if how == "tampered":
            find(request, A, "NameID").text = "ana"
        return {"form": base64.b64encode(etree.tostring(request)).decode()}
    if asked.get("answers"):
        request.tag = tag(P, "LogoutResponse")
        if asked.get("request"):
            request.set("InResponseTo", asked["request"])
        status = etree.SubElement(request, tag(P, "Status"))
        etree.SubElement(status, tag(P, "StatusCode")).set("Value", asked["answers"])
    deflated = zlib.compress(etree.tostring(request))[2:-4]
    query = ("SAMLResponse=" if asked.get("answers") else "SAMLRequest=") + urllib.parse.quote_plus(base64.b64encode(deflated).decode())
    if asked.get("state"):
        query += "&RelayState=" + urllib.parse.quote_plus(asked["state"])
    if how == "unsigned":
        return {"query": query}
    sha1 = how == "rsa-sha1"
    query += "&SigAlg=" + urllib.parse.quote_plus(D + "rsa-sha1" if sha1 else RSA_SHA256)
    key = EVIL if how == "evil key with its certificate" else KEY
    made = key.sign(query.encode(), padding.PKCS1v15(), hashes.SHA1() if sha1 else hashes.SHA256())
    query += "&Signature=" + urllib.parse.quote_plus(base64.b64encode(made).decode())
    if how == "tampered":
        query = query.replace("RelayState=", "RelayState=x")
    return {"query": query}


def described(asked):
    certificates = {"one": [CERTIFICATE], "both": [CERTIFICATE, NEXT_CERTIFICATE], "next": [NEXT_CERTIFICATE], "none": []}[asked["keys"]]
    return {"metadata": metadata(certificates, asked.get("logout", True), asked.get("entity", ENTITY))}


def read(asked):
    """What we were sent, if it is signed with the key of these metadata."""
    query = urllib.parse.urlsplit(asked["url"]).query
    said = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
    document = etree.fromstring(asked["metadata"].encode())
    certificate = x509.load_der_x509_certificate(base64.b64decode(find(document, D, "X509Certificate").text))
    signed = query[query.index("SAML") : query.index("&Signature=")].encode()
    assert said["SigAlg"] == RSA_SHA256
    certificate.public_key().verify(base64.b64decode(said["Signature"]), signed, padding.PKCS1v15(), hashes.SHA256())
    message = etree.fromstring(zlib.decompress(base64.b64decode(said.get("SAMLRequest") or said["SAMLResponse"]), -15))
    text = lambda namespace, name: [each.text for each in message.findall(".//" + tag(namespace, name))]
    return {
        **{name: message.get(name) for name in ("ID", "Destination", "InResponseTo", "AssertionConsumerServiceURL")},
        "what": etree.QName(message).localname,
        "state": said.get("RelayState"),
        "issuer": text(A, "Issuer"),
        "name": text(A, "NameID"),
        "sessions": text(P, "SessionIndex"),
        "status": [each.get("Value") for each in message.findall(".//" + tag(P, "StatusCode"))],
    }


ACTIONS = {"clock": set_clock, "read": read, "answer": answer, "verify": verify, "logout": logout, "metadata": described}
print(json.dumps({"entity": ENTITY, "metadata": metadata([CERTIFICATE])}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(ACTIONS[asked["do"]](asked)), flush=True)
