// Deliveries over time: receivers that are slow, down, or cannot take one alert. The first pause is a minute, as in
// production; the clock is moved by moving all times in the database.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { KINDS, startAlerting } from "../support/alerting.mjs";
import { eventually } from "../support/harness.mjs";
import { SECRET } from "../support/receivers.mjs";

const [MINUTE, DAY] = [60_000, 86_400_000];
let system, receivers, ask, channel, remove, token, run, arrives, forget, stop;
before(
  async () =>
    ({ system, receivers, ask, channel, remove, token, run, arrives, forget, stop } = await startAlerting({
      ALERT_RETRY_MS: String(MINUTE),
    })),
);
after(() => stop?.());
beforeEach(() => forget());

/** Lets time pass. */
async function pass(ms) {
  await run(
    "UPDATE deliveries SET due_at = due_at - ?1, next_at = next_at - ?1, tried_at = tried_at - ?1",
    ms,
  );
  await run("UPDATE alerts SET at = at - ?1, planned_at = planned_at - ?1", ms);
  await run("UPDATE channels SET failing_since = failing_since - ?1, rests_until = rests_until - ?1", ms);
}
const ends = (name) => token({ name, expires_days: 1 });
const deliveriesOf = async ({ id }) =>
  (await ask("admin", "GET", `/api/channels/${id}/deliveries`)).body.items;
/** A channel whose receiver is at a path of its own. */
const webhookAt = (path) =>
  channel("webhook", ["token-ends"], {
    target: { kind: "webhook", url: `${receivers.url}/${path}`, secret: SECRET },
  });
/** Runs the cron until `done`. */
const until = (done, what) =>
  eventually(
    async () => {
      await system.cron();
      return done();
    },
    20_000,
    what,
  );

test("a receiver that is down for ten minutes loses nothing and gets each alert once", async () => {
  const all = await Promise.all(KINDS.map((kind) => channel(kind, ["token-ends"])));
  receivers.answer = 503;
  for (let minute = 0; minute < 10; minute++) {
    if ([0, 3, 6].includes(minute)) await ends(`of minute ${minute}`);
    await system.cron();
    await system.cron();
    await pass(MINUTE);
  }
  const tries = KINDS.map((kind) => receivers.tries.filter((tried) => tried.kind === kind).length);
  assert.ok(
    tries.every((count) => count >= 5 && count <= 13),
    `no receiver that is down is tried more than once a minute and once for each new alert: ${tries}`,
  );
  assert.deepEqual(receivers.got, []);
  receivers.answer = undefined;
  for (let minute = 0; minute < 20 && receivers.got.length < 12; minute++) {
    await system.cron();
    await pass(MINUTE);
  }
  const told = (await arrives(3)).map(({ text }) => text.match(/minute \d/)?.[0]);
  assert.deepEqual(told.sort(), ["minute 0", "minute 3", "minute 6"]);
  const ids = new Set(receivers.tries.filter(({ kind }) => kind === "webhook").map(({ id }) => id));
  assert.deepEqual(
    [...ids].sort(),
    receivers
      .of("webhook")
      .map(({ id }) => id)
      .sort(),
  );
  for (const one of all) assert.ok((await deliveriesOf(one)).every(({ state }) => state === "sent"));
  await remove(...all);
});

test("an alert that its receiver cannot take holds up no other", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  const isPoison = (body) => body.includes("poison");
  receivers.answer = (_, response) => {
    const { body } = receivers.tries.at(-1);
    response.writeHead(isPoison(body) ? 400 : 200).end();
  };
  await ends("poison");
  await until(() => receivers.tries.length === 1);
  const taken = () => receivers.tries.filter(({ body }) => !isPoison(body)).length;
  for (const [n, name] of ["one", "two", "three"].entries()) {
    // The other is tried once more while this one comes.
    await pass(60 * MINUTE);
    await ends(name);
    await system.cron();
    await pass(MINUTE);
    await until(() => taken() === n + 1, `${name}, beside the one that is refused`);
  }
  const states = Object.fromEntries(
    (await deliveriesOf(webhook)).map(({ attempts, state }) => [state, attempts]),
  );
  assert.equal(states.sent, 1);
  assert.ok(states.waiting >= 2, "the other is still tried");
  await remove(webhook);
});

test("slow receivers of some channels hold up no others", async () => {
  const all = [];
  for (const path of ["slow/1", "slow/2", "slow/3", "slow/4", "quick"]) all.push(await webhookAt(path));
  receivers.answer = (request, response) => request.url === "/quick" && response.writeHead(204).end();
  await ends("to all");
  const began = Date.now();
  await until(() => receivers.tries.length >= 5);
  const tries = receivers.tries.map(({ at }) => at);
  assert.ok(Math.max(...tries) - Math.min(...tries) < 3_000, `${tries.map((at) => at - began)}`);
  const slow = await deliveriesOf(all[0]);
  assert.deepEqual([slow[0].state, slow[0].response], ["waiting", "timed out"]);
  const [quick] = await deliveriesOf(all[4]);
  assert.deepEqual([quick.state, quick.attempts], ["sent", 1]);
  await remove(...all);
});

