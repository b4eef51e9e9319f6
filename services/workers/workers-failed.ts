/** No worker came to take calls: it has said why. */
export class WorkersFailed extends Error {
  override readonly name = "WorkersFailed";
}
