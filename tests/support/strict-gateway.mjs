// The gateway Worker under production's limits: the harness starts this in its place.
import Base, { TokenLimiter as Limiter } from "../../gateway/build/index.js";
import { faulty, restartable } from "./faulty.mjs";

/** The counter's object, which starts again from what it saved when a test says so. */
export class TokenLimiter extends restartable(Limiter) {}

export default faulty(Base);
