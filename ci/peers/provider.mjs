// A real OpenID Connect provider with people in it. Arguments: our redirect URI, and the people as JSON
// ({"ana": {"email": …, "email_verified": …, "groups": […]}}). Prints its issuer; any password is right. A line on its
// standard input is where it says from then on that somebody signed out. With a third argument, what tokens of jobs say,
// the client gets such a token for itself.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(process.env.DAAM_PEERS + "/package.json");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);
const [redirect, people, jobs] = process.argv.slice(2);
const known = JSON.parse(people);

// Jobs get a signed token for the audience they name.
const getResourceServerInfo = (_, audience) => ({
  scope: "",
  audience,
  accessTokenTTL: 300,
  accessTokenFormat: "jwt",
  jwt: { sign: { alg: "RS256" } },
});
const forJobs = { clientCredentials: { enabled: true }, resourceIndicators: { enabled: true, getResourceServerInfo } };

const server = createServer();
await new Promise((done) => server.listen(0, "localhost", done));
const issuer = `http://localhost:${server.address().port}`;
const made = (logout) => new Provider(issuer, {
  clients: [
    {
      client_id: "daam",
      client_secret: "planted-secret-of-the-client",
      redirect_uris: [redirect],
      ...(jobs ? { grant_types: ["authorization_code", "client_credentials"] } : {}),
      post_logout_redirect_uris: [],
      ...(logout ? { backchannel_logout_uri: logout, backchannel_logout_session_required: true } : {}),
    },
  ],
  claims: { openid: ["sub", "sid"], email: ["email", "email_verified"], groups: ["groups"] },
  scopes: ["openid", "email", "groups"],
  features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true }, ...(jobs ? forJobs : {}) },
  extraTokenClaims: () => (jobs ? JSON.parse(jobs) : undefined),
  formats: { customizers: { jwt: (_, token, jwt) => void (jwt.header = { ...jwt.header, typ: "JWT" }) } },
  // It does not speak to this machine unless told to, as it should not.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...known[id] }) }),
});
// What it could not tell us is told to whoever runs the test.
const told = (provider) => {
  provider.on("backchannel.error", (_, error) => console.error(error, error.cause));
  return provider.callback();
};
let answer = told(made());
server.on("request", (request, response) => answer(request, response));
process.stdout.write(issuer + "\n");
for await (const line of createInterface({ input: process.stdin })) {
  answer = told(made(line));
  process.stdout.write("ok\n");
}
process.exit(0);
