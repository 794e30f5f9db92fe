import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  campaignCharactersMax,
  expiresInMsMax,
  expiresInMsMin,
  idempotencyKeyCharactersMax,
  metadataBytesMax,
  metadataKeyCharactersMax,
  metadataKeysMax,
  metadataValueCharactersMax,
  tagCharactersMax,
  tagsMax,
} from './limits.ts'
import {
  checkCampaign,
  checkExpiresIn,
  checkIdempotencyKey,
  checkMetadata,
  checkStream,
  checkTag,
  checkTags,
  expiresInMsOf,
  mailClassOf,
  metadataText,
} from './options-of-mail.ts'

/** One below and at the limit are right, one above is refused. */
function edge(limit: { readonly value: number }, check: (size: number) => string | null): void {
  assert.equal(check(limit.value - 1), null)
  assert.equal(check(limit.value), null)
  assert.equal(typeof check(limit.value + 1), 'string')
}

test('limit submission.tags: ten, and no more', () => {
  edge(tagsMax, (count) => checkTags(Array.from({ length: count }, (_, i) => `tag${i}`)))
})

test('limit submission.tag: 64 characters', () => {
  edge(tagCharactersMax, (length) => checkTag('x'.repeat(length)))
})

test('limit submission.campaign: 128 characters', () => {
  edge(campaignCharactersMax, (length) => checkCampaign('x'.repeat(length)))
})

const keys = (count: number, value: string): object =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, value]))

test('limit submission.metadata-keys: twenty', () => {
  edge(metadataKeysMax, (count) => checkMetadata(keys(count, 'x')))
})

test('limit submission.metadata-key: 40 characters', () => {
  edge(metadataKeyCharactersMax, (length) => checkMetadata({ ['k'.repeat(length)]: 'x' }))
})

test('limit submission.metadata-value: 500 characters', () => {
  edge(metadataValueCharactersMax, (length) => checkMetadata({ key: 'v'.repeat(length) }))
})

test('limit submission.metadata: 4 KiB as JSON', () => {
  const full = { ...keys(8, 'x'.repeat(metadataValueCharactersMax.value)), last: '' }
  const room = metadataBytesMax.value - JSON.stringify(full).length
  edge(metadataBytesMax, (bytes) => checkMetadata({ ...full, last: 'v'.repeat(room + bytes - metadataBytesMax.value) }))
})

test('limit submission.idempotency-key: 256 characters', () => {
  edge(idempotencyKeyCharactersMax, (length) => checkIdempotencyKey('k'.repeat(length)))
})

test('limit submission.expires-in: 30 days', () => {
  edge(expiresInMsMax, checkExpiresIn)
})

test('limit submission.expires-in-least: a minute', () => {
  const { value } = expiresInMsMin
  assert.equal(typeof checkExpiresIn(value - 1), 'string')
  assert.equal(checkExpiresIn(value), null)
  assert.equal(checkExpiresIn(value + 1), null)
})

test('words are for people to read: nothing in them is unseen', () => {
  for (const text of ['spring sale', 'Frühling', '春', '🎉', "o'clock"]) {
    assert.equal(checkCampaign(text), null, text)
    assert.equal(checkTag(text), null, text)
  }
  for (const text of ['', ' x', 'x ', 'a\r\nb', 'a\0', '\u202eb', '\u200b', '\ud800', '\ufffd']) {
    assert.notEqual(checkCampaign(text), null, JSON.stringify(text))
    assert.notEqual(checkTag(text), null, JSON.stringify(text))
  }
  assert.equal(checkCampaign('a,b'), null)
  assert.notEqual(checkTag('a,b'), null)
})

test('metadata is a flat object of strings', () => {
  for (const value of [{}, { order: '17' }, { 'a.b-c_d': '' }, { city: 'Köln' }, { constructor: 'x' }])
    assert.equal(checkMetadata(value), null, JSON.stringify(value))
  for (const text of [
    'null',
    '[]',
    '"x"',
    '1',
    '{"a":1}',
    '{"a":null}',
    '{"a":{}}',
    '{"":"x"}',
    '{"1":"x"}',
    '{"__proto__":"x"}',
    '{"a b":"x"}',
    '{"a":"\\u0000"}',
  ]) {
    assert.notEqual(checkMetadata(JSON.parse(text)), null, text)
  }
  assert.equal(metadataText({}), '')
  assert.equal(metadataText({ a: 'b' }), '{"a":"b"}')
})

test('an expiry is a duration or seconds', () => {
  for (const [text, ms] of [
    ['2h', 7_200_000],
    ['7200', 7_200_000],
    ['30d', 2_592_000_000],
    ['0', 0],
    ['', null],
    ['-5', null],
    ['1e3', null],
    ['soon', null],
    ['9999999999', null],
  ] as const) {
    assert.equal(expiresInMsOf(text), ms, text)
  }
  assert.notEqual(checkExpiresIn(Number.NaN), null)
})

test('classes, streams and keys', () => {
  assert.equal(mailClassOf('bulk'), 'bulk')
  for (const text of ['', 'Bulk', 'toString']) assert.equal(mailClassOf(text), null)
  assert.equal(checkStream('password-resets'), null)
  for (const text of ['', '-x', 'X', 'a b', 'a'.repeat(64)]) assert.notEqual(checkStream(text), null, text)
  assert.equal(checkIdempotencyKey('8e03978e-40d5-43e8-bc93-6894a57f9324'), null)
  for (const text of ['', 'a b', 'é', 'a\n']) assert.notEqual(checkIdempotencyKey(text), null, text)
})

test('what is wrong is said in ASCII: it goes into replies', () => {
  const long = 'x'.repeat(600)
  for (const problem of [
    checkStream('X'),
    checkCampaign(long),
    checkTag(''),
    checkTag(','),
    checkTag('\0'),
    checkTag(' x'),
    checkTags(Array.from({ length: 11 }, () => 'x')),
    checkMetadata(null),
    checkMetadata({ [long]: '' }),
    checkMetadata({ '': '' }),
    checkMetadata({ a: 1 }),
    checkMetadata({ a: long }),
    checkExpiresIn(0),
    checkIdempotencyKey(''),
  ]) {
    assert.match(problem ?? '', /^[ -~]+$/)
  }
})
