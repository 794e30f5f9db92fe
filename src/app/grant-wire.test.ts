import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Grant } from '../model/grant.ts'
import type { Attempt, Outcome } from '../model/outcome.ts'
import type { Site } from '../model/site.ts'
import { readGrant, readReport, readSite, readStop, WireWriter } from './grant-wire.ts'

const site: Site = {
  id: 7,
  name: 'mx1.example.net:25',
  hosts: [{ host: 'mx1.example.net', preference: 10 }],
  port: 25,
  tls: 'verified',
  credentials: { user: 'app', password: 'pässword' },
  trusted: false,
  connectionsMax: 20,
}

const double = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const grants: fc.Arbitrary<Grant> = fc
  .record({
    id: double,
    source: fc.option(fc.ipV4()),
    number: double,
    place: double,
    recipients: fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 100 }),
  })
  .map((fields) => ({ ...fields, site, slots: [] }))

const text = fc.string({ maxLength: 512 })
const outcomes: fc.Arbitrary<Outcome> = fc.record(
  {
    kind: fc.constantFrom('delivered', 'bounced', 'deferred', 'uncertain', 'expired', 'suppressed'),
    scope: fc.constantFrom('recipient', 'message', 'site'),
    stage: fc.constantFrom(
      'route',
      'resolve',
      'connect',
      'greeting',
      'ehlo',
      'starttls',
      'auth',
      'mail',
      'rcpt',
      'final',
    ),
    code: fc.integer({ min: 0, max: 599 }),
    enhanced: fc.constantFrom('2.0.0', '5.1.1'),
    text,
  },
  { noNullPrototype: true },
)
const ms = fc.double({ noNaN: true, noDefaultInfinity: true })
const attempts: fc.Arbitrary<Attempt> = fc.record(
  {
    startedAtMs: double,
    host: text,
    address: fc.ipV6(),
    source: fc.ipV4(),
    tls: fc.constantFrom('', 'TLSv1.3 TLS_AES_256_GCM_SHA384'),
    reusedConnection: fc.boolean(),
    connectedMs: ms,
    envelopeMs: ms,
    finishedMs: ms,
  },
  { noNullPrototype: true },
)
const attemptsPassedOn = fc
  .tuple(attempts, fc.boolean())
  .map(([attempt, dsnPassedOn]): Attempt => (dsnPassedOn ? { ...attempt, dsnPassedOn } : attempt))

/** At an offset, as it is in a ring. */
const moved = (writer: WireWriter, length: number): Buffer =>
  Buffer.concat([Buffer.alloc(12, 0xff), writer.bytes.subarray(0, length), Buffer.alloc(3, 0xff)])

test('sites, grants and the word to stop come out as they went in', () => {
  const writer = new WireWriter()
  const siteBytes = writer.site(site)
  assert.deepEqual(readSite(moved(writer, siteBytes), 12, siteBytes), site)
  assert.equal(readStop(moved(writer, writer.stop(9_000)), 12), 9_000)
  fc.assert(
    fc.property(grants, double, (grant, behind) => {
      const bytes = moved(writer, writer.grant(grant, behind))
      assert.deepEqual(
        readGrant(bytes, 12, () => site),
        { grant, behind },
      )
    }),
  )
})

test('reports come out as they went in, and recipients that shared an outcome share it still', () => {
  const writer = new WireWriter()
  const some = fc.array(outcomes, { minLength: 1, maxLength: 100 })
  const which = fc.array(fc.nat({ max: 99 }), { minLength: 1, maxLength: 100 })
  fc.assert(
    fc.property(double, some, which, attemptsPassedOn, (grantId, distinct, picks, attempt) => {
      const all = picks.map((pick) => distinct[pick % distinct.length] as Outcome)
      const read = readReport(moved(writer, writer.report(grantId, all, attempt)), 12)
      assert.deepEqual(read, { grantId, outcomes: all, attempt })
      assert.equal(new Set(read.outcomes).size, new Set(all).size)
    }),
  )
})
