/** X-Posthaste-Idempotency-Key: the same message is accepted once, whatever becomes of the connection. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { condition } from '../../../test/support/condition.ts'
import type { SmtpClient } from '../../../test/support/smtp-client.ts'
import { fileClients, type SmtpRig, startRig } from '../../../test/support/smtp-rig.ts'
import { failures } from '../../model/failures.ts'
import { type Claim, type MessageStore, StoreUnavailable } from '../../ports/message-store.ts'

/** Answers claims by what the rig's spool has committed. */
class FakeStore implements MessageStore {
  rig: SmtpRig | null = null
  readonly asked: string[] = []
  readonly released: number[] = []
  available = true
  /** Claims wait for it. */
  gate: Promise<void> = Promise.resolve()

  async claim(tenant: string, key: string, requestSha256: string): Promise<Claim> {
    this.asked.push(`${tenant} ${key} ${requestSha256}`)
    await this.gate
    if (!this.available) throw new StoreUnavailable()
    const known = this.rig?.spool.committed.find(({ head }) => head.facts.idempotencyKey === key)
    if (known === undefined) return { kind: 'new', claim: this.asked.length }
    return { kind: known.head.facts.requestSha256 === requestSha256 ? 'same' : 'conflict', id: known.id }
  }

  release(claim: number): void {
    this.released.push(claim)
  }

  find(): never {
    throw new Error('intake does not ask that')
  }

  status(): never {
    throw new Error('intake does not ask that')
  }

  list(): never {
    throw new Error('intake does not ask that')
  }
}

async function rigAndStore(t: Parameters<typeof startRig>[0]): Promise<[SmtpRig, FakeStore, SmtpClient]> {
  const store = new FakeStore()
  const rig = await startRig(t, { store })
  store.rig = rig
  return [rig, store, await rig.hello()]
}

const content = (key: string, body = 'hello'): string =>
  `From: a@b\r\nX-Posthaste-Idempotency-Key: ${key}\r\nSubject: x\r\n\r\n${body}\r\n`

/** In pieces of so many octets. */
async function send(client: SmtpClient, text: string, { to = 'c@d', pieceBytes = 10_000 } = {}): Promise<string> {
  assert.equal(await client.commands('MAIL FROM:<a@b>', `RCPT TO:<${to}>`), '250 2.1.5')
  for (let at = 0; ; at += pieceBytes) {
    const piece = text.slice(at, at + pieceBytes)
    const last = at + pieceBytes >= text.length
    client.send(`BDAT ${piece.length}${last ? ' LAST' : ''}\r\n${piece}`)
    const { codes, text: said } = await client.reply()
    if (last) return `${codes} ${said}`
  }
}

test('sent again it is the same message, with the same id; sent otherwise it is refused', async (t) => {
  const [rig, store, client] = await rigAndStore(t)
  const first = await send(client, content('k1'))
  assert.match(first, /^250 2\.0\.0 accepted as /)
  assert.equal(await send(client, content('k1')), first)
  // However the network cut it.
  for (const pieceBytes of [1, 7, 60]) assert.equal(await send(client, content('k1'), { pieceBytes }), first)
  const { smtp, say } = failures.idempotencyConflict
  assert.equal(await send(client, content('k1', 'other')), `${smtp} ${say}`)
  assert.equal(await send(client, content('k1'), { to: 'e@f' }), `${smtp} ${say}`)
  assert.notEqual(await send(client, content('k2')), first)
  assert.deepEqual([rig.spool.committed.length, rig.spool.open], [2, 0])
  assert.deepEqual(store.released, [1, 8])
  assert.match(rig.spool.committed[0]?.head.facts.requestSha256 ?? '', /^[0-9a-f]{64}$/)
})

test('a header without a body, and DATA, are hashed as well', async (t) => {
  const [rig, , client] = await rigAndStore(t)
  const header = content('k1').split('\r\n\r\n')[0] as string
  const first = await send(client, header)
  assert.equal(await send(client, header), first)
  const stuffed = content('k2', '..x')
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send(`${stuffed}.\r\n`)
  assert.match((await client.reply()).codes, /^250/)
  assert.match(await send(client, content('k2', '.x')), /^250 2\.0\.0 accepted as /)
  assert.equal(rig.spool.committed.length, 2)
})

test('while the store cannot answer: 451, and nothing is accepted', async (t) => {
  const [rig, store, client] = await rigAndStore(t)
  store.available = false
  assert.match(await send(client, content('k1')), /^451 4\.3\.0 /)
  assert.deepEqual([rig.spool.committed.length, rig.spool.open, rig.counters.messagesRefused], [0, 0, 1])
  store.available = true
  assert.match(await send(client, content('k1')), /^250 /)
})

test('a failed commit frees the key', async (t) => {
  const [rig, store, client] = await rigAndStore(t)
  rig.spool.commitFailure = failures.spoolBroken
  assert.match(await send(client, content('k1')), /^451 /)
  assert.deepEqual(store.released, [1])
})

test('a client that goes while its key is claimed leaves nothing behind', async (t) => {
  const [rig, store, client] = await rigAndStore(t)
  let open = (): void => {}
  store.gate = new Promise((resolve) => (open = resolve))
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send(`${content('k1')}.\r\n`)
  await condition(() => store.asked.length === 1)
  client.reset()
  await condition(() => rig.spool.open === 0)
  open()
  await condition(() => store.released.length === 1)
  assert.equal(rig.spool.committed.length, 0)
})

test('a login that is revoked while its key is claimed hands nothing over', async (t) => {
  const store = new FakeStore()
  let current = true
  const rig = await startRig(t, { store, clients: { ...fileClients, isCurrent: () => current } })
  store.rig = rig
  let open = (): void => {}
  store.gate = new Promise((resolve) => (open = resolve))
  const client = await rig.hello()
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send(`${content('k1')}.\r\n`)
  await condition(() => store.asked.length === 1)
  current = false
  open()
  assert.equal((await client.reply()).codes, '421 4.7.0')
  assert.equal(await client.closed(), '')
  assert.deepEqual([rig.spool.committed.length, rig.spool.open, store.released], [0, 0, [1]])
})

test('a client that goes while its message is committed has it accepted, and its key released', async (t) => {
  const [rig, store, client] = await rigAndStore(t)
  rig.spool.holdCommits = true
  await client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  client.send(`${content('k1')}.\r\n`)
  await condition(() => rig.spool.heldCommits === 1)
  client.reset()
  await condition(() => rig.intake.connections === 0)
  assert.deepEqual(store.released, [])
  rig.spool.settle()
  assert.deepEqual([store.released, rig.spool.committed.length], [[1], 1])
})

test('what was sent behind the content waits for the claim', async (t) => {
  const [rig, , client] = await rigAndStore(t)
  const one = content('k1')
  const two = content('k2')
  const envelope = 'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n'
  client.send(`${envelope}BDAT ${one.length} LAST\r\n${one}${envelope}BDAT ${two.length} LAST\r\n${two}NOOP\r\n`)
  const codes: string[] = []
  for (let i = 0; i < 7; i++) codes.push((await client.reply()).codes)
  const message = ['250 2.1.0', '250 2.1.5', '250 2.0.0']
  assert.deepEqual(codes, [...message, ...message, '250 2.0.0'])
  assert.deepEqual(
    rig.spool.committed.map(({ head }) => head.facts.idempotencyKey),
    ['k1', 'k2'],
  )
})
