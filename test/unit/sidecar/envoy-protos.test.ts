import { readFileSync } from "node:fs";
import type { DescEnum, DescField, DescFile, DescMessage } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { file_envoy_config_core_v3_address } from "../../../gen/envoy/config/core/v3/address_pb.ts";
import { file_envoy_config_core_v3_base } from "../../../gen/envoy/config/core/v3/base_pb.ts";
import { file_envoy_service_auth_v3_attribute_context } from "../../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import {
  Authorization,
  file_envoy_service_auth_v3_external_auth,
} from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { file_envoy_type_v3_http_status } from "../../../gen/envoy/type/v3/http_status_pb.ts";
import { envoyRegistry } from "../../support/envoy-protos.ts";

const theirs = envoyRegistry();
const files: readonly DescFile[] = [
  file_envoy_config_core_v3_address,
  file_envoy_config_core_v3_base,
  file_envoy_service_auth_v3_attribute_context,
  file_envoy_service_auth_v3_external_auth,
  file_envoy_type_v3_http_status,
];
const messagesIn = ({ messages, nestedMessages }: { messages?: DescMessage[]; nestedMessages?: DescMessage[] }) =>
  [...(messages ?? []), ...(nestedMessages ?? [])].flatMap((message): DescMessage[] => [
    message,
    ...messagesIn(message),
  ]);
const messages = files.flatMap(messagesIn);
const enums = [...files.flatMap((file) => file.enums), ...messages.flatMap(({ nestedEnums }) => nestedEnums)];

/** What decides of a field's bytes, and that it is one of others. */
function wireFacts(field: DescField) {
  const { name, number, fieldKind } = field;
  const oneof = field.oneof?.name;
  const scalar = "scalar" in field ? field.scalar : undefined;
  const of = field.message?.typeName ?? field.enum?.typeName;
  if (field.fieldKind === "map") return { name, number, fieldKind, of, key: field.mapKey, kind: field.mapKind, scalar };
  return { name, number, fieldKind, oneof, scalar, of };
}

describe("what is declared here of Envoy's API", () => {
  it("is all of its messages and enums that are used", () => {
    expect([messages.length, enums.length]).toEqual([14, 2]);
  });

  it.each(messages.map((message) => [message.typeName, message] as const))("has the fields of %s", (name, ours) => {
    const of = theirs.getMessage(name);
    const found = ours.fields.map(({ number }) => of?.fields.find((field) => field.number === number));
    expect(ours.fields.map(wireFacts)).toEqual(found.map((field) => field && wireFacts(field)));
    expect(ours.fields.length).toBeGreaterThan(0);
  });

  it.each(enums.map((desc): [string, DescEnum] => [desc.typeName, desc]))("has the values of %s", (name, ours) => {
    const values = new Map(theirs.getEnum(name)?.values.map(({ name, number }) => [name, number]));
    for (const { name, number } of ours.values) expect([name, values.get(name)]).toEqual([name, number]);
  });

  it("has the method as it is called", () => {
    const { input, output } = theirs.getService(Authorization.typeName)?.method.check ?? {};
    const { check } = Authorization.method;
    expect([input?.typeName, output?.typeName]).toEqual([check.input.typeName, check.output.typeName]);
  });
});

describe("the example of a configuration for Envoy", () => {
  const text = readFileSync(new URL("../../../docs/examples/gateways/envoy.yaml", import.meta.url), "utf8");
  const bootstrap = theirs.getMessage("envoy.config.bootstrap.v3.Bootstrap");
  const decode = (config: unknown) =>
    fromJson(bootstrap as DescMessage, config as object as never, { registry: theirs });

  it("is one by Envoy's own protos, down to its filters", () => {
    expect(decode(parse(text))).toMatchObject({ staticResources: { clusters: [{ name: "ichor_sidecar" }, {}] } });
  });

  it("wouldn't be one with a field that Envoy doesn't know", () => {
    expect(() => decode(parse(text.replace("status_on_error", "status_on_eror")))).toThrow(/status_on_eror/);
  });
});
