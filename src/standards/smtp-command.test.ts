import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { anyCharacter } from '../../test/support/any-character.ts'
import { commandArguments, commandText, commandVerb, parseBdat, parseMail, parseRcpt } from './smtp-command.ts'

function code(parsed: { problem: string | null; smtp?: string }): string {
  return parsed.problem === null ? 'ok' : (parsed.smtp ?? '')
}

test('a line is verb and arguments', () => {
  assert.equal(commandVerb('mail FROM:<a@b>'), 'MAIL')
  assert.equal(commandVerb('quit'), 'QUIT')
  assert.equal(commandVerb(''), '')
  assert.equal(commandArguments('EHLO  a.example  '), 'a.example')
  assert.equal(commandArguments('DATA'), '')
})

test('control characters and malformed UTF-8 make no text', () => {
  const text = (bytes: Buffer): string | null => commandText(bytes, 0, bytes.length)
  assert.equal(text(Buffer.from('NOOP ü')), 'NOOP ü')
  for (const bad of ['NO\0OP', 'NOOP\r', 'NOOP\tx', 'NOOP \x7f', 'NOOP \x1b[2J'])
    assert.equal(text(Buffer.from(bad)), null)
  assert.equal(text(Buffer.from([0x4e, 0xff])), null)
  assert.equal(text(Buffer.from([0xc3])), null)
})

test('MAIL parameters are read, and wrong ones have their codes', () => {
  const mail = parseMail('FROM:<a@b> SIZE=1000 BODY=8bitmime SMTPUTF8 AUTH=<>')
  assert.deepEqual(mail, {
    problem: null,
    mailbox: { address: 'a@b', domain: 'b', literal: false, ascii: true },
    sizeBytes: 1000,
    eightBit: true,
    smtpUtf8: true,
    returns: '',
    envelopeId: '',
  })
  assert.equal(code(parseMail('from: <a@b>')), 'ok')
  assert.equal(code(parseMail('FROM:<>')), 'ok')
  const cases: [string, string][] = [
    ['FROM:a@b', '501 5.1.7'],
    ['FROM:<a@b', '501 5.1.7'],
    ['<a@b>', '501 5.5.4'],
    ['', '501 5.5.4'],
    ['FROM:<a@b>SIZE=1', '501 5.5.4'],
    ['FROM:<a@b> FOO=1', '555 5.5.4'],
    ['FROM:<a@b> __proto__', '501 5.5.4'],
    ['FROM:<a@b> SIZE=1 size=1', '501 5.5.4'],
    ['FROM:<a@b> SIZE=abc', '501 5.5.4'],
    ['FROM:<a@b> SIZE=-1', '501 5.5.4'],
    ['FROM:<a@b> SIZE=', '501 5.5.4'],
    ['FROM:<a@b> SIZE', '501 5.5.4'],
    ['FROM:<a@b> BODY=BINARYMIME', '501 5.5.4'],
    ['FROM:<a@b> SMTPUTF8=1', '501 5.5.4'],
    ['FROM:<a@b> AUTH', '501 5.5.4'],
    ['FROM:<a@b> ==', '501 5.5.4'],
  ]
  for (const [args, expected] of cases) assert.equal(code(parseMail(args)), expected, args)
})

test('RCPT takes an address or the postmaster', () => {
  const cases: [string, string][] = [
    ['TO:<a@b>', 'ok'],
    ['to: <PostMaster>', 'ok'],
    ['TO:<>', '501 5.1.3'],
    ['TO:a@b', '501 5.1.3'],
    ['TO:<somebody>', '501 5.1.3'],
    ['TO:<a@b> FOO=1', '555 5.5.4'],
    ['TO:<a@b> SIZE=1', '555 5.5.4'],
    ['FROM:<a@b>', '501 5.5.4'],
  ]
  for (const [args, expected] of cases) assert.equal(code(parseRcpt(args)), expected, args)
})

test('what a client wants to be told is read, in any letter case, and kept as it was written', () => {
  const mail = parseMail('FROM:<a@b> ret=hdrs Envid=QQ+2B314159 SMTPUTF8')
  assert.ok(mail.problem === null)
  assert.deepEqual([mail.returns, mail.envelopeId], ['HDRS', 'QQ+2B314159'])
  const cases: [string, string[], string][] = [
    ['NOTIFY=NEVER', ['NEVER'], ''],
    ['notify=success,Failure,DELAY', ['SUCCESS', 'FAILURE', 'DELAY'], ''],
    ['NOTIFY=DELAY ORCPT=RFC822;Ann+2Bx@Example.com', ['DELAY'], 'RFC822;Ann+2Bx@Example.com'],
    ['ORCPT=rfc822;ann+09x@example.com', [], 'rfc822;ann+09x@example.com'],
    ['ORCPT=x400;/PN=ann/'.replace('PN=', 'PN+3D'), [], 'x400;/PN+3Dann/'],
    ['ORCPT=UTF-8;jürgen\\x{2B}x@b', [], 'UTF-8;jürgen\\x{2B}x@b'],
    ['ORCPT=rfc822;a;b@c', [], 'rfc822;a;b@c'],
  ]
  for (const [parameters, notify, originalRecipient] of cases) {
    const rcpt = parseRcpt(`TO:<a@b> ${parameters}`)
    assert.deepEqual(rcpt, {
      problem: null,
      mailbox: { address: 'a@b', domain: 'b', literal: false, ascii: true },
      notify,
      originalRecipient,
    })
  }
})

