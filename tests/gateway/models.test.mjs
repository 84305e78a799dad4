// The models that a token may call, as bodies, paths and queries of calls name them.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import OpenAI, { toFile } from "openai";
import { WebSocket } from "ws";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
let token;
before(async () => {
  system = await startOnSockets({ faults: true });
  const speaks = (provider) => ({ settings: { ai: { provider } } });
  await putRoutes(system, [
    ["/api/openai", "/v1", speaks("openai")],
    ["/api/forms", "/echo", speaks("openai")],
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
});

const SOUND = new Blob([Buffer.alloc(100_000, "--\r\n\r\n")]);
/** Sends a form of these fields, in their order. */
const transcribe = (fields, path = "/api/forms/audio/transcriptions") => {
  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  return call(path, { method: "POST", body: form });
};

test("the model of a form is that of its field, wherever it is", async () => {
  const [model, file] = [
    ["model", "gpt-4o-transcribe"],
    ["file", SOUND],
  ];
  for (const fields of [[model, file], [file, model], [model]]) {
    const response = await transcribe(fields);
    assert.equal(response.status, 200);
    const { body_bytes: sent } = await response.json();
    assert.ok(sent > (fields.includes(file) ? SOUND.size : 0), "with the whole form");
  }
  for (const fields of [
    [file],
    [file, ["model", "whisper-1"]],
    [model, file, ["model", "whisper-1"]],
    [model, file, model],
    [["model", SOUND], file],
    [["Model", "gpt-4o"], file],
  ])
    await assertRefused(await transcribe(fields));
});

test("a form above 10 MiB is refused before it is read", async () => {
  const headers = {
    "x-api-key": token,
    "content-type": "multipart/form-data; boundary=b",
    "content-length": 11 << 20,
  };
  const url = `${system.urls.gateway}/api/forms/audio/transcriptions`;
  const status = await new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers }, (response) => resolve(response.statusCode));
    sent.on("error", reject).write('--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4o\r\n');
  });
  assert.equal(status, 403);
});

test("a form that two servers may read differently is refused", async () => {
  const sent = (body, type = "multipart/form-data; boundary=b") =>
    call("/api/forms/images/edits", { method: "POST", body, headers: { "content-type": type } });
  const field = (head, value) => `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`;
  const form = (...fields) => `${fields.join("")}--b--\r\n`;
  const model = field('name="model"', "gpt-4o");
  assert.equal((await sent(form(model))).status, 200);
  for (const other of [
    field('name="mod\\el"', "o1"),
    field("name*=utf-8''model", "o1"),
    field('name="x"; name="model"', "o1"),
    field('name="x"\r\nContent-Disposition: form-data; name="model"', "o1"),
    field('name="x"', `y\n--b\n${field('name="model"', "o1")}`),
  ])
    for (const fields of [
      [model, other],
      [other, model],
    ])
      await assertRefused(await sent(form(...fields)));
  await assertRefused(await sent(`${form(model)}${form(field('name="model"', "o1"))}`));
  await assertRefused(await sent(form(model), "multipart/form-data; boundary=b; boundary=c"));
  await assertRefused(await sent(form(model), "multipart/form-data; charset=utf-7; boundary=b"));
  await assertRefused(await sent(form(model), "application/json"));
});

test("a path's model counts for a form, too", async () => {
  const azure = (model) =>
    transcribe([["file", SOUND]], `/api/forms/deployments/${model}/audio/transcriptions`);
  const allowed = await azure("gpt-4o");
  assert.equal(allowed.status, 200);
  await allowed.text();
  await assertRefused(await azure("whisper-1"));
});

test("OpenAI's own client sends a form that is read", async () => {
  const client = new OpenAI({ apiKey: token, baseURL: `${system.urls.gateway}/api/forms`, maxRetries: 0 });
  const ask = async (model) => {
    const file = await toFile(Buffer.alloc(1_000), "a.mp3");
    return client.audio.transcriptions.create({ file, model }).asResponse();
  };
  assert.equal((await ask("gpt-4o-transcribe")).status, 200);
  await assert.rejects(ask("whisper-1"), /403/);
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
