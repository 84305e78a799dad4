// `npm run rebuild-rollups -- [--stage staging]`: rebuilds the rollups from the raw events, for each day whose
// events are all still there. A day is one transaction; reports and the consumer continue meanwhile. If it breaks off,
// run it again, or continue with `--from 2026-11-20`.
import { operate } from "./operate.mjs";

await operate(
  import.meta.url,
  { from: { type: "string", default: "1970-01-01" } },
  async ({ stage, from }) => {
    const { Stop } = await import("./stage/stage.mjs");
    const { open } = await import("./stage/account.mjs");
    const { rebuildDay, rebuildable } = await import("./derived/rollups.mjs");
    const { plan, sql } = await open(stage);
    const [{ oldest }] = await sql("SELECT min(at) AS oldest FROM usage_events");
    if (oldest === null) return console.log("  there are no events to make them from");
    if (Number.isNaN(Date.parse(from))) throw new Stop("--from is a day: 2026-11-20");
    const now = Date.now();
    const days = rebuildable(
      oldest,
      now,
      Number(plan.config.env["admin-api"].vars.EVENTS_RETENTION_DAYS),
    ).filter((day) => day >= Date.parse(from));
    for (const [i, day] of days.entries()) {
      await sql(rebuildDay(day, now).join(";\n"));
      const [{ calls }] = await sql(
        `SELECT coalesce(sum(calls), 0) AS calls FROM usage_rollups WHERE dimension = 'all' AND granularity = 'day' AND bucket_start = ${day}`,
      );
      console.log(
        `  ${new Date(day).toISOString().slice(0, 10)}: ${calls} calls (day ${i + 1} of ${days.length})`,
      );
    }
  },
);
