-- Finds keys that have been revoked for long.
CREATE INDEX "api_key_revocation_time_idx" ON "api_key" ("tenant_id", "revocation_time_ms", "id");

-- One index tells what is due of a record: first that its answer is erased, then that it is deleted. A transaction can't
-- write a column that it adds, so what is there is due at once: its answer, not the record.
ALTER TABLE "idempotency_record" ADD COLUMN "due_time_ms" INT8 NOT NULL DEFAULT 0;
DROP INDEX "idempotency_record_create_time_idx";
CREATE INDEX "idempotency_record_due_idx" ON "idempotency_record" ("due_time_ms");
