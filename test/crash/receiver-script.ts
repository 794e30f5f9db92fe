/** Where the mail of a crash run goes: mostly to domains that take it, and to some where every other kind of outcome happens. */
import { seededRandom } from '../../src/kernel/random.ts'
import type { ReceiverScript } from '../../src/sandbox/sandbox.ts'

const politeDomains = 10

/** Mail that only asks whether there is service; no ledger knows it. */
export const probeUser = 'probe'

/** Share of the mail that goes to each; the rest goes to the polite ones. */
const trouble = [
  { domain: 'refuses.test', share: 0.01 },
  { domain: 'defers.test', share: 0.03 },
  { domain: 'resets.test', share: 0.01 },
  { domain: 'hangs-up.test', share: 0.01 },
  { domain: 'loses.test', share: 0.01 },
  { domain: 'slow.test', share: 0.03 },
] as const

export function receiverScript(seed: number): ReceiverScript {
  return {
    seed,
    rules: [
      { for: 'refuses.test', rcpt: { reply: '550 5.1.1 no such user' } },
      { for: 'defers.test', final: { reply: '451 4.7.1 try later', probability: 0.5, times: 3, per: 'recipient' } },
      { for: 'resets.test', content: { ending: 'reset', afterBytes: 1_500, times: 1, per: 'recipient' } },
      { for: 'hangs-up.test', rcpt: { ending: 'close', times: 1, per: 'recipient' } },
      // The message is taken and nobody is told, so a second copy must come, and the second copy is told.
      { for: 'loses.test', final: { ending: 'close', times: 1, per: 'message' } },
      { for: 'slow.test', final: { latencyMs: { min: 20, max: 200 } } },
    ],
  }
}

/** Recipient of message 0, 1, …; everyone gets one message. */
export function recipientOf(seed: number): (number: number) => string {
  const random = seededRandom(seed)
  return (number) => {
    let left = random.fraction()
    for (const { domain, share } of trouble) {
      if (left < share) return `u${number}@${domain}`
      left -= share
    }
    return `u${number}@mail${random.uint32() % politeDomains}.test`
  }
}
