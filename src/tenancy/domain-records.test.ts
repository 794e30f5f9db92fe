/** What counts as published, and what does not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { judgeRecord, publishesKey, type RecordPurpose, wantedRecords } from './domain-records.ts'

const key = { id: 'k', selector: 's', createdMs: 1, provenMs: null, retiredMs: null }
const wanted = wantedRecords(
  {
    id: 'd',
    tenantId: 't',
    domain: 'example.com',
    subdomains: false,
    record: { name: '_posthaste.example.com', value: 'posthaste-verification=00' },
    createdMs: 1,
    verifiedMs: null,
    keys: [
      { ...key, record: { name: 'old._domainkey.example.com', value: 'p=x' }, retiredMs: 2 },
      { ...key, record: { name: 's._domainkey.example.com', value: 'v=DKIM1; k=rsa; p=MIIB+/a=' } },
    ],
  },
  'Mail.Example.com',
)

const judge = (purpose: RecordPurpose, ...texts: string[]): string => {
  const record = wanted.find((one) => one.purpose === purpose)
  assert.ok(record)
  return judgeRecord(record, texts).state
}

test('a retired key is not wanted, and what is needed is told from what is suggested', () => {
  assert.deepEqual(
    wanted.map(({ purpose, name, needed }) => [purpose, name, needed]),
    [
      ['ownership', '_posthaste.example.com', true],
      ['dkim', 's._domainkey.example.com', true],
      ['spf', 'example.com', false],
      ['dmarc', '_dmarc.example.com', false],
    ],
  )
})

test('each kind of record: found, missing, differs', () => {
  for (const [purpose, texts, state] of [
    ['ownership', [' posthaste-verification=00 '], 'found'],
    ['ownership', ['x', 'posthaste-verification=01', 'posthaste-verification=00'], 'found'],
    ['ownership', ['posthaste-verification=000'], 'differs'],
    ['ownership', ['x posthaste-verification=00'], 'missing'],
    ['dkim', ['v=DKIM1; k=rsa; p=MIIB+/a='], 'found'],
    ['dkim', ['k=rsa;p = MIIB +/ a= ; t=s'], 'found'],
    ['dkim', ['v=DKIM1; k=ed25519; p=MIIB+/a='], 'differs'],
    ['dkim', ['v=DKIM1; p='], 'differs'],
    ['dkim', ['v=DKIM1; p=MIIB+/a=', 'other'], 'differs'],
    ['dkim', [], 'missing'],
    ['spf', ['V=SPF1 +A:mail.example.com -all'], 'found'],
    ['spf', ['v=spf1 mx -all'], 'differs'],
    ['spf', ['v=spf1 a:mail.example.com.evil -all'], 'differs'],
    ['spf', ['v=spf1 -a:mail.example.com -all'], 'differs'],
    ['spf', ['v=spf1 a:mail.example.com', 'v=spf1 -all'], 'differs'],
    ['spf', ['v=spf10 a:mail.example.com', 'other'], 'missing'],
    ['dmarc', ['v=DMARC1;p=reject'], 'found'],
    ['dmarc', ['v=DMARC1; p=none', 'v=DMARC1; p=reject'], 'differs'],
    ['dmarc', ['v=dmarc1; p=none'], 'missing'],
  ] as const)
    assert.equal(judge(purpose, ...texts), state, `${purpose} ${JSON.stringify(texts)}`)
  for (const record of wanted) assert.equal(judgeRecord(record, null).state, 'unknown')
})

test('whatever stands there, judging it ends, and only the same key is ours', () => {
  const part = fc.constantFrom('v=', 'DKIM1', ';', ' ', 'p=', 'MIIB', '+/a=', 'k=rsa', '=', 'v=spf1', '\u00ff')
  fc.assert(
    fc.property(fc.array(fc.array(part, { maxLength: 12 }), { maxLength: 3 }), (all) => {
      const texts = all.map((parts) => parts.join(''))
      for (const record of wanted) assert.ok(judgeRecord(record, texts).state !== 'unknown')
      if (publishesKey(texts, 'p=MIIB')) assert.ok(texts.length === 1 && texts[0]?.includes('MIIB'))
    }),
  )
})
