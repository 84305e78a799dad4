// Vendors' own clients, unmodified: the base URL leads to the gateway, the key is a token. Each call's
// recorded usage is compared with the vendor's response.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { crc32 } from "node:zlib";
import Anthropic from "@anthropic-ai/sdk";
import * as S3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { GoogleGenAI } from "@google/genai";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import OpenAI, { toFile } from "openai";
import { byAws4fetch, keys, python, startS3 } from "../support/aws.mjs";
import { listen } from "../../local/listen.mjs";
import { as, eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { KEYS, startVendors } from "../support/vendors.mjs";

let system;
let vendors;
let s3;
let mcp;
let bedrock;

before(async () => {
  [system, vendors, s3, mcp, bedrock] = await Promise.all([
    startOnSockets(),
    startVendors(),
    startS3(["by-js", "by-python"]),
    startMcp(),
    startBedrock(),
  ]);
  const ai = (provider, credential) => ({ credential, settings: { ai: { provider } } });
  const aws = (service) => ({ kind: "aws_sigv4", ...keys, service });
  await putRoutes(system, [
    ["/api/openai", `${vendors.url}/openai/v1`, ai("openai", { kind: "bearer", token: KEYS.openai })],
    [
      "/api/anthropic",
      `${vendors.url}/anthropic`,
      ai("anthropic", { kind: "header", name: "x-api-key", value: KEYS.anthropic }),
    ],
    [
      "/api/google",
      `${vendors.url}/google`,
      ai("gemini", { kind: "header", name: "x-goog-api-key", value: KEYS.google }),
    ],
    ["/api/mcp", `${mcp.url}/mcp`, { credential: { kind: "bearer", token: "mcp-vendor" } }],
    ["/api/s3", s3.url, { credential: aws("s3") }],
    ["/api/bedrock", bedrock.url, ai("anthropic", aws("bedrock"))],
  ]);
  const token = await putToken(system);
  await eventually(
    async () =>
      (await system.gateway("/api/s3/by-js?list-type=2", { headers: { "x-api-key": token } })).status === 200,
  );
});
after(async () => {
  s3?.stop();
  await Promise.all([vendors?.close(), mcp?.close(), bedrock?.close(), system?.stop()]);
});

async function listening(server) {
  return {
    url: `http://127.0.0.1:${await listen(server)}`,
    close: () => (server.closeAllConnections?.(), server.close()),
  };
}

/** Makes a client with a token of its own, uses it once, and returns the result and the call's event. */
async function used(make, use) {
  const id = `tok_${randomBytes(6).toString("hex")}`;
  const answer = await use(make(await putToken(system, { id })));
  const [event] = await eventually(
    async () => {
      const { items } = (await as(system, "admin", "GET", `/api/usage/events?token_id=${id}`)).body;
      return items.length > 0 && items;
    },
    10_000,
    "the call's event",
  );
  return { answer, event };
}
const FIGURES = [
  "prompt_tokens",
  "cached_tokens",
  "cache_write_tokens",
  "completion_tokens",
  "reasoning_tokens",
];
const figures = (event) =>
  Object.fromEntries(FIGURES.filter((name) => event[name]).map((name) => [name, event[name]]));

const openai = (apiKey) =>
  new OpenAI({ apiKey, baseURL: `${system.urls.gateway}/api/openai`, maxRetries: 1 });
const prompt = { model: "gpt-4o", messages: [{ role: "user", content: "Hello" }] };

test("openai: chat, responses and embeddings are charged as the response says, plain and streamed", async () => {
  const ofChat = (usage) => ({
    prompt_tokens: usage.prompt_tokens,
    cached_tokens: usage.prompt_tokens_details.cached_tokens,
    completion_tokens: usage.completion_tokens,
    reasoning_tokens: usage.completion_tokens_details.reasoning_tokens,
  });
  const ofResponse = (usage) => ({
    prompt_tokens: usage.input_tokens,
    cached_tokens: usage.input_tokens_details.cached_tokens,
    completion_tokens: usage.output_tokens,
    reasoning_tokens: usage.output_tokens_details.reasoning_tokens,
  });
  const ask = { model: "gpt-5", input: "Hello" };
  const [plain, streamed, response, events, embedded] = await Promise.all([
    used(openai, (client) => client.chat.completions.create(prompt)),
    used(openai, (client) =>
      client.chat.completions
        .stream({ ...prompt, stream_options: { include_usage: true } })
        .finalChatCompletion(),
    ),
    used(openai, (client) => client.responses.create(ask)),
    used(openai, (client) => client.responses.stream(ask).finalResponse()),
    used(openai, (client) => client.embeddings.create({ model: "text-embedding-3-small", input: "Hello" })),
  ]);
  for (const { answer, event } of [plain, streamed]) {
    assert.equal(answer.choices[0].message.content, "Hello");
    assert.deepEqual(figures(event), ofChat(answer.usage));
    assert.equal(event.model, answer.model);
  }
  for (const { answer, event } of [response, events]) {
    assert.equal(answer.output_text, "Hello");
    assert.deepEqual(figures(event), ofResponse(answer.usage));
  }
  assert.deepEqual(embedded.answer.data[0].embedding, [0.5, -0.25, 1]);
  assert.deepEqual(figures(embedded.event), { prompt_tokens: embedded.answer.usage.prompt_tokens });
});

test("openai: calls without tokens count none, files and sound arrive whole, a refused call is tried again", async () => {
  const text = '{"a":"測試"}\n'.repeat(1000);
  const [models, file, speech, moderated] = await Promise.all([
    used(openai, async (client) => (await client.models.list()).data.map((model) => model.id)),
    used(openai, async (client) =>
      client.files.create({ file: await toFile(Buffer.from(text), "a.jsonl"), purpose: "fine-tune" }),
    ),
    used(openai, async (client) =>
      (await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "Hello" })).arrayBuffer(),
    ),
    used(openai, (client) => client.moderations.create({ input: "Hello" })),
  ]);
  assert.deepEqual([models.answer, figures(models.event)], [["gpt-4o"], {}]);
  assert.deepEqual([file.answer.bytes, figures(file.event)], [text.length, {}]);
  assert.deepEqual([...new Uint8Array(speech.answer)], [0xff, 0xfb, 0x90, 0x00]);
  assert.equal(moderated.answer.results[0].flagged, false);
  const { headers } = vendors.seen.findLast((call) => call.url.endsWith("/moderations"));
  assert.equal(headers["x-stainless-retry-count"], "1");
});

