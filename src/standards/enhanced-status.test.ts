import assert from 'node:assert/strict'
import test from 'node:test'
import { deriveStatus, statusLength } from './enhanced-status.ts'

test('a status at the front of a text is found with its length', () => {
  assert.equal(statusLength('5.1.1 no such user'), 5)
  assert.equal(statusLength('4.7.123'), 7)
  assert.equal(statusLength('2.0.0  ok'), 5)
})

test('what only resembles a status is text', () => {
  for (const text of [
    '',
    '5',
    '5.',
    '5.1',
    '5.1.',
    '5.1.1,',
    '3.1.1 x',
    '5.1.1234 x',
    '5..1 x',
    '55.1.1 x',
    ' 5.1.1',
    '5.1.1x',
  ]) {
    assert.equal(statusLength(text), 0, JSON.stringify(text))
  }
})

test('a derived status always has the class of its basic code', () => {
  for (let code = 200; code < 600; code++) {
    const status = deriveStatus(code)
    assert.equal(statusLength(status), status.length)
    if (code < 300 || code >= 400) assert.equal(status[0], String(code)[0])
  }
})

test('a code with several meanings claims none of them', () => {
  assert.equal(deriveStatus(550), '5.0.0')
  assert.equal(deriveStatus(554), '5.0.0')
  assert.equal(deriveStatus(451), '4.3.0')
  assert.equal(deriveStatus(556), '5.1.10')
})
