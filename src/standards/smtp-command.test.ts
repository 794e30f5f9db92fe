import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
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

test('RCPT takes an address or the postmaster, and no parameter', () => {
  const cases: [string, string][] = [
    ['TO:<a@b>', 'ok'],
    ['to: <PostMaster>', 'ok'],
    ['TO:<>', '501 5.1.3'],
    ['TO:a@b', '501 5.1.3'],
    ['TO:<somebody>', '501 5.1.3'],
    ['TO:<a@b> NOTIFY=NEVER', '555 5.5.4'],
    ['FROM:<a@b>', '501 5.5.4'],
  ]
  for (const [args, expected] of cases) assert.equal(code(parseRcpt(args)), expected, args)
})

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
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: 'binary' })), (args) => {
      for (const parsed of [parseMail(`FROM:${args}`), parseRcpt(`TO:${args}`)]) {
        if (parsed.problem !== null) assert.match(parsed.smtp, /^(501|555) 5\.\d\.\d$/)
      }
      assert.ok(parseBdat(args).chunkBytes >= -1)
    }),
    { numRuns: 2000 },
  )
})
