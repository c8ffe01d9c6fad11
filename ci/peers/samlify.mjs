// Another SAML identity provider (samlify): one JSON object per line, answered by one. Prints its metadata first.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(process.env.DAAM_PEERS + "/package.json");
const samlify = require("samlify");
// It checks schemas only with a validator that needs Java; signatures it checks itself.
samlify.setSchemaValidator({ validate: async () => "ok" });

const place = mkdtempSync(join(tmpdir(), "samlify-"));
const [key, certificate] = ["key.pem", "cert.pem"].map((name) => join(place, name));
const wanted = ["-subj", "/CN=idp", "-days", "2", "-keyout", key, "-out", certificate];
execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...wanted], { stdio: "ignore" });
const [privateKey, signingCert] = [key, certificate].map((file) => readFileSync(file, "utf8"));
rmSync(place, { recursive: true });

const redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const persistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
const entityID = "https://idp.example/samlify";
const attributes = ["email", "groups"].map((name) => ({
  name,
  valueTag: name,
  nameFormat: "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
  valueXsiType: "xs:string",
}));
const { context } = samlify.SamlLib.defaultLoginResponseTemplate;
const idp = samlify.IdentityProvider({
  entityID,
  privateKey,
  signingCert,
  isAssertionEncrypted: false,
  wantAuthnRequestsSigned: true,
  wantLogoutRequestSigned: true,
  wantLogoutResponseSigned: true,
  requestSignatureAlgorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
  nameIDFormat: [persistent],
  singleSignOnService: [{ Binding: redirect, Location: "https://idp.example/sso" }],
  singleLogoutService: [{ Binding: redirect, Location: "https://idp.example/slo" }],
  loginResponseTemplate: { context, attributes },
});
let sp;
const asked = (url) => {
  const { search, searchParams } = new URL(url);
  const octetString = search.slice(search.indexOf("SAML"), search.indexOf("&Signature="));
  return { query: Object.fromEntries(searchParams), octetString };
};
const at = (minutes) => new Date(Date.now() + minutes * 60000).toISOString();
let number = 0;

const actions = {
  know: ({ metadata }) => void (sp = samlify.ServiceProvider({ metadata, wantLogoutResponseSigned: true, wantLogoutRequestSigned: true })),
  read: async ({ url, metadata }) => {
    sp ??= samlify.ServiceProvider({ metadata });
    const envelope = asked(url);
    if (envelope.query.SAMLResponse) {
      const { extract } = await idp.parseLogoutResponse(sp, "redirect", envelope);
      return { what: "LogoutResponse", state: envelope.query.RelayState, request: extract.response.inResponseTo };
    }
    if (url.startsWith("https://idp.example/slo")) {
      const { extract } = await idp.parseLogoutRequest(sp, "redirect", envelope);
      return { what: "LogoutRequest", name: [extract.nameID], sessions: [extract.sessionIndex] };
    }
    const { extract } = await idp.parseLoginRequest(sp, "redirect", envelope);
    return {
      what: "AuthnRequest",
      ID: extract.request.id,
      AssertionConsumerServiceURL: extract.request.assertionConsumerServiceUrl,
      issuer: [extract.issuer],
      state: envelope.query.RelayState,
    };
  },
  answer: async ({ request, acs, audience, subject = "bo", email = "bo@example.com", groups = "idp-dba" }) => {
    const filled = (template) => {
      const id = `_samlify${++number}`;
      const statement = `<saml:AuthnStatement AuthnInstant="${at(0)}" SessionIndex="s1"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`;
      const values = {
        ID: id,
        AssertionID: `_assertion${number}-${Date.now()}`,
        Destination: acs,
        Audience: audience,
        EntityID: audience,
        SubjectRecipient: acs,
        AssertionConsumerServiceURL: acs,
        Issuer: entityID,
        IssueInstant: at(0),
        StatusCode: "urn:oasis:names:tc:SAML:2.0:status:Success",
        ConditionsNotBefore: at(-1),
        ConditionsNotOnOrAfter: at(5),
        SubjectConfirmationDataNotOnOrAfter: at(5),
        NameIDFormat: persistent,
        NameID: subject,
        InResponseTo: request,
        AuthnStatement: "",
        attrEmail: email,
        attrGroups: groups,
      };
      const text = samlify.SamlLib.replaceTagsByValue(template.replace("{AuthnStatement}", statement), values);
      return { id, context: text };
    };
    const info = { extract: { request: { id: request } } };
    const made = await idp.createLoginResponse(sp, info, "post", { email }, filled);
    return { response: made.context };
  },
  logout: async ({ by, subject, sessions: [sessionIndex] }) => {
    const made = idp.createLogoutRequest(sp, by, { logoutNameID: subject, sessionIndex }, "state");
    return by === "post" ? { form: made.context } : { query: made.context.slice(made.context.indexOf("?") + 1) };
  },
};

process.stdout.write(JSON.stringify({ entity: entityID, metadata: idp.getMetadata() }) + "\n");
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  process.stdout.write(JSON.stringify((await actions[said.do](said)) ?? {}) + "\n");
}
