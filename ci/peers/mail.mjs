// A real mail server. Prints its port, then every letter as one line of JSON; the first one it turns away for now, as a
// server does that wants to see whether the sender comes again. With a scheme ("smtps", or "smtp" for STARTTLS), a
// certificate and a key it takes letters from daam alone, over TLS, and says whom it denied and what broke off.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.DAAM_PEERS + "/package.json");
const { SMTPServer } = require("smtp-server");

let letters = 0;
const print = (told) => process.stdout.write(JSON.stringify(told) + "\n");
const [scheme, certificate, key] = process.argv.slice(2);
const guarded = {
  secure: scheme === "smtps",
  cert: certificate && readFileSync(certificate),
  key: key && readFileSync(key),
  onAuth({ username, password }, _session, done) {
    if (username === "daam" && password === "planted-secret") {
      return done(null, { user: username });
    }
    print({ denied: username });
    done(new Error("no"));
  },
};
const server = new SMTPServer({
  ...(scheme ? guarded : { authOptional: true, disabledCommands: ["AUTH", "STARTTLS"] }),
  onData(stream, session, done) {
    const parts = [];
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => {
      letters += 1;
      if (letters === 1) {
        print({ refused: true });
        return done(Object.assign(new Error("come again"), { responseCode: 451 }));
      }
      const { mailFrom, rcptTo } = session.envelope;
      const how = scheme ? { by: session.user, secure: session.secure } : {};
      for (const { address } of rcptTo) {
        print({ from: mailFrom.address, to: address, text: Buffer.concat(parts).toString(), ...how });
      }
      done();
    });
  },
});
server.on("error", () => print({ broken: true }));
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.server.address().port}\n`));
process.stdin.on("end", () => process.exit(0)).resume();
