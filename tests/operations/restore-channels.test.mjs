// A restore of the database sends no alert to a receiver that was replaced or removed since.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { takeBack } from "../../scripts/ops/restore/giving-back.mjs";
import { forget, keepAll, keepChanges } from "../../scripts/ops/restore/kept.mjs";
import { migrationsOf } from "../support/harness.mjs";

const STAGE = "restore-channels-test";
after(() => forget(STAGE));

test("a restore keeps the receivers of now, revives no channel, and names those that are lost", async () => {
  const db = new DatabaseSync(":memory:");
  for (const file of migrationsOf("DB")) db.exec(readFileSync(file, "utf8"));
  const sql = async (text, params = []) => db.prepare(text).all(...params);
  const channels = (...rows) => {
    db.exec("DELETE FROM channels");
    for (const [id, kind, sealed, under, enabled] of rows)
      db.prepare(
        `INSERT INTO channels (id, name, kind, address, sealed, sealed_under, events, thresholds, language, enabled, created_at, updated_at)
         VALUES (?1, 'of ' || ?1, ?2, 'at ' || ?3, ?3, ?4, '["budget"]', '[]', 'en', ?5, 1, 1)`,
      ).run(id, kind, sealed, under, enabled);
  };
  channels(
    ["same", "slack", "v1.a.a", "k2", 1],
    ["replaced", "webhook", "v1.b.new", "k2", 1],
    ["disabled", "slack", "v1.c.c", "k2", 0],
    ["enabled", "slack", "v1.d.d", "k2", 1],
    ["new", "slack", "v1.e.e", "k2", 1],
  );
  db.exec("UPDATE channels SET version = 3 WHERE id = 'same'");
  await keepAll(sql, STAGE, 0);
  await keepChanges(sql, STAGE, 0);
  channels(
    ["same", "slack", "v1.a.a", "k2", 1],
    ["replaced", "slack", "v1.b.old", "k1", 1],
    ["disabled", "slack", "v1.c.c", "k2", 1],
    ["enabled", "slack", "v1.d.d", "k2", 0],
    ["deleted", "slack", "v1.f.f", "k2", 1],
  );
  // Somebody has taken an event out since, and the form that they used is still open.
  db.exec(
    `UPDATE channels SET events = '["budget","admin-added"]', version = 1, failing_since = 5 WHERE id = 'same'`,
  );
  db.exec(`INSERT INTO deliveries (id, channel_id, event, subject, alert, state, due_at, next_at)
    VALUES ('msg_1', 'same', 'budget', '', '{}', 'waiting', 1, 1)`);
  const wanted = [
    ["disabled", "slack", "at v1.c.c", "v1.c.c", "k2", 0],
    ["enabled", "slack", "at v1.d.d", "v1.d.d", "k2", 0],
    ["replaced", "webhook", "at v1.b.new", "v1.b.new", "k2", 1],
    ["same", "slack", "at v1.a.a", "v1.a.a", "k2", 1],
  ];
  // A restore that broke off is begun again.
  for (let run = 0; run < 2; run++) {
    const notes = await takeBack(sql, STAGE);
    const found = db.prepare(
      "SELECT id, kind, address, sealed, sealed_under, enabled FROM channels ORDER BY id",
    );
    assert.deepEqual(
      found.all().map((row) => Object.values(row)),
      wanted,
    );
    assert.deepEqual(
      notes.filter((note) => note.startsWith("channel ")),
      [
        "channel replaced (of replaced) keeps the receiver, and its secret, that it has now",
        "channel new (of new) was made since and is not there any more",
      ],
    );
    const same = db
      .prepare("SELECT events, version > 3 AS newer, failing_since FROM channels WHERE id = 'same'")
      .get();
    assert.deepEqual({ ...same }, { events: '["budget"]', newer: 1, failing_since: null });
    assert.equal(db.prepare("SELECT state FROM deliveries").get().state, "failed");
  }
});
