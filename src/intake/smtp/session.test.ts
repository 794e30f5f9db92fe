/** Random conversations against a plain model of SMTP: every reply, every commit and every open transaction must be what the model says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { anyCharacter } from '../../../test/support/any-character.ts'
import { sessionRig } from '../../../test/support/session-rig.ts'
import { goodMessage } from '../../../test/support/smtp-rig.ts'
import { type DsnRecipient, type DsnRequest, notifyOn } from '../../model/submission.ts'
import { Session } from './session.ts'

function newSession() {
  const rig = sessionRig()
  const { session, link } = rig.open()
  assert.deepEqual(link.take(), ['220'])
  return { session, link, spool: rig.spool, server: rig.server }
}

/** The plain model: what SMTP remembers, in the fewest words. */
interface Model {
  hello: boolean
  open: { from: string; to: string[]; mailAsked: Asked; asked: DsnRecipient[]; content: string | null } | null
  bad: number
  closed: boolean
  committed: { from: string; to: string[]; dsn: DsnRequest | undefined; content: string }[]
}

/** What MAIL asks to be told. */
type Asked = Omit<DsnRequest, 'recipients'>

const nothing: Asked = { returns: '', envelopeId: '' }
const nothingOf: DsnRecipient = { notify: 0, originalRecipient: '' }

interface Step {
  readonly name: string
  /** What is sent; DATA's content follows when it is granted. */
  readonly wire: string
  /** Changes the model; gives the replies. */
  expect(model: Model): string[]
}

/** Twenty of them close the session. */
function bad(model: Model, reply: string): string {
  model.bad++
  if (model.bad < 20) return reply
  model.closed = true
  model.open = null
  return '421 4.7.0'
}

function ended(model: Model, content: string): string {
  const open = model.open
  assert.ok(open)
  model.open = null
  if (/[^\r]\n/.test(content)) return '550 5.5.2'
  if (!content.startsWith(goodMessage)) return '550 5.6.0' // no From that can be read
  const { from, to, mailAsked, asked } = open
  const anything =
    [mailAsked.returns, mailAsked.envelopeId, ...asked.map((one) => one.originalRecipient)].join('') !== ''
  const dsn = anything || asked.some((one) => one.notify > 0) ? { ...mailAsked, recipients: asked } : undefined
  model.committed.push({ from, to, dsn, content: content.endsWith('\r\n') ? content : `${content}\r\n` })
  model.bad = 0
  return '250 2.0.0'
}

const line = (text: string, expect: Step['expect']): Step => ({ name: text, wire: `${text}\r\n`, expect })

const hello = (text: string): Step =>
  line(text, (model) => {
    model.hello = true
    model.open = null
    return ['250']
  })

const mailFrom = (from: string, parameters = '', mailAsked: Asked | null = nothing): Step =>
  line(`MAIL FROM:<${from}>${parameters}`, (model) => {
    if (!model.hello || model.open !== null) return [bad(model, '503 5.5.1')]
    if (mailAsked === null) return [bad(model, '501 5.5.4')]
    model.open = { from, to: [], mailAsked, asked: [], content: null }
    return ['250 2.1.0']
  })

const rcptTo = (to: string, parameters = '', asked: DsnRecipient | null = nothingOf): Step =>
  line(`RCPT TO:<${to}>${parameters}`, (model) => {
    if (model.open === null || model.open.content !== null) return [bad(model, '503 5.5.1')]
    if (to.includes('..')) return ['501 5.1.3']
    if (asked === null) return [bad(model, '501 5.5.4')]
    model.open.to.push(to)
    model.open.asked.push(asked)
    return ['250 2.1.5']
  })

const { success, failure, never } = notifyOn

/** DATA, and the content when it is granted. */
const data = (content: string): Step => ({
  name: `DATA ${JSON.stringify(content.slice(-12))}`,
  wire: 'DATA\r\n',
  expect(model) {
    if (model.open === null || model.open.content !== null) return [bad(model, '503 5.5.1')]
    if (model.open.to.length === 0) return [bad(model, '554 5.5.1')]
    return ['354', ended(model, content)]
  },
})

const bdat = (octets: string, last: boolean, surplus = ''): Step => ({
  name: `BDAT ${octets.length}${last ? ' LAST' : ''}${surplus}`,
  wire: `BDAT ${octets.length}${last ? ' LAST' : ''}${surplus}\r\n${octets}`,
  expect(model) {
    if (surplus !== '') {
      const reply = bad(model, '501 5.5.4')
      model.open = null
      return [reply]
    }
    if (model.open === null) return [bad(model, '503 5.5.1')]
    if (model.open.to.length === 0) return [bad(model, '554 5.5.1')]
    model.open.content = (model.open.content ?? '') + octets
    if (last) return [ended(model, model.open.content)]
    if (!/[^\r]\n/.test(model.open.content)) return ['250 2.0.0']
    model.open = null
    return ['550 5.5.2']
  },
})

