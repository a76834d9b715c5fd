import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Runs `body` with the address of a server that listens on a free port of this machine. */
export async function listening(server: Server, body: (base: string) => Promise<void>) {
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo;
  try {
    await body(`http://127.0.0.1:${port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
