import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, letter, posthaste, type RecipientState, send, settled, startSandbox } from '../support/scenario.ts'

test('the magic recipients of the sandbox misbehave as promised, and the mail of all others is not held up', {
  concurrency: true,
}, async (t) => {
  const sandbox = await startSandbox(t, folder(t), 'retry: { delays: [1s], jitter: 0 }\n')
  const outcome = async (local: string): Promise<RecipientState> => {
    const id = await send(sandbox, { to: [`${local}@sandbox.test`], content: letter(local) })
    const [recipient] = await settled(sandbox, id)
    return recipient as RecipientState
  }
  const attempts = ({ attempts: made }: RecipientState): string[] =>
    made.map(({ outcome: kind, code }) => (code === 0 ? kind : `${kind} ${code}`))

  await Promise.all([
    t.test('bounce@ is refused for good', async () => {
      const recipient = await outcome('bounce')
      assert.deepEqual([recipient.state, ...attempts(recipient)], ['bounced', 'bounced 550'])
    }),
    t.test('defer3@ takes the mail at the fourth attempt', async () => {
      const recipient = await outcome('defer3')
      const expected = ['deferred 451', 'deferred 451', 'deferred 451', 'delivered 250']
      assert.deepEqual([recipient.state, ...attempts(recipient)], ['delivered', ...expected])
      assert.equal(recipient.may_be_duplicate, false)
    }),
    t.test(
      'drop@ breaks off in mid-content; of a small message all was on its way by then, so it counts as uncertain',
      async () => {
        const recipient = await outcome('drop')
        assert.deepEqual([recipient.state, ...attempts(recipient)], ['delivered', 'uncertain', 'delivered 250'])
      },
    ),
    t.test('lost@ takes the mail without a word: uncertain, sent again, flagged', async () => {
      const recipient = await outcome('lost')
      assert.deepEqual([recipient.state, ...attempts(recipient)], ['delivered', 'uncertain', 'delivered 250'])
      assert.equal(recipient.may_be_duplicate, true)
    }),
    t.test('ann@ has her mail at once', async () => {
      const recipient = await outcome('ann')
      assert.deepEqual([recipient.state, ...attempts(recipient)], ['delivered', 'delivered 250'])
    }),
  ])
  const list = await posthaste('sandbox', 'list', '--management-port', String(sandbox.managementPort))
  const subjects = list.stdout.toString().match(/\S+$/gm)?.slice(1).sort()
  // What bounced is told to its sender.
  const notice = 'delivered'
  assert.deepEqual(
    subjects?.filter((subject) => subject !== notice),
    ['ann', 'defer3', 'drop', 'lost', 'lost'],
  )
})
