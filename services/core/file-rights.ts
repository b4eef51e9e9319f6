/** Rights of all but the file's owner. */
export const groupAndOthers = 0o077;
/** Rights of all but the file's owner and its group. */
export const others = 0o007;

/** Gives a file's rights in octal, as `0644`, if they hold any of the `forbidden` ones; else undefined. */
export function exposedRights(mode: number, forbidden: number): string | undefined {
  return (mode & forbidden) === 0 ? undefined : (mode & 0o777).toString(8).padStart(4, "0");
}
