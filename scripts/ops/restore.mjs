// `npm run restore -- --timestamp 2026-11-20T08:00:00Z [--stage staging]`: returns D1 to a point in time (Time Travel, the
// last 30 days), and KV with it. Nothing that was revoked or removed since comes back: yesterday's database must not
// revive a leaked token or a removed admin. Usage is in USAGE_DB, which it does not touch. If it breaks off, run it again
// to continue.
import { randomUUID } from "node:crypto";
import path from "node:path";
import { operate, pause } from "./operate.mjs";
import { root } from "../setup.mjs";

/** While this key is in KV, the admin API publishes nothing and refuses changes, which a restore would lose. */
const HOLD = "publication-hold";
/**
 * The time until KV shows the hold everywhere (a minute), the admin API no longer relies on an earlier read (10 s,
 * `hold.rs`), and any earlier run of the cron has ended.
 */
const WAIT_S = Number(process.env.PROPAGATE_S ?? 130);
/** Distinguishes a restored database from one that is not restored yet. */
const MARK = "restore";

await operate(import.meta.url, { timestamp: { type: "string" } }, async ({ stage, timestamp }) => {
  const { Stop } = await import("./stage/stage.mjs");
  const { open } = await import("./stage/account.mjs");
  const { wrangler } = await import("./stage/wrangler.mjs");
  const { forget, keepAll, keepChanges, keptFolder, notesOf, readState, writeState } =
    await import("./restore/kept.mjs");
  const { takeBack } = await import("./restore/giving-back.mjs");
  const { askForAll, published } = await import("./derived/publication.mjs");
  if (!timestamp || Number.isNaN(Date.parse(timestamp)))
    throw new Stop("--timestamp says to which moment: 2026-11-20T08:00:00Z");
  let state = readState(stage);
  if (state && state.timestamp !== timestamp) {
    throw new Stop(
      `A restore to ${state.timestamp} has begun and is not through: run it with that --timestamp again`,
    );
  }
  const { sql, kv, withConfig } = await open(stage);
  const enter = (step, more = {}) => writeState(stage, (state = { ...state, ...more, timestamp, step }));
  const isRestored = async () =>
    (await sql("SELECT 1 FROM settings WHERE key = ?1 AND value = ?2", [MARK, JSON.stringify(state.mark)]))
      .length === 0;
  const hold = () => kv.put(HOLD, JSON.stringify({ until: Number.MAX_SAFE_INTEGER, why: "restore" }));
  const migrations = async () => {
    const hasTable = (await sql("SELECT 1 FROM sqlite_schema WHERE name = 'd1_migrations'")).length > 0;
    return hasTable ? (await sql("SELECT count(*) AS n FROM d1_migrations"))[0].n : 0;
  };

  /** Stops publication and changes, and saves the current state on this machine. */
  const keep = async () => {
    await hold();
    enter("keeping", { mark: randomUUID(), migrations: await migrations() });
    console.log(
      `  publication and changes stand still; what is refused now is kept in ${path.relative(root, keptFolder(stage))}`,
    );
    await pause(WAIT_S);
    const since = Date.now();
    await keepAll(sql, stage, Date.parse(timestamp));
    await sql(
      "INSERT INTO settings (key, value, updated_at) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      [MARK, JSON.stringify(state.mark), since],
    );
    // A minute earlier: the Workers' clocks may differ from this one.
    await keepChanges(sql, stage, since - 60_000);
    enter("restoring");
  };

  /** Restores the earlier database, and brings its schema up to date for the Workers. */
  const restore = async () => {
    try {
      await wrangler(["d1", "time-travel", "restore", "DB", "--timestamp", timestamp, ...withConfig]);
    } catch (error) {
      if (await isRestored()) throw error;
      await kv.delete(HOLD);
      forget(stage);
      throw error;
    }
    console.log(
      `  the database is as it was at ${timestamp}; usage, in a database of its own, stays as it is`,
    );
  };

  const narrow = async () => {
    if ((await migrations()) < state.migrations)
      await wrangler(["d1", "migrations", "apply", "DB", "--remote", ...withConfig]);
    await takeBack(sql, stage);
    console.log("  what was refused is refused again");
    enter("narrowed");
  };

  if (state && state.step !== "asked") await hold();
  if (!state || state.step === "keeping" || (state.step === "restoring" && !(await isRestored()))) {
    await keep();
    await restore();
  } else console.log(`  goes on where it broke off (${state.step})`);
  if (state.step === "restoring") await narrow();
  if (state.step === "narrowed") {
    enter("asked", { asked: await askForAll(sql) });
  }
  await kv.delete(HOLD);
  for (const note of notesOf(stage)) console.log(`    ${note}`);
  await published(sql, state.asked);
  console.log("  KV holds what D1 says");
  forget(stage);
});
