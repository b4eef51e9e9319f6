/** A TypeID (UUIDv7 in 26 lower-case base32 characters) with the prefix `P`; safe to log. */
type TypeId<P extends string> = string & { readonly __typeId: P };

export type TenantId = TypeId<"ten">;
export type KeyId = TypeId<"key">;
export type TokenId = TypeId<"tok">;
export type SigningKeyId = TypeId<"sig">;
export type EventId = TypeId<"evt">;
export type SubscriptionId = TypeId<"sub">;
