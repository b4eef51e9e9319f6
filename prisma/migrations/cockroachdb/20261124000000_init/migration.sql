-- Texts are compared by bytes; every name of a type is PostgreSQL's too.

CREATE TABLE "store_head" (
    "id" TEXT NOT NULL,
    "revision" INT8 NOT NULL,
    "hash" BYTEA NOT NULL,
    "store_epoch" TEXT NOT NULL,
    "compacted_through" INT8 NOT NULL,
    PRIMARY KEY ("id")
);

CREATE TABLE "change_log" (
    "revision" INT8 NOT NULL,
    "hash" BYTEA NOT NULL,
    "commit_time_ms" INT8 NOT NULL,
    "change_digest" BYTEA NOT NULL,
    "payload" BYTEA,
    PRIMARY KEY ("revision")
);

CREATE TABLE "audit_event" (
    "revision" INT8 NOT NULL,
    "id" TEXT NOT NULL,
    "time_ms" INT8 NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "caller_key_id" TEXT,
    "caller_tenant_id" TEXT,
    "address" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "before_digest" BYTEA,
    "after_digest" BYTEA,
    PRIMARY KEY ("revision")
);
CREATE UNIQUE INDEX "audit_event_id_key" ON "audit_event" ("id");
CREATE INDEX "audit_event_tenant_idx" ON "audit_event" ("tenant_id", "revision");

CREATE TABLE "tenant" (
    "id" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "settings" TEXT NOT NULL,
    "create_time_ms" INT8 NOT NULL,
    "update_time_ms" INT8 NOT NULL,
    "tokens_issued_before_ms" INT8,
    "key_count" INT8 NOT NULL,
    PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "tenant_slug_key" ON "tenant" ("slug");

CREATE TABLE "api_key" (
    "id" TEXT NOT NULL,
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
    "create_time_ms" INT8 NOT NULL,
    "update_time_ms" INT8 NOT NULL,
    "expire_time_ms" INT8,
    "allowed_cidrs" TEXT NOT NULL,
    "constraints" TEXT NOT NULL,
    "token_epoch" INT4 NOT NULL,
    "revocation_reason" TEXT,
    "revocation_comment" TEXT,
    "revocation_time_ms" INT8,
    "revision" INT8 NOT NULL,
    "derive_policy" TEXT,
    "last_used_time_ms" INT8 NOT NULL,
    "last_used_address" TEXT NOT NULL,
    "use_count" INT8 NOT NULL,
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
    "key_id" TEXT NOT NULL,
    "number" INT4 NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "digest" BYTEA NOT NULL,
    "pepper_id" TEXT NOT NULL,
    "create_time_ms" INT8 NOT NULL,
    "grace_end_time_ms" INT8,
    "last_used_time_ms" INT8 NOT NULL,
    "use_count" INT8 NOT NULL,
    PRIMARY KEY ("key_id", "number"),
    FOREIGN KEY ("key_id") REFERENCES "api_key" ("id") ON DELETE CASCADE ON UPDATE RESTRICT
);
CREATE UNIQUE INDEX "secret_version_digest_key" ON "secret_version" ("tenant_id", "digest");

CREATE TABLE "key_scope" (
    "tenant_id" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    PRIMARY KEY ("tenant_id", "scope", "key_id")
);

CREATE TABLE "key_label" (
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    PRIMARY KEY ("tenant_id", "name", "value", "key_id")
);

CREATE TABLE "import_tombstone" (
    "tenant_id" TEXT NOT NULL,
    "digest" BYTEA NOT NULL,
    "pepper_id" TEXT NOT NULL,
    "delete_time_ms" INT8 NOT NULL,
    PRIMARY KEY ("tenant_id", "digest")
);

CREATE TABLE "sealed_secret" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT,
    "purpose" TEXT NOT NULL,
    "master_key_id" TEXT NOT NULL,
    "sealed" BYTEA NOT NULL,
    "create_time_ms" INT8 NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "sealed_secret_purpose_idx" ON "sealed_secret" ("purpose", "id");

CREATE TABLE "signing_key" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "kid" TEXT NOT NULL,
    "algorithm" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "public_jwk" TEXT NOT NULL,
    "create_time_ms" INT8 NOT NULL,
    "activate_time_ms" INT8,
    "retire_time_ms" INT8,
    "remove_time_ms" INT8,
    "due_time_ms" INT8,
    PRIMARY KEY ("id")
);
CREATE INDEX "signing_key_tenant_idx" ON "signing_key" ("tenant_id", "id");
CREATE INDEX "signing_key_due_idx" ON "signing_key" ("due_time_ms", "id");

CREATE TABLE "audience_generation" (
    "tenant_id" TEXT NOT NULL,
    "audience" TEXT NOT NULL,
    "generation" INT8 NOT NULL,
    "end_time_ms" INT8,
    PRIMARY KEY ("tenant_id", "audience", "generation")
);

CREATE TABLE "token_revocation" (
    "tenant_id" TEXT NOT NULL,
    "key_id" TEXT NOT NULL,
    "token_id" TEXT NOT NULL,
    "forget_time_ms" INT8 NOT NULL,
    PRIMARY KEY ("tenant_id", "key_id", "token_id")
);
CREATE INDEX "token_revocation_forget_idx" ON "token_revocation" ("forget_time_ms");

CREATE TABLE "idempotency_record" (
    "tenant_id" TEXT NOT NULL,
    "caller_key_id" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "request_id" TEXT NOT NULL,
    "fingerprint" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,
    "revision" INT8 NOT NULL,
    "create_time_ms" INT8 NOT NULL,
    "sealed_answer" BYTEA,
    PRIMARY KEY ("tenant_id", "caller_key_id", "method", "request_id")
);
CREATE INDEX "idempotency_record_key_idx" ON "idempotency_record" ("key_id");
CREATE INDEX "idempotency_record_create_time_idx" ON "idempotency_record" ("create_time_ms");
