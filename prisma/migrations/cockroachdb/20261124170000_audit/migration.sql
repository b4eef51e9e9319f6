ALTER TABLE "audit_event" ADD COLUMN "details" TEXT;
CREATE INDEX "audit_event_target_idx" ON "audit_event" ("tenant_id", "target", "revision");
CREATE INDEX "api_key_expiry_idx" ON "api_key" ("expire_time_ms", "id");

CREATE TABLE "audit_checkpoint" (
    "number" INT8 NOT NULL,
    "revision" INT8 NOT NULL,
    "time_ms" INT8 NOT NULL,
    "kid" TEXT NOT NULL,
    "statement" TEXT NOT NULL,
    PRIMARY KEY ("number")
);
CREATE INDEX "audit_checkpoint_revision_idx" ON "audit_checkpoint" ("revision");

CREATE TABLE "expiry_cursor" (
    "lead_ms" INT8 NOT NULL,
    "expire_time_ms" INT8 NOT NULL,
    "key_id" TEXT NOT NULL,
    PRIMARY KEY ("lead_ms")
);
