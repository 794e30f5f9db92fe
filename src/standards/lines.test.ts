/** Line ends by two passes over the bytes, against the regular expression that says the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { crlfLines, surveyLines } from './lines.ts'

const content = fc
  .array(fc.oneof(fc.constantFrom('\r', '\n', '\r\n', '\0', 'x', 'ü', '\x0b', '\x0c'), fc.string({ maxLength: 20 })), {
    maxLength: 40,
  })
  .map((parts) => Buffer.from(parts.join('')))

test('any bytes become lines that end in CRLF, and nothing else of them changes', () => {
  fc.assert(
    fc.property(content, (bytes) => {
      const text = bytes.toString('latin1')
      const survey = surveyLines(bytes)
      const lines = crlfLines(bytes, survey)
      assert.equal(lines.toString('latin1'), text.replace(/\r\n|\r|\n/g, '\r\n'))
      assert.equal(lines.length, bytes.length + survey.bareEnds)
      assert.equal(survey.bareCrAt, text.search(/\r(?!\n)/))
      assert.equal(survey.longestBytes, Math.max(...text.split(/\r\n|\r|\n/).map((line) => line.length)))
    }),
    { numRuns: 500 },
  )
})

test('lines that end in CRLF already are not copied', () => {
  const bytes = Buffer.from('one\r\n\r\ntwo')
  assert.equal(crlfLines(bytes, surveyLines(bytes)), bytes)
})
