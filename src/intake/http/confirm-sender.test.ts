/** The page behind a mailed link. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { fastify } from 'fastify'
import type { Confirmation } from '../../ports/directory.ts'
import { registerSenderConfirmation } from './confirm-sender.ts'
import { formBytesMax } from './limits.ts'

const token = `ph_link_${'a'.repeat(32)}_0aB3xZ`

function pages(t: TestContext, answer: Confirmation | Error = { outcome: 'confirmed', address: `"<b>"'&@b.example` }) {
  const asked: string[] = []
  const app = fastify()
  // As the server that it is registered with does: nobody's body is read.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  registerSenderConfirmation(app, {
    confirm: async (given) => {
      asked.push(given)
      if (answer instanceof Error) throw answer
      return answer
    },
  })
  t.after(() => app.close())
  const get = (query: string) => app.inject({ url: `/senders/confirm${query}` })
  const post = (payload: string, type = 'application/x-www-form-urlencoded') =>
    app.inject({ method: 'POST', url: '/senders/confirm', payload, headers: { 'content-type': type } })
  return { asked, get, post }
}

test('whoever only looks, as scanners of mail do, confirms nothing and learns nothing', async (t) => {
  const { asked, get } = pages(t, { outcome: 'unknown' })
  const page = await get(`?token=${token}`)
  assert.equal(page.statusCode, 200)
  assert.match(page.body, new RegExp(`<form method="post" action="/senders/confirm">\\n<input [^>]*value="${token}">`))
  assert.deepEqual(asked, [])
})

test('the button confirms, and the address is text', async (t) => {
  const { asked, post } = pages(t)
  const page = await post(`token=${token}`)
  assert.equal(page.statusCode, 200)
  assert.ok(page.body.includes('<strong>&quot;&lt;b&gt;&quot;&#39;&amp;@b.example</strong>'))
  assert.deepEqual(asked, [token])
})

test('the page loads nothing, is framed by nobody, and tells nobody its address', async (t) => {
  const { get, post } = pages(t)
  for (const { headers, body } of [await get(`?token=${token}`), await get(''), await post(`token=${token}`)]) {
    const style = /<style>([^]*)<\/style>/.exec(body)?.[1] as string
    const hash = createHash('sha256').update(style).digest('base64')
    assert.equal(
      headers['content-security-policy'],
      `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    )
    assert.equal(headers['referrer-policy'], 'no-referrer')
    assert.equal(headers['cache-control'], 'no-store')
    assert.doesNotMatch(body, /https?:|src=|<script/)
  }
})

test('what is no token is asked of nobody, and is not repeated', async (t) => {
  const { asked, get, post } = pages(t)
  const wrong = [
    '',
    'x',
    `${token}x`,
    token.replace('link', 'live'),
    '"><script>alert(1)</script>',
    'a'.repeat(900),
    `${token}\n`,
    '%00',
  ]
  for (const text of wrong) {
    for (const page of [
      await get(`?token=${encodeURIComponent(text)}`),
      await post(`token=${encodeURIComponent(text)}`),
    ])
      assert.deepEqual([page.statusCode, page.body.includes('script')], [404, false], text)
  }
  assert.equal((await get(`?token=${token}&token=${token}`)).statusCode, 404)
  assert.equal((await post(JSON.stringify({ token }), 'application/json')).statusCode, 415)
  assert.equal((await post('')).statusCode, 404)
  assert.deepEqual(asked, [])
})

test('each refusal is a page with its reason', async (t) => {
  for (const [outcome, status, text] of [
    ['unknown', 410, /used already/],
    ['taken', 409, /another customer/],
    ['later', 503, /try again/],
  ] as const) {
    const page = await pages(t, { outcome }).post(`token=${token}`)
    assert.equal(page.statusCode, status)
    assert.match(page.body, text)
  }
  const broken = await pages(t, new Error('a secret of the directory')).post(`token=${token}`)
  assert.deepEqual([broken.statusCode, broken.body.includes('secret')], [503, false])
})

test('limit http.form: a form of 1 KiB is read, one octet more is 413', async (t) => {
  const { asked, post } = pages(t)
  const bytes = formBytesMax.value
  for (const size of [bytes - 1, bytes, bytes + 1]) {
    const payload = `token=${token}&x=`.padEnd(size, 'x')
    assert.equal((await post(payload)).statusCode, size > bytes ? 413 : 200)
  }
  assert.equal(asked.length, 2)
})
