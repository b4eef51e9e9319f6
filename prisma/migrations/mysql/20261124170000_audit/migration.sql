ALTER TABLE `audit_event` ADD COLUMN `details` MEDIUMTEXT;
ALTER TABLE `audit_event` MODIFY `target` VARCHAR(255) NOT NULL;
CREATE INDEX `audit_event_target_idx` ON `audit_event` (`tenant_id`, `target`, `revision`);
CREATE INDEX `api_key_expiry_idx` ON `api_key` (`expire_time_ms`, `id`);

CREATE TABLE `audit_checkpoint` (
    `number` BIGINT NOT NULL,
    `revision` BIGINT NOT NULL,
    `time_ms` BIGINT NOT NULL,
    `kid` MEDIUMTEXT NOT NULL,
    `statement` MEDIUMTEXT NOT NULL,
    PRIMARY KEY (`number`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `audit_checkpoint_revision_idx` ON `audit_checkpoint` (`revision`);

CREATE TABLE `expiry_cursor` (
    `lead_ms` BIGINT NOT NULL,
    `expire_time_ms` BIGINT NOT NULL,
    `key_id` MEDIUMTEXT NOT NULL,
    PRIMARY KEY (`lead_ms`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
