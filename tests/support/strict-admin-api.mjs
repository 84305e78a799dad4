// The admin-api Worker under production's limits: the harness starts this in its place.
import Base from "../../admin-api/build/index.js";
import { faulty } from "./faulty.mjs";

export default faulty(Base);
