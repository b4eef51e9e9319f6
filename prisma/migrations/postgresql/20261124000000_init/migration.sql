-- COLLATE "C": texts are compared by bytes, whatever the database's own order is.

CREATE TABLE "store_head" (
    "id" TEXT COLLATE "C" NOT NULL,
    "revision" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "store_epoch" TEXT COLLATE "C" NOT NULL,
    "compacted_through" BIGINT NOT NULL,
    PRIMARY KEY ("id")
);

CREATE TABLE "change_log" (
    "revision" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "commit_time_ms" BIGINT NOT NULL,
    "change_digest" BYTEA NOT NULL,
    "payload" BYTEA,
    PRIMARY KEY ("revision")
);

CREATE TABLE "audit_event" (
    "revision" BIGINT NOT NULL,
    "id" TEXT COLLATE "C" NOT NULL,
    "time_ms" BIGINT NOT NULL,
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "action" TEXT COLLATE "C" NOT NULL,
    "target" TEXT COLLATE "C" NOT NULL,
    "caller_key_id" TEXT COLLATE "C",
    "caller_tenant_id" TEXT COLLATE "C",
    "address" TEXT COLLATE "C" NOT NULL,
    "request_id" TEXT COLLATE "C" NOT NULL,
    "before_digest" BYTEA,
    "after_digest" BYTEA,
    PRIMARY KEY ("revision")
);
CREATE UNIQUE INDEX "audit_event_id_key" ON "audit_event" ("id");
CREATE INDEX "audit_event_tenant_idx" ON "audit_event" ("tenant_id", "revision");

