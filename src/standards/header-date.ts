/** Date and time as header fields write them (RFC 5322 §3.3), in UTC. */
import { invariant } from '../kernel/assert.ts'
import { secondMs } from '../kernel/units.ts'

let secondOfText = Number.NaN
let textOfSecond = ''

/** Made once a second: many messages share it. */
export function headerDate(timeMs: number): string {
  invariant(Number.isFinite(timeMs), 'a message has a date')
  const second = Math.floor(timeMs / secondMs)
  if (second !== secondOfText) {
    textOfSecond = new Date(second * secondMs).toUTCString().replace('GMT', '+0000')
    secondOfText = second
  }
  return textOfSecond
}
