/** Bodies of requests, read strictly: what is not known is refused, so that a misspelt field is found by whoever wrote it. */
import type { FastifyInstance } from 'fastify'
import { PosthasteError } from '../../kernel/errors.ts'
import { InvalidValue } from '../../ports/directory.ts'

/** JSON only: a form or plain text is what a foreign page could send without being asked whether it may. */
export function readOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_, text, done) => {
    if (text === '') return done(null, undefined)
    try {
      done(null, JSON.parse(text as string))
    } catch {
      done(new PosthasteError('not_json', 'the body is not JSON', 'Send a JSON object.'))
    }
  })
}

/** The fields of one body; each reader returns undefined for a field that is not there. */
export class Fields {
  readonly #values: ReadonlyMap<string, unknown>

  /** Throws InvalidValue for anything but an object, and for fields other than these. */
  constructor(body: unknown, known: readonly string[]) {
    if (body === null || typeof body !== 'object' || Array.isArray(body))
      throw new InvalidValue('', 'the body is not an object', `Send a JSON object with ${known.join(', ')}.`)
    this.#values = new Map(Object.entries(body))
    for (const name of this.#values.keys()) {
      if (known.includes(name)) continue
      throw new InvalidValue(pointerTo(name), 'there is no such field', `Send any of ${known.join(', ')}.`)
    }
  }

  text(name: string): string | undefined {
    return this.#read(name, 'a text', (value) => typeof value === 'string')
  }

  needText(name: string): string {
    return this.need(name, this.text(name))
  }

  texts(name: string): readonly string[] | undefined {
    const isList = (value: unknown): value is readonly string[] =>
      Array.isArray(value) && value.every((entry) => typeof entry === 'string')
    return this.#read(name, 'a list of texts', isList)
  }

  flag(name: string): boolean | undefined {
    return this.#read(name, 'true or false', (value) => typeof value === 'boolean')
  }

  /** Null: as if it were left out. */
  number(name: string): number | undefined {
    if (this.#values.get(name) === null) return undefined
    return this.#read(name, 'a number', (value) => typeof value === 'number')
  }

  object(name: string): Readonly<Record<string, unknown>> | undefined {
    const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
    return this.#read(name, 'an object', isObject)
  }

  /** Milliseconds since 1970; null: never. */
  time(name: string): number | null | undefined {
    if (this.#values.get(name) === null) return null
    const text = this.text(name)
    if (text === undefined) return undefined
    const ms = rfc3339.test(text) ? Date.parse(text) : Number.NaN
    if (!Number.isNaN(ms)) return ms
    throw new InvalidValue(
      pointerTo(name),
      'it is not a time',
      'Write it like 2027-01-31T12:00:00Z, or null for never.',
    )
  }

  need<T>(name: string, value: T | undefined): T {
    if (value !== undefined) return value
    throw new InvalidValue(pointerTo(name), 'it is missing', 'Give it.')
  }

  #read<T>(name: string, kind: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.#values.get(name)
    if (value === undefined) return undefined
    if (is(value)) return value
    throw new InvalidValue(pointerTo(name), `it is not ${kind}`, `Give ${kind}.`)
  }
}

/** For routes that take nothing: no body, or an empty object. */
export function noFields(body: unknown): void {
  if (body === undefined || body === null) return
  const [name] = Object.keys(body)
  if (typeof body === 'object' && name === undefined) return
  throw new InvalidValue(pointerTo(name ?? ''), 'nothing is asked for here', 'Send no body, or an empty object.')
}

/** RFC 3339 §5.6. */
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

/** RFC 6901 §3. A name of somebody else's making is not repeated at any length. */
function pointerTo(name: string): string {
  return `/${name.slice(0, 60).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