CREATE TABLE "tenant" (
    "id" TEXT COLLATE "C" NOT NULL,
    "slug" TEXT COLLATE "C" NOT NULL,
    "name" TEXT COLLATE "C" NOT NULL,
    "state" TEXT COLLATE "C" NOT NULL,
    "settings" TEXT COLLATE "C" NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "update_time_ms" BIGINT NOT NULL,
    "tokens_issued_before_ms" BIGINT,
    "key_count" BIGINT NOT NULL,
    PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "tenant_slug_key" ON "tenant" ("slug");

CREATE TABLE "api_key" (
    "id" TEXT COLLATE "C" NOT NULL,
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "name" TEXT COLLATE "C" NOT NULL,
    "owner_id" TEXT COLLATE "C" NOT NULL,
    "scopes" TEXT COLLATE "C" NOT NULL,
    "metadata" TEXT COLLATE "C",
    "labels" TEXT COLLATE "C" NOT NULL,
    "state" TEXT COLLATE "C" NOT NULL,
    "visibility" TEXT COLLATE "C" NOT NULL,
    "kind" TEXT COLLATE "C" NOT NULL,
    "prefix" TEXT COLLATE "C" NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "update_time_ms" BIGINT NOT NULL,
    "expire_time_ms" BIGINT,
    "allowed_cidrs" TEXT COLLATE "C" NOT NULL,
    "constraints" TEXT COLLATE "C" NOT NULL,
    "token_epoch" INTEGER NOT NULL,
    "revocation_reason" TEXT COLLATE "C",
    "revocation_comment" TEXT COLLATE "C",
    "revocation_time_ms" BIGINT,
    "revision" BIGINT NOT NULL,
    "derive_policy" TEXT COLLATE "C",
    "last_used_time_ms" BIGINT NOT NULL,
    "last_used_address" TEXT COLLATE "C" NOT NULL,
    "use_count" BIGINT NOT NULL,
    PRIMARY KEY ("id"),
    FOREIGN KEY ("tenant_id") REFERENCES "tenant" ("id") ON DELETE RESTRICT ON UPDATE RESTRICT
);
CREATE INDEX "api_key_order_idx" ON "api_key" ("tenant_id", "id");
CREATE INDEX "api_key_state_idx" ON "api_key" ("tenant_id", "state", "id");
CREATE INDEX "api_key_expire_time_idx" ON "api_key" ("tenant_id", "expire_time_ms", "id");
CREATE INDEX "api_key_owner_idx" ON "api_key" ("tenant_id", "owner_id", "id");
CREATE INDEX "api_key_name_idx" ON "api_key" ("tenant_id", "name", "id");
CREATE INDEX "api_key_prefix_idx" ON "api_key" ("tenant_id", "prefix", "id");

CREATE TABLE "secret_version" (
    "key_id" TEXT COLLATE "C" NOT NULL,
    "number" INTEGER NOT NULL,
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "digest" BYTEA NOT NULL,
    "pepper_id" TEXT COLLATE "C" NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "grace_end_time_ms" BIGINT,
    "last_used_time_ms" BIGINT NOT NULL,
    "use_count" BIGINT NOT NULL,
    PRIMARY KEY ("key_id", "number"),
    FOREIGN KEY ("key_id") REFERENCES "api_key" ("id") ON DELETE CASCADE ON UPDATE RESTRICT
);
CREATE UNIQUE INDEX "secret_version_digest_key" ON "secret_version" ("tenant_id", "digest");

CREATE TABLE "key_scope" (
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "scope" TEXT COLLATE "C" NOT NULL,
    "key_id" TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY ("tenant_id", "scope", "key_id")
);

CREATE TABLE "key_label" (
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "name" TEXT COLLATE "C" NOT NULL,
    "value" TEXT COLLATE "C" NOT NULL,
    "key_id" TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY ("tenant_id", "name", "value", "key_id")
);

CREATE TABLE "import_tombstone" (
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "digest" BYTEA NOT NULL,
    "pepper_id" TEXT COLLATE "C" NOT NULL,
    "delete_time_ms" BIGINT NOT NULL,
    PRIMARY KEY ("tenant_id", "digest")
);

CREATE TABLE "sealed_secret" (
    "id" TEXT COLLATE "C" NOT NULL,
    "tenant_id" TEXT COLLATE "C",
    "purpose" TEXT COLLATE "C" NOT NULL,
    "master_key_id" TEXT COLLATE "C" NOT NULL,
    "sealed" BYTEA NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "sealed_secret_purpose_idx" ON "sealed_secret" ("purpose", "id");

CREATE TABLE "signing_key" (
    "id" TEXT COLLATE "C" NOT NULL,
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "kid" TEXT COLLATE "C" NOT NULL,
    "algorithm" TEXT COLLATE "C" NOT NULL,
    "state" TEXT COLLATE "C" NOT NULL,
    "public_jwk" TEXT COLLATE "C" NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "activate_time_ms" BIGINT,
    "retire_time_ms" BIGINT,
    "remove_time_ms" BIGINT,
    "due_time_ms" BIGINT,
    PRIMARY KEY ("id")
);
CREATE INDEX "signing_key_tenant_idx" ON "signing_key" ("tenant_id", "id");
CREATE INDEX "signing_key_due_idx" ON "signing_key" ("due_time_ms", "id");

CREATE TABLE "audience_generation" (
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "audience" TEXT COLLATE "C" NOT NULL,
    "generation" BIGINT NOT NULL,
    "end_time_ms" BIGINT,
    PRIMARY KEY ("tenant_id", "audience", "generation")
);

CREATE TABLE "token_revocation" (
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "key_id" TEXT COLLATE "C" NOT NULL,
    "token_id" TEXT COLLATE "C" NOT NULL,
    "forget_time_ms" BIGINT NOT NULL,
    PRIMARY KEY ("tenant_id", "key_id", "token_id")
);
CREATE INDEX "token_revocation_forget_idx" ON "token_revocation" ("forget_time_ms");

CREATE TABLE "idempotency_record" (
    "tenant_id" TEXT COLLATE "C" NOT NULL,
    "caller_key_id" TEXT COLLATE "C" NOT NULL,
    "method" TEXT COLLATE "C" NOT NULL,
    "request_id" TEXT COLLATE "C" NOT NULL,
    "fingerprint" BYTEA NOT NULL,
    "key_id" TEXT COLLATE "C" NOT NULL,
    "revision" BIGINT NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "sealed_answer" BYTEA,
    PRIMARY KEY ("tenant_id", "caller_key_id", "method", "request_id")
);
CREATE INDEX "idempotency_record_key_idx" ON "idempotency_record" ("key_id");
CREATE INDEX "idempotency_record_create_time_idx" ON "idempotency_record" ("create_time_ms");
