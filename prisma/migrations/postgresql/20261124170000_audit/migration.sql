ALTER TABLE "audit_event" ADD COLUMN "details" TEXT COLLATE "C";
CREATE INDEX "audit_event_target_idx" ON "audit_event" ("tenant_id", "target", "revision");
CREATE INDEX "api_key_expiry_idx" ON "api_key" ("expire_time_ms", "id");

CREATE TABLE "audit_checkpoint" (
    "number" BIGINT NOT NULL,
    "revision" BIGINT NOT NULL,
    "time_ms" BIGINT NOT NULL,
    "kid" TEXT COLLATE "C" NOT NULL,
    "statement" TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY ("number")
);
CREATE INDEX "audit_checkpoint_revision_idx" ON "audit_checkpoint" ("revision");

CREATE TABLE "expiry_cursor" (
    "lead_ms" BIGINT NOT NULL,
    "expire_time_ms" BIGINT NOT NULL,
    "key_id" TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY ("lead_ms")
);
