// Receivers of alerts of each kind, on one server: they check what they get against the published shapes.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";
import { listen } from "../../local/listen.mjs";

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
export const BOT = "123456:s3cretABCDEFGHIJKLMNOPQRSTUVWXYZ";
/** The secrets of the channels that `targetsOf` describes. */
export const SECRETS = [SECRET, SECRET.slice(6), "s3cretSlack", "s3cretDiscord", BOT, "s3cretABC"];

/** The target of each kind, as the admin API takes it. */
export const targetsOf = (url) => ({
  webhook: { kind: "webhook", url: `${url}/webhook`, secret: SECRET },
  slack: { kind: "slack", url: `${url}/services/T000/B000/s3cretSlack` },
  discord: { kind: "discord", url: `${url}/api/webhooks/1/s3cretDiscord` },
  telegram: { kind: "telegram", token: BOT, chat: "-100123" },
});

const characters = (text) => [...text].length;

/** Reads an alert of each kind: its text and its link. Fails if it is not of the published shape. */
const readers = {
  // https://github.com/standard-webhooks/standard-webhooks
  webhook: (headers, body) => {
    const { type, timestamp, data } = /** @type {any} */ (new Webhook(SECRET).verify(body, headers));
    assert.ok(!Number.isNaN(Date.parse(timestamp)), timestamp);
    const { text, link, more, subject, details } = data;
    return { id: headers["webhook-id"], event: type, text, link, more, subject, details };
  },
  // https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
  slack: (_, body) => {
    const { text, ...rest } = JSON.parse(body);
    assert.deepEqual(rest, { unfurl_links: false, unfurl_media: false });
    assert.ok(characters(text) <= 40_000);
    const [, link] = text.match(/\n<([^|>]+)\|[^>]+>$/) ?? [];
    return { text, link };
  },
  // https://discord.com/developers/docs/resources/webhook#execute-webhook
  discord: (_, body) => {
    const { content, ...rest } = JSON.parse(body);
    assert.deepEqual(rest, { allowed_mentions: { parse: [] } });
    assert.ok(characters(content) <= 2_000);
    const [, link] = content.match(/\]\(<([^>]+)>\)$/) ?? [];
    return { text: content, link };
  },
  // https://core.telegram.org/bots/api#sendmessage
  telegram: (_, body) => {
    const { chat_id, text, ...rest } = JSON.parse(body);
    assert.deepEqual([chat_id, rest], ["-100123", { link_preview_options: { is_disabled: true } }]);
    assert.ok(characters(text) <= 4_096);
    return { text, link: text.split("\n").at(-1) };
  },
};

const kindOf = (path) =>
  path === "/webhook"
    ? "webhook"
    : path === "/services/T000/B000/s3cretSlack"
      ? "slack"
      : path === "/api/webhooks/1/s3cretDiscord"
        ? "discord"
        : path === `/bot${BOT}/sendMessage`
          ? "telegram"
          : undefined;

/**
 * Starts the receivers. `got` are the alerts that were taken, `tries` all requests, `answer` the present response: a status,
 * or `silent`, or a function that responds.
 */
export async function startReceivers() {
  const receivers = {
    url: "",
    got: /** @type {any[]} */ ([]),
    tries: /** @type {any[]} */ ([]),
    wrong: /** @type {string[]} */ ([]),
    answer: /** @type {any} */ (undefined),
    of: (kind) => receivers.got.filter((alert) => alert.kind === kind),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const kind = kindOf(request.url);
    const tried = { kind, path: request.url, id: request.headers["webhook-id"], body, at: Date.now() };
    receivers.tries.push(tried);
    const { answer } = receivers;
    if (answer === "silent") return;
    if (typeof answer === "function") return answer(request, response);
    if (answer) {
      response.writeHead(answer, { "content-type": "text/plain" });
      // As careless receivers do, it repeats where it was called.
      return response.end(`not now: ${request.url}`);
    }
    try {
      assert.ok(kind, `nobody is at ${request.url}`);
      assert.equal(request.method, "POST");
      assert.equal(request.headers["content-type"], "application/json");
      receivers.got.push({ kind, body, ...readers[kind](request.headers, body) });
      response.writeHead(kind === "discord" ? 204 : 200).end(kind === "discord" ? undefined : "ok");
    } catch (error) {
      receivers.wrong.push(String(error));
      response.writeHead(400).end(String(error));
    }
  });
  receivers.url = `http://127.0.0.1:${await listen(server)}`;
  return receivers;
}
