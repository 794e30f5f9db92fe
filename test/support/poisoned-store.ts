/** The entry of an events thread with a bug: its store breaks over mail from unstorable@example.com. */
import { workerData } from 'node:worker_threads'
import { runEventsThread } from '../../src/app/events-loop.ts'
import type { EventsThreadData } from '../../src/app/exchange.ts'
import { serveMain } from '../../src/app/serve-main.ts'
import { type MessageTable, openMessageStore, type StoreOptions } from '../../src/events/events.ts'
import { invariant } from '../../src/kernel/assert.ts'

function openPoisoned(options: StoreOptions): MessageTable {
  const table = openMessageStore(options)
  const submission = table.submission.bind(table)
  table.submission = (number, head, facts) => {
    invariant(head.returnPath !== 'unstorable@example.com', 'this is the bug')
    submission(number, head, facts)
  }
  return table
}

await serveMain((log) => runEventsThread(workerData as EventsThreadData, log, openPoisoned))
