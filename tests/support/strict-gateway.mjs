// The gateway Worker under production's limits, which the harness starts in its place.
import "./crossings.mjs";
import Base, { TokenLimiter as Limiter } from "../../gateway/build/index.js";
import { faulty, restartable } from "./faulty.mjs";

/** The counter's object, which restarts from its saved state when a test asks for it. */
export class TokenLimiter extends restartable(Limiter) {}

export default faulty(Base);
