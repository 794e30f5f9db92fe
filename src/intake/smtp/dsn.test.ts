/** The DSN extension (RFC 3461): what a client asks to be told is kept with the message, exactly as it was asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionRig } from '../../../test/support/session-rig.ts'
import { goodMessage, startRig } from '../../../test/support/smtp-rig.ts'
import type { DsnRequest } from '../../model/submission.ts'
import { recipientOverheadBytes } from './limits.ts'

const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

/** The codes of all replies, and what was kept with each message that was accepted. */
function told(...groups: readonly string[][]): { codes: string[]; dsn: (DsnRequest | undefined)[] } {
  const rig = sessionRig()
  const { session, link } = rig.open()
  session.input(Buffer.from('EHLO a\r\n'))
  link.take()
  for (const line of groups.flat()) {
    session.input(Buffer.from(`${line}\r\n`, 'latin1'))
    if (line === 'DATA') session.input(Buffer.from(`${goodMessage}.\r\n`))
    rig.spool.settle()
  }
  session.lost()
  assert.equal(rig.server.memory.bytes, 0)
  return { codes: link.take(), dsn: rig.spool.committed.map(({ head }) => head.dsn) }
}

const plain = { notify: 0, originalRecipient: '' }

test('all of it is kept, one entry for each recipient in their order', () => {
  const { dsn } = told([
    'MAIL FROM:<a@b> RET=hdrs ENVID=QQ+2B31',
    'RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Carol+2Bx@D',
    'RCPT TO:<e@f>',
    'RCPT TO:<g@h> NOTIFY=never',
    'RCPT TO:<c@d> NOTIFY=FAILURE',
    'DATA',
  ])
  assert.deepEqual(dsn, [
    {
      returns: 'HDRS',
      envelopeId: 'QQ+2B31',
      recipients: [
        { notify: 5, originalRecipient: 'rfc822;Carol+2Bx@D' },
        plain,
        { notify: 8, originalRecipient: '' },
        { notify: 2, originalRecipient: '' },
      ],
    },
  ])
})

test('nothing is kept where nothing was asked, and one parameter anywhere is enough', () => {
  const { dsn } = told(
    ['MAIL FROM:<a@b> SIZE=10', 'RCPT TO:<c@d>', 'DATA'],
    ['MAIL FROM:<a@b> ENVID=x', 'RCPT TO:<c@d>', 'RCPT TO:<e@f>', 'DATA'],
    ['MAIL FROM:<>', 'RCPT TO:<c@d>', 'RCPT TO:<e@f>', 'RCPT TO:<g@h> ORCPT=rfc822;x@y', 'DATA'],
  )
  assert.deepEqual(dsn, [
    undefined,
    { returns: '', envelopeId: 'x', recipients: [plain, plain] },
    { returns: '', envelopeId: '', recipients: [plain, plain, { notify: 0, originalRecipient: 'rfc822;x@y' }] },
  ])
})

test('RSET, EHLO, a message before and a refused command leave nothing of it', () => {
  const asked = ['MAIL FROM:<a@b> RET=FULL ENVID=one', 'RCPT TO:<c@d> NOTIFY=NEVER ORCPT=rfc822;x@y']
  const { dsn, codes } = told(
    [...asked, 'RSET', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'],
    [...asked, 'EHLO b', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'],
    [...asked, 'DATA', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA'],
    ['MAIL FROM:<a@b> ENVID=+', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d> NOTIFY=', 'RCPT TO:<c@d> NOTIFY=NEVER,DELAY'],
    ['RCPT TO:<..@d> NOTIFY=NEVER', 'RCPT TO:<c@d>', 'DATA'],
  )
  assert.deepEqual(
    dsn.map((request) => request?.envelopeId),
    [undefined, undefined, 'one', undefined, undefined],
  )
  const expected = ['501 5.5.4', '250 2.1.0', '501 5.5.4', '501 5.5.4', '501 5.1.3', '250 2.1.5', '354', '250 2.0.0']
  assert.deepEqual(codes.slice(-8), expected)
})

test('row 17: parameters of DSN where they do not belong, or wrong: 501 5.5.4 with the cure, and the transaction stands', async (t) => {
  const client = await (await startRig(t)).hello()
  for (const parameter of ['NOTIFY=SUCCESS', 'ORCPT=rfc822;a@b', 'RET=ALL', 'RET=FULL RET=FULL', 'ENVID=a=b'])
    assert.equal(await client.commands(`MAIL FROM:<a@b> ${parameter}`), '501 5.5.4', parameter)
  assert.equal(await client.commands('MAIL FROM:<a@b> RET=FULL'), '250 2.1.0')
  for (const parameter of [
    'RET=FULL',
    'ENVID=x',
    'NOTIFY=NEVER,SUCCESS',
    'NOTIFY',
    'ORCPT=rfc822',
    'ORCPT=rfc822;a+00b',
  ])
    assert.equal(await client.commands(`RCPT TO:<c@d> ${parameter}`), '501 5.5.4', parameter)
  const { lines } = await client.command('RCPT TO:<c@d> RET=FULL')
  assert.deepEqual(lines, ['501 5.5.4 RET is a parameter of MAIL, give it there'])
  assert.equal(await client.commands('RCPT TO:<c@d> NOTIFY=NEVER'), '250 2.1.5')
})

test('an original recipient beyond ASCII needs SMTPUTF8, its form in ASCII does not', () => {
  const ascii = 'utf-8;j\\x{FC}rgen@b'
  const { codes, dsn } = told(
    ['MAIL FROM:<a@b>', `RCPT TO:<c@d> ORCPT=${utf8('utf-8;jürgen@b')}`, `RCPT TO:<c@d> ORCPT=${ascii}`, 'DATA'],
    [
      'MAIL FROM:<a@b> SMTPUTF8',
      `RCPT TO:<c@d> ORCPT=${utf8('utf-8;jürgen@b')}`,
      `RCPT TO:<c@d> ORCPT=${utf8('rfc822;jürgen@b')}`,
      'DATA',
    ],
  )
  assert.deepEqual(codes, [
    '250 2.1.0',
    '553 5.6.7',
    '250 2.1.5',
    '354',
    '250 2.0.0',
    '250 2.1.0',
    '250 2.1.5',
    '501 5.5.4',
    '354',
    '250 2.0.0',
  ])
  assert.deepEqual(
    dsn.map((request) => request?.recipients),
    [[{ notify: 0, originalRecipient: ascii }], [{ notify: 0, originalRecipient: 'utf-8;jürgen@b' }]],
  )
})

test('what is kept of a recipient is reserved, and given back', () => {
  const rig = sessionRig()
  const { session } = rig.open()
  const before = rig.server.memory.bytes
  const held = (line: string): number => {
    session.input(Buffer.from(`EHLO a\r\n`))
    session.input(Buffer.from(`MAIL FROM:<a@b>\r\n${line}\r\n`))
    return rig.server.memory.bytes - before
  }
  const overhead = recipientOverheadBytes.value
  assert.equal(held('RCPT TO:<c@d>'), 3 + overhead)
  assert.equal(held('RCPT TO:<c@d> NOTIFY=NEVER'), 3 + 2 * overhead)
  assert.equal(held(`RCPT TO:<c@d> ORCPT=rfc822;${'x'.repeat(400)}`), 3 + 407 + 2 * overhead)
  session.input(Buffer.from('RSET\r\n'))
  assert.equal(rig.server.memory.bytes, before)
})
