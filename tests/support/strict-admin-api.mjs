// The admin-api Worker under production's limits, which the harness starts in its place.
import "./crossings.mjs";
import Base from "../../admin-api/build/index.js";
import { faulty } from "./faulty.mjs";

export default faulty(Base);
