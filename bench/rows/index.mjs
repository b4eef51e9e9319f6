import { verifyHttp1 } from "./verify-http1.mjs";

/** Every row, by the name that it is run under. */
export const rows = {
  "verify-http1": verifyHttp1,
};
