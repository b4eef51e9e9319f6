CREATE TABLE "key_mark" (
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "key_id" TEXT COLLATE "C" NOT NULL,
    "status" TEXT COLLATE "C" NOT NULL,
    "token_epoch" INTEGER NOT NULL,
    "forget_time_ms" BIGINT,
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
    "id" TEXT COLLATE "C" NOT NULL,
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "key_id" TEXT COLLATE "C" NOT NULL,
    "server_id" TEXT COLLATE "C" NOT NULL,
    "feeds" TEXT COLLATE "C" NOT NULL,
    "client_version" TEXT COLLATE "C" NOT NULL,
    "address" TEXT COLLATE "C" NOT NULL,
    "max_staleness_ms" BIGINT NOT NULL,
    "on_stale" TEXT COLLATE "C" NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "seen_time_ms" BIGINT NOT NULL,
    "acked_revision" BIGINT NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "subscription_tenant_idx" ON "subscription" ("tenant_id", "id");
CREATE INDEX "subscription_seen_idx" ON "subscription" ("seen_time_ms");

CREATE TABLE "server_presence" (
    "id" TEXT COLLATE "C" NOT NULL,
    "seen_time_ms" BIGINT NOT NULL,
    "revision" BIGINT NOT NULL,
    "wanted_revision" BIGINT NOT NULL,
    PRIMARY KEY ("id")
);
