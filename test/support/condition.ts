/** Waiting for something that happens within this process: looked at after every turn of the event loop. */
import { setImmediate as turn } from 'node:timers/promises'

/** Throws when it does not hold within `msMax`, with the place of the call in the stack. */
export async function condition(holds: () => boolean, msMax = 5_000): Promise<void> {
  const failure = new Error(`not within ${msMax} ms: ${holds.toString()}`)
  const endMs = performance.now() + msMax
  while (!holds()) {
    if (performance.now() > endMs) throw failure
    await turn()
  }
}
