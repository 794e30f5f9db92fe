import assert from 'node:assert/strict'
import test from 'node:test'
import { type DialogueStage, saysTooMany } from '../model/outcome.ts'
import { type Reply, ReplyParser } from '../standards/smtp-reply.ts'
import { outcomeTextMax } from '../model/limits.ts'
import { moreTelling, outcomeOfFault, outcomeOfReply } from './outcome.ts'

function reply(text: string): Reply {
  const parser = new ReplyParser()
  parser.feed(Buffer.from(`${text}\r\n`, 'latin1'))
  return parser.take() ?? assert.fail(`${text} is no reply`)
}

test('the table: kind and scope by stage and first digit', () => {
  const table: readonly (readonly [DialogueStage, string, string])[] = [
    ['greeting', 'deferred site', 'deferred site'],
    ['ehlo', 'deferred site', 'deferred site'],
    ['starttls', 'deferred site', 'deferred site'],
    ['auth', 'deferred site', 'deferred site'],
    ['mail', 'deferred message', 'bounced message'],
    ['rcpt', 'deferred recipient', 'bounced recipient'],
    ['data', 'deferred message', 'bounced message'],
    ['content', 'deferred message', 'bounced message'],
    ['final', 'deferred message', 'bounced message'],
  ]
  for (const [stage, temporary, permanent] of table) {
    const of = (text: string): string => {
      const { kind, scope } = outcomeOfReply(stage, reply(text))
      return `${kind} ${scope}`
    }
    assert.equal(of('451 4.3.0 later'), temporary, stage)
    assert.equal(of('554 5.7.1 no'), permanent, stage)
    assert.equal(of('421 4.3.2 bye'), 'deferred site', stage)
    assert.equal(of('250 2.0.0 yes'), stage === 'final' ? 'delivered message' : 'deferred message', stage)
  }
})

test('an outcome always has an enhanced code, whatever the reply holds', () => {
  assert.equal(outcomeOfReply('rcpt', reply('550')).enhanced, '5.0.0')
  assert.equal(outcomeOfReply('rcpt', reply('550 5.1.1')).enhanced, '5.1.1')
  assert.equal(outcomeOfReply('rcpt', reply('550 5.1.1')).text, '')
  assert.equal(outcomeOfReply('rcpt', reply('550 2.1.1 odd')).enhanced, '5.0.0')
})

test('limit outcome.text: text at it is kept, one above is cut, and an escape is never cut in two', () => {
  const max = outcomeTextMax.value
  const textOf = (text: string): string => outcomeOfReply('final', reply(`554 ${text}`)).text
  assert.equal(textOf('x'.repeat(max - 1)).length, max - 1)
  assert.equal(textOf('x'.repeat(max)).length, max)
  assert.equal(textOf('x'.repeat(max + 1)).length, max)
  assert.equal(textOf(`${'x'.repeat(max - 4)}\x07`), `${'x'.repeat(max - 4)}\\x07`)
  assert.equal(textOf(`${'x'.repeat(max - 3)}\x07`), 'x'.repeat(max - 3))
})

test('of several failures of a site a reply tells most, and a hope more than an end', () => {
  const silence = outcomeOfFault('connectFailed', 'connect')
  const busy = outcomeOfReply('greeting', reply('421 busy'))
  const end = outcomeOfFault('noAddress', 'resolve')
  assert.equal(moreTelling(null, end), end)
  assert.equal(moreTelling(end, silence), silence)
  assert.equal(moreTelling(silence, busy), busy)
  assert.equal(moreTelling(busy, silence), busy)
  assert.equal(moreTelling(silence, end), silence)
})

test('RFC 5321 §4.5.3.1.10: too many recipients is what 452 4.5.3 says, and 452 alone beside an accepted recipient', () => {
  const cases: readonly (readonly [text: string, first: boolean, beside: boolean])[] = [
    ['452 4.5.3 too many recipients', true, true],
    ['452-4.5.3 too many\r\n452 4.5.3 recipients', true, true],
    ['452 too many recipients', false, true],
    ['552 5.5.3 too many recipients', false, true],
    ['452 4.3.1 insufficient storage', false, false],
    ['450 4.2.1 greylisted', false, false],
    ['550 5.5.3 too many recipients', false, false],
    ['552 over quota', false, false],
  ]
  for (const [text, first, beside] of cases) {
    assert.equal(saysTooMany(outcomeOfReply('rcpt', reply(text), false)), first, text)
    assert.equal(saysTooMany(outcomeOfReply('rcpt', reply(text), true)), beside, text)
    assert.equal(saysTooMany(outcomeOfReply('mail', reply(text), true)), false, text)
  }
})
