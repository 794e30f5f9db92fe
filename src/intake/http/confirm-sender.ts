/**
 * The page behind the link that is mailed to a sender. Programs that look for malice in mail open every link in it, so a GET changes nothing, nor
 * does it tell whether the link is good: it shows a button, and only a person presses that.
 *
 *   GET  /senders/confirm?token=ph_link_…    a page with a form
 *   POST /senders/confirm                    token=ph_link_…  as the form sends it
 */
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Confirmation } from '../../ports/directory.ts'
import { formBytesMax } from './limits.ts'

export interface SenderConfirmationOptions {
  /** Never rejects for a token, whatever it is. */
  readonly confirm: (token: string) => Promise<Confirmation>
}

const path = '/senders/confirm'
/** As tenancy makes them. What does not look like one is not worth a question. */
const tokenShape = /^ph_link_[a-z2-7]{32}_[0-9A-Za-z]{6}$/

type ConfirmRequest = FastifyRequest<{ Querystring: Record<string, unknown> }>

/** To be called before the server listens. Asks for no key: whoever has the token has read the mail. */
export function registerSenderConfirmation(app: FastifyInstance, { confirm }: SenderConfirmationOptions): void {
  const policy = contentPolicy()
  const page = (reply: FastifyReply, status: number, title: string, body: string): FastifyReply =>
    sendPage(reply, policy, status, title, body)

  // A scope of its own, for its own way to read a body and to fail.
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    const options = { parseAs: 'string', bodyLimit: formBytesMax.value } as const
    scope.addContentTypeParser('application/x-www-form-urlencoded', options, (_, text, done) => done(null, text))
    scope.setErrorHandler(({ statusCode = 500 }: { readonly statusCode?: number }, _, reply) =>
      statusCode < 500 ? page(reply, statusCode, ...notWhole) : page(reply, 503, ...later),
    )
    scope.get(path, (request: ConfirmRequest, reply) => {
      const { token } = request.query
      return isToken(token) ? page(reply, 200, 'Confirm a sender', form(token)) : page(reply, 404, ...notWhole)
    })
    scope.post(path, async (request, reply) => {
      const token = typeof request.body === 'string' ? new URLSearchParams(request.body).get('token') : null
      if (!isToken(token)) return page(reply, 404, ...notWhole)
      const confirmation = await confirm(token)
      if (confirmation.outcome !== 'confirmed') return page(reply, ...refusals[confirmation.outcome])
      const done = `<p>Mail may be sent with <strong>${escaped(confirmation.address)}</strong> as its sender from now on. You can close this page.</p>`
      return page(reply, 200, 'Confirmed', done)
    })
  })
}

const isToken = (token: unknown): token is string => typeof token === 'string' && tokenShape.test(token)

type Page = readonly [title: string, body: string]

const notWhole: Page = [
  'This link is not whole',
  '<p>Copy it from the mail from its beginning to its end, or press it there.</p>',
]
const later: Page = ['Not now', '<p>It cannot be confirmed at the moment. Please try again in a few minutes.</p>']

const refusals: Readonly<Record<'unknown' | 'taken' | 'later', readonly [status: number, ...Page]>> = {
  unknown: [
    410,
    'This link is good no more',
    '<p>It was used already, a newer one was mailed, or it is too old. If you have just confirmed, all is well. Otherwise ask for another.</p>',
  ],
  taken: [
    409,
    'This address belongs to somebody else',
    '<p>Since the mail was sent, its whole domain was confirmed by another customer of this service.</p>',
  ],
  later: [503, ...later],
}

/** A token is made of letters, digits and underscores: nothing in it ends an attribute. */
const form = (token: string): string => `<p>Somebody would like to send mail with your address as its sender.</p>
<form method="post" action="${path}">
<input type="hidden" name="token" value="${token}">
<button>Yes, my address may be used</button>
</form>
<p class="quiet">If you do not want that, close this page: nothing has happened.</p>`

const style = `:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1.5rem}
h1{font-size:1.4rem}
button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#1a5fb4;color:#fff;cursor:pointer}
.quiet{opacity:.7}`

/** Nothing is loaded, nobody frames it, and its one form goes to us. */
function contentPolicy(): string {
  const hash = createHash('sha256').update(style).digest('base64')
  return `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`
}

function sendPage(reply: FastifyReply, policy: string, status: number, title: string, body: string): FastifyReply {
  return reply
    .code(status)
    .headers({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      // The token is in the address of this page.
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-robots-tag': 'noindex',
    })
    .send(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${style}</style>
<h1>${title}</h1>
${body}
</html>
`)
}

const entities: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
])

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (mark) => entities.get(mark) as string)
