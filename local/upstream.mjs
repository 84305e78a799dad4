// The demo upstream: echo, an OpenAI-like endpoint, streams, redirects, slow and failing replies.
// It records what it received, which the end-to-end tests read.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { listen } from "./listen.mjs";
import { gzipSync } from "node:zlib";
import { WebSocketServer } from "ws";

const KEEP = 64 * 1024;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function json(response, status, value, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

/** Reads the body as it comes: counted and hashed whole, its first 64 KiB kept. */
async function readBody(request, record) {
  const hash = createHash("sha256");
  const kept = [];
  let keptBytes = 0;
  for await (const chunk of request) {
    record.body_bytes += chunk.length;
    hash.update(chunk);
    if (keptBytes < KEEP) {
      kept.push(chunk.subarray(0, KEEP - keptBytes));
      keptBytes += chunk.length;
    }
  }
  record.body_sha256 = hash.digest("hex");
  record.body = Buffer.concat(kept).toString("utf8");
}

function echo(response, url, record) {
  json(response, 200, {
    method: record.method,
    path: url.pathname,
    query: url.search,
    headers: record.headers,
    body: record.body,
    body_bytes: record.body_bytes,
    body_sha256: record.body_sha256,
  });
}

async function events(response, lines, interval) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  for (const [i, line] of lines.entries()) {
    if (i > 0) await sleep(interval);
    if (response.destroyed) return;
    response.write(`data: ${typeof line === "function" ? line() : line}\n\n`);
  }
  response.end();
}

async function chat(response, record) {
  let asked;
  try {
    asked = JSON.parse(record.body);
  } catch {
    return json(response, 400, { error: { message: "the body is no JSON", type: "invalid_request_error" } });
  }
  const model = asked.model ?? "demo-1";
  const words = ["Hello", " from", " the", " demo", " upstream", "."];
  const usage = { prompt_tokens: 9, completion_tokens: words.length, total_tokens: 9 + words.length };
  const base = { id: "chatcmpl-demo", created: Math.floor(Date.now() / 1000), model };
  if (!asked.stream) {
    const message = { role: "assistant", content: words.join("") };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    return json(response, 200, { ...base, object: "chat.completion", choices, usage });
  }
  const chunk = (choices, extra = {}) =>
    JSON.stringify({ ...base, object: "chat.completion.chunk", choices, ...extra });
  const deltas = words.map((content) => chunk([{ index: 0, delta: { content }, finish_reason: null }]));
  const last = asked.stream_options?.include_usage ? [chunk([], { usage })] : [];
  await events(response, [...deltas, ...last, "[DONE]"], 150);
}

/** `n` bytes of a repeating pattern, with support for `Range`, as fast as the reader accepts them. */
async function bytes(request, response, url) {
  const total = Number(url.searchParams.get("n") ?? 1024);
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const from = range ? Number(range[1]) : 0;
  const to = range && range[2] ? Math.min(Number(range[2]), total - 1) : total - 1;
  const headers = {
    "content-type": "application/octet-stream",
    "content-length": String(to - from + 1),
    "accept-ranges": "bytes",
  };
  if (range) headers["content-range"] = `bytes ${from}-${to}/${total}`;
  response.writeHead(range ? 206 : 200, headers);
  if (request.method === "HEAD") return response.end();
  const block = Buffer.alloc(1 << 20, "0123456789abcdef");
  for (let at = from; at <= to && !response.destroyed;) {
    const size = Math.min(block.length - (at % 16), to - at + 1);
    if (!response.write(block.subarray(at % 16, (at % 16) + size))) {
      await new Promise((resolve) => response.once("drain", resolve).once("close", resolve));
    }
    at += size;
  }
  response.end();
}

let issued = 0;

