/** The reference, printed from the schemas: as Markdown for people, as JSON Schema for editors. */
import { unreachable } from '../kernel/assert.ts'
import { formatBytes, formatDuration } from '../kernel/units.ts'
import {
  factsOf,
  itemsOf,
  propertiesOf,
  type FileValue,
  type OptionFacts,
  type TextFormat,
  type TSchema,
} from './options.ts'
import { fileSchema } from './schema.ts'

const opening = `# Configuration reference

This page is printed by \`posthaste config reference\` from the schemas that the program checks the file with.

One YAML file holds everything: \`posthaste start --config FILE\`. Without the flag it is \`$POSTHASTE_CONFIG\`, then
\`/etc/posthaste/posthaste.yaml\` when it exists, then the built-in sandbox (also when \`POSTHASTE_CONFIG\` is empty).
[deploy/posthaste.yaml](../deploy/posthaste.yaml) is an annotated example, [production.md](production.md) the way to it.

- **Durations** are a number and a unit: \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`. **Sizes** are a number and \`B\`, \`KB\`, \`MB\`, \`GB\`, \`TB\`
  (thousands) or \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\` (1024s). A bare number is refused.
- **Paths** are absolute, or start at the directory of the file.
- **\`\${env:NAME}\`** anywhere in a value is replaced by the environment variable; when it is not set the file is refused.
- **Secrets** are never written into the file. Name a file that holds the secret (refused when everyone may read it), or
  use \`\${env:NAME}\`.
- **Mistakes** are all listed at once with file, line, column and cure; nothing starts, and the exit code is 78.
  \`posthaste config check\` looks without starting; \`posthaste config show\` prints every option in force and where it came from.
`

export function configurationReference(): string {
  const parts = [opening, '## Top level\n', optionTable(fileSchema)]
  for (const [name, schema] of propertiesOf(fileSchema)) parts.push(...describeSection(schema, name, 2))
  return `${parts
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`
}

/** Sections and lists of sections get a heading and a table; what stands in the table above gets nothing. */
function describeSection(schema: TSchema, key: string, level: number): string[] {
  const items = itemsOf(schema)
  const body = items ?? schema
  const properties = propertiesOf(body)
  if (properties.size === 0) return []
  const heading = `\n${'#'.repeat(level)} ${items === undefined ? key : `${key}[]`}\n`
  const facts = factsOf(schema)
  const before = facts === undefined ? '' : `${facts.description} `
  const after = facts === undefined ? '' : ` Default: ${defaults(facts)}.`
  const prose = `${before}${descriptionOf(body)}${after}\n`
  const children = [...properties].flatMap(([name, child]) =>
    describeSection(child, `${items === undefined ? key : `${key}[]`}.${name}`, level + 1),
  )
  return [heading, prose, optionTable(body), ...children]
}

function optionTable(schema: TSchema): string {
  const rows: string[] = []
  for (const [name, child] of propertiesOf(schema)) {
    const facts = factsOf(child)
    const items = itemsOf(child)
    if (facts === undefined || (items !== undefined && propertiesOf(items).size > 0)) continue
    rows.push(`| \`${name}\` | ${typeOf(facts, items)} | ${defaults(facts)} | ${facts.description} | ${facts.since} |`)
  }
  return rows.length === 0
    ? ''
    : ['| option | type | default | | since |', '|---|---|---|---|---|', ...rows].join('\n') + '\n'
}

function typeOf(facts: OptionFacts, items: TSchema | undefined): string {
  const item = items === undefined ? undefined : factsOf(items)
  if (item !== undefined) return `list of: ${typeOf(item, undefined)}`
  switch (facts.kind) {
    case 'duration':
      return `duration, ${range(facts, formatDuration)}`
    case 'bytes':
      return `size, ${range(facts, formatBytes)}`
    case 'integer':
      return `whole number, ${range(facts, String)}${facts.word === undefined ? '' : `; or \`${facts.word}\``}`
    case 'ratio':
      return `number, ${range(facts, String)}`
    case 'choice':
      return (facts.choices ?? []).map((word) => `\`${word}\``).join(', ')
    case 'boolean':
      return '`true`, `false`'
    case 'secret':
      return '`${env:NAME}`'
    case 'text':
      return formatNames[facts.format ?? 'line']
    case 'path':
    case 'list':
      return facts.kind
    default:
      return unreachable(facts.kind)
  }
}

const formatNames: Record<TextFormat, string> = {
  hostname: 'full host name',
  domain: 'domain',
  routeDomain: 'domain pattern',
  host: 'host name or IP address',
  address: 'IP address',
  mailbox: 'mail address',
  network: 'network (CIDR)',
  dnsServer: 'IP address, or address#port',
  name: 'a–z, 0–9, - and _',
  selector: 'DNS label',
  line: 'text',
}

const range = (facts: OptionFacts, format: (value: number) => string): string =>
  `${format(facts.minimum ?? 0)} … ${format(facts.maximum ?? 2 ** 31)}`

function defaults(facts: OptionFacts): string {
  const plain =
    facts.default === undefined
      ? 'required'
      : facts.default === null
        ? (facts.defaultText ?? 'none')
        : written(facts.default)
  return facts.sandboxDefault === undefined ? plain : `${plain}; sandbox: ${written(facts.sandboxDefault)}`
}

/** In flow style, as it could stand in the file. */
function written(value: FileValue): string {
  if (typeof value === 'string') return `\`${value}\``
  return Array.isArray(value) && value.length === 0
    ? 'empty'
    : `\`${JSON.stringify(value)
        .replaceAll('"', '')
        .replaceAll(/([:,])/g, '$1 ')
        .replaceAll(/: : /g, '::')}\``
}

function descriptionOf(schema: TSchema): string {
  return (schema as { description?: string }).description ?? ''
}

/** For editors: what may be left out is not required, and our own keyword is taken out. */
export function jsonSchema(): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Posthaste configuration',
    ...plainSchema(fileSchema),
  }
}

function plainSchema(schema: TSchema): Record<string, unknown> {
  const {
    option,
    properties: _properties,
    required: _required,
    items: _items,
    ...plain
  } = schema as Record<string, unknown> & { option?: OptionFacts }
  const items = itemsOf(schema)
  if (items !== undefined)
    return { ...plain, items: plainSchema(items), minItems: option?.minimum ?? 0, maxItems: option?.maximum }
  if (option !== undefined) {
    // A value may also come from the environment, whatever its type.
    const pattern = option.word === undefined ? '\\$\\{env:' : `^${option.word}$|\\$\\{env:`
    const given = plain['type'] === 'string' ? plain : { ...plain, type: [plain['type'], 'string'], pattern }
    return option.default === undefined || option.default === null ? given : { ...given, default: option.default }
  }
  const children = propertiesOf(schema)
  const required = [...children].filter(([, child]) => isRequired(child)).map(([name]) => name)
  return {
    ...plain,
    type: ['object', 'null'],
    required,
    properties: Object.fromEntries([...children].map(([name, child]) => [name, plainSchema(child)])),
  }
}

function isRequired(schema: TSchema): boolean {
  const facts = factsOf(schema)
  return facts !== undefined && facts.default === undefined && facts.sandboxDefault === undefined
}
