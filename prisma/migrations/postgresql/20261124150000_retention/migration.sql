-- Finds keys that have been revoked for long.
CREATE INDEX "api_key_revocation_time_idx" ON "api_key" ("tenant_id", "revocation_time_ms", "id");

-- One index tells what is due of a record: first that its answer is erased, then that it is deleted. What an older
-- version writes meanwhile is due at once: its answer, not the record.
ALTER TABLE "idempotency_record" ADD COLUMN "due_time_ms" BIGINT NOT NULL DEFAULT 0;
UPDATE "idempotency_record"
SET "due_time_ms" = "create_time_ms" + CASE WHEN "sealed_answer" IS NULL THEN 86400000 ELSE 3600000 END;
DROP INDEX "idempotency_record_create_time_idx";
CREATE INDEX "idempotency_record_due_idx" ON "idempotency_record" ("due_time_ms");