const handlers = {
  echo: ({ response, url, record }) => echo(response, url, record),
  health: ({ response }) => json(response, 200, { status: "ok" }),
  bytes: ({ request, response, url }) => bytes(request, response, url),
  sink: ({ response, record }) =>
    json(response, 200, { bytes: record.body_bytes, sha256: record.body_sha256 }),
  stream: ({ response, url }) => {
    const chunks = Number(url.searchParams.get("chunks") ?? 5);
    const lines = Array.from(
      { length: chunks },
      (_, i) => () => JSON.stringify({ chunk: i, at: Date.now() }),
    );
    return events(response, lines, Number(url.searchParams.get("interval_ms") ?? 300));
  },
  slow: async ({ response, url }) => {
    await sleep(Number(url.searchParams.get("ms") ?? 1000));
    json(response, 200, { status: "late" });
  },
  status: ({ response, url }) => {
    const status = Number(url.pathname.split("/").at(-1));
    if (status === 204 || status === 304) return response.writeHead(status).end();
    json(response, status, { status });
  },
  redirect: ({ response, url }) => {
    const status = Number(url.searchParams.get("status") ?? 302);
    response.writeHead(status, {
      location: url.searchParams.get("to") ?? "/echo",
      "set-cookie": ["hop=1; Path=/", "two=2; Path=/echo"],
    });
    response.end();
  },
  cookies: ({ response }) => {
    const cookies = [
      "a=1; Path=/; Domain=demo.example; HttpOnly",
      "b=2; Path=/cookies/deep; Secure",
      "c=3; Expires=Wed, 21 Oct 2037 07:28:00 GMT",
    ];
    json(response, 200, { status: "ok" }, { "set-cookie": cookies });
  },
  /** The headers of `?h=[[name, value], …]`; a value `$name` is the request's header of that name. */
  says: ({ response, url, record }) => {
    const pairs = JSON.parse(url.searchParams.get("h") ?? "[]").map(([name, value]) => [
      name,
      value.startsWith("$") ? (record.headers[value.slice(1)] ?? "") : value,
    ]);
    response.writeHead(200, [["content-type", "application/json"], ...pairs].flat());
    response.end("{}");
  },
  gzip: ({ response }) => {
    response.writeHead(200, { "content-type": "text/plain", "content-encoding": "gzip" });
    response.end(gzipSync("squeezed ".repeat(100)));
  },
  /** A token by the client credentials grant, refused to all but `client:s3cret`; from `/slow/4` it comes after a second and lives 4 s. */
  token: async ({ response, url, record }) => {
    const [, , kind, life] = url.pathname.split("/");
    if (kind === "endless") {
      response.writeHead(200, { "content-type": "application/json" });
      while (!response.destroyed) response.write(" ".repeat(32_768)) || (await sleep(10));
      return;
    }
    if (kind === "slow") await sleep(1_000);
    const form = new URLSearchParams(record.body);
    const basic = `Basic ${Buffer.from("client:s3cret").toString("base64")}`;
    const isKnown =
      record.headers.authorization === basic ||
      (form.get("client_id") === "client" && form.get("client_secret") === "s3cret");
    if (!isKnown || form.get("grant_type") !== "client_credentials")
      return json(response, 401, { error: "invalid_client" });
    issued += 1;
    const token = `at_${issued}_${form.get("scope") ?? ""}`;
    json(response, 200, { access_token: token, token_type: "Bearer", expires_in: Number(life ?? 3600) });
  },
  /** Echo for a caller with the token that was issued last. */
  protected: ({ response, url, record }) =>
    record.headers.authorization?.startsWith(`Bearer at_${issued}_`)
      ? echo(response, url, record)
      : json(response, 401, { error: "invalid_token" }),
  /** From now on the token that was issued last is refused. */
  withdraw: ({ response }) => {
    issued += 1;
    json(response, 200, { status: "ok" });
  },
  reset: ({ response }) => response.destroy(),
  "reset-after": async ({ response, url }) => {
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": "1000000" });
    response.write(Buffer.alloc(Number(url.searchParams.get("bytes") ?? 1000), "x"));
    await sleep(100);
    response.destroy();
  },
};

