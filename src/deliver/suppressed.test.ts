/** Whom the tenant's list names by now: left out of the transaction, and the others hear nothing of it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { deliverRig } from '../../test/support/deliver-rig.ts'
import { suppressedOutcome } from '../model/outcome.ts'

const isDead = (tenant: string, address: string): boolean => tenant === 'acme' && address.startsWith('dead')
const kinds = ({ outcomes }: { outcomes: readonly { kind: string }[] }): string[] => outcomes.map(({ kind }) => kind)

for (const extensions of [['PIPELINING'], []]) {
  const how = extensions.length === 0 ? 'without PIPELINING' : 'with PIPELINING'

  test(`${how} the others of the transaction are sent to, and each reply is theirs`, async (t) => {
    const rig = deliverRig(t, { isSuppressed: isDead })
    const server = await rig.server({
      extensions,
      answer: (line) => (line.startsWith('RCPT TO:<c@x>') ? '550 5.1.1 no such user' : undefined),
    })
    const recipients = ['dead@x', 'b@x', 'dead-2@x', 'c@x', 'd@x', 'dead-3@x']
    const report = await rig.send(rig.site(server.port), { recipients })
    assert.deepEqual(kinds(report), ['suppressed', 'delivered', 'suppressed', 'bounced', 'delivered', 'suppressed'])
    assert.deepEqual(report.outcomes[0], suppressedOutcome())
    assert.deepEqual(server.conversations[0]?.commands.slice(1), [
      'MAIL FROM:<ann@example.com>',
      'RCPT TO:<b@x>',
      'RCPT TO:<c@x>',
      'RCPT TO:<d@x>',
      'DATA',
    ])
  })

  test(`${how} 452 beside an accepted recipient is "too many at once", also behind one that was left out`, async (t) => {
    const rig = deliverRig(t, { isSuppressed: isDead })
    const answer = (line: string) => (line.startsWith('RCPT TO:<c@x>') ? '452 too many' : undefined)
    const server = await rig.server({ extensions, answer })
    const { outcomes } = await rig.send(rig.site(server.port), { recipients: ['dead@x', 'b@x', 'c@x'] })
    assert.deepEqual(
      outcomes.map(({ kind, enhanced }) => `${kind} ${enhanced}`),
      ['suppressed 5.7.1', 'delivered 2.0.0', 'deferred 4.5.3'],
    )
  })

  test(`${how} when nobody is left nothing is said, and the connection serves the next message`, async (t) => {
    const rig = deliverRig(t, { isSuppressed: isDead })
    const server = await rig.server({ extensions })
    const site = rig.site(server.port)
    let reads = 0
    const read = () => {
      reads += 1
      return null
    }
    assert.deepEqual(kinds(await rig.send(site, { recipients: ['dead@x', 'dead@y'], read })), [
      'suppressed',
      'suppressed',
    ])
    assert.deepEqual([reads, rig.deliverer.connections()], [0, { active: 0, idle: 1 }])
    assert.deepEqual(kinds(await rig.send(site)), ['delivered'])
    assert.equal(server.conversations.length, 1)
    assert.equal(server.conversations[0]?.commands.filter((line) => line.startsWith('MAIL')).length, 1)
  })
}

test('the list is the tenant’s own', async (t) => {
  const rig = deliverRig(t, { isSuppressed: isDead })
  const server = await rig.server()
  assert.deepEqual(kinds(await rig.send(rig.site(server.port), { tenant: 'other', recipients: ['dead@x'] })), [
    'delivered',
  ])
})

test('a 250 to DATA leaves nobody’s outcome known but theirs who were left out', async (t) => {
  const rig = deliverRig(t, { isSuppressed: isDead })
  const server = await rig.server({ answer: (line) => (line === 'DATA' ? '250 what?' : undefined) })
  const report = await rig.send(rig.site(server.port), { recipients: ['a@x', 'dead@x'] })
  assert.deepEqual(kinds(report), ['deferred', 'suppressed'])
})

test('a refused sender is not what became of whom was left out', async (t) => {
  const rig = deliverRig(t, { isSuppressed: isDead })
  const answer = (line: string) => (line.startsWith('MAIL') ? '550 5.7.1 not you' : undefined)
  const server = await rig.server({ answer })
  const report = await rig.send(rig.site(server.port), { recipients: ['a@x', 'dead@x'] })
  assert.deepEqual(kinds(report), ['bounced', 'suppressed'])
})

test('behind the content of another message: some are left out, or all, and the connection goes on', async (t) => {
  const rig = deliverRig(t, { isSuppressed: isDead })
  const server = await rig.server()
  const site = rig.site(server.port)
  const some = rig.follow(site, { recipients: ['dead@x', 'b@x'] })
  assert.deepEqual(kinds(await rig.send(site)), ['delivered'])
  assert.deepEqual(kinds(await some), ['suppressed', 'delivered'])
  const all = rig.follow(site, { recipients: ['dead@x'] })
  assert.deepEqual(kinds(await rig.send(site)), ['delivered'])
  assert.deepEqual(kinds(await all), ['suppressed'])
  assert.deepEqual(kinds(await rig.send(site, { recipients: ['c@x'] })), ['delivered'])
  assert.equal(server.conversations.length, 1)
  assert.deepEqual(
    server.conversations[0]?.commands.filter((line) => line.startsWith('RCPT')),
    ['RCPT TO:<bob@example.net>', 'RCPT TO:<b@x>', 'RCPT TO:<bob@example.net>', 'RCPT TO:<c@x>'],
  )
})

test('a connection that died while idle: the list is asked again for the new one', async (t) => {
  const listed = new Set<string>()
  const rig = deliverRig(t, { isSuppressed: (_, address) => listed.has(address) })
  const server = await rig.server({
    answer: (line, { number, commands }) =>
      number === 0 && line.startsWith('MAIL') && commands.length > 4 ? (listed.add('b@x'), 'close') : undefined,
  })
  const site = rig.site(server.port)
  await rig.send(site)
  assert.deepEqual(kinds(await rig.send(site, { recipients: ['a@x', 'b@x'] })), ['delivered', 'suppressed'])
  assert.equal(server.conversations.length, 2)
})
