CREATE TABLE `key_mark` (
    `tenant_id` VARCHAR(64) NOT NULL,
    `key_id` VARCHAR(64) NOT NULL,
    `status` VARCHAR(64) NOT NULL,
    `token_epoch` INTEGER NOT NULL,
    `forget_time_ms` BIGINT,
    PRIMARY KEY (`tenant_id`, `key_id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `key_mark_forget_idx` ON `key_mark` (`forget_time_ms`, `key_id`);

-- Keys that are suspended or revoked already. Which epochs were raised lately isn't known: those tell nothing new to a
-- verifier that didn't exist before.
INSERT INTO `key_mark` (`tenant_id`, `key_id`, `status`, `token_epoch`, `forget_time_ms`)
SELECT `tenant_id`, `id`, `state`, `token_epoch`,
    CASE WHEN `state` = 'REVOKED' THEN `revocation_time_ms` + 87300000 END
FROM `api_key` WHERE `state` <> 'ACTIVE';

CREATE TABLE `subscription` (
    `id` VARCHAR(64) NOT NULL,
    `tenant_id` VARCHAR(64) NOT NULL,
    `key_id` VARCHAR(64) NOT NULL,
    `server_id` VARCHAR(64) NOT NULL,
    `feeds` MEDIUMTEXT NOT NULL,
    `client_version` MEDIUMTEXT NOT NULL,
    `address` MEDIUMTEXT NOT NULL,
    `max_staleness_ms` BIGINT NOT NULL,
    `on_stale` MEDIUMTEXT NOT NULL,
    `create_time_ms` BIGINT NOT NULL,
    `seen_time_ms` BIGINT NOT NULL,
    `acked_revision` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
CREATE INDEX `subscription_tenant_idx` ON `subscription` (`tenant_id`, `id`);
CREATE INDEX `subscription_seen_idx` ON `subscription` (`seen_time_ms`);

CREATE TABLE `server_presence` (
    `id` VARCHAR(64) NOT NULL,
    `seen_time_ms` BIGINT NOT NULL,
    `revision` BIGINT NOT NULL,
    `wanted_revision` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 /*M! COLLATE = utf8mb4_nopad_bin */ /*!80017 COLLATE = utf8mb4_0900_bin */;
