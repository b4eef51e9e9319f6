import { Code, ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { describeCallError } from "../../../services/cli/call-error.ts";
import { onOneLine } from "../../../services/cli/print.ts";

it("lets no text of elsewhere move a terminal's cursor, begin a line or turn the writing around", () => {
  expect(onOneLine("a\u001b[2Jb\nc\u009bd\u202ee\u2028f")).toBe("a\ufffd[2Jb\ufffdc\ufffdd\ufffde\ufffdf");
  expect(onOneLine("Zoë, 東京, עברית 🔑")).toBe("Zoë, 東京, עברית 🔑");
});

it("lets no server's error look like a line of ours", () => {
  const error = new ConnectError("no\nichor: all is well\u001b[0m", Code.NotFound);
  expect(describeCallError(error, false)).toBe("ichor: NotFound: no\ufffdichor: all is well\ufffd[0m");
});
