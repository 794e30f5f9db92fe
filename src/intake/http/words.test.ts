/** What a developer reads when something is wrong: it names the field, and says what to do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodEmail, keys, startHttpRig } from '../../../test/support/http-rig.ts'

test('what is wrong with a field is said by its name, with what to do about it', async (t) => {
  const rig = await startHttpRig(t)
  const cases: readonly (readonly [object, string, RegExp | string])[] = [
    [{ replyTo: 'ann@example.test' }, 'there is no field replyTo', 'Write reply_to.'],
    [{ 'Reply-To': 'ann@example.test' }, 'there is no field Reply-To', 'Write reply_to.'],
    [{ body: 'hello' }, 'there is no field body', /^Leave it out\. There are: from, to, cc, .*, expires_in\.$/],
    [
      { attachments: [{ content: '', contentId: 'a' }] },
      'there is no field attachments/0/contentId',
      'Write content_id.',
    ],
    [{ to: [{ email: 'bob@example.net', Name: 'Bob' }] }, 'there is no field to/0/Name', 'Write name.'],
    [{ metadata: { order: 1001 } }, 'metadata/order must be a string', 'Put it in quotes.'],
    [{ html: null }, 'html must be a string', 'Leave it out when it has no value.'],
    [{ tags: 'order' }, 'tags must be a list', 'Put it in brackets, also when there is only one.'],
    [{ headers: [{ name: 'X-A', value: '1' }] }, 'headers must be an object', 'Give it in braces: {"name": "value"}.'],
    [{ text: ['a'] }, 'text must be a string', 'Give a string.'],
    [{ class: 'Bulk' }, 'class must be one of urgent, transactional, bulk', 'Choose one of these.'],
    [{ campaign: '' }, 'campaign must not be empty', 'Leave it out when there is none.'],
    [{ expires_in: 0 }, 'expires_in must be at least 1', 'Give more.'],
    [{ subject: 'x'.repeat(2_001) }, 'subject must not have more than 2,000 characters', 'Shorten it.'],
    [{ attachments: [{ filename: 'a' }] }, 'attachments/0/content is missing', 'Add it.'],
    [{ from: '' }, 'this is not one address', /^Write local@domain/],
    [
      { to: 'a@example.net, B <b@example.net>' },
      'these are several addresses in one string',
      /several addresses as a list/,
    ],
    [
      { headers: { 'X-Posthaste-Class': 'bulk' } },
      'X-Posthaste-Class cannot be given as a header',
      /^Give it as class, /,
    ],
  ]
  for (const [fields, detail, cure] of cases) {
    const { body } = await rig.post({ ...goodEmail, ...fields })
    assert.equal(body['detail'], detail)
    if (typeof cure === 'string') assert.equal(body['cure'], cure)
    else assert.match(String(body['cure']), cure)
  }
  const several = await rig.post({ ...goodEmail, replyTo: 'x', text: null })
  assert.deepEqual(several.body['errors'], [
    { pointer: '/replyTo', code: 'field_unknown', detail: 'there is no field replyTo', cure: 'Write reply_to.' },
    {
      pointer: '/text',
      code: 'field_invalid',
      detail: 'text must be a string',
      cure: 'Leave it out when it has no value.',
    },
  ])
})

test('a field with a name of any length or form is refused in few words', async (t) => {
  const rig = await startHttpRig(t)
  for (const name of ['x'.repeat(100_000), '__proto__', 'a/b~c', 'constructor', '']) {
    const answer = await rig.post(`{"from":"ann@example.test","to":"bob@example.net",${JSON.stringify(name)}:1}`)
    assert.equal(answer.body['code'], 'field_unknown')
    assert.ok(String(answer.body['detail']).length < 120, answer.text.slice(0, 200))
  }
})

test('what is wrong with a parameter is said by its name, with what to do about it', async (t) => {
  const rig = await startHttpRig(t)
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['limit=abc', 'limit must be a whole number', /^Give a whole number\.$/],
    ['limit=0', 'limit must be at least 1', /./],
    ['limit=1&limit=2', 'limit is there more than once', /^Give it once\.$/],
    ['after=2026-11-22', 'after is not a time with its offset', /2026-11-22T10:00:00Z/],
    ['recipient=bob', 'the local part of the address is malformed', /local@domain/],
    ['status=lost', 'status must be one of queued, deferred, bounced, expired, delivered, suppressed', /./],
    ['colour=red', 'there is no field colour', /There are: recipient, sender, /],
  ]
  for (const [query, detail, cure] of cases) {
    const { status, body } = await rig.get(`/api/v1/emails?${query}`)
    assert.deepEqual([status, body['code'], body['detail']], [400, 'parameter_invalid', detail])
    assert.match(String(body['cure']), cure)
  }
})

test('an address is asked for as it is written in mail, and with a plus that was not escaped', async (t) => {
  const rig = await startHttpRig(t)
  for (const recipient of ['bob+tag@example.net', 'bob%2Btag@example.net', 'Bob%20%3Cbob%2Btag@example.net%3E']) {
    assert.equal((await rig.get(`/api/v1/emails?recipient=${recipient}&sender=`)).status, 200)
    const { recipient: asked, sender } = rig.store.queries.at(-1) ?? {}
    assert.deepEqual([asked, sender], ['bob+tag@example.net', ''])
  }
})

test('every path says what can be done with it, also that of a message; HEAD is GET without its body', async (t) => {
  const rig = await startHttpRig(t)
  const { id } = (await rig.post(goodEmail)).body as { id: string }
  const ask = async (method: string, path: string) =>
    await fetch(`${rig.url}${path}`, { method, headers: { authorization: `Bearer ${keys.acme}` } })
  for (const [path, allow] of [
    ['/api/v1/emails', 'POST, GET, HEAD'],
    [`/api/v1/emails/${id}`, 'GET, HEAD'],
    [`/api/v1/emails/${id}/status?x=1`, 'GET, HEAD'],
    ['/healthz', 'GET, HEAD'],
  ] as const) {
    const wrong = await ask('DELETE', path)
    assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, allow], path)
    const head = await ask('HEAD', path)
    assert.deepEqual([head.status, await head.text()], [200, ''], path)
  }
  const slash = (await (await ask('GET', '/healthz/')).json()) as { code: string; cure: string }
  assert.deepEqual([slash.code, slash.cure], ['route_unknown', 'Leave out the slash at the end.'])
  assert.equal((await fetch(`${rig.url}/api/v1/emails`, { method: 'HEAD' })).status, 401)
})

test('a key that is sent in another form, or is the password of a login, is told so', async (t) => {
  const rig = await startHttpRig(t)
  for (const [authorization, cure] of [
    ['Basic YXBpOnBoX2FjbWU=', /Bearer KEY/],
    [keys.acme, /Bearer KEY/],
    ['Bearer ph_smtp_yfpxlzntvjtlpozjcqexiinrs43ng47q_08BMDz', /API key, which begins with ph_live_/],
  ] as const) {
    const { status, body } = await rig.post(goodEmail, { key: null, headers: { authorization } })
    assert.deepEqual([status, body['code']], [401, 'authentication_failed'])
    assert.match(String(body['cure']), cure)
  }
})