const used = { input_tokens: 36, output_tokens: 87, total_tokens: 123 };
const completion = {
  id: "chatcmpl-demo",
  object: "chat.completion",
  model: "demo-1",
  choices: [],
  usage: { prompt_tokens: 9, completion_tokens: 6, total_tokens: 15 },
};

/** The responses of an AI's API besides chat: lists, uploads, work in the background, sound. By method and path. */
const answers = {
  "GET /v1/models": () => ({ object: "list", data: [{ id: "demo-1", object: "model" }] }),
  "POST /v1/files": () => ({ id: "file-demo", object: "file" }),
  "POST /v1/moderations": () => ({ id: "modr-demo", model: "demo-1", results: [{ flagged: false }] }),
  "POST /v1/batches": () => ({ id: "batch-demo", object: "batch", status: "validating" }),
  "GET /v1/batches/batch-demo": () => ({
    id: "batch-demo",
    object: "batch",
    status: "completed",
    usage: used,
  }),
  "GET /v1/chat/completions/chatcmpl-demo": () => completion,
  "GET /v1/responses/resp-demo": () => ({
    id: "resp-demo",
    object: "response",
    status: "completed",
    model: "demo-1",
    usage: used,
  }),
  "POST /v1/responses": (asked) => ({
    id: "resp-demo",
    object: "response",
    model: "demo-1",
    ...(asked.background ? { status: "queued", usage: null } : { status: "completed", usage: used }),
  }),
};

async function openai({ response, url, record }) {
  if (url.pathname === "/v1/chat/completions" && record.method === "POST") return chat(response, record);
  if (url.pathname === "/v1/audio/speech")
    return response.writeHead(200, { "content-type": "audio/mpeg" }).end(Buffer.alloc(4096, 1));
  const answer = answers[`${record.method} ${url.pathname}`];
  if (answer) {
    const isJson = record.headers["content-type"]?.startsWith("application/json");
    return json(response, 200, answer(isJson ? JSON.parse(record.body) : {}));
  }
  json(response, 404, { error: { message: `no such path ${url.pathname}`, type: "invalid_request_error" } });
}

/** Starts it; `requests` holds the received requests, oldest first, at most 1,000. */
export async function startUpstream({ port = 0, host = "127.0.0.1" } = {}) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url.replace(/^\/+/, "/"), "http://upstream");
    const record = {
      method: request.method,
      url: request.url,
      headers: request.headers,
      body_bytes: 0,
      body: "",
      aborted: false,
    };
    requests.push(record);
    if (requests.length > 1000) requests.shift();
    response.on("close", () => (record.aborted = !response.writableFinished));
    response.on("error", () => {});
    try {
      await readBody(request, record);
      const first = url.pathname.split("/")[1];
      const handler = first === "v1" ? openai : handlers[first];
      if (handler) await handler({ request, response, url, record });
      else json(response, 404, { status: "not found", path: url.pathname });
    } catch {
      record.aborted = true;
      response.destroy();
    }
  });
  // Every message comes back; `close` closes with a code of its own, `die` breaks the connection off.
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has("realtime") ? "realtime" : false),
  });
  server.on("upgrade", (request, socket, head) => {
    requests.push({
      method: request.method,
      url: request.url,
      headers: request.headers,
      body_bytes: 0,
      body: "",
    });
    if (!request.url.startsWith("/socket"))
      return socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (peer) => {
      peer.on("error", () => {});
      peer.on("message", (data, isBinary) => {
        if (String(data) === "close") return peer.close(4001, "as asked");
        if (String(data) === "die") return peer.terminate();
        peer.send(data, { binary: isBinary });
      });
    });
  });
  server.keepAliveTimeout = 60_000;
  const taken = await listen(server, port, host);
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://${host === "127.0.0.1" ? "localhost" : host}:${taken}`, requests, close };
}
