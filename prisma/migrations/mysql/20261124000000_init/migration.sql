-- Texts are compared by bytes, blanks at their end included. That order has a name of its own on each server, so it
-- stands in comments that only one of them reads.

CREATE TABLE `store_head` (
    `id` VARCHAR(64) NOT NULL,
    `revision` BIGINT NOT NULL,
    `hash` MEDIUMBLOB NOT NULL,
    `store_epoch` MEDIUMTEXT NOT NULL,
    `compacted_through` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;

CREATE TABLE `change_log` (
    `revision` BIGINT NOT NULL,
    `hash` MEDIUMBLOB NOT NULL,
    `commit_time_ms` BIGINT NOT NULL,
    `change_digest` MEDIUMBLOB NOT NULL,
    `payload` MEDIUMBLOB,
    PRIMARY KEY (`revision`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;

CREATE TABLE `audit_event` (
    `revision` BIGINT NOT NULL,
    `id` VARCHAR(64) NOT NULL,
    `time_ms` BIGINT NOT NULL,
    `tenant_id` VARCHAR(64) NOT NULL,
    `action` MEDIUMTEXT NOT NULL,
    `target` MEDIUMTEXT NOT NULL,
    `caller_key_id` MEDIUMTEXT,
    `caller_tenant_id` MEDIUMTEXT,
    `address` MEDIUMTEXT NOT NULL,
    `request_id` MEDIUMTEXT NOT NULL,
    `before_digest` MEDIUMBLOB,
    `after_digest` MEDIUMBLOB,
    PRIMARY KEY (`revision`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE UNIQUE INDEX `audit_event_id_key` ON `audit_event` (`id`);
CREATE INDEX `audit_event_tenant_idx` ON `audit_event` (`tenant_id`, `revision`);

CREATE TABLE `tenant` (
    `id` VARCHAR(64) NOT NULL,
    `slug` VARCHAR(64) NOT NULL,
    `name` MEDIUMTEXT NOT NULL,
    `state` MEDIUMTEXT NOT NULL,
    `settings` MEDIUMTEXT NOT NULL,
    `create_time_ms` BIGINT NOT NULL,
    `update_time_ms` BIGINT NOT NULL,
    `tokens_issued_before_ms` BIGINT,
    `key_count` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE UNIQUE INDEX `tenant_slug_key` ON `tenant` (`slug`);

CREATE TABLE `api_key` (
    `id` VARCHAR(64) NOT NULL,
    `tenant_id` VARCHAR(64) NOT NULL,
    `name` VARCHAR(255) NOT NULL,
    `owner_id` VARCHAR(255) NOT NULL,
    `scopes` MEDIUMTEXT NOT NULL,
    `metadata` MEDIUMTEXT,
    `labels` MEDIUMTEXT NOT NULL,
    `state` VARCHAR(64) NOT NULL,
    `visibility` MEDIUMTEXT NOT NULL,
    `kind` MEDIUMTEXT NOT NULL,
    `prefix` VARCHAR(64) NOT NULL,
    `create_time_ms` BIGINT NOT NULL,
    `update_time_ms` BIGINT NOT NULL,
    `expire_time_ms` BIGINT,
    `allowed_cidrs` MEDIUMTEXT NOT NULL,
    `constraints` MEDIUMTEXT NOT NULL,
    `token_epoch` INTEGER NOT NULL,
    `revocation_reason` MEDIUMTEXT,
    `revocation_comment` MEDIUMTEXT,
    `revocation_time_ms` BIGINT,
    `revision` BIGINT NOT NULL,
    `derive_policy` MEDIUMTEXT,
    `last_used_time_ms` BIGINT NOT NULL,
    `last_used_address` MEDIUMTEXT NOT NULL,
    `use_count` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    FOREIGN KEY (`tenant_id`) REFERENCES `tenant` (`id`) ON DELETE RESTRICT ON UPDATE RESTRICT
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `api_key_order_idx` ON `api_key` (`tenant_id`, `id`);
CREATE INDEX `api_key_state_idx` ON `api_key` (`tenant_id`, `state`, `id`);
CREATE INDEX `api_key_expire_time_idx` ON `api_key` (`tenant_id`, `expire_time_ms`, `id`);
CREATE INDEX `api_key_owner_idx` ON `api_key` (`tenant_id`, `owner_id`, `id`);
CREATE INDEX `api_key_name_idx` ON `api_key` (`tenant_id`, `name`, `id`);
CREATE INDEX `api_key_prefix_idx` ON `api_key` (`tenant_id`, `prefix`, `id`);

CREATE TABLE `secret_version` (
    `key_id` VARCHAR(64) NOT NULL,
    `number` INTEGER NOT NULL,
    `tenant_id` VARCHAR(64) NOT NULL,
    `digest` VARBINARY(32) NOT NULL,
    `pepper_id` MEDIUMTEXT NOT NULL,
    `create_time_ms` BIGINT NOT NULL,
    `grace_end_time_ms` BIGINT,
    `last_used_time_ms` BIGINT NOT NULL,
    `use_count` BIGINT NOT NULL,
    PRIMARY KEY (`key_id`, `number`),
    FOREIGN KEY (`key_id`) REFERENCES `api_key` (`id`) ON DELETE CASCADE ON UPDATE RESTRICT
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE UNIQUE INDEX `secret_version_digest_key` ON `secret_version` (`tenant_id`, `digest`);

CREATE TABLE `key_scope` (
    `tenant_id` VARCHAR(64) NOT NULL,
    `scope` VARCHAR(512) NOT NULL,
    `key_id` VARCHAR(64) NOT NULL,
    PRIMARY KEY (`tenant_id`, `scope`, `key_id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;

CREATE TABLE `key_label` (
    `tenant_id` VARCHAR(64) NOT NULL,
    `name` VARCHAR(255) NOT NULL,
    `value` VARCHAR(255) NOT NULL,
    `key_id` VARCHAR(64) NOT NULL,
    PRIMARY KEY (`tenant_id`, `name`, `value`, `key_id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;

CREATE TABLE `import_tombstone` (
    `tenant_id` VARCHAR(64) NOT NULL,
    `digest` VARBINARY(32) NOT NULL,
    `pepper_id` MEDIUMTEXT NOT NULL,
    `delete_time_ms` BIGINT NOT NULL,
    PRIMARY KEY (`tenant_id`, `digest`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;

CREATE TABLE `sealed_secret` (
    `id` VARCHAR(64) NOT NULL,
    `tenant_id` MEDIUMTEXT,
    `purpose` VARCHAR(64) NOT NULL,
    `master_key_id` MEDIUMTEXT NOT NULL,
    `sealed` MEDIUMBLOB NOT NULL,
    `create_time_ms` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `sealed_secret_purpose_idx` ON `sealed_secret` (`purpose`, `id`);

CREATE TABLE `signing_key` (
    `id` VARCHAR(64) NOT NULL,
    `tenant_id` VARCHAR(64) NOT NULL,
    `kid` MEDIUMTEXT NOT NULL,
    `algorithm` MEDIUMTEXT NOT NULL,
    `state` MEDIUMTEXT NOT NULL,
    `public_jwk` MEDIUMTEXT NOT NULL,
    `create_time_ms` BIGINT NOT NULL,
    `activate_time_ms` BIGINT,
    `retire_time_ms` BIGINT,
    `remove_time_ms` BIGINT,
    `due_time_ms` BIGINT,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `signing_key_tenant_idx` ON `signing_key` (`tenant_id`, `id`);
CREATE INDEX `signing_key_due_idx` ON `signing_key` (`due_time_ms`, `id`);

CREATE TABLE `audience_generation` (
    `tenant_id` VARCHAR(64) NOT NULL,
    `audience` VARCHAR(255) NOT NULL,
    `generation` BIGINT NOT NULL,
    `end_time_ms` BIGINT,
    PRIMARY KEY (`tenant_id`, `audience`, `generation`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;

CREATE TABLE `token_revocation` (
    `tenant_id` VARCHAR(64) NOT NULL,
    `key_id` VARCHAR(64) NOT NULL,
    `token_id` VARCHAR(64) NOT NULL,
    `forget_time_ms` BIGINT NOT NULL,
    PRIMARY KEY (`tenant_id`, `key_id`, `token_id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `token_revocation_forget_idx` ON `token_revocation` (`forget_time_ms`);

CREATE TABLE `idempotency_record` (
    `tenant_id` VARCHAR(64) NOT NULL,
    `caller_key_id` VARCHAR(64) NOT NULL,
    `method` VARCHAR(64) NOT NULL,
    `request_id` VARCHAR(64) NOT NULL,
    `fingerprint` MEDIUMBLOB NOT NULL,
    `key_id` VARCHAR(64) NOT NULL,
    `revision` BIGINT NOT NULL,
    `create_time_ms` BIGINT NOT NULL,
    `sealed_answer` MEDIUMBLOB,
    PRIMARY KEY (`tenant_id`, `caller_key_id`, `method`, `request_id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `idempotency_record_key_idx` ON `idempotency_record` (`key_id`);
CREATE INDEX `idempotency_record_create_time_idx` ON `idempotency_record` (`create_time_ms`);
