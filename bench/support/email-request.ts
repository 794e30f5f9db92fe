/** Requests of the sending API as text that is ready to be written: what differs between messages is put into the middle of what does not. */

export interface EmailRequestOptions {
  readonly key: string
  /** Of the JSON body, roughly. */
  readonly bytes: number
  /** Recipients are spread over so many domains. */
  readonly domains: number
}

/** Domain of the sender, which the tenant has verified. */
export const senderDomain = 'shop.example.com'
export const recipientDomain = (index: number): string => `d${String(index).padStart(3, '0')}.bench.test`

/** The number is in the recipient's address, where receivers find it. */
export function emailRequests({ key, bytes, domains }: EmailRequestOptions): (number: number) => string {
  const address = (number: number): string => `m${String(number).padStart(9, '0')}@${recipientDomain(number % domains)}`
  const marker = address(0)
  const body = JSON.stringify(emailBody(marker, bytes))
  const length = Buffer.byteLength(body)
  const head = `POST /api/v1/emails HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`
  const at = body.indexOf(marker)
  const [before, after] = [head + body.slice(0, at), body.slice(at + marker.length)]
  return (number) => before + address(number) + after
}

/** Inverse of the address; -1 for one that is not ours. */
export function numberOf(address: string): number {
  const digits = /^m(\d{9})@/.exec(address)?.[1]
  return digits === undefined ? -1 : Number(digits)
}

export function getRequest(path: string, key: string): string {
  const authorization = key === '' ? '' : `Authorization: Bearer ${key}\r\n`
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${authorization}\r\n`
}

/** A receipt as text and as HTML, ASCII, filled up to the size. */
function emailBody(to: string, bytes: number): object {
  const line = 'Thank you for your order, which has left our house today. '
  const made = (fill: string): { readonly text: string; readonly html: string } & Record<string, unknown> => ({
    from: { email: `orders@${senderDomain}`, name: 'The Shop' },
    to: [to],
    subject: 'Your receipt of today',
    text: `Hello,\n\n${fill}\n\nThe Shop\n`,
    html: `<!doctype html><html><body><p>Hello,</p><p>${fill}</p><p>The Shop</p></body></html>`,
    tags: ['receipt', 'bench'],
  })
  const left = Math.max(0, bytes - Buffer.byteLength(JSON.stringify(made(''))))
  return made(line.repeat(Math.ceil(left / 2 / line.length)).slice(0, Math.floor(left / 2)))
}
