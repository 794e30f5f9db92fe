/** What an operator reads of a refusal afterwards. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodEmail, startHttpRig } from '../../../test/support/http-rig.ts'

const secretText = 'for your eyes only'

test('a refusal is told with what the client heard and where it was, and with nothing of the mail', async (t) => {
  const rig = await startHttpRig(t)
  const rows: readonly (readonly [given: object, code: string, detail: RegExp, pointer: string])[] = [
    [{ to: 'bob' }, 'address_invalid', /./, '/to'],
    [{ subjekt: secretText }, 'field_unknown', /^there is no field subjekt$/, '/subjekt'],
    [{ subject: 1, tags: [], text: [secretText] }, 'several_problems', /^.+ must be .+, and 1 more$/, '/subject'],
    [{ headers: { 'X-A': `${secretText}\r\nX-B: 1` } }, 'control_character', /./, '/headers/X-A'],
    [{ from: 'eve@rival.test' }, 'sender_not_allowed', /^this key may not send from "eve@rival\.test"$/, '/from'],
  ]
  for (const [given, code, detail, pointer] of rows) {
    assert.ok((await rig.post({ ...goodEmail, text: secretText, ...given })).status >= 400)
    const event = rig.events.pop()
    assert.deepEqual([event?.code, event?.pointer], [code, pointer])
    assert.match(event?.detail ?? '', detail)
    assert.ok(!JSON.stringify(event).includes(secretText), code)
  }
  assert.equal((await rig.post(goodEmail, { key: null })).status, 401)
  const { detail, pointer } = rig.events.pop() ?? {}
  assert.deepEqual([typeof detail, detail === '', pointer], ['string', false, ''])
})

test('the name of a field may have any length: of its place so much is told as people read', async (t) => {
  const rig = await startHttpRig(t)
  for (const [length, told] of [
    [199, 200],
    [200, 200],
    [5_000, 200],
  ] as const) {
    assert.equal((await rig.post({ ...goodEmail, ['x'.repeat(length)]: 1 })).status, 422)
    const { detail = '', pointer = '' } = rig.events.pop() ?? {}
    assert.deepEqual([pointer.length, detail.length < 200], [told, true])
  }
})
