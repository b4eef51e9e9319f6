CREATE TABLE "key_mark" (
    "tenant_id" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "token_epoch" INT4 NOT NULL,
    "forget_time_ms" INT8,
    PRIMARY KEY ("tenant_id", "key_id")
);
CREATE INDEX "key_mark_forget_idx" ON "key_mark" ("forget_time_ms", "key_id");

-- Keys that are suspended or revoked already. Which epochs were raised lately isn't known: those tell nothing new to a
-- verifier that didn't exist before.
INSERT INTO "key_mark" ("tenant_id", "key_id", "status", "token_epoch", "forget_time_ms")
SELECT "tenant_id", "id", "state", "token_epoch",
    CASE WHEN "state" = 'REVOKED' THEN "revocation_time_ms" + 87300000 END
FROM "api_key" WHERE "state" <> 'ACTIVE';

CREATE TABLE "subscription" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "server_id" TEXT NOT NULL,
    "feeds" TEXT NOT NULL,
    "client_version" TEXT NOT NULL,
    "address" TEXT NOT NULL,
    "max_staleness_ms" INT8 NOT NULL,
    "on_stale" TEXT NOT NULL,
    "create_time_ms" INT8 NOT NULL,
    "seen_time_ms" INT8 NOT NULL,
    "acked_revision" INT8 NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "subscription_tenant_idx" ON "subscription" ("tenant_id", "id");
CREATE INDEX "subscription_seen_idx" ON "subscription" ("seen_time_ms");

CREATE TABLE "server_presence" (
    "id" TEXT NOT NULL,
    "seen_time_ms" INT8 NOT NULL,
    "revision" INT8 NOT NULL,
    "wanted_revision" INT8 NOT NULL,
    PRIMARY KEY ("id")
);
