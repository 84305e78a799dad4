// A page on the UI's port for as long as the UI is being built.
import { createServer } from "node:http";

const PAGE = `<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <meta http-equiv="refresh" content="5" />
  <title>Token Manager</title>
  <p>The UI is being built. The gateway and the API answer already; this page opens the UI once it is ready.</p>
</html>
`;

/** Responds to every request with 503 and a page that reloads by itself. */
export async function startWaitingPage(port) {
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "retry-after": "5",
  };
  const server = createServer((_request, response) => response.writeHead(503, headers).end(PAGE));
  await new Promise((resolve, reject) =>
    server.once("error", reject).listen(port, "127.0.0.1", () => resolve(undefined)),
  );
  return {
    /** Frees the port. */
    dispose: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}
