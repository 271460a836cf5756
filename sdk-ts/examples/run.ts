// Runs one command on a server and passes on what it says, as it comes: `node run.ts URL COMMAND [ARGUMENT…]`.

import { connect } from "codex-exec-server-sdk";

const [url, ...argv] = process.argv.slice(2);
if (url === undefined || argv.length === 0) {
  console.error("usage: run URL COMMAND [ARGUMENT...]");
  process.exit(2);
}
const token = process.env["EXEC_SERVER_TOKEN"];
await using client = await connect(url, { ...(token !== undefined && { token }) });
await using remote = await client.process.start({ argv });
for await (const event of remote) {
  switch (event.type) {
    case "output":
      (event.stream === "stderr" ? process.stderr : process.stdout).write(event.bytes);
      break;
    case "gap":
      console.error(`${event.bytes ?? "some"} bytes are not retained any more`);
      break;
    case "exited":
      process.exitCode = event.exitCode;
      break;
    case "closed":
      break;
    default:
      event satisfies never;
  }
}