test("openai: the gateway's refusal becomes the client's own error", async () => {
  await assert.rejects(
    openai("ntk_unknown").models.list(),
    (error) => error instanceof OpenAI.AuthenticationError,
  );
});

const anthropicClient = (key) =>
  new Anthropic({ ...key, baseURL: `${system.urls.gateway}/api/anthropic`, maxRetries: 0 });
const anthropic = (apiKey) => anthropicClient({ apiKey });
/** As Claude Code sends its key: in both headers. */
const claudeCode = (authToken) => anthropicClient({ authToken, defaultHeaders: { "x-api-key": authToken } });

test("anthropic: messages are charged as the response says, plain and streamed; counting and listing use nothing", async () => {
  const ask = {
    model: "claude-sonnet-4-20250514",
    max_tokens: 100,
    messages: [{ role: "user", content: "Hello" }],
  };
  const of = (usage) => ({
    prompt_tokens: usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens,
    cached_tokens: usage.cache_read_input_tokens,
    cache_write_tokens: usage.cache_creation_input_tokens,
    completion_tokens: usage.output_tokens,
  });
  const plain = (client) => client.messages.create(ask);
  const streamed = (client) => client.messages.stream(ask).finalMessage();
  const [counted, models, ...messages] = await Promise.all([
    used(anthropic, (client) => client.messages.countTokens({ model: ask.model, messages: ask.messages })),
    used(anthropic, async (client) => (await client.models.list()).data.map((model) => model.id)),
    used(anthropic, plain),
    used(anthropic, streamed),
    used(claudeCode, streamed),
  ]);
  for (const { answer, event } of messages) {
    assert.equal(answer.content[0].text, "Hello");
    assert.deepEqual(figures(event), of(answer.usage));
    assert.equal(event.model, answer.model);
  }
  assert.equal(counted.answer.input_tokens, 2095);
  assert.equal(counted.event.completion_tokens, null);
  assert.deepEqual([models.answer, figures(models.event)], [["claude-sonnet-4-20250514"], {}]);
});

const google = (apiKey) =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: `${system.urls.gateway}/api/google` } });

