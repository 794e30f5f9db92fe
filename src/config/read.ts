/**
 * Walks file and schema side by side: every option gets a value, from the file or by default, and everything in the file that
 * the schema does not know becomes a problem with its place. The walk descends the schema, so its depth is the schema's.
 */
import { isAlias, isMap, isScalar, isSeq, type Node } from 'yaml'
import { parseLeaf } from './leaf.ts'
import { defaultOf, factsOf, itemsOf, propertiesOf, type OptionFacts, type TSchema } from './options.ts'
import { show } from './parsed.ts'
import { describeAt, type Place, type Problem } from './problems.ts'
import type { Source } from './source.ts'
import { nearest } from './suggest.ts'

export type Origin = 'default' | 'sandbox default' | 'file' | 'flag'

/** One option as it is in force, for `config show`. */
export interface EffectiveValue {
  readonly key: string
  /** As in the file; '***' for a secret, null for what is not set. */
  readonly value: unknown
  /** What not set comes to, for people; only beside null. */
  readonly meaning?: string
  readonly origin: Origin
  readonly place: Place | null
}

type Environment = Readonly<Record<string, string | undefined>>

export class Reader {
  readonly source: Source
  readonly problems: Problem[] = []
  readonly warnings: string[] = []
  readonly effective: EffectiveValue[] = []
  readonly #environment: Environment
  readonly #places = new Map<string, Place>()
  #sandbox = false

  constructor(source: Source, environment: Environment) {
    this.source = source
    this.#environment = environment
  }

  /** Values of the whole schema. What has a problem is undefined in it: ask `sound` before using a part. */
  read(schema: TSchema, sandbox: boolean): unknown {
    this.#sandbox = sandbox
    return this.#section(schema, this.#resolve(this.source.document.contents), '', 'file')
  }

