import assert from "node:assert/strict";
import { test } from "node:test";

import { Graph } from "../src/graph.js";

function graph(...edges: [string, string][]): Graph {
  const made = new Graph();
  for (const [from, to] of edges) made.add({ from, to, kind: "knows" });
  return made;
}

test("neighbours are named once, in order", () => {
  assert.deepEqual(graph(["a", "c"], ["a", "b"], ["a", "c"]).neighbours("a"), ["b", "c"]);
});

test("the shortest path is found", () => {
  const found = graph(["a", "b"], ["b", "c"], ["c", "d"], ["a", "d"]).path("a", "d");
  assert.deepEqual(found, ["a", "d"]);
});

test("there is no path against the direction of a relation", () => {
  assert.equal(graph(["a", "b"]).path("b", "a"), undefined);
});

test("an entity without a name is refused", () => {
  assert.throws(() => graph(["", "b"]), RangeError);
});