test("google-genai: content is charged as the response says, plain and streamed; listing uses nothing", async () => {
  const ask = { model: "gemini-2.5-flash", contents: "Hello" };
  const of = (usage) => ({
    prompt_tokens: usage.promptTokenCount,
    cached_tokens: usage.cachedContentTokenCount,
    completion_tokens: usage.candidatesTokenCount + usage.thoughtsTokenCount,
    reasoning_tokens: usage.thoughtsTokenCount,
  });
  const [plain, streamed, models] = await Promise.all([
    used(google, (client) => client.models.generateContent(ask)),
    used(google, async (client) => Array.fromAsync(await client.models.generateContentStream(ask))),
    used(google, async (client) => Array.fromAsync(await client.models.list(), (model) => model.name)),
  ]);
  assert.equal(plain.answer.text, "Hello");
  assert.deepEqual(figures(plain.event), of(plain.answer.usageMetadata));
  assert.equal(streamed.answer.map((piece) => piece.text).join(""), "Hello");
  assert.deepEqual(figures(streamed.event), of(streamed.answer.at(-1).usageMetadata));
  assert.deepEqual([models.answer, figures(models.event)], [["models/gemini-2.5-flash"], {}]);
});

/** An MCP server with one tool, a session for each client. */
async function startMcp() {
  const sessions = new Map();
  const server = createServer(async (request, response) => {
    if (request.headers.authorization !== "Bearer mcp-vendor") return response.writeHead(401).end();
    let transport = sessions.get(request.headers["mcp-session-id"]);
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void sessions.set(id, transport),
        onsessionclosed: (id) => void sessions.delete(id),
      });
      const tools = new McpServer({ name: "tools", version: "1.0.0" });
      tools.registerTool("greet", {}, () => {
        tools.sendToolListChanged();
        return { content: [{ type: "text", text: "Hello" }] };
      });
      await tools.connect(transport);
    }
    await transport.handleRequest(request, response);
  });
  return { ...(await listening(server)), sessions };
}

test("mcp: a session starts, receives changes by its stream, and ends", async () => {
  const token = await putToken(system);
  const client = new Client({ name: "client", version: "1.0.0" });
  const told = new Promise((resolve) =>
    client.setNotificationHandler(ToolListChangedNotificationSchema, resolve),
  );
  const transport = new StreamableHTTPClientTransport(new URL(`${system.urls.gateway}/api/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  await client.connect(transport);
  assert.equal(mcp.sessions.size, 1);
  assert.ok(mcp.sessions.has(transport.sessionId));
  assert.deepEqual(
    (await client.listTools()).tools.map((tool) => tool.name),
    ["greet"],
  );
  assert.deepEqual((await client.callTool({ name: "greet" })).content, [{ type: "text", text: "Hello" }]);
  await told;
  await transport.terminateSession();
  assert.equal(mcp.sessions.size, 0);
  await client.close();
});

const s3Client = (token, more = {}) =>
  new S3.S3Client({
    endpoint: `${system.urls.gateway}/api/s3`,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: token, secretAccessKey: "unused" },
    maxAttempts: 1,
    ...more,
  });
const hello = Buffer.from("Hello, 世界\r\n0\r\n\r\n");

test("@aws-sdk/client-s3: objects arrive as they were sent, whatever their names", async () => {
  const client = s3Client(await putToken(system));
  const named = ["plain.txt", "a b+c&d=e.txt", "檔案/é ü.txt", "a=1,(2)!*'$@;:.txt", "a//b.txt"];
  const fetched = async (Key, more) =>
    Buffer.from(
      await (
        await client.send(new S3.GetObjectCommand({ Bucket: "by-js", Key, ...more }))
      ).Body.transformToByteArray(),
    );
  for (const Key of named) {
    await client.send(
      new S3.PutObjectCommand({
        Bucket: "by-js",
        Key,
        Body: hello,
        ContentType: "text/plain",
        Metadata: { by: "sdk" },
      }),
    );
    assert.deepEqual(await fetched(Key), hello, Key);
  }
  assert.deepEqual(await fetched("plain.txt", { Range: "bytes=2-4" }), hello.subarray(2, 5));
  const listed = await client.send(new S3.ListObjectsV2Command({ Bucket: "by-js" }));
  assert.deepEqual(
    listed.Contents.map((object) => object.Key).filter((key) => !key.includes("b.txt")),
    named.slice(0, 4).sort(),
  );

  // A stream goes in unsigned chunks with its checksum at the end, which the server compares.
  const streamed = Readable.from([hello.subarray(0, 5), hello.subarray(5)]);
  await client.send(
    new S3.PutObjectCommand({
      Bucket: "by-js",
      Key: "streamed",
      Body: streamed,
      ContentLength: hello.length,
      ContentEncoding: "gzip",
    }),
  );
  assert.deepEqual(await fetched("streamed"), hello);

  const large = randomBytes(6 << 20);
  const pieces = Readable.from([large.subarray(0, 2_000_000), large.subarray(2_000_000)]);
  await new Upload({ client, params: { Bucket: "by-js", Key: "large", Body: pieces } }).done();
  assert.ok(large.equals(await fetched("large")));

  await client.send(new S3.DeleteObjectCommand({ Bucket: "by-js", Key: "plain.txt" }));
  await assert.rejects(fetched("plain.txt"), { name: "NoSuchKey" });
});

// Java's and .NET's SDKs and MinIO's clients sign every chunk; none of them runs on Node.
test("an object sent in signed chunks is stored without them, and its checksum is compared", async () => {
  const token = await putToken(system);
  const signature = `;chunk-signature=${"0".repeat(64)}\r\n`;
  const data = `${hello.length.toString(16)}${signature}${hello}\r\n0${signature}`;
  const put = (Key, trailer) =>
    system.gateway(`/api/s3/by-js/${Key}`, {
      method: "PUT",
      body: `${data}${trailer ? `x-amz-checksum-crc32:${trailer}\r\nx-amz-trailer-signature:${"0".repeat(64)}\r\n` : ""}\r\n`,
      headers: {
        "x-api-key": token,
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer ? "-TRAILER" : ""}`,
        "x-amz-decoded-content-length": String(hello.length),
        ...(trailer && { "x-amz-trailer": "x-amz-checksum-crc32" }),
      },
    });
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(hello));
  for (const [key, trailer] of [
    ["signed", undefined],
    ["signed-trailer", checksum.toString("base64")],
  ]) {
    const response = await put(key, trailer);
    assert.equal(response.status, 200, await response.text());
    const stored = await s3Client(token).send(new S3.GetObjectCommand({ Bucket: "by-js", Key: key }));
    assert.deepEqual(Buffer.from(await stored.Body.transformToByteArray()), hello);
  }
  assert.equal((await put("signed-wrong", "AAAAAA==")).status, 400);
});

