import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { sessionRig } from '../../../test/support/session-rig.ts'
import { SmtpClient } from '../../../test/support/smtp-client.ts'
import { startRig } from '../../../test/support/smtp-rig.ts'
import { Doors } from './doors.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const refusal = '421 4.3.2 too many connections, try again later\r\n'

/** A socket from an address that this machine cannot connect from. */
class FarSocket extends Duplex {
  readonly remoteAddress: string
  sent = ''

  constructor(remoteAddress: string) {
    super()
    this.remoteAddress = remoteAddress
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.sent += chunk.toString('latin1')
    done()
  }

  setNoDelay(): void {}

  destroySoon(): void {
    this.destroy()
  }
}

function doorsFor(options: { connectionsMax?: number; connectionsPerAddressMax?: number }) {
  const { server, clock } = sessionRig(options)
  const doors = new Doors(server)
  const enter = async (address: string, mode: 'none' | 'implicit' = 'none'): Promise<FarSocket> => {
    const socket = new FarSocket(address)
    doors.enter(socket as unknown as Socket, { mode, context: null })
    await turn()
    return socket
  }
  const count = () => ({ inside: doors.connections.size, refused: server.counters.connectionsRefused })
  return { doors, enter, count, server, clock }
}

test('connections_max: one below and at it there is room, one above is told 421 and gone; who leaves makes room', async () => {
  const { enter, count, server } = doorsFor({ connectionsMax: 3 })
  const first = await enter('192.0.2.1')
  await enter('192.0.2.2')
  await enter('192.0.2.3')
  assert.deepEqual(count(), { inside: 3, refused: 0 })
  const refused = await enter('192.0.2.4')
  assert.equal(refused.sent, refusal)
  assert.equal(refused.destroyed, true)
  assert.deepEqual(count(), { inside: 3, refused: 1 })
  assert.equal(server.counters.connections, 3)

  first.destroy()
  await turn()
  assert.equal((await enter('192.0.2.4')).sent, '')
  assert.deepEqual(count(), { inside: 3, refused: 1 })
})

test('connections_per_address_max: the same for one address, whatever the others do', async () => {
  const { enter, count } = doorsFor({ connectionsPerAddressMax: 2 })
  const first = await enter('192.0.2.1')
  await enter('::ffff:192.0.2.1')
  assert.equal((await enter('192.0.2.1')).sent, refusal)
  assert.deepEqual(count(), { inside: 2, refused: 1 })
  assert.equal((await enter('192.0.2.2')).destroyed, false)

  first.destroy()
  await turn()
  assert.equal((await enter('192.0.2.1')).destroyed, false)
  assert.equal((await enter('192.0.2.1')).sent, refusal)
})

test('an IPv6 customer is counted by the /64', async () => {
  const { enter } = doorsFor({ connectionsPerAddressMax: 2 })
  await enter('2001:db8:1:2:3::4')
  await enter('2001:db8:1:2::9')
  assert.equal((await enter('2001:db8:1:2:ffff::1')).sent, refusal)
  assert.equal((await enter('2001:db8:1:3::1')).destroyed, false)
})

test('where TLS comes first nobody would understand a word: closed without one', async () => {
  const { enter } = doorsFor({ connectionsMax: 1 })
  await enter('192.0.2.1')
  const refused = await enter('192.0.2.2', 'implicit')
  assert.equal(refused.sent, '')
  assert.equal(refused.destroyed, true)
})

test('a thousand who knock at a full door hear 421, and the one inside has every reply meanwhile', async (t) => {
  const rig = await startRig(t, { connectionsMax: 1 })
  const inside = await rig.hello()
  let replies = 0
  for (let hundred = 0; hundred < 10; hundred++) {
    const knocking = Array.from({ length: 100 }, async () => {
      const client = await SmtpClient.connect(rig.port)
      assert.equal((await client.reply()).codes, '421 4.3.2')
      assert.equal(await client.closed(), '')
    })
    while (rig.counters.connectionsRefused < 100 * hundred + 50) {
      assert.equal(await inside.commands('NOOP'), '250 2.0.0')
      replies++
    }
    await Promise.all(knocking)
  }
  assert.ok(replies >= 100, `${replies} replies while 500 were refused`)
  assert.equal(rig.counters.connectionsRefused, 1_000)
  assert.equal(rig.intake.connections, 1)
})
