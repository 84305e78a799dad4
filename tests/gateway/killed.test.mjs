// The runtime is killed under load: it loses at most the events still in the isolate's buffer and, only locally,
// those in the queue's broker, which is in memory there.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { eventually, putRoutes, putToken, runtimePids, sleep, startOnSockets } from "../support/harness.mjs";

/** How long a busy isolate keeps events, the consumer's `max_batch_timeout`, and a second for the machine. */
const MAY_BE_LOST_MS = 2_000 + 3_000 + 1_000;

test("SIGKILL under load loses at most the last events, and every counted event is counted once", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "killed-"));
  try {
    const first = await startOnSockets({ persist: folder });
    await putRoutes(first, [["/api/echo", "/echo"]]);
    const token = await putToken(first, { id: "tok_killed" });
    await eventually(
      async () => (await first.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
    );
    const answered = [];
    let killed = false;
    const client = async () => {
      while (!killed) {
        const id = `killed-${answered.length}-${Math.random().toString(36).slice(2)}`;
        const response = await first
          .gateway("/api/echo", { headers: { "x-api-key": token, "x-request-id": id } })
          .catch(() => null);
        if (!response) return;
        await response.arrayBuffer().catch(() => {});
        answered.push({ id, at: Date.now() });
        await sleep(20);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    await sleep(MAY_BE_LOST_MS + 4_000);
    const at = Date.now();
    for (const pid of runtimePids()) process.kill(pid, "SIGKILL");
    killed = true;
    await Promise.all(clients);
    await first.stop().catch(() => {});

    const second = await startOnSockets({ persist: folder, schema: false });
    const events = await second.usage.events({ token_id: "tok_killed" });
    const calls = await second.usage.calls({ token: "tok_killed" });
    await second.stop();
    const kept = new Set(events.map((event) => event.request_id));
    assert.equal(kept.size, events.length, "each once");
    assert.equal(calls, events.length, "sums and events agree");
    const due = answered.filter((call) => call.at < at - MAY_BE_LOST_MS);
    assert.ok(due.length > 200, `${due.length} calls`);
    assert.deepEqual(
      due.filter((call) => !kept.has(call.id)),
      [],
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