const steps: readonly Step[] = [
  hello('EHLO one.example'),
  hello('HELO two.example'),
  line('EHLO', (model) => [bad(model, '501 5.5.4')]),
  mailFrom('ann@a.example'),
  mailFrom('bob@b.example'),
  rcptTo('one@x.example'),
  rcptTo('two@x.example'),
  mailFrom('cid@c.example', ' RET=HDRS', { returns: 'HDRS', envelopeId: '' }),
  mailFrom('dan@d.example', ' ENVID=id+2B1 RET=FULL', { returns: 'FULL', envelopeId: 'id+2B1' }),
  rcptTo('two@x.example', ' NOTIFY=NEVER', { notify: never, originalRecipient: '' }),
  rcptTo('six@x.example', ' ORCPT=rfc822;vi@x.example NOTIFY=SUCCESS,FAILURE', {
    notify: success + failure,
    originalRecipient: 'rfc822;vi@x.example',
  }),
  rcptTo('no..body@x.example'),
  mailFrom('eve@e.example', ' NOTIFY=NEVER', null),
  rcptTo('one@x.example', ' NOTIFY=NEVER,DELAY', null),
  data(goodMessage),
  data(`${goodMessage}.more\r\n`),
  data(`${goodMessage}lone\nLF\r\n`),
  data('no colon here\r\n'),
  bdat(goodMessage, true),
  bdat(goodMessage, false),
  bdat(goodMessage.slice(0, 11), false),
  bdat(goodMessage.slice(11), true),
  bdat('', true),
  bdat('QUIT\r\n', false, ' x'),
  bdat('a\nb', false),
  line('RSET', (model) => {
    model.open = null
    return ['250 2.0.0']
  }),
  line('NOOP', () => ['250 2.0.0']),
  line('VRFY ann', () => ['252 2.0.0']),
  line('VRFY j\xc3\xbc', () => ['553 5.6.7']),
  line('STARTTLS', (model) => [bad(model, '502 5.5.1')]),
  line('BDAT -1', (model) => {
    const reply = bad(model, '501 5.5.4')
    model.open = null
    return [reply]
  }),
  line('XYZZY', (model) => [bad(model, '500 5.5.1')]),
]

/** Weighted so that most conversations get somewhere. */
const anyStep = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...steps.slice(3, 11)) },
  { weight: 2, arbitrary: fc.constantFrom(...steps.slice(14, 23)) },
  { weight: 2, arbitrary: fc.constantFrom(...steps) },
)

function say(session: Session, wire: string, cuts: readonly number[]): void {
  const bytes = Buffer.from(wire, 'latin1')
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (let i = 1; i < places.length; i++) {
    const piece = bytes.subarray(places[i - 1], places[i])
    if (piece.length > 0) session.input(piece)
  }
}

/** Runs random conversations against the model; returns how many messages came through. */
function converse(): number {
  let committed = 0
  fc.assert(
    fc.property(
      fc.array(anyStep, { minLength: 10, maxLength: 60, size: 'max' }),
      fc.array(fc.nat(200), { maxLength: 3 }),
      (conversation, cuts) => {
        const { session, link, spool, server } = newSession()
        const model: Model = { hello: false, open: null, bad: 0, closed: false, committed: [] }
        for (const step of [hello('EHLO start.example'), ...conversation]) {
          const expected = step.expect(model)
          say(session, step.wire, cuts)
          let replies = link.take()
          if (replies[0] === '354') {
            const content = contentOf(step)
            say(session, `${content.replaceAll(/(^|\r\n)\./g, '$1..')}.\r\n`, cuts)
            spool.settle()
            replies = ['354', ...link.take()]
          }
          spool.settle()
          replies.push(...link.take())
          assert.deepEqual(replies, expected, step.name)
          assert.equal(link.ended, model.closed)
          if (model.closed) break
          assert.equal(spool.open, model.open?.content == null ? 0 : 1, `open after ${step.name}`)
        }
        const seen = spool.committed.map(({ head, content }) => ({
          from: head.returnPath,
          to: head.recipients,
          dsn: head.dsn,
          content: content.toString('latin1'),
        }))
        assert.deepEqual(seen, model.committed)
        committed += seen.length
        session.lost()
        assert.equal(spool.open, 0)
        assert.equal(server.memory.bytes, 0)
      },
    ),
    { numRuns: 500 },
  )
  return committed
}

test('random conversations go as the model says', () => {
  const committed = converse()
  assert.ok(committed > 100, `only ${committed} messages came through: the conversations are too silly`)
})

test('the mutant "reset() off" is caught by them', (t) => {
  t.mock.method(Session.prototype, 'reset', () => {})
  assert.throws(converse)
})

const contents = new Map(
  [goodMessage, `${goodMessage}.more\r\n`, `${goodMessage}lone\nLF\r\n`, 'no colon here\r\n'].map((content) => [
    data(content).name,
    content,
  ]),
)

function contentOf(step: Step): string {
  const content = contents.get(step.name)
  assert.ok(content !== undefined, `${step.name} was not to be granted`)
  return content
}

test('any bytes at all are survived, and leave nothing open', () => {
  const bits = fc.constantFrom(
    'EHLO a\r\n',
    'MAIL FROM:<a@b>\r\n',
    'RCPT TO:<c@d>\r\n',
    'DATA\r\n',
    'BDAT 7\r\n',
    'BDAT 3 LAST\r\n',
    '.\r\n',
    'AUTH PLAIN\r\n',
    'RSET\r\n',
  )
  const chunk = fc.oneof(
    bits,
    fc.string({ unit: anyCharacter, maxLength: 30 }),
    fc.constantFrom('\r', '\n', '\0', '\x16\x03', 'x'.repeat(700)),
  )
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 40, size: 'max' }), (chunks) => {
      const { session, link, spool, server } = newSession()
      for (const text of chunks) {
        session.input(Buffer.from(text))
        spool.settle()
      }
      assert.match(link.sent, /^(\d{3}[ -][\x20-\x7e]*\r\n)*$/)
      session.lost()
      spool.settle()
      assert.equal(spool.open, 0)
      assert.equal(server.memory.bytes, 0)
    }),
    { numRuns: 500 },
  )
})
