import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../kernel/random.ts'
import { makeSetMemory, SharedSet } from '../kernel/shared-set.ts'
import { parsePath } from '../standards/address.ts'
import { SharedSuppressions, suppressionAddress, suppressionKey } from './suppressions.ts'

test('one mailbox has one form, however it is written', () => {
  for (const [written, kept] of [
    ['ann@example.com', 'ann@example.com'],
    ['Ann.Smith+News@EXAMPLE.com', 'ann.smith+news@example.com'],
    ['"Ann"@example.com', 'ann@example.com'],
    ['"a\\nn"@example.com', 'ann@example.com'],
    ['"ann..smith"@example.com', '"ann..smith"@example.com'],
    ['"Ann\\ Smith"@example.com', '"ann smith"@example.com'],
    ['"a\\"b\\\\c@d"@example.com', '"a\\"b\\\\c@d"@example.com'],
    ['ann@BÜCHER.example', 'ann@xn--bcher-kva.example'],
    ['ann@XN--bcher-kva.example', 'ann@xn--bcher-kva.example'],
    ['Jürgen@example.com', 'jürgen@example.com'],
    ['JU\u0308RGEN@example.com', 'jürgen@example.com'],
    ['"ÄNN"@example.com', 'änn@example.com'],
    ['Ann@[IPv6:2001:DB8::1]', 'ann@[ipv6:2001:db8::1]'],
    ['änn@[192.0.2.1]', 'änn@[192.0.2.1]'],
  ] as const) {
    assert.equal(suppressionAddress(written), kept, written)
  }
})

test('what is different mail to many servers stays different: dots, tags, look-alikes', () => {
  for (const [one, other] of [
    ['a.nn@example.com', 'ann@example.com'],
    ['ann+x@example.com', 'ann@example.com'],
    ['ann@sub.example.com', 'ann@example.com'],
    ['аnn@example.com', 'ann@example.com'],
    ['"a@b"@example.com', 'a@b'],
  ] as const) {
    assert.notEqual(suppressionAddress(one), suppressionAddress(other))
  }
})

test('whatever the text, the form of a form is itself, in reasonable time', () => {
  const part = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string(), fc.constantFrom('"', '\\', '@', '.', 'İ', 'ß'))
  const address = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''))
  const property = fc.property(address, fc.boolean(), (text, quoted) => {
    const once = suppressionAddress(quoted ? `"${text}"@example.com` : text)
    assert.equal(suppressionAddress(once), once)
  })
  fc.assert(property, { numRuns: 2000, examples: [['<\u0338', true]] })
})

test('every address that a session takes has a form that is an address, to the same domain', () => {
  const local = fc.stringMatching(/^[A-Za-z!#$%&'*+/=?^_`{|}~-]{1,20}$/)
  const property = fc.property(
    local,
    fc.boolean(),
    fc.constantFrom('Example.COM', 'BÜCHER.example'),
    (name, quoted, domain) => {
      const path = parsePath(`<${quoted ? `"${name}"` : name}@${domain}>`, 0)
      assert.ok(path.problem === null && path.mailbox !== null)
      const form = parsePath(`<${suppressionAddress(path.mailbox.address)}>`, 0)
      assert.ok(form.problem === null && form.mailbox?.domain === path.mailbox.domain)
    },
  )
  fc.assert(property, { numRuns: 2000 })
})

test('lists are the tenants’ own, and a larger set takes the place of a full one', () => {
  const set = new SharedSet(makeSetMemory(10, seededRandom(1)))
  const suppressions = new SharedSuppressions(new SharedSet(set.memory))
  assert.equal(suppressions.has('acme', 'ann@example.com'), false)
  set.add(suppressionKey('acme', 'Ann@Example.com'))
  assert.equal(suppressions.has('acme', 'ann@example.com'), true)
  assert.equal(suppressions.has('acme', '"ANN"@example.com'), true)
  assert.equal(suppressions.has('other', 'ann@example.com'), false)
  assert.equal(suppressions.has('acmeann@example.com', ''), false)
  const larger = set.grown()
  larger.add(suppressionKey('acme', 'bob@example.com'))
  assert.equal(suppressions.has('acme', 'bob@example.com'), false)
  suppressions.replace(new SharedSet(larger.memory))
  for (const name of ['ann', 'bob']) assert.equal(suppressions.has('acme', `${name}@example.com`), true)
})
