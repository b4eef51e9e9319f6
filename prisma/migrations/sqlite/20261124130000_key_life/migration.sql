-- Use of keys and secrets: written in batches, outside the log. 0: never used.
ALTER TABLE "api_key" ADD COLUMN "last_used_time_ms" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "api_key" ADD COLUMN "last_used_address" TEXT NOT NULL DEFAULT '';
ALTER TABLE "api_key" ADD COLUMN "use_count" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "secret_version" ADD COLUMN "last_used_time_ms" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "secret_version" ADD COLUMN "use_count" BIGINT NOT NULL DEFAULT 0;

-- For quotas: counting a million rows for each key that is made would cost too much.
ALTER TABLE "tenant" ADD COLUMN "key_count" BIGINT NOT NULL DEFAULT 0;
UPDATE "tenant" SET "key_count" = (SELECT count(*) FROM "api_key" WHERE "tenant_id" = "tenant"."id");

-- Key ids stand in order of creation, so lists are ordered by id alone.
DROP INDEX "api_key_create_time_idx";
CREATE INDEX "api_key_order_idx" ON "api_key"("tenant_id", "id");
CREATE INDEX "api_key_state_idx" ON "api_key"("tenant_id", "state", "id");

CREATE TABLE "import_tombstone" (
    "tenant_id" TEXT NOT NULL,
    "digest" BLOB NOT NULL,
    "pepper_id" TEXT NOT NULL,
    "delete_time_ms" BIGINT NOT NULL,
    PRIMARY KEY ("tenant_id", "digest")
) WITHOUT ROWID;
