// The publication of everything, asked for in D1 and done by the admin API's cron.
import { readFileSync } from "node:fs";
import { waitUntil } from "../operate.mjs";
import { sqlFile } from "../stage/account.mjs";

const SETTING = "republication";
const left = async (sql, asked) =>
  (await sql("SELECT count(*) AS n FROM outbox WHERE created_at <= ?1", [asked]))[0].n;

/** Requests everything. Returns the time of the request by D1's clock. */
export async function askForAll(sql) {
  await sql(readFileSync(sqlFile("republish.sql"), "utf8"));
  const [{ at }] = await sql("SELECT max(created_at) AS at FROM outbox");
  const asked = at ?? Date.now();
  await sql(
    "INSERT INTO settings (key, value, updated_at) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
    [SETTING, String(asked), asked],
  );
  return asked;
}

/** The time at which the publication under way was requested; null if there is none. */
export async function underWay(sql) {
  const [row] = await sql("SELECT value FROM settings WHERE key = ?1", [SETTING]);
  return row && (await left(sql, Number(row.value))) > 0 ? Number(row.value) : null;
}

/** Waits until everything requested has been written, as long as there is progress. */
export async function published(sql, asked) {
  await waitUntil(async () => {
    const n = await left(sql, asked);
    return n === 0 ? null : { left: n, what: "entries to be written" };
  }, "the health page says why; run this again: it goes on from there");
  await sql("DELETE FROM settings WHERE key = ?1", [SETTING]);
}
