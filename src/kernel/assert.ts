/** A broken invariant. It is our bug, never the outside's fault: nobody catches it, the thread dies, the supervisor acts. */
class InvariantBroken extends Error {
  override readonly name = 'InvariantBroken'
}

/** Stays on in production: going on with a broken invariant loses mail, stopping does not. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantBroken(message)
}

/** For the default branch of a switch over a closed set. */
export function unreachable(value: never): never {
  throw new InvariantBroken(`unexpected value ${JSON.stringify(value)}`)
}

/** For whoever catches everything, because it comes from outside: a bug goes on its way. */
export function rethrowBug(error: unknown): void {
  if (error instanceof InvariantBroken) throw error
}
