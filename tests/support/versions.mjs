// The versions that tests/operations/versions.test.mjs runs beside the current one. `npm test` builds them first:
// node tests/support/versions.mjs
import { fileURLToPath } from "node:url";
import { PREVIOUS, buildOf, buildWith, isInClone } from "./builds.mjs";

/** The changes of the next version: a limit, a setting, and a setting that is critical. */
const NEXT = [
  [
    "domain/src/limit.rs",
    "    /// Calls at once, 1 to 1000.",
    `    calls_per_fortnight = CallsPerFortnight, "calls-per-fortnight", Measure::Rate(14 * DAY_MS), MAX_COUNT;
    /// Calls at once, 1 to 1000.`,
  ],
  [
    "domain/src/upstream/settings.rs",
    "    pub maintenance: Option<Maintenance>,\n",
    `    pub maintenance: Option<Maintenance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<String>,\n`,
  ],
  [
    "domain/src/upstream/settings.rs",
    "        Self { ai, failover, maintenance,",
    "        Self { mirror: self.mirror, readers: self.readers, ai, failover, maintenance,",
  ],
  [
    "domain/src/upstream/settings.rs",
    "stored!(RouteSettings, critical: [],",
    "stored!(RouteSettings, critical: [readers],",
  ],
];

/** The folder of the previous version; undefined if the clone is shallow and lacks it. */
export const buildPrevious = async () => (isInClone(PREVIOUS) ? buildOf(PREVIOUS) : undefined);

/** Returns the folder of a version that does not exist yet. */
export const buildNext = () => buildWith("next", NEXT);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildPrevious();
  await buildNext();
}
