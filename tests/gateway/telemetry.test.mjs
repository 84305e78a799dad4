// Spans of calls, as a receiver of OTLP gets them and OpenTelemetry's own library reads them.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { python } from "../support/aws.mjs";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";

let [system, token, status] = [undefined, undefined, 200];
const received = [];
const receiver = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  received.push({ url: request.url, headers: request.headers, body });
  response.writeHead(status, { "content-type": "application/json" }).end("{}");
});

before(async () => {
  receiver.listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (receiver.address());
  system = await startOnSockets({
    gatewayVars: { TRACES: "true", USAGE_FLUSH_MS: "200" },
    apiVars: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/otlp/`,
      OTEL_EXPORTER_OTLP_HEADERS: "x-otlp-key=of%20the%20receiver, x-scope=team",
      OTEL_SERVICE_NAME: "n8n-gateway",
    },
  });
  token = await putToken(system, { scopes: ["/api/echo/*", "/api/status/*"] });
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    ["/api/status", "/status"],
  ]);
  await eventually(async () => (await call("/api/echo/ready")).status === 200);
});
after(async () => {
  await system.stop();
  receiver.close();
});

const call = (where, headers = {}) => system.gateway(where, { headers: { "x-api-key": token, ...headers } });

/** The spans of calls to a path, as the library reads them. */
async function spansOf(path) {
  const bodies = () => received.filter(({ body }) => body.includes(path)).map(({ body }) => body);
  await eventually(() => bodies().length > 0, 20_000, `spans of ${path}`);
  const spans = JSON.parse(await python("otlp_read.py", [], JSON.stringify(bodies())));
  // What the queue delivers twice is sent twice, with the same ids.
  const each = new Map(spans.map((span) => [span.spanId, span]));
  return [...each.values()].filter((span) => span.attributes["url.path"] === path);
}

test("a call is a span in its client's trace, and the upstream gets it as the parent", async () => {
  const answer = await call("/api/echo/joined", {
    traceparent: `00-${TRACE}-${PARENT}-01`,
    "x-workflow": "Nightly",
  });
  const sent = (await answer.json()).headers.traceparent;
  const [span, ...more] = await spansOf("/api/echo/joined");
  assert.equal(more.length, 0);
  assert.deepEqual([span.traceId, span.parentSpanId, span.kind], [TRACE, PARENT, "SPAN_KIND_SERVER"]);
  assert.equal(sent, `00-${TRACE}-${span.spanId}-01`);
  assert.deepEqual([span.name, span.service, span.status], ["GET /api/echo", "n8n-gateway", undefined]);
  const { attributes } = span;
  assert.deepEqual(
    [attributes["http.response.status_code"], attributes["http.route"], attributes["token_manager.label"]],
    ["200", "/api/echo", "Nightly"],
  );
  assert.equal(attributes["token_manager.request_id"], answer.headers.get("x-request-id"));
  const ms = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;
  assert.ok(ms >= 0 && ms < 10_000 && Math.abs(Number(span.startTimeUnixNano) / 1e6 - Date.now()) < 60_000);
  const last = received.at(-1);
  assert.deepEqual(
    [last.url, last.headers["x-otlp-key"], last.headers["x-scope"]],
    ["/otlp/v1/traces", "of the receiver", "team"],
  );
  assert.ok(!last.body.includes(token));
});

test("a call without a trace begins one; one that its client does not record is no span", async () => {
  const unrecorded = await call("/api/echo/unrecorded", { traceparent: `00-${TRACE}-${PARENT}-00` });
  assert.match((await unrecorded.json()).headers.traceparent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  const begun = (await (await call("/api/echo/begun", { traceparent: "nonsense" })).json()).headers
    .traceparent;
  const [span] = await spansOf("/api/echo/begun");
  assert.equal(begun, `00-${span.traceId}-${span.spanId}-01`);
  assert.equal(span.parentSpanId, undefined);
  assert.ok(!received.some(({ body }) => body.includes("/api/echo/unrecorded")));
});

test("an upstream's error is the span's; a refusal is not", async () => {
  await call("/api/status/503");
  const [failed] = await spansOf("/api/status/503");
  assert.deepEqual(failed.status, { code: "STATUS_CODE_ERROR", message: "upstream-error" });
  await call("/api/elsewhere");
  const [refused] = await spansOf("/api/elsewhere");
  assert.equal(refused.status, undefined);
  assert.equal(refused.attributes["token_manager.outcome"], "denied-route");
});

test("a receiver that refuses costs no usage", async () => {
  status = 503;
  try {
    await call("/api/echo/kept");
    await eventually(() => received.some(({ body }) => body.includes("/api/echo/kept")), 20_000, "the try");
    await eventually(
      async () => {
        const events = await system.usage.events({});
        return events.some((event) => event.path === "/api/echo/kept");
      },
      20_000,
      "the stored call",
    );
  } finally {
    status = 200;
  }
  await call("/api/echo/again");
  assert.equal((await spansOf("/api/echo/again")).length, 1);
});