test('what it says of that wrongly is refused with a sentence that names the cure', () => {
  const mail: [string, RegExp][] = [
    ['RET', /FULL or HDRS/],
    ['RET=', /leave it out or give one/],
    ['RET=BODY', /FULL or HDRS/],
    ['RET=hdrſ', /FULL or HDRS/], // its capital is an S
    ['RET=FULL RET=HDRS', /give it once/],
    ['ENVID', /must be xtext/],
    ['ENVID=a+b', /written as \+2B, \+3D and \+20/],
    ['ENVID=a+2b', /must be xtext/],
    ['ENVID=a=b', /must be xtext/],
    ['ENVID=ü', /must be xtext/],
    ['ENVID=a+00b', /printable ASCII only/],
    ['ENVID=a+0D+0Ab', /printable ASCII only/],
    ['ENVID=+C3+BC', /printable ASCII only/],
    ['NOTIFY=NEVER', /NOTIFY is a parameter of RCPT, give it there/],
    ['ORCPT=rfc822;a@b', /ORCPT is a parameter of RCPT, give it there/],
  ]
  const rcpt: [string, RegExp][] = [
    ['RET=FULL', /RET is a parameter of MAIL, give it there/],
    ['ENVID=x', /ENVID is a parameter of MAIL, give it there/],
    ['NOTIFY', /NOTIFY must be NEVER, or/],
    ['NOTIFY=ALWAYS', /NOTIFY must be NEVER, or/],
    ['NOTIFY=ſUCCESS', /NOTIFY must be NEVER, or/],
    ['NOTIFY=,', /NOTIFY must be NEVER, or/],
    ['NOTIFY=SUCCESS,', /NOTIFY must be NEVER, or/],
    ['NOTIFY=SUCCESS,,DELAY', /NOTIFY must be NEVER, or/],
    ['NOTIFY=NEVER,SUCCESS', /stands alone/],
    ['NOTIFY=never,never', /stands alone/],
    ['NOTIFY=DELAY,delay', /give each once/],
    ['NOTIFY=DELAY NOTIFY=DELAY', /give it once/],
    ['ORCPT', /a type and an address/],
    ['ORCPT=ann@example.com', /a type and an address/],
    ['ORCPT=;ann@example.com', /a type and an address/],
    ['ORCPT=rfc822;', /a type and an address/],
    ['ORCPT=rfc/822;a@b', /a type and an address/],
    ['ORCPT=rfc822;a+b@c', /must be xtext/],
    ['ORCPT=rfc822;a+00@c', /printable ASCII only/],
    ['ORCPT=rfc822;ü@c', /must be xtext/],
    ['ORCPT=utf-8;a+2B@c', /as \\x\{2B\}/],
    ['ORCPT=utf-8;a\u202e@c', /as \\x\{2B\}/],
  ]
  for (const [parameters, cure] of mail) refused(parseMail(`FROM:<a@b> ${parameters}`), parameters, cure)
  for (const [parameters, cure] of rcpt) refused(parseRcpt(`TO:<a@b> ${parameters}`), parameters, cure)
})

function refused(parsed: { problem: string | null; smtp?: string }, parameters: string, cure: RegExp): void {
  assert.equal(code(parsed), '501 5.5.4', parameters)
  assert.match(parsed.problem ?? '', cure, parameters)
  assert.match(parsed.problem ?? '', /^[ -~]{1,200}$/, 'it is fit for a reply')
}

test('BDAT tells the size whenever it can', () => {
  assert.deepEqual(parseBdat('5'), { chunkBytes: 5, last: false, problem: null })
  assert.deepEqual(parseBdat('0 last'), { chunkBytes: 0, last: true, problem: null })
  const sizes: [string, number][] = [
    ['5 LAST x', 5],
    ['5 x', 5],
    ['5 LAST LAST', 5],
    ['-1', -1],
    ['9e99', -1],
    ['', -1],
    ['9'.repeat(16), -1],
  ]
  for (const [args, chunkBytes] of sizes) {
    const bdat = parseBdat(args)
    assert.equal(bdat.chunkBytes, chunkBytes, args)
    assert.equal(bdat.problem?.smtp, '501 5.5.4', args)
  }
})

test('any arguments are read without throwing', () => {
  const soup = fc.string({ unit: fc.constantFrom(...Array.from('FROMTO:<>@=. aBDY58IZE"\\-ü')), maxLength: 60 })
  const word = fc.constantFrom(
    ' RET=',
    ' ENVID=',
    ' NOTIFY=',
    ' ORCPT=',
    'FULL',
    'NEVER',
    ',',
    'DELAY',
    'rfc822;',
    'utf-8;',
  )
  const parameters = fc
    .array(fc.oneof(word, fc.constantFrom('+2B', '+00', '+', '\\x{FC}', 'a@b', 'ü', '=')), { maxLength: 12 })
    .map((words) => `<a@b>${words.join('')}`)
  fc.assert(
    fc.property(fc.oneof(soup, parameters, fc.string({ unit: anyCharacter })), (args) => {
      for (const parsed of [parseMail(`FROM:${args}`), parseRcpt(`TO:${args}`)]) {
        if (parsed.problem !== null) assert.match(parsed.smtp, /^(501|555) 5\.\d\.\d$/)
      }
      assert.ok(parseBdat(args).chunkBytes >= -1)
    }),
    { numRuns: 2000 },
  )
})