/** A Bedrock that accepts only a signature equal to aws4fetch's. */
function startBedrock() {
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const isSigned = request.headers.authorization === (await byAws4fetch(request, "bedrock", body));
    const usage = { inputTokens: 30, outputTokens: 12, totalTokens: 42 };
    const answer = {
      output: { message: { role: "assistant", content: [{ text: "Hello" }] } },
      stopReason: "end_turn",
      usage,
      metrics: { latencyMs: 1 },
    };
    response
      .writeHead(isSigned ? 200 : 403, { "content-type": "application/json" })
      .end(JSON.stringify(isSigned ? answer : { message: "bad signature" }));
  });
  return listening(server);
}

/** TLS in front of the gateway: over it botocore sends `aws-chunked` and waits for 100 Continue. */
async function startTls(folder) {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(folder, name));
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-keyout",
      key,
      "-out",
      cert,
    ],
    { stdio: "ignore" },
  );
  const port = Number(new URL(system.urls.gateway).port);
  const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
    const gateway = connect(port, "127.0.0.1");
    socket.pipe(gateway).pipe(socket);
    for (const end of [socket, gateway]) end.on("error", () => (socket.destroy(), gateway.destroy()));
  });
  return { url: `https://localhost:${await listen(server)}`, cert, close: () => server.close() };
}

test(
  "botocore: objects arrive as they were sent, with and without TLS; Bedrock's response is read",
  { timeout: 120_000 },
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "tls-"));
    const tls = await startTls(folder);
    try {
      for (const base of [system.urls.gateway, tls.url]) {
        const id = `tok_${randomBytes(6).toString("hex")}`;
        const token = await putToken(system, { id });
        const printed = await python("botocore_client.py", [
          `${base}/api/s3`,
          `${base}/api/bedrock`,
          token,
          tls.cert,
        ]);
        assert.deepEqual(JSON.parse(printed), {
          text: "Hello",
          usage: { inputTokens: 30, outputTokens: 12, totalTokens: 42 },
        });
      }
    } finally {
      tls.close();
      rmSync(folder, { recursive: true });
    }
  },
);
