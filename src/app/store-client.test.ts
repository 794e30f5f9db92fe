import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { condition } from '../../test/support/condition.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { type Failure, failures } from '../model/failures.ts'
import { BadCursor, StoreUnavailable } from '../ports/message-store.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import { storeAskMsMax, storeAsksMax } from './limits.ts'
import { StoreClient } from './store-client.ts'
import type { ToStore } from './store-wire.ts'

/** The other end, which answers when it is told to. */
class Desk {
  readonly heard: ToStore[] = []
  readonly port: MessagePort

  constructor(t: TestContext, client: StoreClient) {
    const { port1, port2 } = new MessageChannel()
    this.port = port2
    port2.on('message', (message: ToStore) => this.heard.push(message))
    t.after(() => port2.close())
    client.attach(port1)
  }

  async hears(count: number): Promise<void> {
    while (this.heard.length < count) await once(this.port, 'message')
  }
}

test('questions that were not answered are asked again of the successor, which first hears what is held', async (t) => {
  const client = new StoreClient({ clock: new VirtualClock() })
  const first = new Desk(t, client)
  const claimed = client.claim('acme', 'key', 'hash')
  await first.hears(2)
  assert.deepEqual(first.heard[0], { kind: 'hello', claims: [] })
  first.port.postMessage({ kind: 'answer', ask: 1, answer: { kind: 'new', claim: 70 } })
  assert.deepEqual(await claimed, { kind: 'new', claim: 70 })
  const found = client.find('acme', 'some id')
  await first.hears(3)
  const second = new Desk(t, client)
  await second.hears(2)
  assert.deepEqual(second.heard[0], { kind: 'hello', claims: [{ claim: 70, tenant: 'acme', key: 'key' }] })
  assert.deepEqual(second.heard[1], {
    kind: 'ask',
    ask: 2,
    question: { kind: 'find', tenant: 'acme', id: 'some id', withTries: true },
  })
  second.port.postMessage({ kind: 'answer', ask: 2, answer: null })
  assert.equal(await found, null)
  client.release(70)
  client.release(70)
  const listed = client.list('acme', { limit: 1, cursor: 'x' })
  await second.hears(4)
  assert.deepEqual(second.heard[2], { kind: 'release', claim: 70 })
  second.port.postMessage({ kind: 'refused', ask: 3, why: 'bad_cursor', message: 'not ours' })
  await assert.rejects(listed, BadCursor)
})

const mail = (id: string): OutgoingMail => ({
  id,
  tenant: 'acme',
  mailClass: 'transactional',
  returnPath: '',
  recipients: ['ann@example.com'],
  from: 'postmaster@example.com',
  fromDomain: 'example.com',
  subject: 'hello',
  content: Buffer.from('x'),
  smtpUtf8: false,
})

test('what one events thread had sent is never said to the next one, which hears of its own and has no mail taken twice', async (t) => {
  const settle: ((failure: Failure | null) => void)[] = []
  const send = (): Promise<Failure | null> => new Promise((resolve) => settle.push(resolve))
  const client = new StoreClient({ clock: new VirtualClock(), send })
  const first = new Desk(t, client)
  const ask = (desk: Desk, number: number, id: string): void =>
    desk.port.postMessage({ kind: 'send', send: number, mail: mail(id) })
  ask(first, 1, 'x')
  await condition(() => settle.length === 1)
  const second = new Desk(t, client)
  ask(second, 1, 'y')
  ask(second, 2, 'x')
  await condition(() => settle.length === 2)
  settle[0]?.(null)
  await second.hears(2)
  assert.deepEqual(second.heard[1], { kind: 'sent', send: 2, failure: null })
  settle[1]?.(failures.spoolFull)
  await second.hears(3)
  assert.deepEqual(second.heard[2], { kind: 'sent', send: 1, failure: failures.spoolFull })
  // One is on disk, the other was refused.
  ask(second, 3, 'x')
  ask(second, 4, 'y')
  await condition(() => settle.length === 3)
  settle[2]?.(null)
  await second.hears(5)
  assert.deepEqual(second.heard.slice(3), [
    { kind: 'sent', send: 3, failure: null },
    { kind: 'sent', send: 4, failure: null },
  ])
})

test('limit app.store-ask: whoever waits that long hears that the store is not available, and a key that comes later is given back', async (t) => {
  const clock = new VirtualClock()
  const client = new StoreClient({ clock })
  const desk = new Desk(t, client)
  let over = false
  const claimed = client.claim('acme', 'key', 'hash').finally(() => (over = true))
  claimed.catch(() => {})
  clock.advance(storeAskMsMax.value)
  await Promise.resolve()
  assert.equal(over, false)
  clock.advance(storeAskMsMax.value / 8)
  await assert.rejects(claimed, StoreUnavailable)
  await desk.hears(2)
  desk.port.postMessage({ kind: 'answer', ask: 1, answer: { kind: 'new', claim: 9 } })
  await desk.hears(3)
  assert.deepEqual(desk.heard[2], { kind: 'release', claim: 9 })
})

test('limit app.store-asks: so many questions wait, the next one is refused at once', async () => {
  const client = new StoreClient({ clock: new VirtualClock() })
  for (let i = 0; i < storeAsksMax.value; i++) client.find('acme', `id ${i}`).catch(() => {})
  await assert.rejects(client.find('acme', 'one more'), StoreUnavailable)
})
