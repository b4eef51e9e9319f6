import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  CreateTenantResponseSchema,
  DisableTenantResponseSchema,
  EnableTenantResponseSchema,
  GetTenantResponseSchema,
  ListTenantsResponseSchema,
  type Tenant,
  TenantSettingsSchema,
  TenantState,
  UpdateTenantResponseSchema,
} from "../../gen/ichor/v1/tenant_pb.ts";
import { nameOf } from "../wire/enums.ts";
import { adminClient } from "./client.ts";
import type { CliIo } from "./io.ts";
import { type Print, printer, timeText } from "./print.ts";
import { addSettingsOptions, givenSettings } from "./tenant-settings.ts";

/** Adds `tenants create|get|list|update|disable|enable`. */
export function addTenantsCommands(program: Command, io: CliIo): void {
  const tenants = program.command("tenants").description("make, change and suspend tenants");
  const print = printer(program, io);
  const create = tenants
    .command("create")
    .description("make a tenant")
    .argument("<slug>")
    .requiredOption("--name <name>", "name for people")
    .option("--request-id <id>", "makes the call repeatable");
  addSettingsOptions(create, 'settings as JSON, as {"tokenTtl":"300s"}').action(
    async (slug: string, { name, requestId = "", ...options }) => {
      const { settings } = givenSettings(options);
      const response = await adminClient(io).createTenant({ slug, name, settings, requestId });
      print(CreateTenantResponseSchema, response, linesOf(response.tenant));
    },
  );
  tenants
    .command("list")
    .description("show a page of tenants, by slug")
    .option("--page-size <count>", "most tenants of the page, up to 1000", Number)
    .option("--page-token <token>", "the page after the one that gave this")
    .action(async ({ pageSize = 0, pageToken = "" }) => {
      const response = await adminClient(io).listTenants({ pageSize, pageToken });
      const lines = response.tenants.map(({ id, slug, state, name }) =>
        [id, nameOf(TenantState, state).padEnd(8), slug, name].join("  "),
      );
      const more = response.nextPageToken === "" ? [] : [`next page: --page-token ${response.nextPageToken}`];
      print(ListTenantsResponseSchema, response, [...lines, ...more]);
    });
  const update = tenants
    .command("update")
    .description("change a tenant's name or settings; what isn't named stays")
    .argument("<id-or-slug>")
    .option("--name <name>", "name for people")
    .option("--etag <etag>", "refuse if the tenant has changed since")
    .option("--request-id <id>", "makes the call repeatable");
  addSettingsOptions(update, "the settings to change, as JSON; null gives one its default").action(
    async (idOrSlug: string, { name, etag = "", requestId = "", ...options }) => {
      const which = idOrSlug.startsWith("ten_") ? { id: idOrSlug } : { slug: idOrSlug };
      const { settings, paths } = givenSettings(options);
      const response = await adminClient(io).updateTenant({
        tenant: { ...which, name, settings },
        updateMask: { paths: [...(name === undefined ? [] : ["name"]), ...paths] },
        etag,
        requestId,
      });
      print(UpdateTenantResponseSchema, response, linesOf(response.tenant));
    },
  );
  addStateCommands(tenants, io, print);
}

/** The commands that name a tenant and nothing else. */
function addStateCommands(tenants: Command, io: CliIo, print: Print): void {
  const command = (name: string, description: string, run: (tenant: string) => Promise<void>) =>
    tenants.command(name).description(description).argument("<id-or-slug>").action(run);
  command("get", "show a tenant", async (tenant) => {
    const response = await adminClient(io).getTenant({ tenant });
    print(GetTenantResponseSchema, response, linesOf(response.tenant));
  });
  command("disable", "suspend a tenant: nothing of it verifies", async (tenant) => {
    const response = await adminClient(io).disableTenant({ tenant });
    print(DisableTenantResponseSchema, response, linesOf(response.tenant));
  });
  command("enable", "resume a suspended tenant", async (tenant) => {
    const response = await adminClient(io).enableTenant({ tenant });
    print(EnableTenantResponseSchema, response, linesOf(response.tenant));
  });
}

function linesOf(tenant: Tenant | undefined): string[] {
  if (tenant === undefined) return [];
  return [
    `tenant      ${tenant.id}`,
    `slug        ${tenant.slug}`,
    `name        ${tenant.name}`,
    `state       ${nameOf(TenantState, tenant.state)}`,
    `issuer      ${tenant.issuer}`,
    `updated     ${timeText(tenant.updateTime)}`,
    `etag        ${tenant.etag}`,
    `settings    ${JSON.stringify(tenant.settings && toJson(TenantSettingsSchema, tenant.settings))}`,
  ];
}
