/** Bounds of the configuration at their edge: one below, at it, one above. What its options bound is tested where it is kept. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { formatBytes, formatDuration } from '../kernel/units.ts'
import { configuredLimits, ConfigError, loadConfig } from './config.ts'
import { readPublicFile } from './files.ts'
import { formats } from './formats.ts'
import { parseLeaf } from './leaf.ts'
import * as limits from './limits.ts'
import { factsOf, itemsOf, type OptionFacts, propertiesOf, type TSchema } from './options.ts'
import { fileSchema } from './schema.ts'

const directory = mkdtempSync(join(tmpdir(), 'posthaste-config-limits-'))
after(() => rmSync(directory, { recursive: true }))

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

function problemsOf(text: string): string[] {
  const path = join(directory, 'posthaste.yaml')
  writeFileSync(path, text)
  try {
    loadConfig(path, {})
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.map(({ what }) => what)
  }
}

test('limit config.file: a file of 4 MiB is read, one octet more is refused', () => {
  const head = 'hostname: mail.example.com\n#'
  for (const bytes of around(limits.fileBytesMax.value)) {
    const problems = problemsOf(head.padEnd(bytes, 'x'))
    assert.deepEqual(problems, bytes > limits.fileBytesMax.value ? ['is larger than 4 MiB'] : [])
  }
})

test('limit config.secret-file: a file of 256 KiB is read, one octet more is refused', () => {
  for (const bytes of around(limits.secretFileBytesMax.value)) {
    const path = join(directory, 'secret')
    writeFileSync(path, 'x'.repeat(bytes))
    assert.equal(readPublicFile(path).ok, bytes <= limits.secretFileBytesMax.value)
  }
})

test('limit config.list: ten thousand entries are read, one more is refused', () => {
  for (const count of around(limits.listEntriesMax.value)) {
    const networks = Array.from({ length: count }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
    const text = `hostname: mail.example.com\ntenants: [{name: a, networks: [${networks.join(', ')}]}]\n`
    assert.deepEqual(problemsOf(text), count > limits.listEntriesMax.value ? [`has ${count} entries`] : [])
  }
})

test('limit config.line: 255 characters are a line of text, 256 are too many', () => {
  for (const characters of around(limits.lineCharactersMax.value))
    assert.equal(formats.line('x'.repeat(characters)).ok, characters <= limits.lineCharactersMax.value)
})

/** Every option with its key; those of lists with the list's key. */
function options(schema: TSchema = fileSchema, key = ''): (readonly [key: string, facts: OptionFacts])[] {
  return [...propertiesOf(schema)].flatMap(([name, child]) => {
    const at = key === '' ? name : `${key}.${name}`
    const facts = factsOf(child)
    const below = itemsOf(child) ?? child
    const own = facts === undefined || facts.kind === 'list' ? [] : [[at, facts] as const]
    return [...own, ...options(below, at)]
  })
}

test('an option takes both ends of its range, and nothing beyond', () => {
  const written = (facts: OptionFacts, value: number): unknown =>
    facts.kind === 'bytes' ? `${value}B` : facts.kind === 'duration' ? `${value}ms` : value
  for (const [key, facts] of options()) {
    if (!['bytes', 'duration', 'integer'].includes(facts.kind)) continue
    const { minimum = 0, maximum = Infinity } = facts
    const taken = (value: number): boolean =>
      parseLeaf(facts, written(facts, value), { fromEnvironment: false, directory }).ok
    assert.deepEqual(
      [taken(minimum - 1), taken(minimum), taken(minimum + 1)],
      [false, true, true],
      `${key} from ${formatBytes(minimum)}`,
    )
    if (maximum === Infinity) continue
    const format = facts.kind === 'duration' ? formatDuration : formatBytes
    assert.deepEqual(
      [taken(maximum - 1), taken(maximum), taken(maximum + 1)],
      [true, true, false],
      `${key} to ${format(maximum)}`,
    )
  }
})

test('every option that bounds something is in the table of limits', () => {
  const { config } = loadConfig(null, {})
  const listed = configuredLimits(config).map(({ name }) => name)
  const bounding = options()
    .filter(
      ([key, { kind }]) =>
        ['bytes', 'duration', 'integer', 'ratio'].includes(kind) &&
        // Nothing is refused because of how many threads there are.
        !/\b(port|jitter)$|^threads\./.test(key),
    )
    .map(([key]) => key)
  assert.deepEqual(listed.toSorted(), bounding.toSorted())
})
