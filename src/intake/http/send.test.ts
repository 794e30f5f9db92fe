/** Messages that are accepted: what is stored of them, and when the client hears of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodEmail, startHttpRig } from '../../../test/support/http-rig.ts'
import { condition } from '../../../test/support/condition.ts'

test('a message is accepted with its id once it is on disk, and never before', async (t) => {
  const rig = await startHttpRig(t)
  rig.spool.holdCommits = true
  let answered = false
  const posting = rig.post(goodEmail).finally(() => (answered = true))
  await condition(() => rig.spool.heldCommits === 1)
  assert.equal(answered, false)
  rig.spool.settle()

  const answer = await posting

  assert.equal(answer.status, 202, answer.text)
  const [message] = rig.spool.committed
  assert.deepEqual(answer.body, { id: message?.id })
  assert.equal(answer.headers.get('location'), `/api/v1/emails/${message?.id}`)
  assert.deepEqual(message?.head.recipients, ['bob@example.net'])
  assert.equal(message?.head.returnPath, 'ann@example.test')
  assert.match(String(message?.content), /^Date: .*\r\nFrom: Ann <ann@example.test>\r\n/)
})

test('what was accepted can be asked for at once', async (t) => {
  const rig = await startHttpRig(t)
  const { id } = (await rig.post({ ...goodEmail, tags: ['a'], metadata: { order: '1' } })).body as { id: string }

  const whole = await rig.get(`/api/v1/emails/${id}`)
  const status = await rig.get(`/api/v1/emails/${id}/status`)
  const list = await rig.get('/api/v1/emails?tag=a')

  assert.equal(whole.status, 200, whole.text)
  assert.deepEqual(
    [whole.body['id'], whole.body['subject'], whole.body['from']],
    [id, 'hello', 'Ann <ann@example.test>'],
  )
  assert.deepEqual([status.body['status'], status.body['recipient_count']], ['queued', 1])
  assert.equal((list.body['data'] as unknown[]).length, 1)
})
