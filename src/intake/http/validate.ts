/** A schema as a check that says what is wrong in words for people, each with its place. */
import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { Settings } from 'typebox/system'
import { failures, type HttpFailure, httpFailures } from '../../model/failures.ts'
import { problemsMax, schemaErrorsMax } from './limits.ts'
import { Problem, type ProblemItem } from './problem.ts'

/** Throws a Problem when the value is not of the schema. */
export type Check<S extends TSchema> = (value: unknown) => asserts value is Static<S>

interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly params: object
  readonly message: string
}

/** Compiles it: once, at the start. */
export function checkOf<S extends TSchema>(schema: S): Check<S> {
  const validator = Compile(schema)
  return (value) => {
    if (!validator.Check(value)) throw problemOf(explain(errorsOf(() => validator.Errors(value))))
  }
}

/** The engine stops at eight, and one wrong address gives four: the place that matters would be missing. */
function errorsOf(ask: () => readonly SchemaError[]): readonly SchemaError[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: schemaErrorsMax.value })
  try {
    return ask()
  } finally {
    Settings.Set({ maxErrors })
  }
}

interface Finding {
  readonly failure: HttpFailure
  readonly item: ProblemItem
}

function problemOf(findings: readonly Finding[]): Problem {
  const [first] = findings
  if (first === undefined) return new Problem(httpFailures.fieldInvalid)
  const { pointer, detail } = first.item
  if (findings.length === 1) return new Problem(first.failure, { pointer, detail })
  return new Problem(httpFailures.severalProblems, { errors: findings.map(({ item }) => item) })
}

/**
 * What the schema's engine says, made plain. Where one of several forms is possible it complains about all of them: the form that was meant
 * is the one that got farthest, so a complaint about a whole gives way to one about a part of it, and one about a type to any other.
 */
function explain(errors: readonly SchemaError[]): Finding[] {
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
    findings.push(...(telling.length > 0 ? tell(path, telling[0] as SchemaError) : [mistyped(path, found)]))
    if (findings.length >= problemsMax.value) break
  }
  return findings.slice(0, problemsMax.value)
}

function tell(pointer: string, { keyword, params, message }: SchemaError): Finding[] {
  if (keyword === 'boolean') return [finding(httpFailures.fieldUnknown, pointer, 'there is no field of that name')]
  if (keyword === 'required') {
    const names = (params as { requiredProperties: readonly string[] }).requiredProperties
    return names.map((name) => finding(httpFailures.fieldMissing, `${pointer}/${name}`, `${name} is missing`))
  }
  if (keyword === 'enum') {
    const values = (params as { allowedValues: readonly unknown[] }).allowedValues
    return [finding(httpFailures.fieldInvalid, pointer, `must be one of ${values.join(', ')}`)]
  }
  const isRecipients = keyword === 'maxItems' && /^\/(to|cc|bcc|reply_to)$/.test(pointer)
  return [finding(isRecipients ? failures.tooManyRecipients : httpFailures.fieldInvalid, pointer, message)]
}

function mistyped(pointer: string, errors: readonly SchemaError[]): Finding {
  const types = new Set(
    errors.map(({ params }) => words.get(String((params as { type: unknown }).type)) ?? 'another type'),
  )
  return finding(httpFailures.fieldInvalid, pointer, `must be ${[...types].join(' or ')}`)
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

function finding(failure: HttpFailure, pointer: string, detail: string): Finding {
  return { failure, item: { pointer, code: failure.code, detail } }
}
