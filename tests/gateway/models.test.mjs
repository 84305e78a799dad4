// The models that a token may call, as bodies, paths and queries of calls name them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
let token;
before(async () => {
  system = await startOnSockets({ faults: true });
  const speaks = (provider) => ({ settings: { ai: { provider } } });
  await putRoutes(system, [
    ["/api/openai", "/v1", speaks("openai")],
    ["/api/gemini", "/echo", speaks("gemini")],
    ["/api/realtime", "/socket", speaks("openai")],
    ["/api/echo", "/echo"],
  ]);
  const limits = { models: ["gpt-4o*", "gemini-*-flash"], critical: ["models"] };
  token = await putToken(system, { id: "tok_models", limits });
  await eventually(async () => (await call("/api/echo")).status === 200);
});
after(() => system?.stop());

const call = (path, options = {}) =>
  system.gateway(path, { ...options, headers: { "x-api-key": token, ...options.headers } });
const chat = (body, headers = {}) =>
  call("/api/openai/chat/completions", {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify({ messages: [], ...body }),
    headers: { "content-type": "application/json", ...headers },
  });

async function assertRefused(response) {
  assert.equal(response.status, 403);
  const { code, error } = await response.json();
  assert.deepEqual({ code, error }, { code: "model-not-allowed", error: "Permission Denied" });
}

test("a model of the list is called, streamed or not", async () => {
  for (const body of [{ model: "gpt-4o-mini" }, { model: "gpt-4o", stream: true }]) {
    const response = await chat(body);
    assert.equal(response.status, 200);
    await response.text();
  }
});

test("another model, a second one and none are refused, and nothing is sent", async () => {
  for (const body of [
    { model: "o1" },
    { model: "o1", stream: true },
    {},
    { model: "gpt-4o", models: ["gpt-4o-mini", "o1"] },
    '{"model":"gpt-4o","model":"o1","messages":[]}',
    "no json",
  ])
    await assertRefused(await chat(body));
  const form = new FormData();
  form.set("model", "gpt-4o");
  await assertRefused(await call("/api/openai/audio/transcriptions", { method: "POST", body: form }));
});

test("the model of a path counts, not that of the body", async () => {
  const generate = (model, named) =>
    call(`/api/gemini/models/${model}:generateContent`, {
      method: "POST",
      body: JSON.stringify({ model: named }),
    });
  assert.equal((await generate("gemini-2.5-flash", "gpt-4o")).status, 200);
  await assertRefused(await generate("gemini-2.5-pro", "gpt-4o"));
});

test("a socket's model is that of its query", async () => {
  const opened = (query) =>
    new Promise((resolve) => {
      const url = `${system.urls.gateway.replace("http", "ws")}/api/realtime${query}`;
      const socket = new WebSocket(url, { headers: { "x-api-key": token } });
      socket.on("open", () => (socket.close(), resolve(101)));
      socket.on("unexpected-response", (_request, response) => resolve(response.statusCode));
      socket.on("error", () => {});
    });
  assert.equal(await opened("?model=gpt-4o-realtime"), 101);
  for (const query of ["", "?model=o1", "?model=gpt-4o&model=o1"])
    assert.equal(await opened(query), 403, query);
});

test("calls that cost nothing and routes without AI name no model", async () => {
  assert.equal((await call("/api/openai/models")).status, 200);
  assert.equal((await call("/api/echo", { method: "POST", body: '{"model":"o1"}' })).status, 200);
});

test("a refused model is recorded with its outcome", async () => {
  const id = `req_${crypto.randomUUID()}`;
  await chat({ model: "o1" }, { "x-request-id": id });
  const [event] = await eventually(async () => {
    const found = await system.usage.events({ token_id: "tok_models" });
    const mine = found.filter(({ request_id }) => request_id === id);
    return mine.length > 0 && mine;
  });
  assert.equal(event.outcome, "denied-model");
});
