// A provider that lies in the way its standard input said last: a line per lie.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.DAAM_PEERS + "/package.json");
const { OAuth2Server } = await import(pathToFileURL(require.resolve("oauth2-mock-server")).href);
const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
const evil = generateKeyPairSync("rsa", { modulusLength: 2048 });
await server.start(0, "localhost");
let lie = "none";
let clientId = "daam";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const lies = {
  nonce: (payload) => (payload.nonce = "another"),
  "no nonce": (payload) => delete payload.nonce,
  audience: (payload) => (payload.aud = "somebody-else"),
  issuer: (payload) => (payload.iss = "https://other.example"),
  expired: (payload) => (payload.exp = 1),
  "no session": (payload) => delete payload.sid,
};

server.service.on("beforeTokenSigning", (token) => {
  token.payload.aud = clientId;
  token.payload.sub = "mallory";
  token.payload.sid = "S1";
  lies[lie]?.(token.payload);
  if (lie.startsWith("issuer ")) {
    token.payload.iss = lie.slice(7);
  }
});
server.service.on("beforeResponse", (response) => {
  const [header, payload] = response.body.id_token.split(".");
  const read = JSON.parse(Buffer.from(header, "base64url"));
  if (lie === "unsigned") {
    response.body.id_token = `${part({ ...read, alg: "none" })}.${payload}.`;
  }
  if (lie === "shared secret" || lie === "key as secret") {
    const jwk = server.issuer.keys.toJSON()[0];
    const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
    const signed = `${part({ ...read, alg: "HS256" })}.${payload}`;
    const secret = lie === "shared secret" ? "planted-secret-of-the-client" : pem;
    response.body.id_token = `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
  }
  if (lie === "another key") {
    const signature = sign("RSA-SHA256", Buffer.from(`${header}.${payload}`), evil.privateKey);
    response.body.id_token = `${header}.${payload}.${signature.toString("base64url")}`;
  }
  if (lie === "no token") {
    delete response.body.id_token;
  }
});
server.service.on("beforeUserinfo", (response) => {
  response.body = { sub: lie === "another person" ? "ana" : "mallory", email: "mallory@example.com", email_verified: lie !== "unverified" };
});
process.stdout.write(server.issuer.url + "\n");

// A logout token of a session and nobody, with what is to be different about it.
async function loggedOut({ claims, header, forged }) {
  const token = await server.issuer.buildToken({
    scopesOrTransform: (head, payload) => {
      const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
      Object.assign(head, { typ: "logout+jwt" }, header);
      Object.assign(payload, { aud: clientId, sid: "S1", events }, claims);
    },
  });
  const [head, payload] = token.split(".");
  const signature = sign("RSA-SHA256", Buffer.from(`${head}.${payload}`), evil.privateKey);
  return forged ? `${head}.${payload}.${signature.toString("base64url")}` : token;
}

// A job's token, shaped as GitHub Actions make theirs; the newest key signs. "how" is what is wrong about the way it is made.
function job({ claims = {}, header = {}, how, audience }) {
  const key = server.issuer.keys.toJSON(true).at(-1);
  const ours = createPrivateKey({ key, format: "jwk" });
  const pem = createPublicKey(ours).export({ type: "spki", format: "pem" });
  const now = Math.floor(Date.now() / 1000);
  const said = { repository: "acme/shop", repository_owner: "acme", ref: "refs/heads/main", run_id: 7 };
  const times = { iat: now, nbf: now, exp: now + 300 };
  const subject = "repo:acme/shop:ref:refs/heads/main";
  const payload = { iss: server.issuer.url, sub: subject, aud: audience, jti: randomUUID(), ...times, ...said, ...claims };
  const head = { alg: "RS256", typ: "JWT", kid: key.kid, ...header };
  const made = (head, signer = ours, payloads = [payload, payload]) => {
    const message = (payload) => `${part(head)}.${part(payload)}`;
    return `${message(payloads[1])}.${sign("RSA-SHA256", Buffer.from(message(payloads[0])), signer).toString("base64url")}`;
  };
  const confused = `${part({ ...head, alg: "HS256" })}.${part(payload)}`;
  const ways = {
    forged: () => made(head, evil.privateKey),
    unsigned: () => `${part({ ...head, alg: "none" })}.${part(payload)}.`,
    "key as secret": () => `${confused}.${createHmac("sha256", pem).update(confused).digest("base64url")}`,
    "own key": () => made({ ...head, jwk: evil.publicKey.export({ format: "jwk" }), kid: undefined }, evil.privateKey),
    edited: () => made(head, ours, [payload, { ...payload, edited: true }]),
  };
  return (ways[how] ?? (() => made(head)))();
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith("logout ")) {
    process.stdout.write((await loggedOut(JSON.parse(line.slice(7)))) + "\n");
    continue;
  }
  if (line.startsWith("job ")) {
    process.stdout.write(job(JSON.parse(line.slice(4))) + "\n");
    continue;
  }
  if (line === "rotate") {
    await server.issuer.keys.generate("RS256");
  }
  lie = line;
  process.stdout.write("ok\n");
}
process.exit(0);
