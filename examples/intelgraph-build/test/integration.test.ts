import assert from "node:assert/strict";
import { test } from "node:test";

import { Graph } from "../src/graph.js";
import { serve } from "../src/server.js";
import { listening } from "./listening.js";

test("what is posted can be asked for, and nonsense is refused", async () => {
  await listening(serve(new Graph()), async (base) => {
    const post = (body: string) => fetch(`${base}/relations`, { method: "POST", body });
    assert.equal((await post('{"from":"a","to":"b","kind":"knows"}')).status, 201);
    assert.equal((await post("nonsense")).status, 400);
    const found = await fetch(`${base}/path?from=a&to=b`);
    assert.deepEqual(await found.json(), { path: ["a", "b"] });
    assert.equal((await fetch(`${base}/path?from=b&to=a`)).status, 404);
  });
});
