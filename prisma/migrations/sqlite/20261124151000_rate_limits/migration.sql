-- Limits on the use of a key: a JSON list; null: none.
ALTER TABLE "api_key" ADD COLUMN "rate_limits" TEXT;
