import { shared } from "./shared.ts";

// Runs before each file of the layers that start real processes. Not once for them all: a dist/ that can't be built
// must fail these files and no others.
await shared("dist");
