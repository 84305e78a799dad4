// An upstream that waits as the query of a call says, and notes by the call's request id when its caller let go of it:
// `?silent` never responds; `?pieces=3&every_ms=20` sends pieces with pauses, and `&endless` is silent after the last.
import { createServer } from "node:http";
import { listen } from "../../local/listen.mjs";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const PIECE = "data: 0123456789\n\n";
const RESPONSE = '{"model":"demo-1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}';

async function respond(query, response) {
  const number = (name) => Number(query.get(name) ?? 0);
  await sleep(number("head_ms"));
  if (!query.has("pieces"))
    return response.writeHead(200, { "content-type": "application/json" }).end(RESPONSE);
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (let i = 0; i < number("pieces") && !response.destroyed; i++) {
    response.write(PIECE);
    await sleep(number("every_ms"));
  }
  if (!query.has("endless")) response.end();
}

/** Starts it. `calls` are by request id: `{ method, bodyBytes, body, closedAt }`; `closedAt` is the time of the break. */
export async function startPatient() {
  const calls = new Map();
  const note = (request, socket) => {
    const call = {
      method: request.method,
      headers: request.headers,
      bodyBytes: 0,
      body: "",
      closedAt: undefined,
    };
    calls.set(request.headers["x-request-id"], call);
    socket.on("error", () => {});
    return call;
  };
  const server = createServer((request, response) => {
    const call = note(request, request);
    request.on("data", (data) => {
      call.bodyBytes += data.length;
      if (call.body.length < 1_000) call.body += data;
    });
    response.on("close", () => {
      if (!response.writableFinished) call.closedAt = Date.now();
    });
    const { searchParams } = new URL(request.url, "http://patient");
    if (!searchParams.has("silent")) request.on("end", () => respond(searchParams, response));
  });
  // An upgrade is never answered.
  server.on("upgrade", (request, socket) => {
    const call = note(request, socket);
    socket.on("close", () => (call.closedAt = Date.now()));
  });
  const port = await listen(server);
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${port}`, calls, close };
}
