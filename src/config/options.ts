/**
 * The building blocks of the schemas: one function per kind of option. A schema says what may be written in the file; its
 * static type says what it becomes once read (milliseconds, bytes, absolute paths). Facts that JSON Schema has no word for
 * (unit, sandbox default, since) travel in the keyword `option`, for the reader and for the generated reference.
 */
import { Type, type Static, type TArray, type TObject, type TProperties, type TSchema, type TUnsafe } from 'typebox'
import { listEntriesMax } from './limits.ts'

/** A value as it is written in the file. Null as a default: not set. */
export type FileValue = string | number | boolean | null | readonly FileValue[] | { readonly [key: string]: FileValue }

type OptionKind = 'duration' | 'bytes' | 'integer' | 'ratio' | 'boolean' | 'choice' | 'text' | 'path' | 'secret'

export type TextFormat =
  | 'hostname'
  | 'domain'
  | 'routeDomain'
  | 'host'
  | 'address'
  | 'mailbox'
  | 'network'
  | 'dnsServer'
  | 'name'
  | 'selector'
  | 'line'

export interface OptionFacts {
  readonly kind: OptionKind | 'list'
  readonly description: string
  /** Version that first knew it. */
  readonly since: string
  /** Absent: the option must be given. */
  readonly default?: FileValue
  /** What it is instead when `sandbox` is true. */
  readonly sandboxDefault?: FileValue
  /** What a default of null comes to, for people. */
  readonly defaultText?: string
  /** In milliseconds, bytes, or as is. For a list: how many entries. */
  readonly minimum?: number
  readonly maximum?: number
  /** A word that may stand instead of a number. */
  readonly word?: string
  readonly choices?: readonly string[]
  readonly format?: TextFormat
}

type Given = Omit<OptionFacts, 'kind' | 'since'> & { readonly since?: string }
type Nullable<T, G> = G extends { readonly default: null } ? T | null : T

const firstVersion = '0.1.0'

function option<T>(kind: OptionKind, given: Given, json: Record<string, unknown>): TUnsafe<T> {
  const facts: OptionFacts = { ...given, kind, since: given.since ?? firstVersion }
  return Type.Unsafe<T>({ ...json, description: given.description, option: facts })
}

/** "30s" → milliseconds. */
export const duration = <const G extends Given>(given: G): TUnsafe<Nullable<number, G>> =>
  option('duration', given, { type: 'string', pattern: '^\\d+(\\.\\d+)? ?(ms|s|m|h|d)$' })

/** "50MiB" → bytes. */
export const bytes = <const G extends Given>(given: G): TUnsafe<Nullable<number, G>> =>
  option('bytes', given, { type: 'string', pattern: '^\\d+(\\.\\d+)? ?([KMGT]i?)?B$' })

export const integer = <const G extends Given>(given: G): TUnsafe<Nullable<number, G>> =>
  option('integer', given, { type: 'integer', minimum: given.minimum ?? 0, maximum: given.maximum ?? 2 ** 31 })

/** A whole number, or the word that leaves the choice to the program. */
export const integerOr = <const W extends string>(word: W, given: Given): TUnsafe<number | W> =>
  option<number | W>(
    'integer',
    { ...given, word },
    { type: 'integer', minimum: given.minimum ?? 0, maximum: given.maximum ?? 2 ** 31 },
  )

export const ratio = <const G extends Given>(given: G): TUnsafe<Nullable<number, G>> =>
  option('ratio', given, { type: 'number', minimum: given.minimum ?? 0, maximum: given.maximum ?? 1 })

export const boolean = <const G extends Given>(given: G): TUnsafe<Nullable<boolean, G>> =>
  option('boolean', given, { type: 'boolean' })

export const choice = <const C extends string, const G extends Given>(
  choices: readonly C[],
  given: G,
): TUnsafe<Nullable<C, G>> => option('choice', { ...given, choices }, { type: 'string', enum: choices })

export const text = <const G extends Given>(format: TextFormat, given: G): TUnsafe<Nullable<string, G>> =>
  option('text', { ...given, format }, { type: 'string', minLength: 1 })

/** Becomes absolute; relative ones start at the directory of the file. */
export const path = <const G extends Given>(given: G): TUnsafe<Nullable<string, G>> =>
  option('path', given, { type: 'string', minLength: 1 })

/** Only as `${env:NAME}`: a secret written into the file would be shown to whoever may read the file. */
export const secret = <const G extends Given>(given: G): TUnsafe<Nullable<string, G>> =>
  option('secret', given, { type: 'string', pattern: '\\$\\{env:[A-Za-z_][A-Za-z0-9_]*\\}' })

export function list<T extends TSchema>(items: T, given: Given): TArray<T> {
  const facts: OptionFacts = {
    maximum: listEntriesMax.value,
    ...given,
    kind: 'list',
    since: given.since ?? firstVersion,
  }
  return Type.Array(items, { description: given.description, option: facts })
}

export function section<P extends TProperties>(description: string, properties: P): TObject<P> {
  return Type.Object(properties, { additionalProperties: false, description })
}

export type { Static, TSchema }

/** The facts of an option or list; undefined for a section. */
export function factsOf(schema: TSchema): OptionFacts | undefined {
  return (schema as { option?: OptionFacts }).option
}

export function propertiesOf(schema: TSchema): ReadonlyMap<string, TSchema> {
  return new Map(Object.entries((schema as { properties?: TProperties }).properties ?? {}))
}

/** Schema of a list's entries; undefined when it is no list. */
export function itemsOf(schema: TSchema): TSchema | undefined {
  return (schema as { items?: TSchema }).items
}

export function defaultOf(facts: OptionFacts, sandbox: boolean): FileValue | undefined {
  return sandbox && facts.sandboxDefault !== undefined ? facts.sandboxDefault : facts.default
}
