// A real mail server. Prints its port, then every letter as one line of JSON; the first one it turns away for now, as a
// server does that wants to see whether the sender comes again.
import { createRequire } from "node:module";

const require = createRequire(process.env.DAAM_PEERS + "/package.json");
const { SMTPServer } = require("smtp-server");

let letters = 0;
const print = (told) => process.stdout.write(JSON.stringify(told) + "\n");
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ["AUTH", "STARTTLS"],
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
      for (const { address } of rcptTo) {
        print({ from: mailFrom.address, to: address, text: Buffer.concat(parts).toString() });
      }
      done();
    });
  },
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.server.address().port}\n`));
process.stdin.on("end", () => process.exit(0)).resume();
