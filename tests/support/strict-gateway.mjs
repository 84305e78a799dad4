// The gateway Worker under production's limits, which the harness starts in its place.
import "./crossings.mjs";
import { DurableObject } from "cloudflare:workers";
import * as built from "../../gateway/build/index.js";
import { counted, faulty, restartable } from "./faulty.mjs";

/** The counter's object, which restarts from its saved state when a test asks for it. Its rows are counted. */
export class TokenLimiter extends restartable(built.TokenLimiter, counted) {}

/** Stands in for a class that an older version does not have. */
class Absent extends DurableObject {
  fetch() {
    return new Response("this version has no such object", { status: 501 });
  }
}

/** The change feed, which restarts likewise. */
export class ChangeFeed extends restartable(built.ChangeFeed ?? Absent) {}

export default faulty(built.default);
