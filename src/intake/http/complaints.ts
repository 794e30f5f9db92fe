/** What the schema's engine says of a value, made plain: where it is, what is wrong there, and what to do. */
import type { TSchema } from 'typebox'
import { failures, type HttpFailure, httpFailures } from '../../model/failures.ts'
import { problemsMax } from './limits.ts'
import type { ProblemItem } from './problem.ts'

export interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly params: object
  readonly message: string
}

export interface Finding {
  readonly failure: HttpFailure
  readonly item: ProblemItem
}

/** What was checked, and by what. */
interface Checked {
  readonly schema: TSchema
  readonly value: unknown
}

/**
 * Where one of several forms is possible the engine complains about all of them: the form that was meant is the one that got farthest, so a
 * complaint about a whole gives way to one about a part of it, and one about a type to any other.
 */
export function explain(errors: readonly SchemaError[], checked: Checked): Finding[] {
  const places = new Map<string, SchemaError[]>()
  for (const error of errors) {
    if (error.keyword === 'anyOf' || error.keyword === 'additionalProperties') continue
    const at = places.get(error.instancePath)
    if (at === undefined) places.set(error.instancePath, [error])
    else at.push(error)
  }
  const paths = [...places.keys()]
  const findings: Finding[] = []
  for (const [path, found] of places) {
    const telling = found.filter(({ keyword }) => keyword !== 'type')
    const isWhole = telling.length === 0 && paths.some((other) => other.startsWith(`${path}/`))
    if (isWhole) continue
    findings.push(
      ...(telling.length > 0 ? tell(path, telling[0] as SchemaError, checked) : [mistyped(path, found, checked)]),
    )
    if (findings.length >= problemsMax.value) break
  }
  return findings.slice(0, problemsMax.value)
}

function tell(pointer: string, { keyword, params, message }: SchemaError, { schema }: Checked): Finding[] {
  const name = shownName(pointer)
  switch (keyword) {
    case 'boolean':
      return [finding(httpFailures.fieldUnknown, pointer, `there is no field ${name}`, knownNames(schema, pointer))]
    case 'required':
      return (params as { requiredProperties: readonly string[] }).requiredProperties.map((missing) => {
        const path = `${pointer}/${missing}`
        return finding(httpFailures.fieldMissing, path, `${shownName(path)} is missing`, 'Add it.')
      })
    case 'enum': {
      const values = (params as { allowedValues: readonly unknown[] }).allowedValues.join(', ')
      return [finding(httpFailures.fieldInvalid, pointer, `${name} must be one of ${values}`, 'Choose one of these.')]
    }
    default: {
      const isRecipients = keyword === 'maxItems' && /^\/(to|cc|bcc|reply_to)$/.test(pointer)
      const failure = isRecipients ? failures.tooManyRecipients : httpFailures.fieldInvalid
      const { said, cure } = boundOf(keyword, (params as { limit?: number }).limit ?? 0)
      return [finding(failure, pointer, `${name} ${said ?? message}`, isRecipients ? undefined : cure)]
    }
  }
}

function boundOf(keyword: string, limit: number): { readonly said?: string; readonly cure: string } {
  const most = limit.toLocaleString('en')
  switch (keyword) {
    case 'minLength':
      return limit === 1
        ? { said: 'must not be empty', cure: 'Leave it out when there is none.' }
        : { said: 'is too short', cure: `Give at least ${most} characters.` }
    case 'maxLength':
      return { said: `must not have more than ${most} characters`, cure: 'Shorten it.' }
    case 'maxItems':
    case 'maxProperties':
      return { said: `must not have more than ${most} entries`, cure: 'Give fewer.' }
    case 'minimum':
      return { said: `must be at least ${most}`, cure: 'Give more.' }
    case 'format':
      return { said: 'is not a time with its offset', cure: 'Write it like 2026-11-22T10:00:00Z.' }
    default:
      return { cure: 'Give another value.' }
  }
}

function mistyped(pointer: string, errors: readonly SchemaError[], { value }: Checked): Finding {
  const types = [...new Set(errors.map(({ params }) => String((params as { type: unknown }).type)))]
  const wanted = types.map((type) => words.get(type) ?? 'another type').join(' or ')
  const cure = cureOfType(types, valueAt(value, pointer), wanted)
  return finding(httpFailures.fieldInvalid, pointer, `${shownName(pointer)} must be ${wanted}`, cure)
}

const words: ReadonlyMap<string, string> = new Map([
  ['string', 'a string'],
  ['object', 'an object'],
  ['array', 'a list'],
  ['integer', 'a whole number'],
  ['number', 'a number'],
  ['boolean', 'true or false'],
  ['null', 'null'],
])

function cureOfType(types: readonly string[], value: unknown, wanted: string): string {
  if (value === null) return 'Leave it out when it has no value.'
  if (types.includes('string') && typeof value !== 'object') return 'Put it in quotes.'
  if (types.length === 1 && types[0] === 'array') return 'Put it in brackets, also when there is only one.'
  if (types.length === 1 && types[0] === 'object') return 'Give it in braces: {"name": "value"}.'
  return `Give ${wanted}.`
}

/** For people, and short: the pointer has the whole of it. */
function shownName(pointer: string): string {
  return pointer === '' ? 'the body' : pointer.slice(1, 81)
}

/** What a misspelt field may have been meant to be. */
function knownNames(schema: TSchema, pointer: string): string {
  const names = [...new Set(objectsAt(schema, pointer).flatMap(({ properties }) => Object.keys(properties ?? {})))]
  if (names.length === 0) return 'Leave it out.'
  const wanted = folded(pointer.slice(pointer.lastIndexOf('/') + 1))
  const meant = names.find((name) => folded(name) === wanted)
  return meant === undefined ? `Leave it out. There are: ${names.join(', ')}.` : `Write ${meant}.`
}

/** `ReplyTo`, `reply-to` and `reply_to` are the same to people. */
const folded = (name: string): string => name.toLowerCase().replaceAll(/[-_ ]/g, '')

interface Form {
  readonly properties?: Readonly<Record<string, Form>>
  readonly items?: Form
  readonly anyOf?: readonly Form[]
}

/** The forms that the object may have in which the place that `pointer` names stands. Our own schema's depth bounds the way. */
function objectsAt(schema: Form, pointer: string): Form[] {
  let forms = alternatives(schema)
  for (const part of pointer.split('/').slice(1, -1)) {
    forms = forms
      .flatMap(({ properties, items }) => (items === undefined ? [ownProperty(properties, part)] : [items]))
      .flatMap((form) => (form === undefined ? [] : alternatives(form)))
  }
  return forms
}

const ownProperty = (properties: Form['properties'], name: string): Form | undefined =>
  properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined

/** Of ours, none nests deeper than a list of addresses, each of which has two forms. */
const alternatives = ({ anyOf, ...form }: Form): Form[] =>
  anyOf === undefined ? [form] : anyOf.flatMap((one) => (one.anyOf === undefined ? [one] : [...one.anyOf]))

/** RFC 6901. Undefined when there is nothing. */
function valueAt(root: unknown, pointer: string): unknown {
  let value = root
  for (const part of pointer.split('/').slice(1)) {
    if (typeof value !== 'object' || value === null) return undefined
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (!Object.hasOwn(value, key)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[key]
  }
  return value
}

function finding(failure: HttpFailure, pointer: string, detail: string, cure: string | undefined): Finding {
  return { failure, item: { pointer, code: failure.code, detail, ...(cure === undefined ? {} : { cure }) } }
}
