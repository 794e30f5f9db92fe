/** What a sender asked to be told (RFC 3461), on its way out: to a receiver that offers DSN all of it, to any other nothing. */
import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { named, pair } from '../../test/support/deliver-ahead.ts'
import { deliverRig, type MessageSpec } from '../../test/support/deliver-rig.ts'
import type { ScriptedServer } from '../../test/support/scripted-server.ts'
import { type DsnRequest, notifyOn } from '../model/submission.ts'
import type { PreparedMessage } from '../ports/messages.ts'
import { encodeXtext } from '../standards/xtext.ts'
import { rcptParameters } from './dsn.ts'

const { success, failure, delay, never } = notifyOn
const nothing = { notify: 0, originalRecipient: '' }

const asked: MessageSpec & { readonly dsn: DsnRequest } = {
  recipients: ['bob@x.example', 'carol+y@x.example', 'dan@x.example', 'eve@x.example'],
  dsn: {
    returns: 'HDRS',
    envelopeId: 'QQ+2B31',
    recipients: [
      { notify: success + failure + delay, originalRecipient: 'RFC822;Bob@old.example' },
      { notify: success, originalRecipient: '' },
      nothing,
      { notify: never, originalRecipient: 'rfc822;eve@old.example' },
    ],
  },
}
const withAll = [
  'MAIL FROM:<ann@example.com> RET=HDRS ENVID=QQ+2B31',
  'RCPT TO:<bob@x.example> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=RFC822;Bob@old.example',
  'RCPT TO:<carol+y@x.example> NOTIFY=SUCCESS ORCPT=rfc822;carol+2By@x.example',
  'RCPT TO:<dan@x.example>',
  'RCPT TO:<eve@x.example> NOTIFY=NEVER ORCPT=rfc822;eve@old.example',
]
const without = withAll.map((line) => line.replace(/> .*/, '>'))

const envelopes = ({ conversations }: ScriptedServer, connection = 0): string[] =>
  conversations[connection]?.commands.filter((line) => /^(MAIL|RCPT)/.test(line)) ?? []

for (const extensions of [['DSN'], ['PIPELINING', 'DSN']]) {
  test(`a receiver with ${extensions.join(' and ')} is told all of it, each recipient's at its own RCPT`, async (t) => {
    const rig = deliverRig(t)
    const server = await rig.server({ extensions })
    const { outcomes, attempt } = await rig.send(rig.site(server.port), asked)
    assert.ok(outcomes.every(({ kind }) => kind === 'delivered'))
    assert.equal(attempt.dsnPassedOn, true)
    assert.deepEqual(envelopes(server), withAll)
  })
}

test('a receiver without DSN is told nothing, nor is any receiver of mail for which nothing was asked', async (t) => {
  const rig = deliverRig(t)
  const old = await rig.server()
  const older = await rig.server({ answer: (line) => (line.startsWith('EHLO') ? '502 5.5.1 what?' : undefined) })
  for (const server of [old, older]) {
    const { attempt } = await rig.send(rig.site(server.port), asked)
    assert.equal('dsnPassedOn' in attempt, false)
    assert.deepEqual(envelopes(server), without)
  }
  const modern = await rig.server({ extensions: ['PIPELINING', 'DSN'] })
  const { attempt } = await rig.send(rig.site(modern.port), { recipients: ['bob@x.example'] })
  assert.equal('dsnPassedOn' in attempt, false)
  assert.deepEqual(envelopes(modern), ['MAIL FROM:<ann@example.com>', 'RCPT TO:<bob@x.example>'])
})

test('an envelope that leaves behind the content before it has its own', async (t) => {
  const { server, first, second } = await pair(
    t,
    { extensions: ['PIPELINING', 'DSN'] },
    {
      second: named('second', { dsn: { returns: '', envelopeId: 'two', recipients: [{ ...nothing, notify: delay }] } }),
    },
  )
  assert.equal('dsnPassedOn' in (await first).attempt, false)
  assert.equal((await second).attempt.dsnPassedOn, true)
  assert.deepEqual(envelopes(server), [
    'MAIL FROM:<first@example.com>',
    'RCPT TO:<r@first.example>',
    'MAIL FROM:<second@example.com> ENVID=two',
    'RCPT TO:<r@second.example> NOTIFY=DELAY ORCPT=rfc822;r@second.example',
  ])
})

test('a receiver that offers DSN and refuses its parameters gets the mail without them, and is not asked again for a while', async (t) => {
  for (const [command, reply] of [
    ['MAIL', '555 5.5.4 RET unsupported'],
    ['MAIL', '501 syntax error'],
    ['RCPT TO:<carol', '501 5.5.4 invalid arguments'],
  ] as const) {
    const rig = deliverRig(t)
    const server = await rig.server({
      extensions: ['PIPELINING', 'DSN', 'SIZE 1000'],
      answer: (line) => (line.startsWith(command) && /RET=|NOTIFY=/.test(line) ? reply : undefined),
    })
    const site = rig.site(server.port)
    for (const count of [1, 2]) {
      const { outcomes, attempt } = await rig.send(site, asked)
      assert.deepEqual(
        outcomes.map(({ kind }) => kind),
        Array(4).fill('delivered'),
      )
      assert.equal('dsnPassedOn' in attempt, false)
      const [mail, ...rcpts] = without
      const believed = [`${mail as string} SIZE=22`, ...rcpts]
      const repeated = count === 1 ? believed : [...believed, ...believed]
      assert.deepEqual(envelopes(server, 1), repeated, 'SIZE is believed all the same')
    }
    assert.equal(server.conversations.length, 2)
    rig.clock.advance(3_600_000)
    await rig.send(site, asked)
    assert.match(envelopes(server, 2)[0] ?? '', / RET=HDRS/)
  }
})