test("a receiver that has accepted an alert and does not end its response has got it", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  receivers.answer = (_, response) => response.writeHead(200).write("taken, and ");
  await ends("endless");
  await until(() => receivers.tries.length === 1);
  const [sent] = await deliveriesOf(webhook);
  assert.deepEqual([sent.state, sent.status, sent.response], ["sent", 200, "taken, and "]);
  await pass(DAY / 2);
  await system.cron();
  assert.equal(receivers.tries.length, 1);
  await remove(webhook);
});

test("a receiver may name the date of the next try", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  const date = new Date(Date.now() + 20 * MINUTE).toUTCString();
  receivers.answer = (_, response) => response.writeHead(429, { "retry-after": date }).end();
  await ends("later");
  await until(() => receivers.tries.length === 1);
  const [waits] = await deliveriesOf(webhook);
  assert.ok(Math.abs(waits.next_at - Date.parse(date)) < 2_000, `${waits.next_at - Date.parse(date)}`);
  await remove(webhook);
});

test("an alert behind a receiver that is down is joined by the next of its subject, however long it has waited", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  receivers.answer = 503;
  await ends("first");
  await until(() => receivers.tries.length === 1);
  const { id } = await ends("second");
  await until(async () => (await deliveriesOf(webhook)).length === 2);
  // Nobody has tried it, as after an outage in which others were tried.
  await run("UPDATE deliveries SET attempts = 0, next_at = next_at + ? WHERE subject = ?", DAY, id);
  await pass(2 * 60 * MINUTE);
  await run("UPDATE tokens SET expires_at = expires_at + 3600000 WHERE id = ?", id);
  await until(async () => (await deliveriesOf(webhook)).some(({ more }) => more === 1));
  assert.equal((await deliveriesOf(webhook)).filter(({ subject }) => subject === id).length, 1);
  await remove(webhook);
});

test("while a restore is under way no alert is sent, and then each is", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  const hold = JSON.stringify({ until: Number.MAX_SAFE_INTEGER, why: "restore" });
  await system.kv.put("publication-hold", hold);
  // KV shows it later, and until then the cron goes on; `npm run restore` waits for longer.
  const change = () => ask("admin", "PUT", `/api/channels/${webhook.id}`, { name: "held" });
  await eventually(async () => (await change()).status === 503, 20_000, "the hold is seen");
  await run(
    "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at, expires_at) VALUES ('tok_held', 'held', 'automation', '[]', 1, 1, ?)",
    Date.now() + DAY,
  );
  for (let n = 0; n < 3; n++) await system.cron();
  const waiting = () =>
    system.db.prepare("SELECT count(*) AS n FROM alerts WHERE planned_at IS NULL").first("n");
  assert.deepEqual([receivers.tries.length, await waiting()], [0, 1], "it is noted, and not sent");
  await system.kv.delete("publication-hold");
  await until(() => receivers.got.length === 1);
  assert.equal(await waiting(), 0);
  await eventually(async () => (await change()).status === 200, 20_000, "changes are made again");
  await remove(webhook);
});

test("a test that arrives, or another start, ends the failing of a channel", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  const at = `/api/channels/${webhook.id}`;
  const since = async () => (await ask("admin", "GET", at)).body.failing_since;
  const fail = () => run("UPDATE channels SET failing_since = 7 WHERE id = ?", webhook.id);
  await fail();
  receivers.answer = 500;
  await ask("admin", "POST", `${at}/test`);
  assert.equal(await since(), 7, "a test that fails says nothing new");
  receivers.answer = undefined;
  await ask("admin", "POST", `${at}/test`);
  assert.equal(await since(), null);
  await fail();
  await ask("admin", "PUT", at, { enabled: false });
  assert.equal(await since(), 7);
  await ask("admin", "PUT", at, { enabled: true });
  assert.equal(await since(), null);
  await remove(webhook);
});

test("a channel that is deleted during its test is no error", async () => {
  const webhook = await channel("webhook", ["token-ends"]);
  receivers.answer = async (_, response) => {
    await remove(webhook);
    response.writeHead(200).end("late");
  };
  const { status, body } = await ask("admin", "POST", `/api/channels/${webhook.id}/test`);
  assert.deepEqual([status, body.state, body.response], [200, "sent", "late"]);
});
