-- WITHOUT ROWID: rows that are small and always found by their primary key are kept in it, one B-tree instead of two.

CREATE TABLE "store_head" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "revision" BIGINT NOT NULL,
    "hash" BLOB NOT NULL,
    "store_epoch" TEXT NOT NULL,
    "compacted_through" BIGINT NOT NULL
);

CREATE TABLE "change_log" (
    "revision" BIGINT NOT NULL PRIMARY KEY,
    "hash" BLOB NOT NULL,
    "commit_time_ms" BIGINT NOT NULL,
    "change_digest" BLOB NOT NULL,
    "payload" BLOB
);

CREATE TABLE "audit_event" (
    "revision" BIGINT NOT NULL PRIMARY KEY,
    "id" TEXT NOT NULL,
    "time_ms" BIGINT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "caller_key_id" TEXT,
    "caller_tenant_id" TEXT,
    "address" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "before_digest" BLOB,
    "after_digest" BLOB
);
CREATE UNIQUE INDEX "audit_event_id_key" ON "audit_event"("id");
CREATE INDEX "audit_event_tenant_idx" ON "audit_event"("tenant_id", "revision");

CREATE TABLE "tenant" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "settings" TEXT NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "update_time_ms" BIGINT NOT NULL
);
CREATE UNIQUE INDEX "tenant_slug_key" ON "tenant"("slug");

CREATE TABLE "api_key" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "owner_id" TEXT NOT NULL,
    "scopes" TEXT NOT NULL,
    "metadata" TEXT,
    "labels" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "visibility" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "update_time_ms" BIGINT NOT NULL,
    "expire_time_ms" BIGINT,
    "allowed_cidrs" TEXT NOT NULL,
    "constraints" TEXT NOT NULL,
    "token_epoch" INTEGER NOT NULL,
    "revocation_reason" TEXT,
    "revocation_comment" TEXT,
    "revocation_time_ms" BIGINT,
    "revision" BIGINT NOT NULL,
    FOREIGN KEY ("tenant_id") REFERENCES "tenant" ("id") ON DELETE RESTRICT ON UPDATE RESTRICT
);
CREATE INDEX "api_key_create_time_idx" ON "api_key"("tenant_id", "create_time_ms", "id");
CREATE INDEX "api_key_expire_time_idx" ON "api_key"("tenant_id", "expire_time_ms", "id");
CREATE INDEX "api_key_owner_idx" ON "api_key"("tenant_id", "owner_id", "id");
CREATE INDEX "api_key_name_idx" ON "api_key"("tenant_id", "name", "id");
CREATE INDEX "api_key_prefix_idx" ON "api_key"("tenant_id", "prefix", "id");

CREATE TABLE "secret_version" (
    "key_id" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "digest" BLOB NOT NULL,
    "pepper_id" TEXT NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "grace_end_time_ms" BIGINT,
    PRIMARY KEY ("key_id", "number"),
    FOREIGN KEY ("key_id") REFERENCES "api_key" ("id") ON DELETE CASCADE ON UPDATE RESTRICT
) WITHOUT ROWID;
CREATE UNIQUE INDEX "secret_version_digest_key" ON "secret_version"("tenant_id", "digest");

CREATE TABLE "key_scope" (
    "tenant_id" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    PRIMARY KEY ("tenant_id", "scope", "key_id")
) WITHOUT ROWID;

CREATE TABLE "key_label" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    PRIMARY KEY ("tenant_id", "name", "value", "key_id")
) WITHOUT ROWID;

CREATE TABLE "sealed_secret" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "tenant_id" TEXT,
    "purpose" TEXT NOT NULL,
    "master_key_id" TEXT NOT NULL,
    "sealed" BLOB NOT NULL,
    "create_time_ms" BIGINT NOT NULL
);
CREATE INDEX "sealed_secret_purpose_idx" ON "sealed_secret"("purpose", "id");

CREATE TABLE "idempotency_record" (
    "tenant_id" TEXT NOT NULL,
    "caller_key_id" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "fingerprint" BLOB NOT NULL,
    "key_id" TEXT NOT NULL,
    "revision" BIGINT NOT NULL,
    "create_time_ms" BIGINT NOT NULL,
    "sealed_answer" BLOB,
    PRIMARY KEY ("tenant_id", "caller_key_id", "method", "request_id")
);
CREATE INDEX "idempotency_record_key_idx" ON "idempotency_record"("key_id");
CREATE INDEX "idempotency_record_create_time_idx" ON "idempotency_record"("create_time_ms");
