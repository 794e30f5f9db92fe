import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { condition } from '../../test/support/condition.ts'
import { sandboxConfig } from '../config/config.ts'
import { makeSpoolMemory } from '../spool/spool.ts'
import { runEventsThread } from './events-loop.ts'
import { makeHand } from './hand.ts'
import { storeAsksMax } from './limits.ts'
import type { FromStore, ToStore } from './store-wire.ts'

test('while nobody can be answered, as many questions wait as one thread may ask, and one more is refused at once', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-events-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const { config } = sandboxConfig(directory, { smtpPort: 0, managementPort: 0 })
  // Logs that nobody has begun: where they end is not known.
  const memory = makeSpoolMemory(new SimulatedDisk(), config.spool, 1, true)
  const thread = await runEventsThread({ config, memory, clients: [], hand: makeHand(), leftOut: [] }, () => {})
  const { port1, port2 } = new MessageChannel()
  t.after(() => port1.close())
  void thread.hear?.({ kind: 'client', owner: 'intake-0', port: port2 })
  const heard: FromStore[] = []
  port1.on('message', (message: FromStore) => heard.push(message))
  for (let ask = 0; ask <= storeAsksMax.value; ask++) {
    const message: ToStore = { kind: 'ask', ask, question: { kind: 'find', tenant: 'acme', id: 'x', withTries: true } }
    port1.postMessage(message)
  }
  await condition(() => heard.length > 0)
  assert.deepEqual(
    heard.map((message) => [message.kind, 'ask' in message ? message.ask : null]),
    [['refused', storeAsksMax.value]],
  )
})