  /** Notes a problem at a key, or at the nearest key around it that is in the file. */
  problem(key: string, what: string, cure: string): void {
    this.problems.push({ file: this.source.file, place: this.#placeNear(key), key, what, cure })
  }

  warn(key: string, what: string): void {
    this.warnings.push(describeAt(this.source.file, this.#placeNear(key), key, what))
  }

  /** True while nothing at or below the key is wrong. */
  sound(key: string): boolean {
    return !this.problems.some((problem) => problem.key === key || /^[.[]/.test(isBelow(problem.key, key)))
  }

  #section(schema: TSchema, node: Node | null, key: string, origin: Origin): Record<string, unknown> {
    const properties = propertiesOf(schema)
    const values: Record<string, unknown> = {}
    const given = new Map<string, Node | null>()
    if (isMap(node)) {
      for (const pair of node.items) this.#key(pair.key, pair.value, key, properties, given, origin)
    } else if (node !== null && !isEmpty(node)) {
      this.#note(key, node)
      this.problem(
        key,
        `${describeNode(node)} stands where a section belongs`,
        `Write its options below it, indented: ${[...properties.keys()].join(', ')}.`,
      )
    }
    for (const [name, child] of properties) {
      const childKey = key === '' ? name : `${key}.${name}`
      values[name] = this.#value(child, given.get(name), childKey, origin, given.has(name))
    }
    return values
  }

  #key(
    keyNode: unknown,
    valueNode: unknown,
    key: string,
    properties: ReadonlyMap<string, TSchema>,
    given: Map<string, Node | null>,
    origin: Origin,
  ): void {
    const name = isScalar(keyNode) ? String(keyNode.value) : '?'
    const childKey = key === '' ? name : `${key}.${name}`
    if (origin === 'file') this.#note(childKey, keyNode)
    if (properties.has(name)) given.set(name, this.#resolve(valueNode))
    else this.problem(childKey, 'is not a known option', cureOfUnknown(name, key, properties))
  }

  #value(schema: TSchema, node: Node | null | undefined, key: string, origin: Origin, present: boolean): unknown {
    const facts = factsOf(schema)
    if (facts === undefined) return this.#section(schema, node ?? null, key, origin)
    if (!present) return this.#absent(schema, facts, key)
    if (node === null || node === undefined || isEmpty(node)) {
      this.problem(
        key,
        'has no value',
        facts.default === undefined ? 'Write one.' : 'Write one, or remove the line to use the default.',
      )
      return undefined
    }
    const items = itemsOf(schema)
    return items === undefined ? this.#leaf(facts, node, key, origin) : this.#list(facts, items, node, key, origin)
  }

  /** Defaults are in the file's notation and take the same way as what is in the file. */
  #absent(schema: TSchema, facts: OptionFacts, key: string): unknown {
    const value = defaultOf(facts, this.#sandbox)
    const origin = this.#sandbox && facts.sandboxDefault !== undefined ? 'sandbox default' : 'default'
    if (value === undefined) {
      this.problem(key, 'is missing', `Add it: ${facts.description}`)
      return undefined
    }
    if (value === null) {
      this.effective.push({ key, value: null, meaning: facts.defaultText ?? 'none', origin, place: null })
      return null
    }
    return this.#value(schema, this.source.document.createNode(value) as Node, key, origin, true)
  }

  #list(facts: OptionFacts, items: TSchema, node: Node, key: string, origin: Origin): unknown {
    if (origin === 'file') this.#note(key, node)
    if (!isSeq(node)) {
      this.problem(
        key,
        `${describeNode(node)} stands where a list belongs`,
        'Write each entry on its own line after a dash.',
      )
      return undefined
    }
    const count = node.items.length
    if (count < (facts.minimum ?? 0))
      this.problem(key, 'is empty', 'Write at least one entry, or remove the line to use the default.')
    if (count > (facts.maximum ?? Infinity)) {
      this.problem(key, `has ${count} entries`, `Write at most ${facts.maximum}.`)
      return undefined
    }
    if (count === 0) this.#effect(key, [], origin)
    return node.items.map((item, index) => {
      const itemKey = `${key}[${index}]`
      const itemNode = this.#resolve(item)
      if (origin === 'file') this.#note(itemKey, itemNode)
      return this.#value(items, itemNode, itemKey, origin, true)
    })
  }

  #leaf(facts: OptionFacts, node: Node, key: string, origin: Origin): unknown {
    if (origin === 'file') this.#note(key, node)
    if (!isScalar(node)) {
      this.problem(key, `${describeNode(node)} stands where a single value belongs`, facts.description)
      return undefined
    }
    const before = this.problems.length
    const given = typeof node.value === 'string' ? this.#expand(node.value, key) : node.value
    if (this.problems.length > before) return undefined
    const parsed = parseLeaf(facts, given, { fromEnvironment: given !== node.value, directory: this.source.directory })
    if (!parsed.ok) {
      this.problem(key, parsed.what, parsed.cure)
      return undefined
    }
    this.#effect(key, facts.kind === 'secret' ? '***' : facts.kind === 'path' ? parsed.value : given, origin)
    return parsed.value
  }

  /** `${env:NAME}` → its value; once, so that what comes from the environment is never read as a reference again. */
  #expand(text: string, key: string): string {
    return text.replaceAll(/\$\{([^}]*)\}?/g, (reference, inner: string) => {
      const name = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(inner)?.[1]
      if (name === undefined || !reference.endsWith('}')) {
        this.problem(
          key,
          `${show(reference)} is not understood`,
          'Write ${env:NAME} to use the environment variable NAME.',
        )
        return ''
      }
      const value = this.#environment[name]
      if (value === undefined) {
        this.problem(
          key,
          `the environment variable ${name} is not set`,
          `Set ${name} for the engine, for example in the unit’s EnvironmentFile.`,
        )
      }
      return value ?? ''
    })
  }

  #effect(key: string, value: unknown, origin: Origin): void {
    this.effective.push({ key, value, origin, place: origin === 'file' ? this.#placeNear(key) : null })
  }

  #resolve(node: unknown): Node | null {
    const target = isAlias(node) ? node.resolve(this.source.document) : node
    return (target ?? null) as Node | null
  }

  #note(key: string, node: unknown): void {
    const place = this.source.placeOf(node)
    if (place !== null) this.#places.set(key, place)
  }

  #placeNear(key: string): Place | null {
    for (let at = key; ; at = at.slice(0, Math.max(at.lastIndexOf('.'), at.lastIndexOf('['), 0))) {
      const place = this.#places.get(at)
      if (place !== undefined) return place
      if (at === '') return null
    }
  }
}

const isBelow = (key: string, above: string): string => (key.startsWith(above) ? key.slice(above.length) : '')

const isEmpty = (node: Node): boolean => isScalar(node) && node.value === null

function describeNode(node: Node): string {
  if (isMap(node)) return 'a section'
  if (isSeq(node)) return 'a list'
  return isScalar(node) ? show(node.value) : 'something else'
}

function cureOfUnknown(name: string, key: string, properties: ReadonlyMap<string, TSchema>): string {
  for (const [parent, schema] of properties) {
    if (key === '' && propertiesOf(schema).has(name)) return `It belongs below ${parent}.`
  }
  const near = nearest(name, properties.keys())
  return near === null ? `Known here: ${[...properties.keys()].join(', ')}.` : `Did you mean ${near}?`
}
