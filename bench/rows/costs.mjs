import { verifyOverHttp1 } from "./loads.mjs";

/** What the log costs that the default configuration writes. */
export const verifyLogs = {
  title: "VerifyCredential, warm: the cost of a log line per request",
  contenders: [
    { name: "log level info (default)", target: "ichor", load: (told) => verifyOverHttp1(told) },
    {
      name: "log level warn",
      target: "ichor",
      env: { ICHOR_LOG_LEVEL: "warn" },
      load: (told) => verifyOverHttp1(told),
    },
  ],
  compare: [{ of: "log level info (default)", to: "log level warn" }],
};
