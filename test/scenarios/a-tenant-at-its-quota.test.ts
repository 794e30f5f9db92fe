import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked, folder, startSandbox } from '../support/scenario.ts'
import { until } from '../support/wait.ts'

interface Quota {
  readonly used: { readonly spool_recipients: number } | null
}

for (const [layout, config] of [
  ['one thread for all', 'threads: { intake: auto, deliver: auto }\n'],
  ['threads of their own for intake', 'threads: { intake: 2, deliver: 1 }\n'],
] as const) {
  test(`a tenant hears of its quota when it is used up, and is free at once when it is raised: ${layout}`, async (t) => {
    const program = await startSandbox(t, folder(t), config)
    const { key } = await asked<{ readonly key: string }>(program, 'sandbox', 'credentials')
    const quotaUrl = `http://127.0.0.1:${program.managementPort}/api/v1/admin/tenants/demo/quota`
    const put = async (limits: object): Promise<void> => {
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(quotaUrl, { method: 'PUT', headers, body: JSON.stringify(limits) })
      assert.equal(answer.status, 200)
    }
    const post = async (local: string, recipients: number): Promise<Response> => {
      const to = Array.from({ length: recipients }, (_, i) => `${local}@s${i}.sandbox.test`)
      // A connection for each, so that all threads are met.
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', connection: 'close' }
      const body = JSON.stringify({ from: 'ann@example.com', to, subject: 'hello', text: 'hello' })
      return await fetch(`http://127.0.0.1:${program.httpPort}/api/v1/emails`, { method: 'POST', headers, body })
    }
    const refused = async (answer: Response, code: string): Promise<void> => {
      const problem = (await answer.json()) as { readonly code: string }
      assert.deepEqual([answer.status, problem.code], [429, code])
    }

    await put({ messages_per_second: 2 })
    for (let n = 0; n < 4; n++) await refused(await post('ann', 3), 'quota_exceeded')
    const last = await post('ann', 2)
    assert.deepEqual([last.status, last.headers.get('ratelimit-limit')], [202, '2'])

    await put({ spool_recipients: 3 })
    assert.equal((await post('defer3', 3)).status, 202)
    const waiting = async (): Promise<number | undefined> =>
      ((await (await fetch(quotaUrl)).json()) as Quota).used?.spool_recipients
    await until(5_000, 'three recipients wait', async () => (await waiting()) === 3)
    for (let n = 0; n < 4; n++) await refused(await post('ann', 1), 'spool_quota_full')

    await put({})
    for (let n = 0; n < 4; n++) assert.equal((await post('ann', 1)).status, 202)
    assert.equal(await program.stop(), 0)
  })
}
