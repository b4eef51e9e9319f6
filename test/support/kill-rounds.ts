/** How often a test kills a process: `few` times, or as often as TEST_KILL_ROUNDS says, for a run by hand. */
export function killRounds(few: number): number {
  const told = Number(process.env.TEST_KILL_ROUNDS || few);
  if (!Number.isInteger(told) || told < 1) throw new Error("TEST_KILL_ROUNDS is a number of rounds");
  return told;
}