test('what is refused without them too was no matter of DSN: the outcome stands, and DSN is believed again', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: ['PIPELINING', 'DSN'],
    answer: (line) => (line.startsWith('RCPT TO:<carol') ? '501 5.5.2 I do not like plus signs' : undefined),
  })
  const site = rig.site(server.port)
  const { outcomes } = await rig.send(site, asked)
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['delivered', 'bounced', 'delivered', 'delivered'],
  )
  assert.deepEqual(envelopes(server, 1), without)
  const { attempt } = await rig.send(site, { ...asked, recipients: ['a@x', 'b@x', 'c@x', 'd@x'] })
  assert.equal(attempt.dsnPassedOn, true)
  assert.equal(server.conversations.length, 3)
})

test('a refused address is not begun anew', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({
    extensions: ['PIPELINING', 'DSN'],
    answer: (line) => (line.startsWith('RCPT') ? '501 5.1.3 bad address' : undefined),
  })
  const { outcomes } = await rig.send(rig.site(server.port), asked)
  assert.ok(outcomes.every(({ enhanced }) => enhanced === '5.1.3'))
  assert.equal(server.conversations.length, 1)
})

test('what would break out of its parameter never reaches the wire', async (t) => {
  const rig = deliverRig(t)
  const server = await rig.server({ extensions: ['DSN', 'SMTPUTF8'] })
  const recipients = ['bob@x.example']
  for (const evil of ['x\r\nRSET', 'x SIZE=1', 'x\0', 'x\u2028']) {
    for (const dsn of [
      { returns: '', envelopeId: evil, recipients: [nothing] },
      { returns: '', envelopeId: '', recipients: [{ notify: 0, originalRecipient: `rfc822;${evil}` }] },
    ] as const) {
      const outcome = await rig.outcome(rig.site(server.port), { recipients, dsn, smtpUtf8: true })
      assert.equal(outcome.enhanced, '5.1.3')
    }
  }
  for (const { commands } of server.conversations) assert.deepEqual(commands, ['EHLO sender.example'])
})

/** The parameters of one recipient. */
function parametersOf(address: string, notify: number, originalRecipient: string, smtpUtf8: boolean): string {
  const dsn: DsnRequest = { returns: '', envelopeId: '', recipients: [{ notify, originalRecipient }] }
  return rcptParameters({ recipients: [address], dsn, smtpUtf8 } as unknown as PreparedMessage, 0)
}

test('an address beyond ASCII is passed on as it is with SMTPUTF8, and escaped without it (RFC 6533 §3)', () => {
  const original = 'utf-8;jürgen\\x{2B}x@b'
  assert.equal(parametersOf('a@b', 0, original, true), ` ORCPT=${original}`)
  assert.equal(parametersOf('a@b', 0, original, false), ' ORCPT=utf-8;j\\x{FC}rgen\\x{2B}x@b')
  assert.equal(parametersOf('jürgen+x@b', delay, '', true), ' NOTIFY=DELAY ORCPT=utf-8;jürgen\\x{2B}x@b')
  assert.equal(parametersOf('"a b"@c', never, '', false), ' NOTIFY=NEVER ORCPT=rfc822;"a+20b"@c')
  assert.equal(parametersOf('a@b', 0, '', false), '')
})

test('limit dsn.original-recipient: on the way out 500 octets are passed on, of 501 only NOTIFY', () => {
  for (const octets of [499, 500, 501]) {
    // "+" takes three octets, "\x{FC}" six.
    const address = '+'.repeat(20) + 'x'.repeat(octets - 67)
    assert.equal(`rfc822;${encodeXtext(address)}`.length, octets)
    const plain = parametersOf(address, success, '', false)
    assert.equal(plain, octets > 500 ? ' NOTIFY=SUCCESS' : ` NOTIFY=SUCCESS ORCPT=rfc822;${encodeXtext(address)}`)
    const escaped = parametersOf('a@b', 0, `utf-8;${'ü'.repeat(80)}${'x'.repeat(octets - 486)}`, false)
    assert.equal(escaped, octets > 500 ? '' : ` ORCPT=utf-8;${'\\x{FC}'.repeat(80)}${'x'.repeat(octets - 486)}`)
  }
})

test('no RCPT is longer than RFC 5321 and the extension give it', () => {
  const part = fc.string({ unit: fc.constantFrom('a', '+', '=', ' ', 'ü', '\u{1f600}', '\\'), maxLength: 64 })
  fc.assert(
    fc.property(part, part, fc.nat(15), fc.boolean(), (local, original, notify, smtpUtf8) => {
      const originalRecipient = original === '' ? '' : `rfc822;${encodeXtext(original)}`
      const parameters = parametersOf(`${local}@${'d'.repeat(190)}`, notify, originalRecipient, smtpUtf8)
      assert.ok(Buffer.byteLength(parameters) <= 29 + 507)
      assert.match(parameters, /^( NOTIFY=[A-Z,]+)?( ORCPT=[^\s+]+(\+[0-9A-F]{2}[^\s+]*)*)?$/)
    }),
  )
})
