// An upstream that waits as the query of a call says, and notes when its caller let go of it: `?silent` never responds;
// `?pieces=3&every_ms=20` sends pieces with pauses, with `&endless` it is silent after the last; `head_ms`, `status` and
// `length` are of the head. Its path `/late` responds after a second, whatever the query says.
import { createServer } from "node:http";
import { listen } from "../../local/listen.mjs";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const PIECE = "data: 0123456789\n\n";
const RESPONSE = '{"model":"demo-1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}';

async function respond({ pathname, searchParams }, response) {
  const query = pathname.startsWith("/late") ? new URLSearchParams("head_ms=1000") : searchParams;
  const number = (name) => Number(query.get(name) ?? 0);
  if (query.has("silent")) return;
  await sleep(number("head_ms"));
  const [type, length] = [query.has("pieces") ? "text/event-stream" : "application/json", number("length")];
  const headers = { "content-type": type, ...(length > 0 && { "content-length": length }) };
  response.writeHead(number("status") || 200, headers);
  if (!query.has("pieces")) return response.end(RESPONSE);
  for (let i = 0; i < number("pieces") && !response.destroyed; i++) {
    response.write(PIECE);
    await sleep(number("every_ms"));
  }
  if (!query.has("endless")) response.end();
}

/**
 * Starts it. `heard` are the calls so far, and `calls` the last ones by their request ids: `{ id, url, bodyBytes, closedAt }`,
 * where `closedAt` is the time at which the caller let go before the response had ended.
 */
export async function startPatient() {
  const calls = new Map();
  const heard = [];
  const note = (request, socket) => {
    const id = request.headers["x-request-id"];
    const call = { id, url: request.url, bodyBytes: 0, closedAt: undefined };
    calls.set(id, call);
    heard.push(call);
    socket.on("error", () => {});
    return call;
  };
  const server = createServer((request, response) => {
    const call = note(request, request);
    request.on("data", (data) => (call.bodyBytes += data.length));
    response.on("close", () => {
      if (!response.writableFinished) call.closedAt = Date.now();
    });
    request.on("end", () => respond(new URL(request.url, "http://patient"), response));
  });
  // An upgrade is never answered.
  server.on("upgrade", (request, socket) => {
    const call = note(request, socket);
    socket.on("close", () => (call.closedAt = Date.now()));
    socket.on("end", () => socket.destroy()).resume();
  });
  const port = await listen(server);
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${port}`, calls, heard, close };
}
