ALTER TABLE "tenant" ADD COLUMN "tokens_issued_before_ms" BIGINT;

ALTER TABLE "api_key" ADD COLUMN "derive_policy" TEXT;

CREATE TABLE "signing_key" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "tenant_id" TEXT NOT NULL,
    "kid" TEXT NOT NULL,
    "algorithm" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "public_jwk" TEXT NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "activate_time_ms" BIGINT,
    "retire_time_ms" BIGINT,
    "remove_time_ms" BIGINT,
    "due_time_ms" BIGINT
);
CREATE INDEX "signing_key_tenant_idx" ON "signing_key"("tenant_id", "id");
CREATE INDEX "signing_key_due_idx" ON "signing_key"("due_time_ms", "id");

CREATE TABLE "audience_generation" (
    "tenant_id" TEXT NOT NULL,
    "audience" TEXT NOT NULL,
    "generation" BIGINT NOT NULL,
    "end_time_ms" BIGINT,
    PRIMARY KEY ("tenant_id", "audience", "generation")
) WITHOUT ROWID;

CREATE TABLE "token_revocation" (
    "tenant_id" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "token_id" TEXT NOT NULL,
    "forget_time_ms" BIGINT NOT NULL,
    PRIMARY KEY ("tenant_id", "key_id", "token_id")
) WITHOUT ROWID;
CREATE INDEX "token_revocation_forget_idx" ON "token_revocation"("forget_time_ms");
