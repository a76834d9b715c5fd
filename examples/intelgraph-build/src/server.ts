// The graph over HTTP: POST /relations, GET /path?from=a&to=b.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { Graph, type Relation } from "./graph.js";

const BODY_BYTES_MAX = 64 * 1024;

export function serve(graph: Graph): Server {
  return createServer((request, response) => {
    handle(graph, request, response).catch((error: unknown) => {
      answer(response, 500, { error: error instanceof Error ? error.message : "failed" });
    });
  });
}

async function handle(graph: Graph, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (request.method === "POST" && url.pathname === "/relations") {
    const relation = parse(await read(request));
    if (relation === undefined) return answer(response, 400, { error: "expected from, to and kind" });
    graph.add(relation);
    return answer(response, 201, relation);
  }
  if (request.method === "GET" && url.pathname === "/path") {
    const [from, to] = [url.searchParams.get("from"), url.searchParams.get("to")];
    if (!from || !to) return answer(response, 400, { error: "expected from and to" });
    const path = graph.path(from, to);
    return path ? answer(response, 200, { path }) : answer(response, 404, { error: "no path" });
  }
  return answer(response, 404, { error: "no such route" });
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw new RangeError("the body is too large");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string): Relation | undefined {
  try {
    const { from, to, kind } = JSON.parse(text) as Partial<Relation>;
    return from && to && kind ? { from, to, kind } : undefined;
  } catch {
    return undefined;
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
