import { readdirSync, readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { VerifyCredentialResponseSchema } from "../../../gen/ichor/v1/verification_pb.ts";
import { principalHeaders } from "../../../services/sidecar/principal-headers.ts";

const folder = "docs/examples/gateways";
const names = readdirSync(folder);
const textOf = (name: string) => readFileSync(`${folder}/${name}`, "utf8");
/** Envoy sets what it is told to; the routes are the side-car's. */
const copying = names.filter((name) => name !== "envoy.yaml" && name !== "routes.yaml");

it("has examples", () => {
  expect(copying.length).toBeGreaterThanOrEqual(6);
});

it.each(copying)("%s overwrites each header that tells who called, and takes the credential away", (name) => {
  const text = textOf(name).toLowerCase();
  const told = Object.keys(principalHeaders(create(VerifyCredentialResponseSchema)));
  expect(told.filter((header) => !text.includes(header))).toEqual([]);
  expect(text).toContain("authorization");
});

it.each(names.filter((name) => name.endsWith(".yaml")))("%s is YAML", (name) => {
  expect(parse(textOf(name))).toBeTypeOf("object");
});

it.each(["traefik.yaml", "oathkeeper.yaml"])("%s says that it wasn't run", (name) => {
  expect(textOf(name)).toMatch(/^# NOT RUN/);
});
