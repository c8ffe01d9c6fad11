// A real Chromium, told what to do by one JSON object per line and answering each with one. It clicks and reads as
// people and screen readers do: by role and name, not by selectors.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(process.env.DAAM_PEERS + "/package.json");
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

const browser = await chromium.launch({
  executablePath: process.env.DAAM_CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ],
});
const context = await browser.newContext({ acceptDownloads: false });
context.setDefaultTimeout(20000);
const page = await context.newPage();
const complaints = [];
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));

// Authenticators of Chromium's own, one at a time: {protocol, transport, hasResidentKey, hasUserVerification, …}.
const devtools = await context.newCDPSession(page);
await devtools.send("WebAuthn.enable", { enableUI: false });
let authenticator = null;
async function plug(options) {
  if (authenticator) {
    await devtools.send("WebAuthn.removeVirtualAuthenticator", authenticator);
  }
  const always = { automaticPresenceSimulation: true };
  authenticator = await devtools.send("WebAuthn.addVirtualAuthenticator", { options: { ...always, ...options } });
}

const actions = {
  plug: ({ options }) => plug(options),
  verified: ({ value }) => devtools.send("WebAuthn.setUserVerified", { ...authenticator, isUserVerified: value }),
  credentials: async () => (await devtools.send("WebAuthn.getCredentials", authenticator)).credentials,
  alert: async () => {
    await page.locator("[role=alert]:not(:empty)").waitFor();
    return page.locator("[role=alert]").innerText();
  },
  until: async ({ text }) => void (await page.getByText(text).first().waitFor()),
  goto: async ({ url }) => (await page.goto(url)).status(),
  pressText: async ({ text }) => void (await page.getByText(text).first().click()),
  click: async ({ role, name }) => void (await page.getByRole(role, { name, exact: true }).first().click()),
  fill: async ({ label, value }) => void (await page.getByLabel(label, { exact: true }).fill(value)),
  fillIn: async ({ name, value }) => void (await page.locator(`[name=${name}]`).fill(value)),
  select: async ({ label, value }) => void (await page.getByLabel(label, { exact: true }).selectOption(value)),
  press: async ({ key }) => void (await page.keyboard.press(key)),
  text: () => page.locator("body").innerText(),
  url: () => page.url(),
  focused: () => page.evaluate(() => document.activeElement.textContent.trim()),
  scheme: async ({ value }) => void (await page.emulateMedia({ colorScheme: value })),
  cookies: () => context.cookies(),
  forget: async () => void (await context.clearCookies()),
  complaints: () => complaints.splice(0),
  axe: async () => {
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    process.stdout.write(JSON.stringify({ ok: (await actions[asked.do](asked)) ?? null }) + "\n");
  } catch (error) {
    process.stdout.write(JSON.stringify({ error: `${asked.do}: ${error.message}` }) + "\n");
  }
}
await browser.close();
