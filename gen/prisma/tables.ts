// Made by scripts/generate.mjs from prisma/models.prisma, in its order.
export const tables = [
  {
    "name": "store_head",
    "columns": [
      "id",
      "revision",
      "hash",
      "store_epoch",
      "compacted_through"
    ],
    "primaryKey": [
      "id"
    ]
  },
  {
    "name": "change_log",
    "columns": [
      "revision",
      "hash",
      "commit_time_ms",
      "change_digest",
      "payload"
    ],
    "primaryKey": [
      "revision"
    ]
  },
  {
    "name": "audit_event",
    "columns": [
      "revision",
      "id",
      "time_ms",
      "tenant_id",
      "action",
      "target",
      "caller_key_id",
      "caller_tenant_id",
      "address",
      "request_id",
      "before_digest",
      "after_digest",
      "details"
    ],
    "primaryKey": [
      "revision"
    ]
  },
  {
    "name": "audit_checkpoint",
    "columns": [
      "number",
      "revision",
      "time_ms",
      "kid",
      "statement"
    ],
    "primaryKey": [
      "number"
    ]
  },
  {
    "name": "expiry_cursor",
    "columns": [
      "lead_ms",
      "expire_time_ms",
      "key_id"
    ],
    "primaryKey": [
      "lead_ms"
    ]
  },
  {
    "name": "tenant",
    "columns": [
      "id",
      "slug",
      "name",
      "state",
      "settings",
      "create_time_ms",
      "update_time_ms",
      "tokens_issued_before_ms",
      "key_count"
    ],
    "primaryKey": [
      "id"
    ]
  },
  {
    "name": "api_key",
    "columns": [
      "id",
      "tenant_id",
      "name",
      "owner_id",
      "scopes",
      "metadata",
      "labels",
      "state",
      "visibility",
      "kind",
      "prefix",
      "create_time_ms",
      "update_time_ms",
      "expire_time_ms",
      "allowed_cidrs",
      "constraints",
      "token_epoch",
      "revocation_reason",
      "revocation_comment",
      "revocation_time_ms",
      "revision",
      "rate_limits",
      "derive_policy",
      "last_used_time_ms",
      "last_used_address",
      "use_count"
    ],
    "primaryKey": [
      "id"
    ]
  },
  {
    "name": "secret_version",
    "columns": [
      "key_id",
      "number",
      "tenant_id",
      "digest",
      "pepper_id",
      "create_time_ms",
      "grace_end_time_ms",
      "last_used_time_ms",
      "use_count"
    ],
    "primaryKey": [
      "key_id",
      "number"
    ]
  },
  {
    "name": "key_scope",
    "columns": [
      "tenant_id",
      "scope",
      "key_id"
    ],
    "primaryKey": [
      "tenant_id",
      "scope",
      "key_id"
    ]
  },
  {
    "name": "key_label",
    "columns": [
      "tenant_id",
      "name",
      "value",
      "key_id"
    ],
    "primaryKey": [
      "tenant_id",
      "name",
      "value",
      "key_id"
    ]
  },
  {
    "name": "import_tombstone",
    "columns": [
      "tenant_id",
      "digest",
      "pepper_id",
      "delete_time_ms"
    ],
    "primaryKey": [
      "tenant_id",
      "digest"
    ]
  },
  {
    "name": "sealed_secret",
    "columns": [
      "id",
      "tenant_id",
      "purpose",
      "master_key_id",
      "sealed",
      "create_time_ms"
    ],
    "primaryKey": [
      "id"
    ]
  },
  {
    "name": "signing_key",
    "columns": [
      "id",
      "tenant_id",
      "kid",
      "algorithm",
      "state",
      "public_jwk",
      "create_time_ms",
      "activate_time_ms",
      "retire_time_ms",
      "remove_time_ms",
      "due_time_ms"
    ],
    "primaryKey": [
      "id"
    ]
  },
  {
    "name": "audience_generation",
    "columns": [
      "tenant_id",
      "audience",
      "generation",
      "end_time_ms"
    ],
    "primaryKey": [
      "tenant_id",
      "audience",
      "generation"
    ]
  },
  {
    "name": "token_revocation",
    "columns": [
      "tenant_id",
      "key_id",
      "token_id",
      "forget_time_ms"
    ],
    "primaryKey": [
      "tenant_id",
      "key_id",
      "token_id"
    ]
  },
  {
    "name": "key_mark",
    "columns": [
      "tenant_id",
      "key_id",
      "status",
      "token_epoch",
      "forget_time_ms"
    ],
    "primaryKey": [
      "tenant_id",
      "key_id"
    ]
  },
  {
    "name": "subscription",
    "columns": [
      "id",
      "tenant_id",
      "key_id",
      "server_id",
      "feeds",
      "client_version",
      "address",
      "max_staleness_ms",
      "on_stale",
      "create_time_ms",
      "seen_time_ms",
      "acked_revision"
    ],
    "primaryKey": [
      "id"
    ]
  },
  {
    "name": "server_presence",
    "columns": [
      "id",
      "seen_time_ms",
      "revision",
      "wanted_revision"
    ],
    "primaryKey": [
      "id"
    ]
  },
  {
    "name": "idempotency_record",
    "columns": [
      "tenant_id",
      "caller_key_id",
      "method",
      "request_id",
      "fingerprint",
      "key_id",
      "revision",
      "create_time_ms",
      "sealed_answer",
      "due_time_ms"
    ],
    "primaryKey": [
      "tenant_id",
      "caller_key_id",
      "method",
      "request_id"
    ]
  }
] as const;
