// The system with receivers of alerts, and what the tests of alerts and channels share.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../scripts/setup.mjs";
import { as, eventually, startOnSockets } from "./harness.mjs";
import { startReceivers, targetsOf } from "./receivers.mjs";

export const KINDS = ["webhook", "slack", "discord", "telegram"];
export const EVENTS_OF_TEAMS =
  "budget token-ends token-spike token-elsewhere admin-added token-unattended".split(" ");
export const EVENTS = [
  ...EVENTS_OF_TEAMS,
  ...["route-failing", "route-recovered", "publication-late", "canary-late", "dead-letters", "database-full"],
];

/** The pages of the UI, as its router has them. */
const PAGES = [
  ...readFileSync(path.join(root, "admin-ui/src/route.rs"), "utf8").matchAll(/#\[at\("([^"]+)"\)\]/g),
].map(([, page]) => new RegExp(`^${page.replace(/:\w+/g, "[\\w-]+")}$`));

/** Checks of what has arrived. `told` is all of it, as the webhook got it. */
function arrivals(system, receivers, ask) {
  const told = [];
  /** The thing that a link leads to exists: its page in the router, its record in the API. */
  async function isLink(link) {
    const { origin, pathname } = new URL(link);
    assert.equal(origin, system.origin);
    assert.ok(
      PAGES.some((page) => page.test(pathname)),
      `${pathname} is no page`,
    );
    const [, list, id] = pathname.split("/");
    if (id) assert.equal((await ask("admin", "GET", `/api/${list}/${id}`)).status, 200, pathname);
  }

  /** Runs the cron until every kind has got `count` alerts, then three times more: nothing comes twice. */
  async function arrives(count = 1) {
    await eventually(
      async () => {
        await system.cron();
        return KINDS.every((kind) => receivers.of(kind).length >= count);
      },
      20_000,
      `${count} alerts at each receiver: ${JSON.stringify(receivers.got)} ${receivers.wrong}`,
    );
    await Promise.all([system.cron(), system.cron()]);
    await system.cron();
    assert.deepEqual(
      KINDS.map((kind) => receivers.of(kind).length),
      KINDS.map(() => count),
    );
    for (const { link } of receivers.got) await isLink(link);
    const links = (kind) =>
      receivers
        .of(kind)
        .map(({ link }) => link)
        .sort();
    for (const kind of KINDS) assert.deepEqual(links(kind), links("webhook"), kind);
    told.push(...receivers.of("webhook"));
    return receivers.of("webhook");
  }
  return { isLink, arrives, told };
}

/** Starts both. The first pause before a retry is 50 ms unless `apiVars` name another, and the database of usage is small. */
export async function startAlerting(apiVars = {}) {
  const receivers = await startReceivers();
  const system = await startOnSockets({
    apiVars: {
      ...{ TELEGRAM_API_URL: receivers.url, ALERT_RETRY_MS: "50", USAGE_DB_BYTES: "1000000" },
      CANARY_EVERY_MIN: "1440",
      ...apiVars,
    },
  });
  const ask = (user, method, where, body, headers) => as(system, user, method, where, body, headers);
  const bell = async (user = "admin") => (await ask(user, "GET", "/api/notifications?limit=200")).body.items;

  /** Makes a channel of the kind that is told of `events`. */
  async function channel(kind, events, more = {}, user = "admin") {
    const target = targetsOf(receivers.url)[kind];
    const made = await ask(user, "POST", "/api/channels", { name: kind, target, events, ...more });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body;
  }
  const remove = async (...channels) => {
    for (const { id } of channels)
      assert.equal((await ask("admin", "DELETE", `/api/channels/${id}`)).status, 200);
  };
  const token = async (more = {}, user = "admin") => {
    const asked = { name: "Daily digest", team_id: "automation", scopes: ["*"], ...more };
    const made = await ask(user, "POST", "/api/tokens", asked);
    assert.ok([201, 202].includes(made.status), JSON.stringify(made.body));
    return made.body;
  };
  const run = (sql, ...values) =>
    system.db
      .prepare(sql)
      .bind(...values)
      .run();

  // The canary has just run, so it is due when a test says so.
  const canary = { at: Date.now(), state: "measured", feed: null, ms: {} };
  await run(
    "INSERT INTO settings (key, value, updated_at) VALUES ('canary-run', ?, 1)",
    JSON.stringify(canary),
  );

  const { isLink, arrives, told } = arrivals(system, receivers, ask);
  /** Forgets what the receivers got. */
  const forget = () => {
    assert.deepEqual(receivers.wrong, []);
    receivers.answer = undefined;
    receivers.got.length = 0;
    receivers.tries.length = 0;
  };
  const stop = async () => {
    await system.stop();
    await receivers.close();
  };
  return { system, receivers, ask, bell, channel, remove, token, run, isLink, arrives, told, forget, stop };
}
