// A restore of the database keeps the chain of the audit log.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { takeBack } from "../../scripts/ops/restore/giving-back.mjs";
import { forget, keepAll, keepChanges } from "../../scripts/ops/restore/kept.mjs";
import { migrationsOf } from "../support/harness.mjs";

const STAGE = "restore-audit-test";
after(() => forget(STAGE));

test("a restore puts the audit log's entries back under their numbers, so that the same hashes come again", async () => {
  const db = new DatabaseSync(":memory:");
  for (const file of migrationsOf("DB")) db.exec(readFileSync(file, "utf8"));
  const sql = async (text, params = []) => db.prepare(text).all(...params);
  const then = Date.now();
  const add = (id, at, more = {}) => {
    const row = {
      id,
      at,
      actor: "u",
      action: "x",
      result: "done",
      entity: "token",
      request_id: "r",
      ...more,
    };
    db.prepare(
      `INSERT INTO audit (${Object.keys(row).join(", ")}) VALUES (${Object.keys(row).map(() => "?")})`,
    ).run(...Object.values(row));
  };
  const chained = (seq) =>
    db.exec(`UPDATE audit SET hash = printf('%064d', seq) WHERE seq <= ${seq} AND hash IS NULL`);
  const rows = () =>
    db
      .prepare("SELECT seq, id, hash FROM audit ORDER BY seq")
      .all()
      .map((row) => Object.values(row));
  add("z", then - 9);
  add("y", then - 8);
  chained(2);
  add("r", then - 7, { result: "refused" });
  // As it was at that time; `a` is committed later than its time says.
  const triggers = db
    .prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'")
    .all();
  const back = db.prepare("SELECT * FROM audit").all();
  db.exec("UPDATE audit SET after = '{\"times\":4}' WHERE id = 'r'");
  add("a", then - 60_000);
  add("x", then + 5);
  chained(5);
  await keepAll(sql, STAGE, then);
  await keepChanges(sql, STAGE, then);
  db.exec("DROP TRIGGER audit_is_chained; DROP TRIGGER audit_is_cut_at_the_front; DELETE FROM audit");
  for (const row of back) add(row.id, row.at, row);
  for (const { sql } of triggers) db.exec(String(sql));
  add("meanwhile", then + 90);
  add("later", then + 91);
  const wanted = [
    [1, "z", "1".padStart(64, "0")],
    [2, "y", "2".padStart(64, "0")],
    [3, "r", null],
    [4, "a", null],
    [5, "x", null],
    [6, "meanwhile", null],
    [7, "later", null],
  ];
  for (const run of ["once", "and again"]) {
    const notes = await takeBack(sql, STAGE);
    assert.deepEqual([rows(), notes], [wanted, []], run);
  }
  assert.equal(db.prepare("SELECT after FROM audit WHERE id = 'r'").get().after, '{"times":4}');
});
