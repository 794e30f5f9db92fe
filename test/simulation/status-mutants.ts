/** Safeguards of the status of messages that can be taken away, and who must notice. */
import type { MessageTable } from '../../src/events/events.ts'
import type { MessageRecord } from '../../src/ports/message-store.ts'

export type StatusMutant = 'none' | (typeof statusMutants)[number]
export const statusMutants = [
  'answered from what happens to be read',
  'followed before recovery is through',
  'positions before their rows',
  'released where it reads',
  'outcomes before their submissions',
  'what comes again counts again',
] as const

/**
 * The store as it would be if records that come again were news. That an older one merely takes the place of a newer one cannot be seen: what comes again
 * comes in order and to its end before anybody is answered.
 */
export function countingAgain(table: MessageTable): {
  readonly table: MessageTable
  readonly told: (record: MessageRecord) => MessageRecord
} {
  const numbers = new Map<string, number>()
  const counts = new Map<string, number>()
  const told = (record: MessageRecord): MessageRecord => ({
    ...record,
    recipients: record.recipients.map((recipient, i) => {
      const attempts = counts.get(`${numbers.get(record.id)} ${i}`) ?? 0
      return { ...recipient, attempts: Math.max(attempts, recipient.attempts) }
    }),
  })
  const counting: MessageTable = {
    positions: table.positions,
    submission(number, head, facts) {
      numbers.set(head.id, number)
      table.submission(number, head, facts)
    },
    outcome(number, outcome) {
      for (const { recipient } of outcome.recipients) {
        const key = `${number} ${recipient}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      table.outcome(number, outcome)
    },
    commit: () => table.commit(),
    sync: (positions) => table.sync(positions),
    syncElsewhere: (positions) => table.syncElsewhere(positions),
    find: (tenant, id, withTries) => table.find(tenant, id, withTries),
    list: (tenant, query) => table.list(tenant, query),
    key: (tenant, key) => table.key(tenant, key),
    prune: () => table.prune(),
    figures: () => table.figures(),
    close: () => table.close(),
  }
  return { table: counting, told }
}
