import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

test("the built program serves a path over three entities", async () => {
  const port = await freePort();
  const main = fileURLToPath(new URL("../src/main.js", import.meta.url));
  const program = spawn(process.execPath, [main], { env: { ...process.env, PORT: String(port) } });
  try {
    await once(program.stdout, "data");
    const base = `http://127.0.0.1:${port}`;
    for (const [from, to] of [["a", "b"], ["b", "c"]]) {
      const body = JSON.stringify({ from, to, kind: "knows" });
      assert.equal((await fetch(`${base}/relations`, { method: "POST", body })).status, 201);
    }
    const found = await fetch(`${base}/path?from=a&to=c`);
    assert.deepEqual(await found.json(), { path: ["a", "b", "c"] });
  } finally {
    program.kill();
  }
});
